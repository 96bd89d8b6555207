"""What clients recorded meanwhile: the tool calls. Read in a thread, beside the keys."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lsp_tap.journal.capture import open_folder
from lsp_tap.journal.reader import Journal

if TYPE_CHECKING:
    from lsp_tap.inspect.calls import CallIndex


def find_clients(folder: Path | None, clients: Iterable[Journal]) -> tuple[list[Journal], object]:
    """The clients' journals by now, and what tells whether they have grown."""
    found = list(clients if folder is None else open_folder(folder).clients)
    return found, [(client.path, client.path.stat().st_size) for client in found if client.path.exists()]


def index_calls(clients: Iterable[Journal]) -> CallIndex:
    """The tool calls in them."""
    from lsp_tap.inspect.calls import CallIndex  # takes as long to import as the screen

    return CallIndex(clients)
