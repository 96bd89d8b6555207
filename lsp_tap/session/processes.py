"""Which process of a client an id means.

Process ids repeat: in a container an agent has the same one every day. So a client's process gets a number of its own,
and a tap belongs to the last one with its client's id that had started before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from lsp_tap.journal.reader import Journal
from lsp_tap.journal.records import ClientStarted, TapStarted
from lsp_tap.journal.stored import plain_path

_ID_BITS: Final = 64
"""More than an id has: what is above says which of the processes that had it."""

_EARLY_US: Final = 5_000_000
"""A client's journal may say that it began a little later than the client's first server did."""


@dataclass(slots=True)
class _Process:
    started_us: int
    journals: set[str] = field(default_factory=set)


class Processes:
    """The processes of all clients' journals in a folder."""

    def __init__(self, journals: Iterable[Journal]) -> None:
        found: dict[tuple[int, float | str], _Process] = {}
        for journal in journals:
            client, name = journal.first, plain_path(journal.path).name
            if isinstance(client, ClientStarted) and client.pid is not None:
                # A process has a journal for each folder it works in. Those that do not say more are taken for several.
                key = client.process_started_ms if client.process_started_ms is not None else name
                process = found.setdefault((client.pid, key), _Process(client.time_us))
                process.started_us = min(process.started_us, client.time_us)
                process.journals.add(name)
        self._by_id: dict[int, list[_Process]] = {}
        for (pid, _), process in found.items():
            self._by_id.setdefault(pid, []).append(process)
        self._numbers: dict[str, int] = {}  # by the name of the journal
        for pid, processes in self._by_id.items():
            processes.sort(key=lambda process: (process.started_us, min(process.journals)))
            for index, process in enumerate(processes):
                self._numbers.update(dict.fromkeys(process.journals, pid + (index << _ID_BITS)))

    def find_number(self, journal: Journal) -> int | None:
        """That of the client that wrote the journal or, of a tap's, started the tap; None where nobody said."""
        match journal.first:
            case ClientStarted(pid=int(pid)):
                return self._numbers.get(plain_path(journal.path).name, pid)
            case TapStarted(client_pid=int(pid)):
                process = self._find_process(journal.first)
                return pid if process is None else self._numbers[min(process.journals)]
        return None

    def list_clients(self, tap: TapStarted) -> set[str]:
        """The names of the journals of the tap's client; none where there are none."""
        process = self._find_process(tap)
        return set() if process is None else process.journals

    def _find_process(self, tap: TapStarted) -> _Process | None:
        processes = self._by_id.get(tap.client_pid, []) if tap.client_pid is not None else []
        earlier = [process for process in processes if process.started_us <= tap.time_us + _EARLY_US]
        return next(iter(earlier[-1:] or processes), None)
