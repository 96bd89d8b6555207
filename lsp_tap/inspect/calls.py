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
from typing import Final

from lsp_tap.inspect.flows import Item
from lsp_tap.journal.capture import HeardSession, read_sessions
from lsp_tap.journal.reader import Journal, Unreadable
from lsp_tap.journal.records import ClientStarted
from lsp_tap.session.attribution import CLOCK_SLACK_US, find_files, find_path
from lsp_tap.session.history import Call, HistoryFold

_OPEN_END_US: Final = 1 << 62


class CallIndex:
    """Answers in the time of a binary search. Empty without clients' journals."""

    def __init__(self, clients: Iterable[Journal] = ()) -> None:
        journals = list(clients)
        self.history = HistoryFold()
        for journal in journals:
            client = journal.first if isinstance(journal.first, ClientStarted) else None
            for entry in journal:
                if not isinstance(entry, Unreadable):
                    self.history.step(entry, client)
        self._heard: dict[str, HeardSession] = read_sessions(journals)
        self._files: dict[str, frozenset[str]] = {}
        self.windows: list[tuple[int, int, Call]] = []
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
            changes += [(start_us - CLOCK_SLACK_US, 1, call), (end_us + CLOCK_SLACK_US, 0, call)]
        changes.sort(key=lambda change: change[:2])
        bounds, running, now = [0], [[]], dict[str, Call]()  # type: tuple[list[int], list[list[Call]], dict[str, Call]]
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
            for session_id, heard in self._heard.items()
            if heard.first_us <= time_us <= heard.last_us and self._is_of_client(session_id, item.server.client_pid)
        ]

    def _is_of_client(self, session_id: str, client_pid: int | None) -> bool:
        pids = self._heard[session_id].client_pids if session_id in self._heard else set()
        return client_pid is None or not pids or client_pid in pids


@lru_cache(maxsize=4096)
def _find_path(uri: str) -> str:
    return os.path.normpath(find_path(uri))
