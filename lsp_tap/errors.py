"""What can go wrong, as one tree.

    LspTapError
    ├── UsageError            the command line does not make sense (exit code 2)
    ├── ConfigError           OpenCode's configuration, or a file init manages, cannot be read or changed
    └── JournalUnavailable    the journal's folder or file cannot be used

The message is built from the fields, which are what code should look at. Errors in recorded data are no
exceptions: readers yield them as values (`lsp_tap.journal.reader.Unreadable`), since a recording is never
all good or all bad.
"""

from __future__ import annotations

import os


class LspTapError(Exception):
    """The root: everything lsp-tap raises on purpose. Its text is one line that says what to do."""

    exit_code = 1


class UsageError(LspTapError):
    """The command line does not make sense."""

    exit_code = 2


class ConfigError(LspTapError):
    """A configuration file at `path` cannot be read or changed. `line` and `column` count from 1."""

    def __init__(self, path: str, reason: str, *, line: int | None = None, column: int | None = None) -> None:
        super().__init__(path, reason, line, column)
        self.path = path
        self.reason = reason
        self.line = line
        self.column = column

    def __str__(self) -> str:
        where = self.path if self.line is None else f"{self.path}:{self.line}:{self.column}"
        return f"{where}: {self.reason}"


class JournalUnavailable(LspTapError):
    """A journal cannot be opened at `path`; `reason` says why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot write to {self.path}: {self.reason}"


def complain(text: str) -> None:
    """One line on standard error, whatever becomes of it: for what is wrong and must stop nothing.

    Names of files and commands are in it, so what a terminal would obey is shown as `?`.
    """
    line = "".join(character if character.isprintable() else "?" for character in text)
    try:
        os.write(2, f"lsp-tap: {line}\n".encode("utf-8", "replace"))
    except OSError:
        pass
