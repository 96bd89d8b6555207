"""Which tool call, and which session, a message belongs to: by client process, time and document.

A message belongs to the calls that ran when it passed and that name its document; where none names it, to all that
ran. An answer belongs where its request does, however late it comes. A session's are those of its calls and all that
passed between the first and the last that was heard of it.
"""

from __future__ import annotations

import os.path
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

from lsp_tap.inspect.flows import Item
from lsp_tap.journal.reader import Journal, JournalReader, Unreadable
from lsp_tap.journal.records import ClientStarted, Record
from lsp_tap.journal.stored import plain_path
from lsp_tap.session.attribution import find_files, find_path
from lsp_tap.session.history import Call, HistoryFold

_OPEN_END_US: Final = 1 << 62
_TICK_US: Final = 1000
"""Clients' clocks count whole milliseconds, rounded down."""


class CallIndex:
    """Answers in the time of a binary search. Empty without clients' journals."""

    def __init__(self, clients: Iterable[Journal] = ()) -> None:
        self._readers: dict[Path, tuple[JournalReader, ClientStarted | None]] = {}
        self.history = HistoryFold()
        self.windows: list[tuple[int, int, Call]] = []
        self._heard: dict[str, tuple[int, int]] = {}
        self._files: dict[str, frozenset[str]] = {}
        self._bounds: list[int] = [0]
        self._running: list[list[Call]] = [[]]
        self.read(clients)

    def read(self, clients: Iterable[Journal]) -> None:
        """Take in what these journals hold, or hold by now."""
        is_new = False
        for journal in clients:
            client = journal.first if isinstance(journal.first, ClientStarted) else None
            reader, client = self._readers.setdefault(plain_path(journal.path), (JournalReader(journal.path), client))
            for entry in reader.read_new():
                if not isinstance(entry, Unreadable):
                    is_new = True
                    self._step(entry, client)
        if is_new:
            self._index()

    def _step(self, record: Record, client: ClientStarted | None) -> None:
        self.history.step(record, client)
        session_id = getattr(record, "session_id", None)
        if isinstance(session_id, str):
            first_us, last_us = self._heard.get(session_id, (record.time_us, record.time_us))
            self._heard[session_id] = min(first_us, record.time_us), max(last_us, record.time_us)

    def _index(self) -> None:
        self.windows = []
        for session in self.history.sessions.values():
            for call in session.calls.values():
                self._files[call.call_id] = frozenset(find_files(call, session.directory))
                if call.start_us is not None:
                    self.windows.append((call.start_us, call.end_us or _OPEN_END_US, call))
        self.windows.sort(key=lambda window: window[:2])
        self._bounds, self._running = self._cut_segments()

    def _cut_segments(self) -> tuple[list[int], list[list[Call]]]:
        """The moments at which calls begin or end, and which calls run from each on."""
        changes: list[tuple[int, int, Call]] = []
        for start_us, end_us, call in self.windows:
            changes += [(start_us, 1, call), (end_us + _TICK_US, 0, call)]
        changes.sort(key=lambda change: change[:2])
        bounds: list[int] = [0]
        running: list[list[Call]] = [[]]
        now: dict[str, Call] = {}
        for time_us, begins, call in changes:
            if begins:
                now[call.call_id] = call
            else:
                now.pop(call.call_id, None)
            bounds.append(time_us)
            running.append(list(now.values()))
        return bounds, running

    def names_file(self, call: Call, uri: str | None) -> bool:
        """Whether a call named that document as one it changes."""
        return uri is not None and _find_path(uri) in self._files[call.call_id]

    def find_calls(self, item: Item) -> list[Call]:
        """The calls that an item belongs to."""
        item = item.request or item
        running = self._running[bisect_right(self._bounds, item.time_us) - 1]
        if not running:
            return []
        of_client = [call for call in running if self._is_of_client(call.session_id, item.server.client_pid)]
        uri = item.uri
        return [call for call in of_client if self.names_file(call, uri)] or of_client

    def find_sessions(self, item: Item) -> list[str]:
        """The sessions that an item belongs to, by id."""
        calls = self.find_calls(item)
        if calls:
            return list(dict.fromkeys(call.session_id for call in calls))
        time_us = (item.request or item).time_us
        return [
            session_id
            for session_id, (first_us, last_us) in self._heard.items()
            if first_us <= time_us <= last_us and self._is_of_client(session_id, item.server.client_pid)
        ]

    def _is_of_client(self, session_id: str, client_pid: int | None) -> bool:
        pids = self.history.sessions[session_id].clients
        return client_pid is None or not pids or client_pid in pids


@lru_cache(maxsize=4096)
def _find_path(uri: str) -> str:
    return os.path.normpath(find_path(uri))
