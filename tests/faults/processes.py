"""Which processes a test has started, and whether they are gone: by their folder, so that none can slip away."""

from __future__ import annotations

import os
from pathlib import Path

from tests.tap.tapped import is_alive, wait_until


def find_processes(folder: Path) -> dict[int, str]:
    """Running processes that work in `folder` or were told of it in their environment: pid and command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            works_there = Path(os.readlink(entry / "cwd")).is_relative_to(folder)
            knows_it = str(folder).encode() in (entry / "environ").read_bytes()
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue  # it has ended, or is another user's
        if (works_there or knows_it) and is_alive(int(entry.name)):
            found[int(entry.name)] = words
    return found


def find_server(folder: Path, program: str) -> int | None:
    """The server among them: its command line, unlike its tap's, begins with an interpreter and `program`."""
    for pid, command in find_processes(folder).items():
        if program in command and "lsp_tap" not in command:
            return pid
    return None


def wait_all_gone(folder: Path, patience_s: float) -> None:
    """Until none is left. AssertionError that names those that are."""
    try:
        wait_until(lambda: not find_processes(folder), f"the processes of {folder} to end", patience_s)
    except AssertionError as error:
        left = find_processes(folder)
        for pid in left:
            os.kill(pid, 9)
        raise AssertionError(f"{error}: {left}") from None
