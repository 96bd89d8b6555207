"""Texts of documents, each stored once however often it crosses the wire. Pure, standard library.

OpenCode sends a document's whole text with every touch, changed or not, also where it names a range. The recorder
remembers the latest text of some documents, each in a numbered slot; what a `textDocument/didOpen` or `didChange` has
in common with what is in its slot, at its start and its end, is left out of the line. `Shortener` does that, `Restorer`
makes the line again that would have been written whole: whatever reads journals line by line need not know.

Slots, since then whoever reads holds as much as the recorder did, and need not follow what is open. `base` says which
frame's text must be there: where a line is damaged or gone, what builds on it is told of, not guessed.
"""

from __future__ import annotations

import json
from json.decoder import scanstring  # type: ignore[attr-defined]

from lsp_tap.journal.lines import GATHER_BYTES, encode_fields, quote
from lsp_tap.sequences import count_common, count_common_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

MIN_BYTES = 512
"""Shorter texts are written as they are."""

MAX_SLOTS = 64
MAX_BYTES = 1 << 20
"""What a recorder remembers at most, in texts and in UTF-8."""

WHOLE_EVERY = 32
"""After so many shortened ones a text is written whole again: what damage to a journal takes with it ends there."""

_START_BYTES = 256  # in which a line says that it has a document
_MARK = b',"document":{'
_MESSAGE = b',"message":'
_NUMBERS = "slot", "at"
_BASE_NUMBERS = "base", "prefix", "suffix"
_scan = json.JSONDecoder().raw_decode


class _Slot:
    def __init__(self, number: int) -> None:
        self.number = number
        self.text = b""
        self.seq = -1
        self.shortened = 0


class Shortener:
    """The recorder's end. `note_written` follows `shorten` when the line has a `seq`, `forget` when lines were lost."""

    def __init__(self) -> None:
        self._slots: dict[str, _Slot] = {}  # by URI, the one used last at the end
        self._size_bytes = 0
        self._written: _Slot | None = None

    def shorten(self, message: object, body: bytes) -> tuple[bytes, bytes]:
        """The frame's field (empty where there is none) and what to write of `body`, whose value `message` is."""
        found = _find_text(message) if self.is_wanted(body) else None
        if found is None:
            return b"", body
        uri, value = found
        try:
            text = value.encode()
        except UnicodeEncodeError:  # half a surrogate pair
            return b"", body
        if len(text) < MIN_BYTES:
            return b"", body
        is_ascii = body.isascii() and not text.isascii()
        literal = _spell(text, is_ascii)
        at = _find_literal(body, literal)
        if at < 0:
            return b"", body
        slot = self._take_slot(uri, len(text))
        place: dict[str, object] = {"slot": slot.number, "at": at}
        if is_ascii:
            place["ascii"] = True
        base = slot.text
        slot.text, self._written = text, slot
        self._size_bytes += len(text) - len(base)
        start, end = _match(base, text) if slot.seq >= 0 and slot.shortened < WHOLE_EVERY else (0, 0)
        if (start + end) * 2 < len(text):
            slot.shortened = 0
            return b'"document":{%s},' % encode_fields(place), body
        slot.shortened += 1
        middle = text[start : len(text) - end].decode()
        prefix, suffix = len(text[:start].decode()), len(text[len(text) - end :].decode())
        fields = place | {"base": slot.seq, "prefix": prefix, "suffix": suffix, "middle": middle}
        shortened = b"%snull%s" % (body[:at], body[at + len(literal) :])
        return b'"document":{%s},' % encode_fields(fields), shortened

    def is_wanted(self, body: bytes) -> bool:
        """Whether `shorten` may find something there, and needs the value for it."""
        return len(body) >= MIN_BYTES and b'"text"' in body

    def note_written(self, seq: int) -> None:
        if self._written is not None:
            self._written.seq = seq
            self._written = None

    def forget(self) -> None:
        """What was written may not be in the journal."""
        self._slots.clear()
        self._size_bytes = 0
        self._written = None

    def _take_slot(self, uri: str, size_bytes: int) -> _Slot:
        """The document's, with what is in it, or else a free one; there is room for `size_bytes` then."""
        mine = self._slots.pop(uri, None)
        room_bytes = MAX_BYTES - size_bytes + (len(mine.text) if mine is not None else 0)
        while self._slots and (self._size_bytes > room_bytes or (mine is None and len(self._slots) >= MAX_SLOTS)):
            self._size_bytes -= len(self._slots.pop(next(iter(self._slots))).text)
        if mine is None:
            taken = {slot.number for slot in self._slots.values()}
            mine = _Slot(next(number for number in range(MAX_SLOTS) if number not in taken))
        self._slots[uri] = mine
        return mine


def _find_text(message: object) -> tuple[str, str] | None:
    """The URI and the text that a notification tells of a document, in one piece."""
    match message:
        case {"method": "textDocument/didOpen", "params": {"textDocument": {"uri": str(uri), "text": str(text)}}}:
            return uri, text
        case {
            "method": "textDocument/didChange",
            "params": {"textDocument": {"uri": str(uri)}, "contentChanges": [{"text": str(text)}]},
        }:
            return uri, text
    return None


def _spell(text: bytes, is_ascii: bool) -> bytes:
    """As a JSON string: as JavaScript does, or as Python does unless told otherwise."""
    return json.dumps(text.decode()).encode() if is_ascii else quote(text)


def _find_literal(body: bytes, literal: bytes) -> int:
    """Where the text is spelled so, as a member named `text`; else -1."""
    at = body.find(b'"text"')
    while at >= 0:
        start = body.find(b'"', at + 6)
        if body.startswith(literal, start) and body[at + 6 : start].strip() == b":":
            return start
        at = body.find(b'"text"', at + 6)
    return -1


def _match(old: bytes, new: bytes) -> tuple[int, int]:
    """How many bytes both begin with, and of the rest, how many both end with: whole characters."""
    if old == new:
        return len(new), 0
    start = count_common(old, new)
    while start and start < len(new) and new[start] & 0xC0 == 0x80:
        start -= 1
    end = count_common_end(old, new, min(len(old), len(new)) - start)
    while end and new[len(new) - end] & 0xC0 == 0x80:
        end -= 1
    return start, end


class Restorer:
    """A reader's end: is given a journal's lines in their order. Whatever those say, it holds at most `MAX_SLOTS`
    messages of at most `GATHER_BYTES`, since a recorder shortens no larger one.
    """

    def __init__(self) -> None:
        # The frame's seq, and its text; of one that was written whole its message, and where in it the text is.
        self._slots: dict[int, tuple[int, str | tuple[bytes, int]]] = {}

    def restore(self, line: bytes) -> bytes:
        """The line as it would have been written whole. Where that cannot be told any more, one that has an `error`
        instead of a message; what is no such line, as it is.
        """
        mark = line.find(_MARK, 0, _START_BYTES)
        if mark < 0:
            return line
        try:
            document, end = _read_document(line, mark)
            seq = int(line[len(b'{"seq":') : line.index(b",")])
            message = line.index(_MESSAGE, end) + len(_MESSAGE)
        except ValueError:
            return line
        slot, at = document["slot"], document["at"]
        before, after = b"%s%s" % (line[:mark], line[end:message]), line[message:]
        if "base" in document:
            text = self._find_text(document)
            if text is None or after[at : at + 4] != b"null":
                self._slots.pop(slot, None)
                error = f"its text builds on that of frame {document['base']}, which is not here"
                start = before.removesuffix(_MESSAGE)
                return b"%s,%s}\n" % (start, encode_fields({"error": error}))
            self._slots[slot] = seq, text
            literal = _spell(text.encode(), document.get("ascii") is True)
            return b"%s%s%s%s" % (before, after[:at], literal, after[at + 4 :])
        if len(after) <= GATHER_BYTES + len(b"}\n"):
            self._slots[slot] = seq, (after, at)
        else:
            self._slots.pop(slot, None)
        return before + after

    def _find_text(self, document: dict[str, Any]) -> str | None:
        seq, base = self._slots.get(document["slot"], (-1, ""))
        if seq != document["base"]:
            return None
        prefix, middle, suffix = document["prefix"], document["middle"], document["suffix"]
        try:
            if isinstance(base, tuple):
                message, at = base
                base, _ = scanstring(message[at + 1 :].decode(), 0)
            text: str = base[:prefix] + middle + base[len(base) - suffix :]
            text.encode()
        except ValueError:
            return None
        return text if prefix + suffix <= len(base) and len(text) <= GATHER_BYTES else None


def _read_document(line: bytes, mark: int) -> tuple[dict[str, Any], int]:
    """The field's value, and where it ends. Raises ValueError."""
    start = mark + len(_MARK) - 1
    end = line.index(b"}", start) + 1
    try:
        if b'"base"' in line[start:end]:  # the text after it may have such a brace
            text = line[start:].decode()
            found, length = _scan(text)
            end = start + len(text[:length].encode())
        else:
            found = json.loads(line[start:end])
    except RecursionError:
        raise ValueError("nested too deeply") from None
    texts, numbers = (("middle",), (*_NUMBERS, *_BASE_NUMBERS)) if "base" in found else ((), _NUMBERS)
    if not all(isinstance(found.get(name), str) for name in texts):
        raise ValueError("no text")
    if not all(type(found.get(name)) is int and found[name] >= 0 for name in numbers) or found["slot"] >= MAX_SLOTS:
        raise ValueError("no number")
    return found, end


def has_document(line: bytes) -> bool:
    """Whether there may be a text in it that others build on."""
    return line.find(_MARK, 0, _START_BYTES) >= 0


def is_shortened(line: bytes) -> bool:
    """Whether part of its text is in earlier lines."""
    mark = line.find(_MARK, 0, _START_BYTES)
    return mark >= 0 and b'"base"' in line[mark : line.find(b"}", mark)]


def find_bases(line: bytes, back: Iterable[bytes]) -> list[bytes]:
    """What a `Restorer` must be given before a shortened `line`, out of the lines before it, the last one first."""
    found: list[bytes] = []
    try:
        document, _ = _read_document(line, line.index(_MARK))
    except ValueError:
        return found
    mark = b'%s"slot":%d,' % (_MARK, document["slot"])
    for other in back:
        if other.find(mark, 0, _START_BYTES) >= 0:
            found.append(other)
            if not is_shortened(other):
                break
    return found[::-1]
