"""Which journals a session needs, so that a project's past is not read again whenever something new is written.

What a session needs is what its clients and their servers wrote. Where a client worked on several sessions, or a
session was continued by another client, that is those of all of them, since the servers are shared.

Which sessions a client's journal has is found by reading it, once: as soon as it is finished it is in the index. A
journal that is not there is needed, since it is new, and so is one that grew since: its client runs after all.

    tap/.sessions.json    {"format": 1, "clients": {<journal>: {"bytes": 4711, "sessions": [<id>, ...]}},
                           "pruned": [<journal>, ...]}

The index only remembers what the journals say, and may be removed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from lsp_tap.journal.capture import LAST
from lsp_tap.journal.files import replace_file
from lsp_tap.journal.reader import Journal
from lsp_tap.journal.records import TapStarted
from lsp_tap.journal.retention import Candidate, is_finished
from lsp_tap.journal.stored import find_stored, is_compressed, list_journals, plain_path
from lsp_tap.session.processes import Processes

FORMAT: Final = 1
INDEX_NAME: Final = ".sessions.json"


class IndexedClient(msgspec.Struct):
    """A finished journal of a client: its size, not compressed, and all sessions in it."""

    bytes: int
    sessions: frozenset[str]


class Index(msgspec.Struct):
    """`clients`: the finished ones; `pruned`: journals of which the head is left. By their names, not compressed."""

    clients: dict[str, IndexedClient] = {}
    pruned: frozenset[str] = frozenset()
    format: int = FORMAT

    def with_pruned(self, name: str) -> Index:
        return Index(self.clients, self.pruned | {name})


def read_index(tap: Path) -> Index:
    """The index of a `tap/` folder; an empty one where there is none that can be read."""
    path = tap / INDEX_NAME
    with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if not path.is_symlink():
            found = msgspec.json.decode(path.read_bytes(), type=Index)
            return found if found.format == FORMAT else Index()
    return Index()


def write_index(tap: Path, index: Index) -> None:
    """Without the journals that are gone. Call it under the writer's lock. Raises OSError."""
    names = {plain_path(path).name for path in list_journals(tap)}
    clients = {
        name: {"bytes": client.bytes, "sessions": sorted(client.sessions)}
        for name, client in sorted(index.clients.items())
        if name in names
    }
    fields = {"format": index.format, "clients": clients, "pruned": sorted(index.pruned & names)}
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    replace_file(tap / INDEX_NAME, text.encode("utf-8", "replace") + b"\n")


def find_scope(tap: Path, wanted: Iterable[str]) -> Scope:
    """That of the sessions meant by ids, beginnings of ids, or `last`."""
    sessions = read_index(tap).clients
    scope = Scope()
    for word in wanted:
        if word == LAST:
            newest = max(sessions, key=lambda name: _read_written_us(tap / name), default=None)
            scope.sessions |= sessions[newest].sessions if newest is not None else set()
        else:
            ids = frozenset().union(*(client.sessions for client in sessions.values()))
            scope.sessions |= {session_id for session_id in ids if session_id.startswith(word)}
    return scope


@dataclass(slots=True)
class Scope:
    """The sessions that somebody wants, and all that belong to them as far as is known: they become more."""

    sessions: set[str] = field(default_factory=set)

    def choose(self, journals: Sequence[Journal], index: Index, processes: Processes) -> set[Path]:
        """The paths of the journals that the sessions need, not compressed. `sessions` grow by those that share a
        client with them."""
        clients = {plain_path(journal.path).name: journal for journal in journals if journal.kind == "client"}
        known = {
            name: index.clients[name].sessions
            for name, journal in clients.items()
            if name in index.clients and _is_as_it_was(journal, index.clients[name])
        }
        left_out = known.keys() - self._close(known)
        started = [journal.first.time_us for name, journal in clients.items() if name not in left_out and journal.first]
        since_us = min(started, default=None)
        return {
            plain_path(journal.path)
            for journal in journals
            if plain_path(journal.path).name not in left_out and _is_needed(journal, left_out, processes, since_us)
        }

    def _close(self, known: dict[str, frozenset[str]]) -> set[str]:
        """The clients that have one of the sessions, or one of those of a client that has."""
        chosen: set[str] = set()
        while more := {name for name in known.keys() - chosen if not known[name].isdisjoint(self.sessions)}:
            chosen |= more
            self.sessions.update(*(known[name] for name in more))
        return chosen


def _is_needed(journal: Journal, left_out: Iterable[str], processes: Processes, since_us: int | None) -> bool:
    """Whether a journal is needed when those clients are left out and the others began then."""
    if not isinstance(journal.first, TapStarted) or journal.kind != "server":
        return True
    clients = processes.list_clients(journal.first)
    if clients:
        return not clients.issubset(left_out)
    # It does not know its client, and counts for sessions that went on while it did.
    return since_us is not None and _read_written_us(journal.path) >= since_us


def list_left_out(journals: Iterable[Journal], index: Index, processes: Processes) -> Iterator[Candidate]:
    """Those of the journals, none of them read, that may be pruned, as far as the index tells whose they are."""
    heard_us: dict[str, int] = {}  # when each session was heard of last
    candidates: list[tuple[Journal, os.stat_result, frozenset[str]]] = []
    for journal in journals:
        name = plain_path(journal.path).name
        sessions = _find_sessions(journal, index, processes)
        if sessions is None or name in index.pruned or not is_finished(journal):
            continue
        with suppress(OSError):
            status = journal.path.stat()
            candidates.append((journal, status, sessions))
            for session_id in sessions:
                heard_us[session_id] = max(heard_us.get(session_id, 0), status.st_mtime_ns // 1000)
    for journal, status, sessions in candidates:
        last_us = max([status.st_mtime_ns // 1000, *(heard_us[session_id] for session_id in sessions)])
        yield Candidate(plain_path(journal.path), last_us, status.st_size, tuple(sorted(sessions)))


def _find_sessions(journal: Journal, index: Index, processes: Processes) -> frozenset[str] | None:
    """None: nobody knows without reading it."""
    if isinstance(journal.first, TapStarted) and journal.kind == "server":
        clients = processes.list_clients(journal.first)
        if not clients.issubset(index.clients):
            return None
        return frozenset().union(*(index.clients[name].sessions for name in clients))
    client = index.clients.get(plain_path(journal.path).name)
    return None if client is None else client.sessions


def _is_as_it_was(journal: Journal, client: IndexedClient) -> bool:
    """Whether a journal is still what the index says; one that is compressed cannot change."""
    with suppress(OSError):
        return is_compressed(journal.path) or journal.path.stat().st_size == client.bytes
    return False


def _read_written_us(path: Path) -> float:
    """When a journal was written last; where nobody can tell, it is now."""
    with suppress(OSError):
        return find_stored(path).stat().st_mtime_ns / 1000
    return float("inf")
