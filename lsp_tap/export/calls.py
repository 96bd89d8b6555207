"""Tool calls out of clients' journals, each when it has ended."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from lsp_tap.export.traffic import Connection, limit_time_us
from lsp_tap.journal import records


@dataclass(slots=True)
class ToolCall:
    """Times are the connection's clock, microseconds since the Unix epoch; `end_us` None: never seen to end."""

    client: Connection
    session_id: str
    call_id: str
    tool: str
    start_us: int
    end_us: int | None = None
    error: str | None = None


class CallFold:
    """Takes the records of clients in order of time; those of other sessions than the wanted ones change nothing.

    A sub-agent's session belongs to the session that started it.
    """

    def __init__(self, session_ids: tuple[str, ...]) -> None:
        self._wanted = set(session_ids)
        self._open: dict[tuple[str, str], ToolCall] = {}
        self._ended: set[tuple[str, str]] = set()

    def step(self, client: Connection, record: records.Record) -> Iterator[ToolCall]:
        """The calls that this record ends."""
        match record:
            case records.SessionUpdated() if record.parent_id in self._wanted:
                self._wanted.add(record.session_id)
            case records.ToolStarting() if self._is_new(record):
                self._start(client, record, client.find_time_us(record))
            case records.ToolFinished() if not self._wanted or record.session_id in self._wanted:
                yield from self._end(record, client.find_time_us(record), None)
            case records.ToolUpdated() if not self._wanted or record.session_id in self._wanted:
                start_us = _find_time_us(client, record, record.start_ms)
                if record.status != "pending" and self._is_new(record):
                    self._start(client, record, start_us)
                if record.status in ("completed", "error"):
                    yield from self._end(record, _find_time_us(client, record, record.end_ms), record.error)

    @property
    def open(self) -> list[ToolCall]:
        """The calls that run now, or whose end nobody recorded."""
        return list(self._open.values())

    def find_running(self, pid: int | None) -> ToolCall | None:
        """The one call that runs in a client process; None also when there are several: it could be any of them."""
        running = [call for call in self._open.values() if _find_pid(call.client) == pid]
        return running[0] if pid is not None and len(running) == 1 else None

    def _is_new(self, record: records.ToolStarting | records.ToolUpdated) -> bool:
        key = record.session_id, record.call_id
        return (not self._wanted or key[0] in self._wanted) and key not in self._open and key not in self._ended

    def _start(self, client: Connection, record: records.ToolStarting | records.ToolUpdated, start_us: int) -> None:
        call = ToolCall(client, record.session_id, record.call_id, record.tool, start_us)
        self._open[record.session_id, record.call_id] = call

    def _end(
        self, record: records.ToolFinished | records.ToolUpdated, end_us: int, error: str | None
    ) -> Iterator[ToolCall]:
        key = record.session_id, record.call_id
        call = self._open.pop(key, None)
        if call is not None:
            self._ended.add(key)
            call.end_us, call.error = max(end_us, call.start_us), error
            yield call


def _find_time_us(client: Connection, record: records.ToolUpdated, own_ms: float | None) -> int:
    """The time that the client gives itself, or the record's."""
    if own_ms is None or not math.isfinite(own_ms):
        return client.find_time_us(record)
    return limit_time_us(int(own_ms * 1000))


def _find_pid(client: Connection) -> int | None:
    first = client.journal.first
    return first.pid if isinstance(first, records.ClientStarted) else None
