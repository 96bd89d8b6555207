"""`lsp-tap stats`: what was said how often, how long answers took, and what tool calls waited for.

Percentiles are nearest ranks: the smallest latency that so many of a hundred do not exceed, so each of them was really
measured.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lsp_tap.inspect.calls import CallIndex
from lsp_tap.inspect.flows import FlowReader, Item, Server, describe_problems, merge_by_time
from lsp_tap.inspect.waiting_budget import Budget, BudgetFold
from lsp_tap.journal.capture import Capture
from lsp_tap.timeline.freshness import FreshnessFold, Sent
from lsp_tap.wire.exchanges import Direction
from lsp_tap.wire.messages import key_of_id

_SENDING: Final = frozenset(
    {"textDocument/didOpen", "textDocument/didChange", "textDocument/didClose", "textDocument/diagnostic"}
)
_REPORT_EVERY: Final = 20_000
_DIAGNOSTIC: Final = "textDocument/diagnostic"
_PUBLISH: Final = "textDocument/publishDiagnostics"


def rank_percentile(ordered: Sequence[int], percent: float) -> int | None:
    """The nearest-rank percentile of sorted numbers; None of none."""
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)] if ordered else None


@dataclass(slots=True)
class MethodCount:
    """One server's traffic of one method in one direction (a request's). `errors` are error answers to requests that
    nobody had cancelled; `bytes` are those of requests and answers together."""

    server: str
    method: str
    direction: Direction | None
    is_request: bool = False
    count: int = 0
    probes: int = 0
    bytes: int = 0
    errors: int = 0
    unanswered: int = 0
    cancelled: int = 0
    latencies_us: array[int] = field(default_factory=lambda: array("q"))

    def to_json(self) -> dict[str, Any]:
        """Plain values; what only requests have is None for others."""
        ordered = sorted(self.latencies_us)
        return {
            "server": self.server,
            "method": self.method,
            "direction": self.direction,
            "count": self.count,
            "probes": self.probes,
            "bytes": self.bytes,
            "latency_ms": describe_latencies(ordered),
            "errors": self.errors if self.is_request else None,
            "unanswered": self.unanswered if self.is_request else None,
            "cancelled": self.cancelled if self.is_request else None,
        }


def describe_latencies(ordered: Sequence[int]) -> dict[str, float] | None:
    """p50, p95, p99 and the maximum of sorted microseconds, in milliseconds; None of none."""
    if not ordered:
        return None
    named = {f"p{percent}": rank_percentile(ordered, percent) for percent in (50, 95, 99)} | {"max": ordered[-1]}
    return {name: latency_us / 1000 for name, latency_us in named.items() if latency_us is not None}


@dataclass(slots=True)
class FreshCount:
    """How long a server's first report took, after a document was opened and after an edit of one. `*_silent`: texts on
    which it never reported, mostly because the next one came first."""

    server: str
    opens_us: array[int] = field(default_factory=lambda: array("q"))
    edits_us: array[int] = field(default_factory=lambda: array("q"))
    opened: int = 0
    edited: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "server": self.server,
            "edits": self.edited,
            "edits_reported": len(self.edits_us),
            "after_edit_ms": describe_latencies(sorted(self.edits_us)),
            "opens": self.opened,
            "opens_reported": len(self.opens_us),
            "after_open_ms": describe_latencies(sorted(self.opens_us)),
        }


class StatsFold:
    """Feed it the items of a capture in order of time; tool calls may be unknown. With `session_ids`, what belongs to
    no such session only says which documents were open and which server was busy."""

    def __init__(self, calls: CallIndex | None = None, session_ids: Iterable[str] = ()) -> None:
        self._calls = calls or CallIndex()
        self._session_ids = frozenset(session_ids)
        self._uncounted: set[Sent] = set()
        self.methods: dict[tuple[str, Direction | None, str], MethodCount] = {}
        self.fresh: dict[str, FreshCount] = {}
        self.budgets = BudgetFold(calls) if calls is not None and calls.windows else None
        self._freshness: dict[Path, FreshnessFold] = {}
        self._cancelled: dict[tuple[Path, Direction, tuple[str, object]], int] = {}

    def step(self, item: Item) -> None:
        match item.kind:
            case "request":
                count = self._count(item, item.method or "", item.direction)
                if count is not None:
                    count.is_request = True
                if self.budgets is not None:
                    self.budgets.asked(item)
                if item.method == _DIAGNOSTIC:
                    self._sent(item)
            case "notification":
                self._count(item, item.method or "", item.direction)
                if item.method in _SENDING:
                    self._sent(item)
                elif item.method == _PUBLISH:
                    self._reported(item)
                elif item.method == "$/cancelRequest":
                    self._cancel(item)
            case "response" | "error":
                self._answered(item)
            case "stderr" | "invalid":
                self._count(item, f"({item.kind})", item.direction)

    def _count(self, item: Item, method: str, direction: Direction | None) -> MethodCount | None:
        if self._session_ids and not self._is_counted(item):
            return None
        key = (item.server.name, direction, method)
        count = self.methods.get(key)
        if count is None:
            count = self.methods[key] = MethodCount(item.server.name, method, direction)
        count.count += 1
        count.probes += item.probe
        count.bytes += item.raw_length or 0
        return count

    def _is_counted(self, item: Item) -> bool:
        return not self._session_ids or not self._session_ids.isdisjoint(self._calls.find_sessions(item))

    def _answered(self, item: Item) -> None:
        request = item.request
        if self.budgets is not None:
            self.budgets.answered(item)
        if item.method == _DIAGNOSTIC:
            self._reported(item)
        if not self._is_counted(item):
            return
        if request is None:
            self._count(item, "(answer to nothing asked)", item.direction)
            return
        count = self.methods[item.server.name, request.direction, request.method or ""]
        count.bytes += item.raw_length or 0
        count.latencies_us.append(item.monotonic_us - request.monotonic_us)
        was_cancelled = self._cancelled and self._cancelled.pop(_key(request), None) is not None
        if was_cancelled:
            count.cancelled += 1
        elif item.kind == "error":
            count.errors += 1

    def _cancel(self, item: Item) -> None:
        if item.direction is not None and "id" in item.params:
            self._cancelled[item.server.path, item.direction, key_of_id(item.params["id"])] = item.time_us
            if self.budgets is not None:
                self.budgets.cancelled(item)

    def _sent(self, item: Item) -> None:
        fold = self._freshness.get(item.server.path)
        if fold is None:
            fold = self._freshness[item.server.path] = FreshnessFold()
        sent = fold.step_client(item.message, item.time_us)
        if sent is None:
            return
        if self._is_counted(item):
            fresh = self._fresh(item.server)
            fresh.opened += sent.is_open
            fresh.edited += sent.altered and not sent.is_open
        else:
            self._uncounted.add(sent)
        if self.budgets is not None:
            self.budgets.sent(item, sent)

    def _reported(self, item: Item) -> None:
        fold = self._freshness.get(item.server.path)
        if fold is None:
            return
        for sent in fold.step_server(item.message, item.time_us):
            if sent not in self._uncounted:
                self._freshened(self._fresh(item.server), sent, item.time_us - sent.time_us)

    @staticmethod
    def _freshened(fresh: FreshCount, sent: Sent, took_us: int) -> None:
        if sent.is_open:
            fresh.opens_us.append(took_us)
        elif sent.altered:
            fresh.edits_us.append(took_us)

    def _fresh(self, server: Server) -> FreshCount:
        return self.fresh.setdefault(server.name, FreshCount(server.name))

    def close(self, unanswered: Iterable[Item]) -> None:
        """The end of the recording: `unanswered` are the requests still open."""
        for request in filter(self._is_counted, unanswered):
            count = self.methods[request.server.name, request.direction, request.method or ""]
            if _key(request) in self._cancelled:
                count.cancelled += 1
            else:
                count.unanswered += 1

    def _list_budgets(self) -> list[Budget]:
        found = self.budgets.list_budgets() if self.budgets is not None else []
        return [one for one in found if not self._session_ids or one.call.session_id in self._session_ids]

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values; methods by server and count."""
        methods = sorted(self.methods.values(), key=lambda count: (count.server, -count.count, count.method))
        return {
            "methods": [count.to_json() for count in methods],
            "freshness": [self.fresh[name].to_json() for name in sorted(self.fresh)],
            "waiting": [budget.to_json() for budget in self._list_budgets()],
        }


def _key(request: Item) -> tuple[Path, Direction, tuple[str, object]]:
    return request.server.path, request.direction or "client_to_server", key_of_id(request.id)


def fold_stats(capture: Capture, on_read: Callable[[int], object] = int) -> tuple[StatsFold, list[str]]:
    """The statistics of a capture, and what could not be read, a line each. `on_read` is told now and then how many
    items were read."""
    fold = StatsFold(CallIndex(capture.clients), capture.session_ids)
    readers = [FlowReader(journal) for journal in capture.taps]
    for number, item in enumerate(merge_by_time(reader.read_rest() for reader in readers)):
        fold.step(item)
        if number % _REPORT_EVERY == 0:
            on_read(number)
    fold.close(item for reader in readers for item in reader.unanswered)
    return fold, describe_problems(readers)
