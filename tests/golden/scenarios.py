"""All scenarios, and the servers they name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tests.e2e.opencode import python_peer
from tests.golden import how_cleared, how_sure, same_error, which_text, who_did_it
from tests.golden.scenario import SCENARIOS
from tests.matrix.client import ServerCommand
from tests.matrix.servers import find_row

__all__ = ["SCENARIOS", "find_server"]

MODULES: Final = (how_cleared, how_sure, same_error, which_text, who_did_it)


def find_server(id: str) -> ServerCommand:
    """A row of the matrix, or clangd made slow, silent or pedantic. Raises FileNotFoundError, KeyError."""
    faulty = sys.executable, str(Path(__file__).parent / "faulty.py")
    match id:
        case "slow-clangd":
            return _clangd(id, (*faulty, "7"))
        case "silent-clangd":
            return _clangd(id, (*faulty, "never"))
        case "clangd-tidy":
            return _clangd(id, options=("--clang-tidy",))
    return find_row(id).server()


def _clangd(id: str, before: tuple[str, ...] = (), options: tuple[str, ...] = ()) -> ServerCommand:
    return ServerCommand(id, (*before, python_peer("clangd"), "--background-index=false", *options), (".cpp",))
