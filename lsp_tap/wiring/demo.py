"""The whole chain on a small broken project: the real OpenCode, a real language server, a scripted model on loopback.

Nothing is staged but the model: the project is wired by `init`, OpenCode runs its own tools, the server finds its own
errors, and what is printed comes out of the journals.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lsp_tap.errors import LspTapError
from lsp_tap.session.recording import Recording
from lsp_tap.wiring.init import LOGS, apply, plan_init
from lsp_tap.wiring.scripted_model import ModelRequest, Reply, ScriptedModel, Step, call, say

TASK: Final = "Mend the errors in cart.py"
SERVER: Final = ("basedpyright-langserver", "--stdio")
TIME_LIMIT_S: Final = 120
REPORT_LIMIT_S: Final = 20

BROKEN: Final = """\
def total(prices: list[int]) -> str:
    return sum(prices)


def greet(name: str) -> str:
    return "Hello, " + nmae


print(greet("Ada"), total("3"))
"""


class DemoFailed(LspTapError):
    """The demo cannot run: `reason` says what is missing or went wrong, and what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Demo:
    """What ran and where it left its files. `server` is the command, `client` OpenCode with its version."""

    project: Path
    logs: Path
    client: str
    server: str
    session_id: str


def find_program(name: str, remedy: str) -> str:
    """A program on PATH or beside the running Python. Raises DemoFailed."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        raise DemoFailed(f"{name} is not installed: {remedy}")
    return os.path.abspath(found)


def run_demo(project: Path, say_progress: Callable[[str], None] = lambda line: None) -> Demo:
    """Make the project in the empty folder `project`, wire it, and let OpenCode mend it. Raises DemoFailed."""
    opencode = find_program("opencode", "npm install --global opencode-ai")
    server = find_program(SERVER[0], "pip install basedpyright")
    version = subprocess.run([opencode, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if project.exists() and any(project.iterdir()):
        raise DemoFailed(f"{project} is not empty")
    project.mkdir(parents=True, exist_ok=True)
    cart = project / "cart.py"
    cart.write_text(BROKEN, encoding="utf-8")
    with ScriptedModel(_script(str(cart), project / LOGS)) as model:
        _write_config(project, model, server)
        apply(plan_init(project))
        settle_dependencies(project / ".opencode")
        say_progress(f"OpenCode {version} works on {cart} with {SERVER[0]} behind lsp-tap; its model is a script")
        session_id = _run_opencode(opencode, project)
    return Demo(
        project, project / LOGS, f"OpenCode {version} ({opencode})", " ".join((server, *SERVER[1:])), session_id
    )


def _script(cart: str, logs: Path) -> list[Step]:
    """What the model does: an edit that mends, one that fails, one that mends and breaks, one that mends that."""

    def first_edit(_: ModelRequest) -> Reply:
        # A real model takes seconds to answer. A script takes none, and OpenCode's `read` does not wait for the server
        # it starts: the file would be edited before the server ever saw it.
        _wait_reported(logs)
        return call("edit", filePath=cart, oldString="nmae", newString="name")

    return [
        call("read", filePath=cart),
        first_edit,
        call("edit", filePath=cart, oldString="no such text", newString=""),
        call(
            "edit",
            filePath=cart,
            oldString="-> str:\n    return sum(prices)",
            newString="-> int:\n    return sum(prizes)",
        ),
        call("edit", filePath=cart, oldString="sum(prizes)", newString="sum(prices)"),
        call("edit", filePath=cart, oldString="def total", newString="# Prices are in cents.\ndef total"),
        call("edit", filePath=cart, oldString='total("3")', newString="total([3])"),
        say("All three errors in cart.py are mended."),
    ]


def _wait_reported(logs: Path) -> None:
    """Wait until a server has said something about a document; at most half of OpenCode's patience with a server."""
    recording, deadline = Recording(logs), time.monotonic() + REPORT_LIMIT_S
    while not any(timeline.reports for timeline in recording.timelines) and time.monotonic() < deadline:
        time.sleep(0.05)
        recording.read()


def _write_config(project: Path, model: ScriptedModel, server: str) -> None:
    config = {
        "$schema": "https://opencode.ai/config.json",
        "provider": {"scripted": model.provider_entry(["demo"])},
        "model": "scripted/demo",
        "small_model": "scripted/demo",
        "lsp": {
            "pyright": {"disabled": True},
            "basedpyright": {"command": [server, *SERVER[1:]], "extensions": [".py", ".pyi"]},
        },
    }
    (project / "opencode.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def settle_dependencies(folder: Path) -> None:
    """Make OpenCode take a configuration folder as installed.

    Before it loads a plugin from a folder, OpenCode installs its plugin library there (npm, 60 MB) unless a
    `node_modules` and a lock file that names the library are present. Ours needs only that library's types.
    """
    (folder / "node_modules").mkdir(parents=True, exist_ok=True)
    needs = {"dependencies": {"@opencode-ai/plugin": "*"}}
    (folder / "package.json").write_text(json.dumps(needs), encoding="utf-8")
    lock = {"lockfileVersion": 3, "packages": {"": needs}}
    (folder / "package-lock.json").write_text(json.dumps(lock), encoding="utf-8")


def _run_opencode(opencode: str, project: Path) -> str:
    """Run the task to its end; returns the session's id. OpenCode gets a home of its own."""
    home = project / ".home"
    settle_dependencies(home / ".config" / "opencode")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "OPENCODE", "LSP_TAP"))},
        "HOME": str(home),
        "PWD": str(project),
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    }
    try:
        done = subprocess.run(
            [opencode, "run", "--format", "json", TASK],
            cwd=project, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=TIME_LIMIT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise DemoFailed(f"OpenCode did not finish within {TIME_LIMIT_S} s") from None
    for line in done.stdout.splitlines():
        session_id = _parse_session_id(line)
        if session_id:
            return session_id
    raise DemoFailed(
        f"OpenCode started no session (exit code {done.returncode}): {(done.stderr or done.stdout)[-400:]}"
    )


def _parse_session_id(line: str) -> str | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    found = event.get("sessionID") if isinstance(event, dict) else None
    return found if isinstance(found, str) else None
