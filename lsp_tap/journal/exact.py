"""Frames with their bytes: what was on the wire, put together again from a tap's journal.

`Frame.message` is a value, and a value has many spellings (`1.0` and `1`, the order of keys). The line in the journal
has the one there was, so whoever passes messages on reads them here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any, Final

from pydantic import PrivateAttr

from lsp_tap.journal.lines import decode_part
from lsp_tap.journal.reader import Entry, Journal, JournalReader, Unreadable, parse_line
from lsp_tap.journal.records import BodyPart, Direction, Dropped, Frame, InvalidBytes
from lsp_tap.journal.stored import READ_ERRORS
from lsp_tap.wire.framing import encode_frame

_BLANKS: Final = " \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"
_LINE_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")
_HEADER_BYTES: Final = len("Content-Length: \r\n\r\n")
_NESTING: Final = 1000  # as in the reader: the most that a recorder can have parsed
_scan = json.JSONDecoder().raw_decode


class ExactFrame(Frame):
    """A frame, its header block and its body. Where the journal has no exact bytes (it was imported from a format that
    keeps none), `is_exact` is false and `exact_header` still says the length there was.
    """

    _header: bytes = PrivateAttr(default=b"")
    _body: bytes = PrivateAttr(default=b"")

    @property
    def exact_header(self) -> bytes:
        return self._header

    @property
    def exact_body(self) -> bytes:
        return self._body

    @property
    def is_exact(self) -> bool:
        return len(self._header) + len(self._body) == self.raw_length

    @property
    def json_text(self) -> str | None:
        """The message as it was, on one line; None when the body is not JSON."""
        if not self.has_message:
            return None
        return self._body.removeprefix(_BOM).translate(_LINE_BREAKS).decode()


class ExactJournal(Journal):
    """A journal whose frames are `ExactFrame`s."""

    def __iter__(self) -> Iterator[Entry]:
        return _ExactReader(self.path).read_rest()


def read_exact(path: Path, offset: int) -> Entry | None:
    """The entry whose record begins at `offset`, of a frame in parts the whole one; None where nothing is."""
    reader = _ExactReader(path, offset=offset)
    with suppress(*READ_ERRORS):  # the reader tells of it
        reader.know_bases()
    return next((entry for entry in reader.read_rest() if reader.entry_offset == offset), None)


@dataclass(frozen=True, slots=True)
class WirePiece:
    """Bytes of one direction, in their order there. Not `is_exact`: the body as it is known, framed anew."""

    direction: Direction
    time_us: int
    monotonic_us: int
    data: bytes
    is_exact: bool


def read_wire(path: Path, *, probe: bool) -> Iterator[WirePiece | Unreadable | Dropped]:
    """The bytes of a connection, a record at a time; `probe`: with what the tap itself asked and was answered.

    `Dropped` stands where bytes may be missing.
    """
    large: dict[int, Frame | None] = {}  # by seq; None: to be left out
    reader = JournalReader(path)
    for line in reader.read_new_lines():
        entry = line if isinstance(line, Unreadable) else parse_line(line)
        match entry:
            case Unreadable() | Dropped():
                yield entry
            case Frame(body_parts=int()):
                large[entry.seq] = entry if probe or not entry.probe else None
                if large[entry.seq] is not None:
                    yield _as_piece(entry, _find_header(entry, 0), True)
            case Frame() if isinstance(line, bytes) and (probe or not entry.probe):
                body = _find_body(entry, line)
                header = _find_header(entry, len(body))
                is_exact = len(header) + len(body) == entry.raw_length
                yield _as_piece(entry, header + body if is_exact else encode_frame(body), is_exact)
            case BodyPart():
                of = large.get(entry.of)
                if of is not None:
                    data = decode_part(entry.text, entry.base64)
                    yield WirePiece(of.direction, entry.time_us, entry.monotonic_us, data, True)
            case InvalidBytes():
                yield _as_piece(entry, decode_part(entry.text, entry.base64), True)
    yield from (left for left in reader.give_up() if isinstance(left, Unreadable))


def _as_piece(record: Frame | InvalidBytes, data: bytes, is_exact: bool) -> WirePiece:
    return WirePiece(record.direction, record.time_us, record.monotonic_us, data, is_exact)


class _ExactReader(JournalReader):
    def __init__(self, path: Path, *, offset: int = 0) -> None:
        super().__init__(path, offset=offset)
        self._bodies: dict[int, bytearray] = {}

    def step(self, line: bytes) -> Iterator[Entry]:
        for entry in super().step(line):
            yield self._attach(entry, line)
        for seq, partial in self._partial.items():
            self._bodies[seq] = partial.body

    def read_rest(self) -> Iterator[Entry]:
        for entry in super().read_rest():
            yield self._attach(entry, b"")

    def _attach(self, entry: Entry, line: bytes) -> Entry:
        if not isinstance(entry, Frame) or isinstance(entry, ExactFrame):
            return entry
        body = _find_body(entry, line) if entry.body_parts is None else bytes(self._bodies.pop(entry.seq))
        fields: dict[str, Any] = {name: getattr(entry, name) for name in entry.model_fields_set}
        exact = ExactFrame.model_construct(_fields_set=set(entry.model_fields_set), **fields)
        exact._header = _find_header(entry, len(body))
        exact._body = body
        return exact


def _find_header(frame: Frame, body_bytes: int) -> bytes:
    """The header block; the usual one is not in the journal, and its number follows from `raw_length`."""
    if frame.header is not None:
        return frame.header.encode("latin-1", "replace")
    for digits in range(1, 13):
        length = frame.raw_length - _HEADER_BYTES - digits
        if length >= 0 and len(str(length)) == digits:
            return b"Content-Length: %d\r\n\r\n" % length
    return b"Content-Length: %d\r\n\r\n" % body_bytes


def _find_body(frame: Frame, line: bytes) -> bytes:
    if not frame.has_message or frame.body is not None or frame.body_base64 is not None:
        return decode_part(frame.body, frame.body_base64)
    text = line.decode()
    for name, start, _ in _walk_members(text, stop_before="message"):
        if name == "message":
            rest = text[start:].rstrip()[:-1].encode()  # a tap writes it last
            if len(_find_header(frame, len(rest))) + len(rest) == frame.raw_length:
                return rest
    return (find_member(text, "message") or "").encode()


def find_member(text: str, name: str) -> str | None:
    """The spelling of an object's member; None when it has none. Of several with that name the last, as parsers do.

    `text` is JSON; what is no object has no members.
    """
    found = None
    for member, start, end in _walk_members(text):
        if member == name:
            found = text[start:end]
    return found


def _walk_members(text: str, stop_before: str | None = None) -> Iterator[tuple[str, int, int | None]]:
    """Name and place of each member's value; that of `stop_before` ends the walk, and nobody looks for its end."""
    at = _skip_blanks(text, 0)
    if not text.startswith("{", at):
        return
    at = _skip_blanks(text, at + 1)
    while text.startswith('"', at):
        name, at = scanstring(text, at + 1)
        start = _skip_blanks(text, _skip_blanks(text, at) + 1)
        if name == stop_before:
            yield name, start, None
            return
        end = _find_end(text, start)
        yield name, start, end
        at = _skip_blanks(text, _skip_blanks(text, end) + 1)


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANKS:
        at += 1
    return at


def _find_end(text: str, start: int) -> int:
    try:
        return _scan(text, start)[1]
    except RecursionError:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(limit + _NESTING)
        try:
            return _scan(text, start)[1]
        finally:
            sys.setrecursionlimit(limit)
