"""Wire events of one direction -> records of the journal, and the messages the probe wants to see. Pure.

A body up to `GATHER_BYTES` becomes one record; a larger one is written part by part as it comes.
"""

from __future__ import annotations

from lsp_tap.journal.lines import (
    GATHER_BYTES,
    PART_BYTES,
    encode_frame,
    encode_frame_head,
    encode_invalid,
    encode_part,
    split_character,
)
from lsp_tap.wire.framing import Body, Cut, Event, Header, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lsp_tap.journal.repeats import Shortener

    Write = Callable[[str, bytes], int]
    """Writes a record of a kind; returns its `seq`."""


class Assembler:
    """One direction. Where events are missing (`skip_lost`), the frame they belong to is counted as lost. `shortener`:
    where documents' texts are told.
    """

    def __init__(self, direction: str, write: Write, shortener: Shortener | None = None) -> None:
        self._direction = direction
        self._write = write
        self._shortener = shortener
        self._header: Header | None = None  # of the frame we are in; None also when it is being skipped
        self._body: list[bytes] = []
        self._parts: _Parts | None = None

    def step(self, event: Event, *, probe: bool = False, value_is_wanted: bool = True) -> object:
        """Takes one event; the message, when this was the end of one that fits into one record and it is wanted."""
        if isinstance(event, Body):
            if self._header is None:
                return None
            if self._parts is not None:
                self._parts.add(event.raw, self._write)
            else:
                self._body.append(event.raw)
            if event.is_last:
                return self._end_frame(self._header, probe, value_is_wanted)
        elif isinstance(event, Header):
            self._header = event
            self._body.clear()
            self._parts = None
            if event.body_length > GATHER_BYTES:
                head = encode_frame_head(self._direction, event.raw, event.body_length, probe=probe)
                self._parts = _Parts(self._write("frame", head), event.body_length)
        elif isinstance(event, Invalid):
            self._write("invalid", encode_invalid(self._direction, event.raw, event.reason))
        elif isinstance(event, Cut) and self._header is not None:
            self._end_short(self._header, event.missing_bytes)
        return None

    def skip_lost(self) -> None:
        """Events were lost here: the rest of the frame means nothing."""
        self._header = None
        self._body.clear()
        self._parts = None

    def skip_parts(self) -> None:
        """Records were lost, perhaps of the frame that is being written in parts: what has no head means
        nothing.
        """
        if self._parts is not None:
            self.skip_lost()

    def _end_frame(self, header: Header, probe: bool, value_is_wanted: bool) -> object:
        self._header = None
        if self._parts is not None:
            self._parts = None
            return None
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        shortener = self._shortener
        fields, message = encode_frame(
            self._direction,
            header.raw,
            body,
            probe=probe,
            value_is_wanted=value_is_wanted or (shortener is not None and shortener.is_wanted(body)),
            shorten=None if shortener is None else shortener.shorten,
        )
        seq = self._write("frame", fields)
        if shortener is not None:
            shortener.note_written(seq)
        return message

    def _end_short(self, header: Header, missing_bytes: int) -> None:
        reason = f"ended {missing_bytes} bytes short"
        raw = header.raw + b"".join(self._body) if self._parts is None else self._parts.rest
        self._write("invalid", encode_invalid(self._direction, raw, reason))
        self.skip_lost()


class _Parts:
    """The parts of one large body: part `n` begins where `n * PART_BYTES` is, or up to three bytes before."""

    def __init__(self, of: int, body_length: int) -> None:
        self._of = of
        self._missing = body_length
        self._part = 0
        self._taken = 0
        self.rest = b""

    def add(self, data: bytes, write: Write) -> None:
        self._missing -= len(data)
        data = self.rest + data
        start, is_last = 0, False
        while not is_last:
            room = (self._part + 1) * PART_BYTES - self._taken
            piece = data[start : start + room]
            is_last = not self._missing and len(data) - start <= room
            if not is_last:
                if len(piece) < room:
                    break
                piece = piece[: split_character(piece)]
            write("body_part", encode_part(self._of, self._part, piece))
            self._part += 1
            self._taken += len(piece)
            start += len(piece)
        self.rest = data[start:]
