"""A real Neovim at work on a small project (`peers/edit.lua`), with a language server of the test's choice."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.opencode import REPOSITORY, TAP, python_peer

SCRIPT = Path(__file__).parent / "peers" / "edit.lua"
BASEDPYRIGHT = [python_peer("basedpyright-langserver"), "--stdio"]
OLDER_VERSION = "1.31.7"

CART = """\
def total(prices: list[int]) -> int:
    return sum(prizes)


class Cart:
    last: int = total([1])

    def add(self=1, item: int = 2) -> None:
        print(self, item)
"""
"""`self=1` is what 1.32 reports and 1.31 does not (reportSelfClsDefault)."""


def find_older_basedpyright() -> list[str]:
    """The command of the version before; FileNotFoundError that says how to get it."""
    place = REPOSITORY / ".setup" / f"basedpyright-{OLDER_VERSION}"
    program = place / "bin" / "basedpyright-langserver"
    if not program.exists():
        raise FileNotFoundError(f"no {program}: run `make setup`")
    return ["env", f"PYTHONPATH={place}", str(program), "--stdio"]


@dataclass(frozen=True)
class Edited:
    """What Neovim was told, and where it worked."""

    seen: dict[str, Any]
    project: Path


def edit(folder: Path, server: Sequence[str]) -> Edited:
    """Open, hover, definition, an edit with errors, completion, the edit undone, symbols, quit."""
    project = folder / "project"
    project.mkdir(parents=True)
    (project / "cart.py").write_text(CART)
    seen = folder / "seen.json"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "NVIM"))},
        "HOME": str(folder),
        "EDITED_FILE": "cart.py",
        "SEEN_FILE": str(seen),
        "SERVER_COMMAND": json.dumps([*server]),
    }
    command = ["nvim", "--headless", "-u", "NONE", "-i", "NONE", "-n", "-c", f"luafile {SCRIPT}"]
    done = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    return Edited(json.loads(seen.read_text()), project)


def record(folder: Path, server: Sequence[str]) -> None:
    """The same behind a tap."""
    edit(folder, [*TAP, "run", "--name", "basedpyright", "--dir", str(folder / "logs"), "--", *server])


def read_recorded(folder: Path) -> tuple[Edited, Path]:
    """What was recorded into a folder, and its journal."""
    (journal,) = (folder / "logs" / "tap").glob("server-*.jsonl")
    return Edited(json.loads((folder / "seen.json").read_text()), folder / "project"), journal
