"""Where the recorder keeps what does not fit into memory while the wire is busy: files without a name in the
journal's folder, first in, first out.

Writing there costs what `tee` pays, and the interpreter is free meanwhile. What is in it comes into the journal
with the next pause; a tap that is killed takes up to `SPOOL_BYTES` of it along.
"""

from __future__ import annotations

import marshal
import os
from collections import deque
from operator import attrgetter

from lsp_tap.tap.items import Chunk, ErrorOutput, Item, Lost, Noted, Told
from lsp_tap.wire.framing import Body, Cut, Header, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SEGMENT_BYTES = 8 << 20
"""A file's size, about; its room on the disk is free again when all of it was read."""

SPOOL_BYTES = 64 << 20
"""All files together. About half a second's work for the journal."""

READ_BYTES = 1 << 16
WRITE_BYTES = 1 << 18
_WRITE_ITEMS = 500  # a system call takes 1024 buffers, an item is two


class Spool:
    """Items in the order in which they were added. For one thread. Never raises: what it does not take is the
    caller's to keep."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._segments: deque[_Segment] = deque()
        self._lost_count = 0
        self._lost_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._segments) and (len(self._segments) > 1 or self._segments[0].unread_bytes > 0)

    def add(self, items: list[Item]) -> list[Item]:
        """Takes some items, at least one, from the end of `items` (the oldest is last), and returns them; none when
        there is no room."""
        if not self._segments or self._segments[-1].end >= SEGMENT_BYTES:
            if len(self._segments) >= SPOOL_BYTES // SEGMENT_BYTES:
                return []
            try:
                self._segments.append(_Segment(self._folder))
            except OSError:
                return []
        taken, size_bytes = [], 0
        for item in reversed(items):
            taken.append(item)
            size_bytes += item.size_bytes
            if size_bytes >= WRITE_BYTES or len(taken) >= _WRITE_ITEMS:
                break
        try:
            self._segments[-1].write(taken)
        except OSError:
            return []
        del items[len(items) - len(taken) :]
        return taken

    def read(self) -> Item | None:
        """The oldest; None when there is nothing."""
        while self._segments:
            first = self._segments[0]
            if first.unread_bytes:
                try:
                    return first.read()
                except (OSError, ValueError, EOFError, TypeError):
                    self._lose(first)
            elif len(self._segments) == 1:
                if first.end:
                    first.empty()
                return None
            else:
                self._segments.popleft().close()
        return None

    def take_lost(self) -> tuple[int, int]:
        """How many items, of how many bytes, could not be read back since the last call."""
        lost = self._lost_count, self._lost_bytes
        self._lost_count = self._lost_bytes = 0
        return lost

    def drop_all(self) -> tuple[int, int]:
        """Gives up what is in it; how many items, of how many bytes."""
        for segment in self._segments:
            self._lose(segment)
        return self.take_lost()

    def _lose(self, segment: _Segment) -> None:
        self._lost_count += segment.unread_items
        self._lost_bytes += segment.unread_bytes
        segment.empty()


class _Segment:
    """One file: an item is the lengths of its two parts, its description (`marshal`), its bytes."""

    def __init__(self, folder: str) -> None:
        """Raises OSError."""
        path = os.path.join(folder, f".spool-{os.getpid()}-{os.urandom(4).hex()}")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_TEMPORARY", 0)
        self._fd = os.open(path, flags, 0o600)
        if not hasattr(os, "O_TEMPORARY"):
            os.unlink(path)
        self.end = 0
        self.unread_bytes = 0
        self.unread_items = 0
        self._buffer = b""  # read ahead
        self._position = 0  # in the buffer

    def write(self, items: list[Item]) -> None:
        """All of them. Raises OSError, and has none of them then."""
        buffers: list[bytes | memoryview] = []
        size = 0
        for item in items:
            described, data = _pack(item)
            head = len(described).to_bytes(4, "little") + len(data).to_bytes(4, "little") + described
            buffers.append(head)
            buffers.append(data)
            size += len(head) + len(data)
        _write_all(self._fd, buffers, size, self.end)
        self.end += size
        self.unread_bytes += size
        self.unread_items += len(items)

    def read(self) -> Item:
        """The first that is unread. Raises OSError, or EOFError, ValueError and TypeError when it is damaged."""
        lengths = self._take(8)
        described = self._take(int.from_bytes(lengths[:4], "little"))
        data = self._take(int.from_bytes(lengths[4:], "little"))
        self.unread_items -= 1
        return _unpack(described, data)

    def _take(self, count: int) -> bytes:
        data = self._buffer[self._position : self._position + count]
        self._position += len(data)
        self.unread_bytes -= len(data)
        missing = count - len(data)
        if not missing:
            return data
        os.lseek(self._fd, self.end - self.unread_bytes, os.SEEK_SET)
        if missing >= READ_BYTES:
            self._buffer, self._position = b"", 0
            more = os.read(self._fd, missing)
        else:
            # Not beyond what was written whole: a write that failed may have left something there.
            self._buffer, self._position = os.read(self._fd, min(READ_BYTES, self.unread_bytes)), missing
            more = self._buffer[:missing]
        if len(more) < missing:  # a file has all or has lost it
            raise EOFError
        self.unread_bytes -= missing
        return data + more

    def empty(self) -> None:
        """Forgets everything, and gives the room back."""
        try:
            os.ftruncate(self._fd, 0)
        except OSError:
            pass  # it is written over
        self.end = self.unread_bytes = self.unread_items = self._position = 0
        self._buffer = b""

    def close(self) -> None:
        os.close(self._fd)


def _write_all(fd: int, buffers: list[bytes | memoryview], size: int, offset: int) -> None:
    written = os.pwritev(fd, buffers, offset) if hasattr(os, "pwritev") else 0
    if written < size:
        os.lseek(fd, offset + written, os.SEEK_SET)
        rest = memoryview(b"".join(buffers))[written:]
        while rest:
            rest = rest[os.write(fd, rest) :]


_CLASSES: tuple[type[Any], ...] = (Chunk, Told, ErrorOutput, Noted, Lost, Header, Body, Invalid, Cut)
_NUMBERS = {kind: number for number, kind in enumerate(_CLASSES)}
_APART = ("data", "block")
_SLOTS = [
    [name for part in kind.__mro__ for name in getattr(part, "__slots__", ()) if name not in _APART]
    for kind in _CLASSES
]
_read_slots = [attrgetter(*names) for names in _SLOTS]  # each has two or more, so it gives a tuple


def _pack(item: Item) -> tuple[bytes, bytes | memoryview]:
    """A description, and the bytes that are better not copied into it."""
    number, values = _describe(item)
    if isinstance(item, Told):
        values = tuple([_describe(event) for event in value] if isinstance(value, list) else value for value in values)
    return marshal.dumps((number, values)), getattr(item, "data", b"")


def _unpack(described: bytes, data: bytes) -> Item:
    item: Item = _build(marshal.loads(described))
    if isinstance(item, Told):
        item.events = [_build(event) for event in item.events]
    elif isinstance(item, Chunk):
        item.data, item.block = data, None
    elif isinstance(item, ErrorOutput):
        item.data = data
    return item


def _describe(thing: object) -> tuple[int, Any]:
    number = _NUMBERS[type(thing)]
    return number, _read_slots[number](thing)


def _build(described: Any) -> Any:
    number, values = described
    kind = _CLASSES[number]
    thing = kind.__new__(kind)
    for name, value in zip(_SLOTS[number], values, strict=True):
        setattr(thing, name, value)
    return thing
