"""A project's recording: all journals of one folder, folded, and folded on as they grow."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from lsp_tap.journal import records
from lsp_tap.journal.reader import Journal, JournalReader, Unreadable, read_folder, read_journal
from lsp_tap.journal.retention import Candidate, is_finished
from lsp_tap.journal.stored import plain_path
from lsp_tap.session.history import HistoryFold
from lsp_tap.session.measuring import is_of
from lsp_tap.session.verified import Verification, fold_verification
from lsp_tap.timeline.fold import ServerFold, ServerTimeline


@dataclass(slots=True)
class _Followed:
    reader: JournalReader
    pid: int | None
    fold: ServerFold | None = None
    client: records.ClientStarted | None = None
    ended: bool = False
    session_ids: set[str] = field(default_factory=set)

    def is_live(self) -> bool:
        """Whether more may come: not ended by a record, and its recorder still runs."""
        return not self.ended and self.pid is not None and _is_running(self.pid)


@dataclass(slots=True)
class Recording:
    """`folder` is the `.opencode-logs`. `read` takes in what is new; `problems` are the places that cannot be read."""

    folder: Path
    history: HistoryFold = field(default_factory=HistoryFold)
    problems: list[tuple[Path, Unreadable]] = field(default_factory=list)
    dropped: int = 0
    _journals: dict[Path, _Followed] = field(default_factory=dict)
    _servers: dict[tuple[str, str, int | None], ServerFold] = field(default_factory=dict)
    _folds: list[ServerFold] = field(default_factory=list)
    _verified: dict[Path, tuple[tuple[int, int], Verification | None]] = field(default_factory=dict)

    _heads: set[Path] = field(default_factory=set)  # journals that were pruned

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
        news = []
        for journal in read_folder(self.folder / "tap"):
            if journal.kind == "verified":
                news.append(self._read_verified(journal))
            elif journal.is_begun and (path := plain_path(journal.path)) not in self._journals:
                followed = self._journals[path] = self._follow(path, journal.first)
                if followed.client is not None:  # at once: its sessions say which servers go together
                    news.append(self._read_one(followed))
        news += [self._read_one(followed) for followed in self._journals.values()]
        return any(news)

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

    def _follow(self, path: Path, first: records.Record | None) -> _Followed:
        match first:
            case records.TapStarted():
                return _Followed(JournalReader(path), first.pid, fold=self._find_fold(first))
            case records.ClientStarted():
                return _Followed(JournalReader(path), first.pid, client=first)
        return _Followed(JournalReader(path), None)

    def _find_fold(self, started: records.TapStarted) -> ServerFold:
        """The fold of that server. One that was started again, after its end, goes on in the same fold: by its client,
        or by another process in which a session of that client was resumed."""
        client = started.client_pid or started.parent_pid
        earlier = [
            self._servers.get((started.name, started.cwd, pid)) for pid in self._clients_sharing_sessions(client)
        ]
        fold = max(filter(None, earlier), key=lambda fold: fold.timeline.last_time_us, default=None)
        if fold is not None:
            for followed in self._journals.values():
                if followed.fold is fold:
                    self._read_one(followed)
        if fold is None or fold.timeline.last_time_us > started.time_us:
            fold = ServerFold(started.name)
            self._folds.append(fold)
        self._servers[started.name, started.cwd, client] = fold
        return fold

    def _clients_sharing_sessions(self, client: int | None) -> set[int | None]:
        shared = (s.client_pids for s in self.history.sessions.values() if client in s.client_pids)
        return {client}.union(*shared)

    def _read_one(self, followed: _Followed) -> bool:
        new = False
        for entry in followed.reader.read_new():
            new = True
            match entry:
                case Unreadable():
                    self.problems.append((followed.reader.path, entry))
                    continue
                case records.Dropped():
                    self.dropped += entry.count
                case records.TapStopped() | records.ClientStopped():
                    followed.ended = True
                case records.Pruned():
                    self._heads.add(followed.reader.path)
                    self.history.step(entry)
                    continue
                case _:
                    pass
            if followed.fold is not None:
                followed.fold.step(entry)
            else:
                self.history.step(entry, followed.client)
                if (session_id := getattr(entry, "session_id", None)) is not None:
                    followed.session_ids.add(session_id)
        return new

    def list_prunable(self) -> list[Candidate]:
        """The finished journals of which more than the head is left, each with the sessions that need it."""
        found = []
        for journal in read_folder(self.folder / "tap"):
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
                if timeline.client_pids or session.start_us <= written_us
            }
        return tuple(sorted(found))

    def has_live_recorders(self) -> bool:
        return any(followed.is_live() for followed in self._journals.values())

    def is_waiting(self, since_us: int) -> bool:
        """Whether a live server still owes an answer: a pull, or a report on the last text of a document.

        A server that was told nothing after `since_us` (wall clock) owes none any more: some say nothing where nothing
        changed for them.
        """
        return any(
            followed.fold is not None and followed.is_live() and _owes(followed.fold.timeline, since_us)
            for followed in self._journals.values()
        )


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _owes(timeline: ServerTimeline, since_us: int) -> bool:
    if not timeline.changes or timeline.changes[-1].time_us < since_us:
        return False
    if timeline.pulls_unanswered:
        return True
    last = {change.uri: change for change in timeline.changes if change.order > timeline.started_order}
    reported = {report.change for report in timeline.reports}
    return any(change.altered and change not in reported for change in last.values())


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def read_recording(folder: Path) -> Recording:
    """All that is recorded in a project's `.opencode-logs`, as of now."""
    recording = Recording(folder)
    recording.read()
    return recording
