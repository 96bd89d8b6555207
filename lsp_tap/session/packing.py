"""Values that are seldom looked at, kept packed: together, since they are short and much alike.

Pickled, since that gives back exactly what was given, however deep it is. What is unpacked never left this process.
"""

from __future__ import annotations

import pickle
import sys
from array import array
from functools import lru_cache
from typing import Any, Final

if sys.version_info >= (3, 14):
    from compression.zstd import compress, decompress
else:
    from backports.zstd import compress, decompress

_BLOCK_BYTES: Final = 128 << 10
_LEVEL: Final = 1
_RECENT: Final = 4
"""How many blocks stay unpacked: who looks at a value looks at its neighbours next."""


class _Block:
    """Values in a row. One that is `full` is compressed."""

    __slots__ = ("_compressed", "_ends", "_raw")

    def __init__(self) -> None:
        self._raw, self._compressed, self._ends = bytearray(), b"", array("L")

    def add(self, data: bytes) -> int:
        """The number of the value."""
        self._raw += data
        self._ends.append(len(self._raw))
        if len(self._raw) >= _BLOCK_BYTES:
            self._compressed, self._raw = compress(self._raw, _LEVEL), bytearray()
        return len(self._ends) - 1

    @property
    def is_full(self) -> bool:
        return bool(self._compressed)

    def read(self, number: int) -> bytes | bytearray:
        raw = _decompress(self._compressed) if self.is_full else self._raw
        return raw[self._ends[number - 1] if number else 0 : self._ends[number]]


@lru_cache(maxsize=_RECENT)
def _decompress(block: bytes) -> bytes:
    return decompress(block)


class Packed:
    """A value that was packed."""

    __slots__ = ("_block", "_number")

    def __init__(self, block: _Block, number: int) -> None:
        self._block, self._number = block, number

    def read(self) -> bytes | bytearray:
        """As it was packed."""
        return self._block.read(self._number)

    def unpack(self) -> Any:
        return pickle.loads(self.read())


class Packer:
    """Packs values of the built-in types."""

    def __init__(self) -> None:
        self._block = _Block()

    def pack(self, value: Any, known: Packed | None = None) -> Packed | None:
        """None for one that is nested too deeply; `known` if that is the same."""
        try:
            data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except RecursionError:
            return None
        if known is not None and known.read() == data:
            return known
        if self._block.is_full:
            self._block = _Block()
        return Packed(self._block, self._block.add(data))
