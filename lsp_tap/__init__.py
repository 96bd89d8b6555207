"""Records what a coding agent and its language servers say, and computes which errors every edit cleared
and introduced.

Names are imported when they are first used (PEP 562): the tap starts once per language server and needs
none of them.
"""

from __future__ import annotations

from lsp_tap._version import __version__

TYPE_CHECKING = False  # the name is enough for type checkers; typing takes as long to import as Python to start
if TYPE_CHECKING:
    from typing import Final

    from lsp_tap.errors import JournalUnavailable as JournalUnavailable
    from lsp_tap.errors import LspTapError as LspTapError
    from lsp_tap.errors import UsageError as UsageError
    from lsp_tap.journal.reader import Journal as Journal
    from lsp_tap.journal.reader import JournalReader as JournalReader
    from lsp_tap.journal.reader import Unreadable as Unreadable
    from lsp_tap.journal.reader import read_folder as read_folder
    from lsp_tap.journal.reader import read_journal as read_journal
    from lsp_tap.journal.records import Record as Record
    from lsp_tap.journal.records import journal_schema as journal_schema

_HOME_OF: Final = {
    "Journal": "lsp_tap.journal.reader",
    "JournalReader": "lsp_tap.journal.reader",
    "JournalUnavailable": "lsp_tap.errors",
    "LspTapError": "lsp_tap.errors",
    "Record": "lsp_tap.journal.records",
    "Unreadable": "lsp_tap.journal.reader",
    "UsageError": "lsp_tap.errors",
    "journal_schema": "lsp_tap.journal.records",
    "read_folder": "lsp_tap.journal.reader",
    "read_journal": "lsp_tap.journal.reader",
}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
