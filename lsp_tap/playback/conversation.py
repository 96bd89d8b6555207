"""One recorded connection as a list of messages, requests and answers knowing each other: what playback reads."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from lsp_tap.errors import UsageError
from lsp_tap.export.traffic import LOST, NO_MESSAGE, NOT_JSON, UNREADABLE
from lsp_tap.journal import records
from lsp_tap.journal.capture import Capture
from lsp_tap.journal.reader import Journal, Unreadable
from lsp_tap.playback.roots import find_root
from lsp_tap.wire.exchanges import Direction, Exchanges
from lsp_tap.wire.messages import Message, Notification, Request, Response, key_of_id, parse_message

_FRAMES: Final = 5000
"""A recorder takes values nested a thousand deep, and each level costs whoever walks them up to three calls."""


@contextmanager
def allow_deep_messages() -> Iterator[None]:
    """Lets Python recurse as deep as messages are nested, while this is open."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


@dataclass(slots=True, eq=False)
class Step:
    """A message that passed. `time_us` is a clock that never goes back. `request`: what a response answers; `answer`:
    what answered a request; `is_cancelled`: its sender took a request back. `probe`: the tap's own, or its answer."""

    index: int
    direction: Direction
    time_us: int
    message: Message
    probe: bool = False
    request: Step | None = None
    answer: Step | None = None
    is_cancelled: bool = False

    @property
    def is_client(self) -> bool:
        return self.direction == "client_to_server"

    @property
    def method(self) -> str:
        """A response's is its request's; empty where nobody asked."""
        if isinstance(self.message, Response):
            return self.request.method if self.request is not None else ""
        return self.message.method

    @property
    def params(self) -> Any:
        return None if isinstance(self.message, Response) else self.message.params

    @property
    def uri(self) -> str | None:
        return find_uri(self.params)


def find_uri(params: Any) -> str | None:
    """The document that a message is about, if it is about one."""
    match params:
        case {"textDocument": {"uri": str(uri)}} | {"uri": str(uri)}:
            return uri
    return None


@dataclass(slots=True)
class Conversation:
    """`root`: the project's folder as the client called it (a path), its tap's folder where it named none. `left_out`:
    what was recorded and is no message here, by what it is."""

    journal: Journal
    started: records.TapStarted | None = None
    recorded: list[records.Record] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    exited: records.ServerExited | None = None
    stopped: records.TapStopped | None = None

    @property
    def name(self) -> str:
        return self.started.name if self.started else self.journal.path.stem

    @property
    def initialize(self) -> Any:
        """The params of the client's `initialize`; None where it sent none."""
        return next((s.params for s in self.steps if s.is_client and s.method == "initialize"), None)

    @property
    def initialized(self) -> Any:
        """The server's answer to it."""
        asked = next((s for s in self.steps if s.is_client and s.method == "initialize"), None)
        answer = asked.answer.message if asked is not None and asked.answer is not None else None
        return answer.result if isinstance(answer, Response) else None

    @property
    def root(self) -> str | None:
        return find_root(self.initialize) or (self.started.cwd if self.started else None)


def read_conversation(journal: Journal) -> Conversation:
    """All of one tap's journal."""
    conversation = Conversation(journal)
    exchanges: Exchanges[Step] = Exchanges()
    cancellable: dict[tuple[Direction, tuple[str, object]], Step] = {}

    def leave_out(what: str, count: int = 1) -> None:
        conversation.left_out[what] = conversation.left_out.get(what, 0) + count

    for entry in journal:
        match entry:
            case Unreadable():
                leave_out(UNREADABLE)
                continue
            case records.Dropped():
                leave_out(LOST, entry.count)
            case records.Pruned():
                leave_out("records pruned", entry.count)
            case records.TapStarted():
                conversation.started = entry
            case records.ServerExited():
                conversation.exited = entry
            case records.TapStopped():
                conversation.stopped = entry
            case records.InvalidBytes():
                leave_out("runs of bytes outside any frame")
            case records.Frame():
                message = parse_message(entry.message) if entry.has_message else None
                if message is None:
                    leave_out(NO_MESSAGE if entry.has_message else NOT_JSON)
                else:
                    step = Step(len(conversation.steps), entry.direction, entry.monotonic_us, message, entry.probe)
                    _pair(step, exchanges, cancellable)
                    conversation.steps.append(step)
        conversation.recorded.append(entry)
    return conversation


def _pair(step: Step, exchanges: Exchanges[Step], open_: dict[tuple[Direction, tuple[str, object]], Step]) -> None:
    exchange = exchanges.step(step.direction, step.message, step)
    if exchange is not None:
        step.request, exchange.asked.answer = exchange.asked, step
    match step.message:
        case Request(id=id):
            open_[step.direction, key_of_id(id)] = step
        case Notification(method="$/cancelRequest", params={"id": id}):
            asked = open_.get((step.direction, key_of_id(id)))
            if asked is not None and asked.answer is None:
                asked.is_cancelled = True


def choose_connection(capture: Capture, server: str | None) -> Journal:
    """The one connection of a capture, or the one with a server of that name. Raises UsageError."""
    taps = [journal for journal in capture.taps if server in (None, _name(journal))]
    if not taps:
        names = ", ".join(sorted({_name(journal) for journal in capture.taps}))
        raise UsageError(f"no server {server!r} in this capture; there are: {names}")
    if len(taps) > 1:
        listed = ", ".join(str(journal.path) for journal in taps)
        raise UsageError(f"{len(taps)} connections are in this capture, name one of: {listed}")
    return taps[0]


def pair_connections(a: Iterable[Journal], b: Iterable[Journal]) -> list[tuple[Journal | None, Journal | None]]:
    """The connections of two captures, by server name and order. One on each side are a pair whatever their names."""
    left, right = list(a), list(b)
    if len(left) == len(right) == 1:
        return [(left[0], right[0])]
    pairs: list[tuple[Journal | None, Journal | None]] = []
    for journal in left:
        other = next((one for one in right if _name(one) == _name(journal)), None)
        if other is not None:
            right.remove(other)
        pairs.append((journal, other))
    return pairs + [(None, journal) for journal in right]


def list_opened(steps: Sequence[Step]) -> dict[str, str]:
    """The documents that a client opened: their uris, and their text then."""
    opened: dict[str, str] = {}
    for step in steps:
        match step.params:
            case {"textDocument": {"uri": str(uri), "text": str(text)}} if step.method == "textDocument/didOpen":
                opened.setdefault(uri, text)
    return opened


def _name(journal: Journal) -> str:
    first = journal.first
    return first.name if isinstance(first, records.TapStarted) else journal.path.stem
