"""How each server ran during a session, and which requests took longest."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lsp_tap.journal import records
from lsp_tap.journal.reader import Unreadable, read_journal
from lsp_tap.timeline.fold import ServerTimeline
from lsp_tap.wire.exchanges import Exchange, Exchanges
from lsp_tap.wire.messages import parse_message

SLOWEST: Final = 25
_STDERR_LIMIT: Final = 40_000


@dataclass(frozen=True, slots=True)
class Waited:
    """A request and its answer. `latency_us` None: never answered. `by_tap`: the tap asked it, nobody waited."""

    server: str
    method: str
    uri: str | None
    asked_us: int
    latency_us: int | None
    from_server: bool
    by_tap: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of a server process. `crashed`: nobody had asked it to end."""

    time_us: int
    how: str
    crashed: bool


@dataclass(slots=True)
class ServerRun:
    """One server of a session, all its processes. `stderr` is what it wrote there, the end of it."""

    timeline: ServerTimeline
    processes: int = 0
    messages: int = 0
    bytes: int = 0
    answered: int = 0
    dropped: int = 0
    invalid_bytes: int = 0
    stderr: str = ""
    stderr_length: int = 0
    exits: list[Exit] = field(default_factory=list)
    unanswered: list[Waited] = field(default_factory=list)


def read_run(
    timeline: ServerTimeline, journals: Iterable[Path], from_us: int, until_us: int
) -> tuple[ServerRun, list[Waited]]:
    """How a server ran, and the slowest of its requests that were asked between two times (wall clock)."""
    run, slowest = ServerRun(timeline), _Slowest()
    for path in journals:
        open_ = Exchanges[records.Frame]()
        for entry in read_journal(path):
            if not isinstance(entry, Unreadable):
                _step(run, open_, slowest, entry, from_us, until_us)
        for direction, request, frame in open_.unanswered:
            if from_us <= frame.time_us <= until_us and not frame.probe:
                run.unanswered.append(_describe(timeline, direction, request.method, request.params, frame, None))
    run.stderr = run.stderr[-_STDERR_LIMIT:]
    return run, slowest.list()


def _step(
    run: ServerRun,
    open_: Exchanges[records.Frame],
    slowest: _Slowest,
    record: records.Record,
    from_us: int,
    until_us: int,
) -> None:
    match record:
        case records.TapStarted():
            run.processes += 1
        case records.Frame():
            if from_us <= record.time_us <= until_us:
                run.messages += 1
                run.bytes += record.raw_length
            message = parse_message(record.message)
            done = open_.step(record.direction, message, record) if message is not None else None
            if done is None or not from_us <= done.asked.time_us <= until_us:
                return
            run.answered += 1
            latency_us = max(0, record.monotonic_us - done.asked.monotonic_us)
            slowest.add(latency_us, lambda: _describe_done(run.timeline, done, latency_us))
        case records.StderrWritten():
            run.stderr = (run.stderr + record.text)[-2 * _STDERR_LIMIT :]
            run.stderr_length += len(record.text)
        case records.Dropped():
            run.dropped += record.count
        case records.InvalidBytes():
            run.invalid_bytes += record.raw_length
        case records.ServerExited():
            how = f"signal {record.signal}" if record.signal is not None else f"exit code {record.code}"
            run.exits.append(Exit(record.time_us, how, _is_crash(run.timeline, record.time_us)))


def _is_crash(timeline: ServerTimeline, time_us: int) -> bool:
    """Whether the end of the process that is about to be recorded was one that nobody asked for."""
    later = [ending for ending in timeline.endings if ending.time_us >= time_us]
    return bool(later) and later[0].crashed


def _describe_done(timeline: ServerTimeline, done: Exchange[records.Frame], latency_us: int) -> Waited:
    failed = done.response.error
    error = failed.get("message", "error") if isinstance(failed, dict) else failed
    return _describe(timeline, done.direction, done.request.method, done.request.params, done.asked, latency_us, error)


def _describe(
    timeline: ServerTimeline,
    direction: str,
    method: str,
    params: Any,
    frame: records.Frame,
    latency_us: int | None,
    error: Any = None,
) -> Waited:
    document = params.get("textDocument") if isinstance(params, dict) else None
    uri = document.get("uri") if isinstance(document, dict) else None
    return Waited(
        server=timeline.name,
        method=method,
        uri=uri if isinstance(uri, str) else None,
        asked_us=frame.time_us,
        latency_us=latency_us,
        from_server=direction == "server_to_client",
        by_tap=bool(frame.probe),
        error=None if error is None else str(error),
    )


class _Slowest:
    """The few slowest of many."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Waited]] = []
        self._count = 0

    def add(self, latency_us: int, describe: Callable[[], Waited]) -> None:
        self._count += 1
        if len(self._heap) < SLOWEST:
            heapq.heappush(self._heap, (latency_us, -self._count, describe()))
        elif latency_us > self._heap[0][0]:
            heapq.heapreplace(self._heap, (latency_us, -self._count, describe()))

    def list(self) -> list[Waited]:
        return [waited for _, _, waited in sorted(self._heap, key=lambda one: (-one[0], -one[1]))]


def merge_slowest(found: Sequence[Sequence[Waited]]) -> list[Waited]:
    """The slowest of several servers."""
    merged = [waited for of_one in found for waited in of_one]
    return sorted(merged, key=lambda waited: (-(waited.latency_us or 0), waited.asked_us, waited.server))[:SLOWEST]
