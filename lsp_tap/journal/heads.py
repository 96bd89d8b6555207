"""The head of a frame's line: what it says before its message is looked at.

Most frames concern nobody who reads a journal for one purpose, and their messages are most of its bytes. So a line is
checked whole, at the speed of a scan, and its message is built only if somebody wants it. Whatever is unusual about a
line (a body in parts, a number for a method, half a surrogate pair) has no head, and is for `parse_line`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from lsp_tap.journal.records import Direction, Frame

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_START_BYTES: Final = 128


class _Message(msgspec.Struct, gc=False):
    method: str | None = None
    id: int | str | msgspec.UnsetType | None = msgspec.UNSET


class _Line(msgspec.Struct, gc=False):
    seq: int
    time_us: Annotated[int, msgspec.Meta(ge=-62_135_596_800_000_000, le=253_402_300_799_999_999)]
    monotonic_us: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    direction: Direction
    raw_length: int
    message: _Message
    probe: bool = False
    header: str | None = None
    document: msgspec.UnsetType = msgspec.UNSET
    body: msgspec.UnsetType = msgspec.UNSET
    body_base64: msgspec.UnsetType = msgspec.UNSET
    body_parts: msgspec.UnsetType = msgspec.UNSET
    error: msgspec.UnsetType = msgspec.UNSET


class _Whole(msgspec.Struct, gc=False):
    message: Any


_PRESENT: Final = {"seq", "time_us", "monotonic_us", "kind", "direction", "raw_length", "probe", "message"}

_read_line: Final = msgspec.json.Decoder(_Line).decode
_read_whole: Final = msgspec.json.Decoder(_Whole).decode


class FrameHead:
    """`method` and `id` are those of the message; None for one that has none."""

    __slots__ = ("_bytes", "_line", "direction", "id", "is_answer", "method", "monotonic_us", "time_us")

    def __init__(self, line: _Line, whole: bytes) -> None:
        self._line, self._bytes = line, whole
        self.time_us = line.time_us
        self.monotonic_us = line.monotonic_us
        self.direction: Direction = line.direction
        message = line.message
        self.method = message.method
        self.id = None if message.id is msgspec.UNSET else message.id
        self.is_answer = message.method is None and message.id is not msgspec.UNSET

    def read_frame(self) -> Frame | None:
        """The whole record; None where only `parse_line` can tell what is in it. Unknown fields are left out."""
        line = self._line
        try:
            message: Any = _read_whole(self._bytes).message
        except DECODE_ERRORS:
            return None
        # What `model_construct` does with all fields given, which takes longer than the rest.
        frame = Frame.__new__(Frame)
        fields = {
            "seq": line.seq, "time_us": line.time_us, "monotonic_us": line.monotonic_us, "kind": "frame",
            "document": None, "direction": line.direction, "raw_length": line.raw_length, "probe": line.probe,
            "header": line.header, "body": None, "body_base64": None, "body_parts": None, "error": None,
            "message": message,
        }  # fmt: skip
        object.__setattr__(frame, "__dict__", fields)
        object.__setattr__(
            frame, "__pydantic_fields_set__", _PRESENT.copy() if line.header is None else _PRESENT | {"header"}
        )
        object.__setattr__(frame, "__pydantic_extra__", {})
        object.__setattr__(frame, "__pydantic_private__", None)
        return frame


def read_head(line: bytes) -> FrameHead | None:
    """The head of a line; None where it is no frame, or has none."""
    if b'"kind":"frame"' not in line[:_START_BYTES]:
        return None
    try:
        if not line.isascii():
            line.decode()
        return FrameHead(_read_line(line), line)
    except DECODE_ERRORS:
        return None
