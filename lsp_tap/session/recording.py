"""A project's recording: all journals of one folder, folded, and folded on as they grow.

Folding on must come to what folding anew would. It does as long as every fold got its records in the order in which
folding anew reads them: journal by journal, in the order of their start. What breaks that is rare (a journal was
replaced, or a process goes on with a session or a server that another one took over) and makes the recording
*outdated*: it has to be read anew.

Who wants only some sessions gives a `Scope`; then journals of others are not read (`lsp_tap.session.scope`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from lsp_tap.journal import records
from lsp_tap.journal.capture import is_running
from lsp_tap.journal.heads import FrameHead
from lsp_tap.journal.reader import Entry, Journal, JournalReader, Unreadable, read_folder, read_journal
from lsp_tap.journal.retention import Candidate, is_finished
from lsp_tap.journal.stored import plain_path
from lsp_tap.session.clocks import Clock
from lsp_tap.session.history import HistoryFold
from lsp_tap.session.measuring import is_of
from lsp_tap.session.processes import Processes
from lsp_tap.session.scope import Index, IndexedClient, Scope, list_left_out, read_index
from lsp_tap.session.verified import Verification, fold_verification
from lsp_tap.timeline.contents import ContentPool
from lsp_tap.timeline.fold import ServerFold, ServerTimeline

_UNLIKE_MOST: Final = frozenset(
    {records.ProjectObserved, records.TapStarted, records.Dropped, records.TapStopped, records.ClientStopped,
     records.Pruned}
)  # fmt: skip
_Rank: TypeAlias = tuple[int, str]
"""Where a journal is in the order of reading: when it started, and its name."""


@dataclass(slots=True)
class _Followed:
    reader: JournalReader
    pid: int | None
    rank: _Rank
    journal: Journal
    clock: Clock
    process: int | None = None  # the client's number
    stored: tuple[int, int] | None = None  # device and inode of the file it was read from last
    is_superseded: bool = False  # another process goes on where it was
    fold: ServerFold | None = None
    client: records.ClientStarted | None = None
    ended: bool = False
    session_ids: set[str] = field(default_factory=set)

    def is_live(self) -> bool:
        """Whether more may come: not ended by a record, and its recorder still runs."""
        return not self.ended and self.pid is not None and is_running(self.pid)


@dataclass(slots=True)
class Recording:
    """`folder` is the `.opencode-logs`. `read` takes in what is new; `problems` are the places that cannot be read.

    `is_outdated`: what was read since the first time does not go behind what was read before; see above.
    """

    folder: Path
    scope: Scope | None = None
    contents: ContentPool = field(default_factory=ContentPool)
    history: HistoryFold = field(init=False)
    is_outdated: bool = False
    problems: list[tuple[Path, Unreadable]] = field(default_factory=list)
    dropped: int = 0
    _journals: dict[Path, _Followed] = field(default_factory=dict)
    _servers: dict[tuple[str, str, int | None], ServerFold] = field(default_factory=dict)
    _folds: list[ServerFold] = field(default_factory=list)
    _verified: dict[Path, tuple[tuple[int, int], Verification | None]] = field(default_factory=dict)

    _heads: set[Path] = field(default_factory=set)  # journals that were pruned
    _ranks: dict[str, _Rank] = field(default_factory=dict)  # of the newest client journal, by session
    _newest: dict[str, _Rank] = field(default_factory=dict)  # of the newest journal, by kind
    _was_read: bool = False

    def __post_init__(self) -> None:
        self.history = HistoryFold(self.contents)

    @property
    def timelines(self) -> list[ServerTimeline]:
        return [fold.timeline for fold in self._folds]

    @property
    def verifications(self) -> list[Verification]:
        """Those whose numbers replace the recorded ones."""
        return [found for _, found in self._verified.values() if found is not None and found.is_repeatable]

    def find_journals(self, timeline: ServerTimeline) -> list[Path]:
        """The journals behind a timeline, in order of their start."""
        folds = {path: followed.fold for path, followed in self._journals.items()}
        return [path for path, fold in folds.items() if fold is not None and fold.timeline is timeline]

    def read(self) -> bool:
        """Take in what the journals hold now. True if there was anything new."""
        try:
            return self._read()
        except BaseException:  # nobody knows how much was taken in
            self.is_outdated = True
            raise

    def _read(self) -> bool:
        news = []
        known = {path: followed.journal for path, followed in self._journals.items()}
        everything = found = read_folder(self.folder / "tap", known)
        processes, index = Processes(everything), read_index(self.folder / "tap")
        if self.scope is not None:
            needed = self.scope.choose(everything, index, processes) | self._journals.keys()
            found = [journal for journal in everything if plain_path(journal.path) in needed]
        self._look_for_changes(found, processes)
        # Clients first, and whole: their sessions say which servers go together, and their clocks when those started.
        news += [
            self._read_one(self._follow(journal, 0, processes))
            for journal in found
            if journal.kind == "client" and self._is_new(journal)
        ]
        others = [(self._find_shift(journal), journal) for journal in found if journal.kind != "client"]
        for shift_us, journal in sorted(others, key=lambda other: _rank(other[1], other[0])):
            if journal.kind == "verified":
                news.append(self._read_verified(journal))
            elif self._is_new(journal):
                self._follow(journal, shift_us, processes)
        news += [self._read_one(followed) for followed in self._journals.values()]
        if self.scope is not None:
            clients = (followed for followed in self._journals.values() if followed.client is not None)
            self.scope.sessions.update(*(client.session_ids for client in clients))
            needed = self.scope.choose(everything, index, processes)
            self.is_outdated = self.is_outdated or not needed <= {plain_path(journal.path) for journal in found}
        self._was_read = True
        return any(news)

    def _look_for_changes(self, found: Iterable[Journal], processes: Processes) -> None:
        """Notice journals that are gone, cut, or in another file (it may hold less, if they were pruned), and servers
        whose client only now turns out to be another."""
        stored = {plain_path(journal.path): journal.path for journal in found}
        gone = (self._journals.keys() | self._verified.keys()) - stored.keys()
        self.is_outdated = self.is_outdated or bool(gone)
        for path, followed in self._journals.items():
            status = _stat(stored.get(path, path))
            identity = _identify(status)
            is_replaced = followed.stored is not None and identity != followed.stored
            is_cut = status is not None and stored.get(path) == path and status.st_size < followed.reader.offset
            is_of_another = followed.process != processes.find_number(followed.journal)
            self.is_outdated = self.is_outdated or is_replaced or is_cut or is_of_another
            followed.stored = identity

    def _read_verified(self, journal: Journal) -> bool:
        """Read a verification, which is replaced as a whole, unless it is the one already read."""
        try:
            status = journal.path.stat()
        except OSError:
            return False
        path, identity = plain_path(journal.path), (status.st_ino, status.st_mtime_ns)
        if path in self._verified and self._verified[path][0] == identity:
            return False
        entries = list(read_journal(journal.path))
        self.problems += [(journal.path, entry) for entry in entries if isinstance(entry, Unreadable)]
        recorded = [entry for entry in entries if not isinstance(entry, Unreadable)]
        for pruned in (entry for entry in recorded if isinstance(entry, records.Pruned)):
            self._heads.add(path)
            self.history.step(pruned)
        self._verified[path] = identity, fold_verification(recorded)
        return True

    def _is_new(self, journal: Journal) -> bool:
        return journal.is_begun and plain_path(journal.path) not in self._journals

    def _find_shift(self, journal: Journal) -> int:
        """By how much the clock was behind when it started: what its client's had lost then."""
        tap = journal.first
        if not isinstance(tap, records.TapStarted) or tap.client_pid is None:
            return 0
        clients = [(f.client, f.clock) for f in self._journals.values() if f.client and f.pid == tap.client_pid]
        return max((clock.find_shift(client, tap) for client, clock in clients), default=0)

    def _follow(self, journal: Journal, shift_us: int, processes: Processes) -> _Followed:
        path, first, rank = plain_path(journal.path), journal.first, _rank(journal, shift_us)
        if rank < self._newest.get(journal.kind, rank):
            self.is_outdated = True
        self._newest[journal.kind] = rank
        process, stored = processes.find_number(journal), _identify(_stat(journal.path))
        followed = _Followed(JournalReader(path), None, rank, journal, Clock(shift_us), process, stored)
        self._journals[path] = followed
        if isinstance(first, records.TapStarted):
            followed.pid, followed.fold = first.pid, self._find_fold(first, process or first.parent_pid, rank[0])
        elif isinstance(first, records.ClientStarted):
            followed.pid, followed.client = first.pid, first.model_copy(update={"pid": process})
        return followed

    def _find_fold(self, started: records.TapStarted, client: int | None, started_us: int) -> ServerFold:
        """The fold of that server. One that was started again, after its end, goes on in the same fold: by its client,
        or by another process in which a session of that client was resumed."""
        clients = self._clients_sharing_sessions(client)
        earlier = [fold for pid in clients if (fold := self._servers.get((started.name, started.cwd, pid))) is not None]
        for followed in self._journals.values():
            if followed.fold in earlier:
                self._read_one(followed)
                followed.is_superseded = True
        fold = max(earlier, key=lambda fold: fold.timeline.last_time_us, default=None)
        if fold is None or fold.timeline.last_time_us > started_us:
            fold = ServerFold(started.name, self.contents)
            self._folds.append(fold)
        self._servers[started.name, started.cwd, client] = fold
        return fold

    def _clients_sharing_sessions(self, client: int | None) -> set[int | None]:
        shared = (s.clients for s in self.history.sessions.values() if client in s.clients)
        return {client}.union(*shared)

    def _read_one(self, followed: _Followed) -> bool:
        reader, fold, clock = followed.reader, followed.fold, followed.clock
        offset, steps = reader.offset, clock.steps
        if _has_size(reader.path, offset):
            return False
        for read in reader.read_new() if fold is None else reader.read_wanted(_choose(fold, clock)):
            entry: records.Record | None
            if isinstance(read, Unreadable) or type(read) in _UNLIKE_MOST:
                entry = self._read_unlike_most(read, followed)
            else:
                entry = clock.amend(read)
            if entry is None:
                continue
            if fold is not None:
                fold.step(entry)
            else:
                self._step_history(entry, followed)
        if reader.offset != offset and followed.is_superseded:
            self.is_outdated = True
        if followed.client is not None and clock.steps != steps and self._was_read:
            self.is_outdated = True  # servers may have started since
        return reader.offset != offset

    def _read_unlike_most(self, read: Entry, followed: _Followed) -> records.Record | None:
        """One that is `_UNLIKE_MOST`, as it is to be folded; None: not at all."""
        if isinstance(read, Unreadable):
            self.problems.append((followed.reader.path, read))
            return None
        if isinstance(read, records.ProjectObserved):
            return read  # `observed.jsonl` has many writers, and each is told of by its message
        entry = followed.clock.amend(read)
        match entry:
            case records.TapStarted():
                return entry.model_copy(update={"client_pid": followed.process})
            case records.Dropped():
                self.dropped += entry.count
            case records.TapStopped() | records.ClientStopped():
                followed.ended = True
            case records.Pruned():
                self._heads.add(followed.reader.path)
                self.history.step(entry)
                return None
            case _:
                pass
        return entry

    def _step_history(self, entry: records.Record, followed: _Followed) -> None:
        self.history.step(entry, followed.client)
        session_id = getattr(entry, "session_id", None)
        if session_id is None:
            return
        is_new = session_id not in followed.session_ids
        followed.session_ids.add(session_id)
        if followed.client is None:
            return
        rank = self._ranks.setdefault(session_id, followed.rank)
        self._ranks[session_id] = followed.rank
        # Another client goes on with the session: it may be known only now that their servers go together.
        goes_on = is_new and followed.rank > rank and self._was_read
        self.is_outdated = self.is_outdated or followed.rank < rank or goes_on

    def list_prunable(self) -> list[Candidate]:
        """The finished journals of which more than the head is left, each with the sessions that need it; those that
        were not read as far as the index knows them."""
        journals = read_folder(self.folder / "tap")
        index, processes = read_index(self.folder / "tap"), Processes(journals)
        left_out = [] if self.scope is None else [j for j in journals if plain_path(j.path) not in self._journals]
        found = list(list_left_out(left_out, index, processes))
        for journal in journals:
            status = _stat(journal.path) if is_finished(journal) else None
            if status is None:
                continue
            written_us = status.st_mtime_ns // 1000
            sessions = self._find_sessions(journal, written_us)
            if sessions is not None:
                last_us = max([written_us, *(self.history.sessions[session_id].last_us for session_id in sessions)])
                found.append(Candidate(plain_path(journal.path), last_us, status.st_size, sessions))
        return found

    def _find_sessions(self, journal: Journal, written_us: int) -> tuple[str, ...] | None:
        """None: it was pruned already, or is not known yet."""
        path, sessions = plain_path(journal.path), self.history.sessions
        if path in self._heads:
            return None
        if journal.kind == "verified":
            identity, verification = self._verified.get(path, (None, None))
            of = {verification.finished.session_id} if verification else set()
            return None if identity is None else tuple(sorted(of & sessions.keys()))
        followed = self._journals.get(path)
        if followed is None:
            return None
        found = followed.session_ids & sessions.keys()
        if followed.fold is not None and journal.first is not None:
            timeline, started_us = followed.fold.timeline, journal.first.time_us
            found = {
                session.session_id
                for session in sessions.values()
                if is_of(timeline, session) and session.last_us >= started_us
                # What a server was told before a session of its own client is the "before" in it.
                if timeline.clients or session.start_us <= written_us
            }
        return tuple(sorted(found))

    def update_index(self, index: Index) -> Index:
        """With what was read: the sessions of the clients' journals that are finished, and which journals are heads."""
        clients = {
            path.name: IndexedClient(
                followed.reader.offset, frozenset(followed.session_ids | self._list_parents(followed))
            )
            for path, followed in self._journals.items()
            if followed.client is not None and is_finished(followed.journal)
        }
        return Index({**index.clients, **clients}, index.pruned.union(path.name for path in self._heads))

    def _list_parents(self, followed: _Followed) -> set[str]:
        """The sessions whose sub-agents have the journal's sessions."""
        sessions = (self.history.sessions.get(session_id) for session_id in followed.session_ids)
        updates = (session.latest for session in sessions if session is not None)
        return {update.parent_id for update in updates if update is not None and update.parent_id is not None}

    def has_live_recorders(self) -> bool:
        return any(followed.is_live() for followed in self._journals.values())

    def is_waiting(self, since_us: int) -> bool:
        """Whether a live server still owes an answer: a pull, or a report on the last text of a document.

        A server that was told nothing after `since_us` (wall clock) owes none any more: some say nothing where nothing
        changed for them.
        """
        return any(
            followed.fold is not None and _owes(followed.fold, since_us) and followed.is_live()
            for followed in self._journals.values()
        )


def _rank(journal: Journal, shift_us: int) -> _Rank:
    return (journal.first.time_us if journal.first else 0) + shift_us, plain_path(journal.path).name


def _choose(fold: ServerFold, clock: Clock) -> Callable[[FrameHead], bool]:
    return lambda head: fold.choose(clock.amend_head(head))


def _identify(status: os.stat_result | None) -> tuple[int, int] | None:
    return None if status is None else (status.st_dev, status.st_ino)


def _has_size(path: Path, size_bytes: int) -> bool:
    """Whether there is nothing to read behind that place, for sure."""
    status = _stat(path)
    return status is not None and status.st_size == size_bytes


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _owes(fold: ServerFold, since_us: int) -> bool:
    changes = fold.timeline.changes
    return bool(changes) and changes[-1].time_us >= since_us and fold.owes()


def read_recording(folder: Path, scope: Scope | None = None) -> Recording:
    """All that is recorded in a project's `.opencode-logs` as of now, or what is in scope."""
    recording = Recording(folder, scope)
    recording.read()
    while scope is not None and recording.is_outdated:  # more turned out to belong to it
        recording = Recording(folder, scope)
        recording.read()
    return recording
