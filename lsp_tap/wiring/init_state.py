"""What init found and what it left, kept so that `--remove` can restore it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pydantic

from lsp_tap.errors import ConfigError
from lsp_tap.wiring.opencode_config import read_text

FORMAT = 1


@dataclass(frozen=True)
class FileState:
    """A file's text as init found it (None: it was not there) and as init left it."""

    path: Path
    before: str | None
    after: str | None


@dataclass(frozen=True)
class InitState:
    """All files init wrote and the folders it made."""

    files: tuple[FileState, ...]
    folders: tuple[Path, ...]

    def find(self, path: Path) -> FileState | None:
        return next((file for file in self.files if file.path == path), None)

    def encode(self, state_file: Path) -> str:
        """As JSON. Paths are relative to the project where they can be, so that it may be moved."""
        base = state_file.parent.parent
        document = _Document(
            format=FORMAT,
            files=[_File(path=_shorten(file.path, base), before=file.before, after=file.after) for file in self.files],
            folders=[_shorten(folder, base) for folder in self.folders],
        )
        return document.model_dump_json(indent=1) + "\n"


class _File(pydantic.BaseModel):
    path: str
    before: str | None
    after: str | None


class _Document(pydantic.BaseModel):
    format: int
    files: list[_File]
    folders: list[str]


def read_state(state_file: Path) -> InitState | None:
    """What an earlier init remembered; None when there is nothing. Raises ConfigError."""
    text = read_text(state_file)
    if text is None:
        return None
    try:
        document = _Document.model_validate_json(text)
    except pydantic.ValidationError:
        raise ConfigError(str(state_file), "is damaged; delete it and run lsp-tap init again") from None
    if document.format != FORMAT:
        raise ConfigError(str(state_file), f"has format {document.format}; it needs a newer lsp-tap")
    base = state_file.parent.parent
    files = tuple(FileState(base / file.path, file.before, file.after) for file in document.files)
    return InitState(files, tuple(base / folder for folder in document.folders))


def _shorten(path: Path, base: Path) -> str:
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)
