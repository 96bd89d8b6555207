"""Messages into files. A file that is there is never written over."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lsp_tap.inspect.log import write_json
from lsp_tap.inspect.screen.rows import Rows

if TYPE_CHECKING:
    from lsp_tap.inspect.calls import CallIndex

_AT_ONCE: Final = 200


def check_new_file(text: str) -> Path:
    """The path, if it can be written. Raises OSError."""
    path = Path(text).expanduser()
    if not text:
        raise FileNotFoundError(2, "a name is needed", text)
    if path.exists():
        raise FileExistsError(17, "is there already", text)
    if not path.parent.is_dir():
        raise FileNotFoundError(2, "no such folder", str(path.parent))
    return path


def save_bytes(text: str, data: bytes) -> Path:
    """Raises OSError."""
    path = check_new_file(text)
    with open(path, "xb", opener=_open_private) as file:
        file.write(data)
    return path


async def save_rows(
    text: str, rows: Rows, wanted: Sequence[int], calls: CallIndex, report: Callable[[int], object]
) -> Path:
    """The messages as `log --json -v` prints them, some hundred between two keys. Raises OSError."""
    path = check_new_file(text)
    write = write_json(calls, is_verbose=True)
    with open(path, "x", encoding="utf-8", opener=_open_private) as file:
        for start in range(0, len(wanted), _AT_ONCE):
            file.writelines(f"{write(rows.read(row))}\n" for row in wanted[start : start + _AT_ONCE])
            report(min(start + _AT_ONCE, len(wanted)))
            await asyncio.sleep(0)
    return path


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
