"""The LSP base protocol as bytes in, events out: header blocks, body pieces, and whatever is neither.

https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/#baseProtocol

`Splitter` never raises, never blocks and loses nothing: the raw bytes of its events are, in order, the
bytes fed. It holds back only a header that is not complete, so frames of any size stream through.

It is more tolerant than the specification, since it looks at what others send and is not the one to refuse
it: header names in any case and order, fields it does not know, lines that end in a bare line feed, a last
of several `Content-Length`s (vscode-jsonrpc takes that one too). What is no header is `Invalid`; after it
the next thing that looks like one counts, also in the middle of a line, which is where it stands after a
body whose length was wrong.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

MAX_HEADER_BYTES: Final = 16 * 1024
"""A longer header block is garbage. Real ones have under 100 bytes."""

MAX_BODY_DIGITS: Final = 12
"""A longer number is garbage: it would swallow everything that follows."""

_CANONICAL: Final = re.compile(rb"Content-Length: (\d{1,12})\r\n\r\n")
_FIELD: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*:(.*)", re.DOTALL)
_FIELD_BEGUN: Final = re.compile(rb"\r?|[!#$%&'*+\-.^_`|~0-9A-Za-z]+[ \t]*(:.*)?", re.DOTALL)
_HEADER_AHEAD: Final = re.compile(rb"content-(?:length|type)[ \t]{0,8}:", re.IGNORECASE)
_HEADER_AHEAD_BEGUN: Final = re.compile(
    rb"(?:content-[a-z]{0,6}[ \t]{0,8}|c(?:o(?:n(?:t(?:e(?:nt?)?)?)?)?)?)\Z", re.IGNORECASE
)
_HEADER_AHEAD_BYTES: Final = 8 + 6 + 8


class _Event:
    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def _fields(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in ("raw", *self.__slots__))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Event) and type(other) is type(self) and other._fields() == self._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self._fields()!r}"


class Header(_Event):
    """A header block, complete with its blank line; `body_length` bytes of body follow."""

    __slots__ = ("body_length",)

    def __init__(self, raw: bytes, body_length: int) -> None:
        self.raw = raw
        self.body_length = body_length


class Body(_Event):
    """A piece of the current frame's body. Every frame has at least one; the last has `is_last`."""

    __slots__ = ("is_last",)

    def __init__(self, raw: bytes, is_last: bool) -> None:
        self.raw = raw
        self.is_last = is_last


class Invalid(_Event):
    """Bytes outside any frame."""

    __slots__ = ("reason",)

    def __init__(self, raw: bytes, reason: str) -> None:
        self.raw = raw
        self.reason = reason


class Cut(_Event):
    """The stream ended inside a body, `missing_bytes` before its end. Has no bytes of its own."""

    __slots__ = ("missing_bytes",)

    def __init__(self, missing_bytes: int) -> None:
        self.raw = b""
        self.missing_bytes = missing_bytes


Event = Header | Body | Invalid | Cut


class Splitter:
    """One direction of one connection."""

    __slots__ = ("_fields_end", "_in_garbage", "_length", "_missing", "pending")

    def __init__(self) -> None:
        self.pending = b""
        """Bytes fed that are in no event yet: the beginning of a header, perhaps."""
        self._missing = 0  # bytes to come of the body we are in
        self._in_garbage = False
        self._fields_end = 0  # of the complete lines of a header that is in `pending`
        self._length: bytes | None = None  # what they say

    @property
    def at_boundary(self) -> bool:
        """Whether every frame begun is complete, so that another sender's frame could stand here."""
        return not self._missing and not self.pending and not self._in_garbage

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes."""
        events: list[Event] = []
        if self.pending:
            data = self.pending + data
            self.pending = b""
        position, end = 0, len(data)
        while position < end:
            if self._missing:
                stop = min(end, position + self._missing)
                self._missing -= stop - position
                events.append(Body(data[position:stop], not self._missing))
                position = stop
            elif (usual := _CANONICAL.match(data, position)) is not None and not self._in_garbage:
                self._begin_body(events, usual.group(), int(usual.group(1)))
                position = usual.end()
            else:
                stop = self._read_odd(events, data[position:]) + position
                if stop == position:
                    self.pending = data[position:]
                    break
                position = stop
        return events

    def close(self) -> list[Event]:
        """The events of the stream's end."""
        if self._missing:
            missing, self._missing = self._missing, 0
            return [Cut(missing)]
        if self.pending:
            rest, self.pending = self.pending, b""
            return [Invalid(rest, "ended inside a header")]
        return []

    def resynchronise(self) -> None:
        """Bytes are missing here: goes on at the next line, or what looks like a header."""
        self._missing = 0
        self._in_garbage = True
        self._fields_end, self._length = 0, None

    def _begin_body(self, events: list[Event], header: bytes, length: int) -> None:
        events.append(Header(header, length))
        self._missing = length
        self._fields_end, self._length = 0, None
        if not length:
            events.append(Body(b"", True))

    def _read_odd(self, events: list[Event], data: bytes) -> int:
        """One step on anything but the usual header: how many bytes it used, 0 when it needs more of them."""
        if self._in_garbage:
            return self._skip_garbage(events, data)
        line_start, length = self._fields_end, self._length
        while line_start < MAX_HEADER_BYTES:
            line_end = data.find(b"\n", line_start, MAX_HEADER_BYTES)
            if line_end < 0:
                if len(data) < MAX_HEADER_BYTES and _FIELD_BEGUN.fullmatch(data, line_start):
                    self._fields_end, self._length = line_start, length
                    return 0
                break
            line = data[line_start:line_end].removesuffix(b"\r")
            if not line and line_start:
                return self._end_header(events, data[: line_end + 1], length)
            field = _FIELD.fullmatch(line)
            if field is None:
                break
            if field.group(1).lower() == b"content-length":
                length = field.group(2).strip(b" \t")
            line_start = line_end + 1
        self._in_garbage = True
        self._fields_end, self._length = 0, None
        if line_start or _FIELD.match(data):
            # It began like a header, so it must not be found again as the header that lies ahead.
            return self._add_garbage(events, data[: line_start or 1])
        return self._skip_garbage(events, data)

    def _end_header(self, events: list[Event], block: bytes, length: bytes | None) -> int:
        self._fields_end, self._length = 0, None
        if length is None:
            _add_invalid(events, block, "no Content-Length")
        elif not length.isdigit() or len(length) > MAX_BODY_DIGITS:
            _add_invalid(events, block, "Content-Length is not a length")
        else:
            self._begin_body(events, block, int(length))
        return len(block)

    def _skip_garbage(self, events: list[Event], data: bytes) -> int:
        """To the end of the line, or to what looks like a header in it."""
        line_end = data.find(b"\n") + 1
        line = data[:line_end] if line_end else data
        ahead = _HEADER_AHEAD.search(line)
        if ahead is not None:
            self._in_garbage = False
            if not ahead.start():
                return self._read_odd(events, data)
            return self._add_garbage(events, line[: ahead.start()])
        if line_end:
            self._in_garbage = False
            return self._add_garbage(events, line)
        begun = _HEADER_AHEAD_BEGUN.search(line, max(0, len(line) - _HEADER_AHEAD_BYTES))
        return self._add_garbage(events, line[: begun.start()] if begun else line)

    def _add_garbage(self, events: list[Event], data: bytes) -> int:
        if data:
            _add_invalid(events, data, "not a header")
        return len(data)


def _add_invalid(events: list[Event], raw: bytes, reason: str) -> None:
    if events and isinstance(last := events[-1], Invalid) and last.reason == reason:
        raw = last.raw + raw
        events.pop()
    events.append(Invalid(raw, reason))


class Frame:
    """A frame, whole."""

    __slots__ = ("body", "header")

    def __init__(self, header: bytes, body: bytes) -> None:
        self.header = header
        self.body = body

    @property
    def raw(self) -> bytes:
        return self.header + self.body


class FrameSplitter:
    """A `Splitter` that gathers: for whoever wants frames and knows that they fit into memory."""

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._header = b""
        self._body: list[bytes] = []

    def feed(self, data: bytes) -> list[Frame | Invalid]:
        return self._gather(self._splitter.feed(data))

    def close(self) -> list[Frame | Invalid]:
        return self._gather(self._splitter.close())

    def _gather(self, events: list[Event]) -> list[Frame | Invalid]:
        gathered: list[Frame | Invalid] = []
        for event in events:
            match event:
                case Header():
                    self._header, self._body = event.raw, []
                case Body():
                    self._body.append(event.raw)
                    if event.is_last:
                        gathered.append(Frame(self._header, b"".join(self._body)))
                case Invalid():
                    gathered.append(event)
                case Cut():
                    raw = self._header + b"".join(self._body)
                    gathered.append(Invalid(raw, f"ended {event.missing_bytes} bytes short"))
        return gathered


def encode_frame(body: bytes) -> bytes:
    """A body with the usual header."""
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
