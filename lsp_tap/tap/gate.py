"""Keeps the answers to the tap's own requests from the client, who never asked. Pure: bytes in, what to do
with them out.

While nothing is awaited (the gate is open) every byte is forwarded before it is looked at. While something
is, a frame is held back until it can be told apart, which takes its first member or two: servers write `id`
or `method` early. Some (gopls) write the `id` after the result; such a frame is gathered to its end.
"""

from __future__ import annotations

import re

from lsp_tap.wire.framing import Body, Cut, Event, Header, Invalid, Splitter

MAX_GATHER_BYTES = 16 << 20
"""A result larger than this, written before its id, is forwarded: an answer too many harms less than memory
without end.
"""

MAX_PREFIX_BYTES = 4096
"""Telling apart by the first members is tried on this much of a body."""

_OPEN = re.compile(rb"[ \t\r\n]*\{")
_MEMBER = re.compile(rb'[ \t\r\n,]*"([^"\\]*)"[ \t\r\n]*:[ \t\r\n]*')
_SCALAR = re.compile(rb'("[^"\\]*"|[-+.0-9a-zA-Z]+)[ \t\r\n]*(?=[,}])')


class Run:
    """Consecutive events with one fate: `answer_to` is the id of the tap's request that a hidden frame
    answers.
    """

    __slots__ = ("answer_to", "events")

    def __init__(self, events: list[Event], answer_to: str | None = None) -> None:
        self.events = events
        self.answer_to = answer_to


class AnswerGate:
    """The server's side of one connection."""

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._awaited: set[str] = set()
        self._forwarded_ahead = 0  # bytes forwarded that are in no event yet
        self._fate_is_known = True  # of the current frame; held back while it is not
        self._answer_to: str | None = None  # what the current frame answers, once known
        self._held: list[Event] = []
        self._held_bytes = 0
        self._must_gather = False

    @property
    def is_open(self) -> bool:
        """Whether the next bytes may be forwarded unseen."""
        return not self._awaited

    def expect(self, request_id: str) -> None:
        """From here on a frame that begins may be the answer. Frames that began before cannot be."""
        self._awaited.add(request_id)

    def note(self, data: bytes) -> list[Event]:
        """The events of bytes that were forwarded while the gate was open."""
        events = self._splitter.feed(data)
        self._forwarded_ahead = len(self._splitter.pending)
        self._fate_is_known = True
        return events

    def note_lost(self) -> None:
        """Bytes that were forwarded while the gate was open are not known."""
        self._splitter.resynchronise()

    def feed(self, data: bytes) -> tuple[bytes, list[Run]]:
        """Bytes that were not forwarded yet: those to forward now, and the events that were decided."""
        forward, runs = self._step(self._splitter.feed(data))
        if not self._awaited:
            # Open again: what may be the beginning of a header has no reason to wait.
            pending = self._splitter.pending
            forward.append(pending[self._forwarded_ahead :])
            self._forwarded_ahead = len(pending)
        return b"".join(forward), runs

    def close(self) -> tuple[bytes, list[Run]]:
        """The end of the stream: everything that was held back is let go."""
        forward, runs = self._step(self._splitter.close())
        self._release(forward, runs)
        self._awaited.clear()
        return b"".join(forward), runs

    def _step(self, events: list[Event]) -> tuple[list[bytes], list[Run]]:
        forward: list[bytes] = []
        runs: list[Run] = []
        for event in events:
            if isinstance(event, Header):
                # One that was forwarded in part has begun before the request.
                self._fate_is_known = not self._awaited or self._forwarded_ahead > 0
                self._answer_to = None
                self._must_gather = False
            if self._fate_is_known or isinstance(event, Invalid):
                self._let(event, forward, runs)
            else:
                self._held.append(event)
                self._held_bytes += len(event.raw)
                self._decide(event, forward, runs)
            if isinstance(event, Body) and event.is_last and self._answer_to is not None:
                self._awaited.discard(self._answer_to)
                self._answer_to = None
        return forward, runs

    def _let(self, event: Event, forward: list[bytes], runs: list[Run]) -> None:
        if self._answer_to is None:
            raw = event.raw
            if self._forwarded_ahead:
                ahead = min(self._forwarded_ahead, len(raw))
                self._forwarded_ahead -= ahead
                raw = raw[ahead:]
            forward.append(raw)
        if runs and runs[-1].answer_to == self._answer_to:
            runs[-1].events.append(event)
        else:
            runs.append(Run([event], self._answer_to))

    def _release(self, forward: list[bytes], runs: list[Run]) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        self._fate_is_known = True
        for event in held:
            self._let(event, forward, runs)

    def _decide(self, event: Event, forward: list[bytes], runs: list[Run]) -> None:
        is_whole = isinstance(event, Cut) or (isinstance(event, Body) and event.is_last)
        if not self._must_gather or is_whole:
            body = b"".join(held.raw for held in self._held[1:])
            verdict = read_whole(body) if is_whole else read_prefix(body)
            if verdict is GATHER:
                self._must_gather = True
            elif verdict is not UNDECIDED:
                self._answer_to = verdict if verdict in self._awaited else None
                self._release(forward, runs)
                return
        if self._held_bytes > MAX_GATHER_BYTES:
            self._release(forward, runs)


UNDECIDED = "more of the body is needed"
GATHER = "all of the body is needed"


def read_prefix(body: bytes) -> str | None:
    """The string id of the response that begins so; None when it is no response with such an id.

    UNDECIDED or GATHER (compare with `is`) when the first members do not tell.
    """
    if len(body) > MAX_PREFIX_BYTES:
        return GATHER
    opening = _OPEN.match(body)
    if opening is None:
        return UNDECIDED if not body.strip() else None
    position = opening.end()
    found: str | None = None
    while (member := _MEMBER.match(body, position)) is not None:
        key = member.group(1)
        if key == b"method":
            return None
        if key in (b"result", b"error"):
            return found if found is not None else GATHER
        if key not in (b"jsonrpc", b"id"):
            return GATHER
        scalar = _SCALAR.match(body, member.end())
        if scalar is None:
            return UNDECIDED if b"\\" not in body[member.end() :] else GATHER
        if key == b"id":
            value = scalar.group(1)
            if not value.startswith(b'"'):
                return None
            found = value[1:-1].decode("utf-8", "replace")
        position = scalar.end()
    return UNDECIDED if b"\\" not in body[position:] else GATHER


def read_whole(body: bytes) -> str | None:
    """The string id of the response that `body` is; None when it is anything else."""
    import json

    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or "method" in message:
        return None
    found = message.get("id")
    return found if isinstance(found, str) else None
