"""What a tool call's time at its language servers was spent on, and what it did not wait for.

A call *waits* while the client's requests that belong to it are open, and, at a server that pushes diagnostics, from an
edit to the first report on it. It *queues* while an older request that is not its own (another call's, nobody's, the
tap's) is still open at that server; the rest the server *thinks*. It *gave up* on what came after its own end, or after
the client's cancellation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsp_tap.inspect.calls import CallIndex
from lsp_tap.inspect.flows import Item
from lsp_tap.session.history import Call
from lsp_tap.timeline.freshness import Sent
from lsp_tap.wire.messages import key_of_id

Interval = tuple[int, int]


@dataclass(slots=True, eq=False)
class Asked:
    """Something a client waits for. `older` was open already when it was asked. Wall clock, microseconds."""

    request: Item
    older: list[Asked]
    sent: Sent | None = None
    answer: Item | None = None
    cancelled_us: int | None = None

    @property
    def time_us(self) -> int:
        return self.request.time_us

    @property
    def answered_us(self) -> int | None:
        """When the answer came, whether it was still wanted or not."""
        if self.sent is not None:
            return self.sent.fresh_us
        return self.answer.time_us if self.answer is not None else None


@dataclass(frozen=True, slots=True)
class GivenUp:
    """`asked_for_ms`: how long it was waited for. `succeeded_at_ms`: how long it would have taken; None where it never
    came, or as an error."""

    server: str
    method: str
    uri: str | None
    asked_for_ms: float
    succeeded_at_ms: float | None


@dataclass(frozen=True, slots=True)
class Budget:
    """One tool call. `duration_ms` is all of it; None while it runs."""

    call: Call
    duration_ms: float | None
    thinking_ms: float
    queued_ms: float
    requests: int
    given_up: tuple[GivenUp, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "session": self.call.session_id,
            "call": self.call.call_id,
            "tool": self.call.tool,
            "duration_ms": self.duration_ms,
            "thinking_ms": self.thinking_ms,
            "queued_ms": self.queued_ms,
            "requests": self.requests,
            "given_up": [
                {
                    "server": one.server,
                    "method": one.method,
                    "uri": one.uri,
                    "asked_for_ms": one.asked_for_ms,
                    "succeeded_at_ms": one.succeeded_at_ms,
                }
                for one in self.given_up
            ],
        }


@dataclass(slots=True)
class _OfCall:
    call: Call
    asked: list[Asked] = field(default_factory=list)


class BudgetFold:
    """Feed it the client's requests, their answers, cancellations and the texts sent, in order of time."""

    def __init__(self, calls: CallIndex) -> None:
        self._calls = calls
        self._by_call: dict[str, _OfCall] = {}
        self._open: dict[Path, dict[tuple[str, object], Asked]] = {}

    def asked(self, request: Item) -> None:
        """A request of the client's, or of the tap: that is nobody's wait, but the server is busy with it."""
        if request.direction != "client_to_server":
            return
        now_open = self._open.setdefault(request.server.path, {})
        calls = [] if request.probe else self._calls.find_calls(request)
        asked = Asked(request, list(now_open.values()) if calls else [])
        now_open[key_of_id(request.id)] = asked
        self._add(calls, asked)

    def answered(self, answer: Item) -> None:
        """An answer to a request of the client's."""
        now_open = self._open.get(answer.server.path)
        asked = now_open.get(key_of_id(answer.id)) if now_open else None
        if now_open and asked is not None and asked.request is answer.request:
            asked.answer = answer
            del now_open[key_of_id(answer.id)]

    def cancelled(self, notification: Item) -> None:
        """The client gave a request up."""
        now_open = self._open.get(notification.server.path, {})
        asked = now_open.get(key_of_id(notification.params.get("id")))
        if asked is not None and notification.direction == "client_to_server":
            asked.cancelled_us = notification.time_us

    def sent(self, notification: Item, sent: Sent) -> None:
        """A text that the server was told of; `sent.fresh_us` may be known later."""
        calls = [call for call in self._calls.find_calls(notification) if self._calls.names_file(call, sent.uri)]
        if calls and sent.altered:
            self._add(calls, Asked(notification, [], sent))

    def _add(self, calls: Iterable[Call], asked: Asked) -> None:
        for call in calls:
            self._by_call.setdefault(call.call_id, _OfCall(call)).asked.append(asked)

    def list_budgets(self) -> list[Budget]:
        """One a call that waited for a server, in the order of their start."""
        found = [_make_budget(of_call) for of_call in self._by_call.values()]
        return sorted((budget for budget in found if budget.requests), key=lambda budget: budget.call.start_us or 0)


def _make_budget(of_call: _OfCall) -> Budget:
    call = of_call.call
    # Diagnostics that were pulled are waited for as requests.
    waits = [one for one in of_call.asked if one.sent is None or one.sent.channel == "push"]
    waiting: list[Interval] = []
    queued: list[Interval] = []
    given_up = []
    own = set(of_call.asked)
    for one in waits:
        ends = [time_us for time_us in (one.answered_us, one.cancelled_us, call.end_us) if time_us is not None]
        end_us = min(ends, default=one.time_us)
        waiting.append((one.time_us, end_us))
        for older in one.older:
            if older in own:
                continue
            older_end_us = older.answered_us if older.answered_us is not None else end_us
            queued.append((one.time_us, min(older_end_us, end_us)))
        if one.answered_us is None or one.answered_us > end_us:
            given_up.append(_give_up(one, end_us))
    queued_us = measure_union(queued)
    duration = (call.end_us - call.start_us) / 1000 if call.end_us and call.start_us else None
    thinking_ms = (measure_union(waiting) - queued_us) / 1000
    return Budget(call, duration, thinking_ms, queued_us / 1000, len(waits), tuple(given_up))


def _give_up(one: Asked, end_us: int) -> GivenUp:
    failed = one.answer is not None and one.answer.kind == "error"
    answered_us = None if failed else one.answered_us
    return GivenUp(
        one.request.server.name,
        "textDocument/publishDiagnostics" if one.sent is not None else one.request.method or "",
        one.request.uri,
        max(0, end_us - one.time_us) / 1000,
        (answered_us - one.time_us) / 1000 if answered_us is not None else None,
    )


def measure_union(intervals: Iterable[Interval]) -> int:
    """How long at least one of the intervals lasted."""
    total = until = 0
    for start, end in sorted(intervals):
        if end > max(start, until):
            total += end - max(start, until)
            until = end
    return total
