"""Captures: what a person names (a journal, a folder of them, a session, `last`) as journals, read in order of time."""

from __future__ import annotations

import heapq
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lsp_tap.errors import LspTapError
from lsp_tap.journal.reader import Entry, Journal, Unreadable, read_folder, read_head
from lsp_tap.journal.records import ClientStarted, TapStarted
from lsp_tap.journal.stored import compressed_path, find_stored, is_compressed, plain_path

LAST: Final = "last"
_TAIL_BYTES: Final = 1 << 12
_SESSION_PREFIX_LENGTH: Final = 6
"""Shorter words among others are not taken for the beginning of a session's id."""


class CaptureNotFound(LspTapError):
    """`name` is no capture: `reason` says why and what would be one."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Capture:
    """`taps` hold the LSP traffic, `clients` what the clients did meanwhile, both in order of their start.

    `session_ids`: the sessions that were named. Their taps are whole all the same, since what a server was told before
    a session (`initialize`, open documents) belongs to what it said in it.
    """

    taps: tuple[Journal, ...]
    clients: tuple[Journal, ...] = ()
    session_ids: tuple[str, ...] = ()


@dataclass(slots=True)
class HeardSession:
    """When a session was first and last heard of, and in which client processes. Wall clock, microseconds."""

    first_us: int
    last_us: int
    client_pids: set[int] = field(default_factory=set)


def open_capture(names: Sequence[str], folder: Path) -> Capture:
    """The capture that `names` mean together; without any, all that is recorded in `folder` (the `.opencode-logs`).

    A name is a journal's path, the path of a logs folder or of the `tap` folder in it, or, in `folder`, a session's
    id, the beginning of one, or `last` (the session heard of last; where there is none, the tap that started last).
    Raises CaptureNotFound.
    """
    if not names:
        found = open_folder(folder)
        if not found.taps:
            raise CaptureNotFound(str(folder), "no recordings: run `lsp-tap init` in the project, or name a capture")
        return found
    parts = [_open_name(name, folder) for name in names]
    taps = {os.path.realpath(plain_path(journal.path)): journal for part in parts for journal in part.taps}
    clients = {os.path.realpath(plain_path(journal.path)): journal for part in parts for journal in part.clients}
    sessions = dict.fromkeys(session for part in parts for session in part.session_ids)
    return Capture(_by_start(taps.values()), _by_start(clients.values()), tuple(sessions))


def is_capture_name(name: str, folder: Path) -> bool:
    """Whether `name` names a capture, or can mean nothing else: a path, that may be missing, or a session."""
    if name == LAST or os.path.exists(name) or name.endswith((".jsonl", ".jsonl.zst")):
        return True
    if name.startswith(("/", "./", "../")):
        return True
    if not name.isidentifier() or len(name) < _SESSION_PREFIX_LENGTH:
        return False
    return any(session_id.startswith(name) for session_id in read_sessions(_clients_in(folder)))


def _open_name(name: str, folder: Path) -> Capture:
    path = Path(name)
    if path.is_dir():
        found = open_folder(path)
        if not found.taps:
            raise CaptureNotFound(name, "no recordings of language servers in this folder")
        return found
    if path.is_file() or (name.endswith((".jsonl", ".jsonl.zst")) and compressed_path(path).is_file()):
        return _open_file(path)
    recorded = open_folder(folder)
    heard = read_sessions(recorded.clients)
    if name == LAST and not heard:
        if not recorded.taps:
            raise CaptureNotFound(name, f"nothing is recorded in {folder}")
        return Capture(recorded.taps[-1:])
    begun = [session_id for session_id in heard if session_id.startswith(name)]
    wanted = list(heard)[-1:] if name == LAST else [name] if name in heard else begun
    if len(wanted) != 1:
        reason = "several sessions begin so" if begun else f"no such file, folder, or session in {folder}"
        raise CaptureNotFound(name, reason)
    session = heard[wanted[0]]
    taps = tuple(journal for journal in recorded.taps if _worked_for(journal, session))
    return Capture(taps, recorded.clients, (wanted[0],))


def _open_file(path: Path) -> Capture:
    journal = read_head(path)
    if journal is None:
        raise CaptureNotFound(str(path), "not a journal (lsp_tap/journal/FORMAT.md)")
    if journal.kind not in ("server", "verified"):
        raise CaptureNotFound(str(path), "not a tap's journal: it holds no LSP traffic")
    return Capture((journal,), _clients_in(path.parent))


def open_folder(folder: Path) -> Capture:
    """All that is recorded in a logs folder, or in the `tap` folder in it; empty where that is nothing."""
    inner = folder / "tap" if (folder / "tap").is_dir() else folder
    journals = read_folder(inner)
    taps = tuple(journal for journal in journals if journal.kind == "server")
    return Capture(taps, tuple(journal for journal in journals if journal.kind == "client"))


def _clients_in(folder: Path) -> tuple[Journal, ...]:
    return open_folder(folder).clients


def _by_start(journals: Iterable[Journal]) -> tuple[Journal, ...]:
    return tuple(sorted(journals, key=lambda journal: (journal.first.time_us if journal.first else 0, journal.path)))


def read_sessions(clients: Iterable[Journal]) -> dict[str, HeardSession]:
    """The sessions in clients' journals, in the order in which they were last heard of."""
    heard: dict[str, HeardSession] = {}
    for journal in clients:
        pid = journal.first.pid if isinstance(journal.first, ClientStarted) else None
        for entry in journal:
            session_id = getattr(entry, "session_id", None)
            if isinstance(entry, Unreadable) or not isinstance(session_id, str):
                continue
            session = heard.setdefault(session_id, HeardSession(entry.time_us, entry.time_us))
            session.first_us = min(session.first_us, entry.time_us)
            session.last_us = max(session.last_us, entry.time_us)
            if pid is not None:
                session.client_pids.add(pid)
    return dict(sorted(heard.items(), key=lambda item: (item[1].last_us, item[0])))


def _worked_for(tap: Journal, session: HeardSession) -> bool:
    """Whether a tap ran for a process of that session, and then. Process ids repeat; times decide."""
    if not isinstance(tap.first, TapStarted):
        return False
    client_pid = tap.first.client_pid if tap.first.client_pid is not None else tap.first.parent_pid
    written_us = find_stored(tap.path).stat().st_mtime_ns // 1000
    return client_pid in session.client_pids and tap.first.time_us <= session.last_us and written_us >= session.first_us


def read_merged(journals: Iterable[Journal]) -> Iterator[tuple[Journal, Entry]]:
    """The entries of several journals, by time; those of one journal stay in its order, whatever its clock did."""
    keyed = [_read_keyed(index, journal) for index, journal in enumerate(journals)]
    return (item for _, _, _, item in heapq.merge(*keyed))


def _read_keyed(index: int, journal: Journal) -> Iterator[tuple[int, int, int, tuple[Journal, Entry]]]:
    latest_us = 0
    for number, entry in enumerate(journal):
        if not isinstance(entry, Unreadable):
            latest_us = max(latest_us, entry.time_us)
        yield latest_us, index, number, (journal, entry)


def is_live(tap: Journal) -> bool:
    """Whether a tap may write more: it did not write its end, and its process runs."""
    if not isinstance(tap.first, TapStarted) or is_compressed(tap.path):
        return False
    try:
        with tap.path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
    except OSError:
        return False
    return not _is_end(last) and is_running(tap.first.pid)


def _is_end(line: bytes) -> bool:
    try:
        record = json.loads(line)
    except ValueError:
        return False
    return isinstance(record, dict) and record.get("kind") in ("tap_stopped", "verification_finished")


def is_running(pid: int) -> bool:
    """Whether a process with that id runs, on this machine. On Windows nobody asks: there signal 0 is Ctrl-C."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
