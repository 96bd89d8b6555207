"""Where a journal's bytes are: in `<name>.jsonl` while it grows, later perhaps in `<name>.jsonl.zst`, the same bytes
compressed.

While both are there (a writer was killed between two steps) the first one counts: it is whole until the very end.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdError, ZstdFile
else:
    from backports.zstd import ZstdError, ZstdFile

SUFFIX: Final = ".zst"
BLOCK_BYTES: Final = 1 << 18
READ_ERRORS: Final = (OSError, EOFError, ZstdError)
"""What reading an open journal raises: the file system's, that of a cut and that of a damaged `.zst`."""


def plain_path(path: Path) -> Path:
    """What identifies a journal, compressed or not: the path it was written to."""
    return path.with_name(path.name.removesuffix(SUFFIX))


def compressed_path(path: Path) -> Path:
    return path.with_name(plain_path(path).name + SUFFIX)


def is_compressed(path: Path) -> bool:
    return path.name.endswith(SUFFIX)


def find_stored(path: Path) -> Path:
    """The file that holds the journal now. Raises FileNotFoundError."""
    for candidate in (plain_path(path), compressed_path(path)):
        if candidate.exists():
            return candidate
    raise FileNotFoundError(2, os.strerror(2), str(path))


def open_journal(path: Path) -> tuple[BinaryIO, bool]:
    """The journal's bytes as they were recorded, and whether they came out of a `.zst`: then it grows no more.

    Raises OSError.
    """
    try:
        return plain_path(path).open("rb", buffering=BLOCK_BYTES), False
    except FileNotFoundError:
        file = cast("io.RawIOBase", ZstdFile(compressed_path(path)))
        return io.BufferedReader(file, BLOCK_BYTES), True


def list_journals(folder: Path) -> Iterator[Path]:
    """The files of a `tap/` folder that may be journals, each once. Links are none: they could lead anywhere."""
    names = {path.name for path in folder.glob("*.jsonl")}
    names |= {path.name for path in folder.glob(f"*.jsonl{SUFFIX}") if path.name.removesuffix(SUFFIX) not in names}
    paths = (folder / name for name in sorted(names))
    return (path for path in paths if path.is_file() and not path.is_symlink())
