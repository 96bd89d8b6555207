"""A project's recording: all journals of one folder, folded, and folded on as they grow."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from lsp_tap.journal import records
from lsp_tap.journal.reader import Journal, JournalReader, Unreadable, read_folder, read_journal
from lsp_tap.session.history import HistoryFold
from lsp_tap.session.verified import Verification, fold_verification
from lsp_tap.timeline.fold import ServerFold, ServerTimeline


@dataclass(slots=True)
class _Followed:
    reader: JournalReader
    pid: int | None
    fold: ServerFold | None = None
    client: records.ClientStarted | None = None
    ended: bool = False

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
    _verified: dict[Path, tuple[int, Verification | None]] = field(default_factory=dict)

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
            elif journal.path not in self._journals:
                followed = self._journals[journal.path] = self._follow(journal.path, journal.first)
                if followed.client is not None:  # at once: its sessions say which servers go together
                    news.append(self._read_one(followed))
        news += [self._read_one(followed) for followed in self._journals.values()]
        return any(news)

    def _read_verified(self, journal: Journal) -> bool:
        """Read a verification, which is replaced as a whole, unless it is the one already read."""
        try:
            inode = journal.path.stat().st_ino
        except OSError:
            return False
        if self._verified.get(journal.path, (0, None))[0] == inode:
            return False
        entries = list(read_journal(journal.path))
        self.problems += [(journal.path, entry) for entry in entries if isinstance(entry, Unreadable)]
        recorded = [entry for entry in entries if not isinstance(entry, Unreadable)]
        self._verified[journal.path] = inode, fold_verification(recorded)
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
                case _:
                    pass
            if followed.fold is not None:
                followed.fold.step(entry)
            else:
                self.history.step(entry, followed.client)
        return new

    def has_live_recorders(self) -> bool:
        return any(followed.is_live() for followed in self._journals.values())

    def is_waiting(self) -> bool:
        """Whether a live server still owes an answer: a pull, or a report on the last text of a document."""
        return any(
            followed.fold is not None and followed.is_live() and _owes(followed.fold.timeline)
            for followed in self._journals.values()
        )


def _owes(timeline: ServerTimeline) -> bool:
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
