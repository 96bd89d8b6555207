"""Files that are replaced whole or not at all: a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def create_replacement(path: Path) -> Iterator[Path]:
    """A new, empty file (mode 0600) that takes the place of `path` when the block ends, and goes away when it raises.

    Raises OSError.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".new")
    os.close(descriptor)
    try:
        yield Path(name)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def open_replacement(path: Path) -> Iterator[BinaryIO]:
    """The same, open for writing bytes."""
    with create_replacement(path) as created, created.open("wb") as file:
        yield file


def replace_file(path: Path, content: bytes) -> None:
    """Write a file (mode 0600) whole. Raises OSError."""
    with open_replacement(path) as file:
        file.write(content)
