"""A project's recording: all journals of one folder, folded, and folded on as they grow."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from lsp_tap.journal import records
from lsp_tap.journal.reader import JournalReader, Unreadable, read_folder
from lsp_tap.session.history import HistoryFold
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

    @property
    def timelines(self) -> list[ServerTimeline]:
        return [fold.timeline for fold in self._folds]

    def read(self) -> bool:
        """Take in what the journals hold now. True if there was anything new."""
        for journal in read_folder(self.folder / "tap"):
            if journal.path not in self._journals:
                self._journals[journal.path] = self._follow(journal.path, journal.first)
        news = [self._read_one(followed) for followed in self._journals.values()]
        return any(news)

    def _follow(self, path: Path, first: records.Record | None) -> _Followed:
        match first:
            case records.TapStarted():
                return _Followed(JournalReader(path), first.pid, fold=self._find_fold(first))
            case records.ClientStarted():
                return _Followed(JournalReader(path), first.pid, client=first)
        return _Followed(JournalReader(path), None)

    def _find_fold(self, started: records.TapStarted) -> ServerFold:
        """The fold of that server. One that its client started again, after its end, goes on in the same fold."""
        key = started.name, started.cwd, started.client_pid or started.parent_pid
        fold = self._servers.get(key)
        if fold is not None:
            for followed in self._journals.values():
                if followed.fold is fold:
                    self._read_one(followed)
        if fold is None or fold.timeline.last_time_us > started.time_us:
            fold = self._servers[key] = ServerFold(started.name)
            self._folds.append(fold)
        return fold

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
    last = {change.uri: change for change in timeline.changes}
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
