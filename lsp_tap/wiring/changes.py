"""Changes of files, decided elsewhere, carried out here: all or none."""

from __future__ import annotations

import contextlib
import difflib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lsp_tap.errors import ConfigError
from lsp_tap.wiring.opencode_config import read_text


@dataclass(frozen=True)
class Change:
    """A file's text before and after; None where there is no file. `private`: for the owner's eyes only."""

    path: Path
    before: str | None
    after: str | None
    private: bool = False

    def diff(self) -> str:
        """A unified diff for people."""
        name = str(self.path)
        before, after = (text.splitlines(keepends=True) if text else [] for text in (self.before, self.after))
        lines = difflib.unified_diff(
            before,
            after,
            name if self.before is not None else "/dev/null",
            name if self.after is not None else "/dev/null",
        )
        return "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)


def apply_changes(
    changes: Iterable[Change],
    *,
    make_folders: Iterable[Path] = (),
    remove_folders: Iterable[Path] = (),
) -> None:
    """Make folders (0700 when their name is `.opencode-logs`), write and delete files, then remove those of
    `remove_folders` that are empty. Every file is replaced atomically; when one fails, or no longer holds
    what the change expects, all earlier ones are put back. Raises ConfigError."""
    done: list[Change] = []
    made: list[Path] = []
    try:
        for folder in make_folders:
            if not folder.is_dir():
                folder.mkdir(mode=0o700 if folder.name == ".opencode-logs" else 0o777)
                made.append(folder)
        for change in changes:
            if read_text(change.path) != change.before:
                raise ConfigError(str(change.path), "changed while this ran; nothing was done, try again")
            _write(change.path, change.after, private=change.private)
            done.append(change)
    except BaseException as error:
        for change in reversed(done):
            with contextlib.suppress(OSError):
                _write(change.path, change.before, private=change.private)
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            where = str(error.filename or "files")
            raise ConfigError(where, f"cannot be written: {error.strerror}; nothing was changed") from error
        raise
    for folder in remove_folders:
        with contextlib.suppress(OSError):  # not empty: it holds something that is not ours
            folder.rmdir()


def _write(path: Path, text: str | None, *, private: bool) -> None:
    if text is None:
        path.unlink(missing_ok=True)
        return
    target = path.resolve()  # of a symbolic link the target is edited, the link stays
    mode = 0o600 if private else _current_mode(target)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
        os.chmod(name, mode)
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _current_mode(target: Path) -> int:
    try:
        return target.stat().st_mode & 0o7777
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask
