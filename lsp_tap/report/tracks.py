"""What a server said of each document over time, with its doubts.

A track is made of the timeline's steps, so that it says what the numbers of the edits say. It is a row of stretches,
each with the errors that were last said of the document and how much that is worth:

| doubt | what it is |
|---|---|
| `fresh` | the server spoke of the very text |
| `waiting` | the text has changed, and the answer to it came later: the count, if there is one, is of the text before |
| `stale` | the text has changed, and no answer to it ever came |
| `timed-out` | nothing was ever said: there is no count |
| `server-dead` | the server had crashed: there is no count |

Where a track has no stretch, nobody knew of the document: that is a gap, not a zero.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from lsp_tap.session.history import Call
from lsp_tap.session.ownership import OwnedStep
from lsp_tap.timeline.diagnostics import Severity
from lsp_tap.timeline.fold import Change, Report, ServerTimeline
from lsp_tap.timeline.states import DocumentState, find_state

Doubt = Literal["fresh", "waiting", "stale", "timed-out", "server-dead", "unknown"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """From one time to another, wall clock in microseconds. The counts are None where nobody knows."""

    from_us: int
    to_us: int
    errors: int | None
    warnings: int | None
    doubt: Doubt


@dataclass(frozen=True, slots=True)
class VersionMark:
    """A text the server was told of. `altered`: it was new to it. `owner`: whose call wrote it; None: nobody's."""

    time_us: int
    version: int | None
    altered: bool
    owner: Call | None


@dataclass(slots=True)
class Track:
    """One document at one server. `stretches` are in order and do not overlap."""

    server: str
    uri: str
    stretches: list[Stretch] = field(default_factory=list)
    versions: list[VersionMark] = field(default_factory=list)

    def cut(self, from_us: int, to_us: int) -> Track:
        """The part between two times."""
        kept = [
            replace(stretch, from_us=max(stretch.from_us, from_us), to_us=min(stretch.to_us, to_us))
            for stretch in self.stretches
            if stretch.from_us <= to_us and stretch.to_us > from_us
        ]
        versions = [mark for mark in self.versions if from_us <= mark.time_us <= to_us]
        return Track(self.server, self.uri, kept, versions)


@dataclass(frozen=True, slots=True)
class _Said:
    """From a time on: what a document's count is."""

    time_us: int
    errors: int | None
    warnings: int | None
    doubt: Doubt


def fold_tracks(timeline: ServerTimeline, steps: Sequence[OwnedStep], end_us: int) -> list[Track]:
    """The tracks of a server's documents, in the order in which they became known. `end_us`: where they end."""
    fold = _Fold(timeline, [owned for owned in steps if owned.recorded_us is None])
    owner_of = {owned.step.cause: owned.owner for owned in steps if isinstance(owned.step.cause, Change)}
    tracks: dict[str, Track] = {}
    for change in timeline.changes:
        mark = VersionMark(change.time_us, change.version, change in owner_of, owner_of.get(change))
        tracks.setdefault(change.uri, Track(timeline.name, change.uri)).versions.append(mark)
    for report in timeline.reports:
        tracks.setdefault(report.uri, Track(timeline.name, report.uri))
    deaths = _find_deaths(timeline, end_us)
    for uri, track in tracks.items():
        said = sorted(fold.list_said(uri), key=lambda one: one.time_us)  # stable: the later said wins
        track.stretches = _bury(_make_stretches(said, end_us), deaths)
    return list(tracks.values())


class _Fold:
    def __init__(self, timeline: ServerTimeline, steps: Sequence[OwnedStep]) -> None:
        self._steps = [owned.step for owned in steps]
        self._starts = [owned.time_us for owned in steps]
        self._final = find_state(timeline, timeline.last_time_us)
        self._reports: dict[str, list[Report]] = {}
        for report in timeline.reports:
            self._reports.setdefault(report.uri, []).append(report)
        self._about: dict[str, list[int]] = {}
        for number, step in enumerate(self._steps):
            for uri in {*step.matchings, *filter(None, (step.uri, step.origin))}:
                self._about.setdefault(uri, []).append(number)

    def list_said(self, uri: str) -> Iterable[_Said]:
        about = self._about.get(uri, [])
        reports = self._reports.get(uri, [])
        first_us = reports[0].time_us if reports else None
        starts = self._starts[about[0]] if about else None
        if first_us is not None and (starts is None or first_us < starts):
            yield _count(self._find_before(uri, about), first_us, "fresh")
        for place, number in enumerate(about):
            follows = about[place + 1 :]
            next_us = next((self._starts[n] for n in follows if self._steps[n].uri == uri), None)
            yield from self._list_said_in(uri, number, follows, next_us)

    def _list_said_in(self, uri: str, number: int, follows: Sequence[int], next_us: int | None) -> Iterable[_Said]:
        step, start_us = self._steps[number], self._starts[number]
        if step.origin == uri:
            yield _Said(start_us, None, None, "unknown")
            return
        after = step.after.get(uri) or self._find_before(uri, follows)
        if step.uri != uri:
            yield _count(after, self._find_last_report(uri, number), "fresh")
            return
        before = step.before.get(uri)
        match step.freshness:
            case "fresh" if step.settled_us is not None and (next_us is None or step.settled_us < next_us):
                yield _count(before, start_us, "waiting")
                yield _count(after, step.settled_us, "fresh")
            case "fresh":
                yield _count(before, start_us, "waiting")
                if next_us is not None:
                    yield _count(after, next_us, "waiting")
            case "stale":
                yield _count(before, start_us, "stale")
            case "timed-out":
                yield _Said(start_us, None, None, "timed-out")
            case _:
                yield _count(before, start_us, "waiting")

    def _find_before(self, uri: str, about: Sequence[int]) -> DocumentState | None:
        """The state that the next step to concern the document found."""
        for number in about:
            if uri in self._steps[number].before:
                return self._steps[number].before[uri]
        return self._final.get(uri)

    def _find_last_report(self, uri: str, number: int) -> int:
        """When, within a step, the document was last spoken of: that is when a change elsewhere showed in it."""
        start_us = self._starts[number]
        limit_us = self._starts[number + 1] if number + 1 < len(self._starts) else None
        reports = self._reports.get(uri, [])
        end = len(reports) if limit_us is None else bisect_left(reports, limit_us, key=lambda r: r.time_us)
        at = bisect_right(reports, start_us, key=lambda r: r.time_us)
        return reports[end - 1].time_us if at < end else start_us


def _count(state: DocumentState | None, time_us: int, doubt: Doubt) -> _Said:
    if state is None:
        return _Said(time_us, None, None, doubt)
    errors = sum(d.severity is Severity.ERROR for d in state.diagnostics)
    return _Said(time_us, errors, sum(d.severity is Severity.WARNING for d in state.diagnostics), doubt)


def _make_stretches(said: Sequence[_Said], end_us: int) -> list[Stretch]:
    stretches: list[Stretch] = []
    for number, one in enumerate(said):
        to_us = said[number + 1].time_us if number + 1 < len(said) else max(end_us, one.time_us)
        if one.doubt == "unknown" or to_us <= one.time_us:
            continue
        stretch = Stretch(one.time_us, to_us, one.errors, one.warnings, one.doubt)
        last = stretches[-1] if stretches else None
        if (
            last
            and last.to_us == one.time_us
            and replace(last, from_us=0, to_us=0) == replace(stretch, from_us=0, to_us=0)
        ):
            stretches[-1] = replace(last, to_us=to_us)
        else:
            stretches.append(stretch)
    return stretches


def _find_deaths(timeline: ServerTimeline, end_us: int) -> list[tuple[int, int]]:
    """From each crash until the server was started again."""
    found = []
    for ending in timeline.endings:
        if ending.crashed:
            restarted = timeline.times_us[ending.order] if ending.order < len(timeline.times_us) else end_us
            found.append((ending.time_us, max(restarted, ending.time_us)))
    return found


def _bury(stretches: Sequence[Stretch], deaths: Sequence[tuple[int, int]]) -> list[Stretch]:
    """The stretches without the times in which the server was dead; after one, what is carried on is stale."""
    for dead_us, risen_us in deaths:
        parts = []
        known = False
        for stretch in stretches:
            known = known or stretch.from_us <= dead_us
            if stretch.from_us < dead_us:
                parts.append(replace(stretch, to_us=min(stretch.to_us, dead_us)))
            if stretch.to_us > risen_us:
                carried = stretch.from_us < dead_us and stretch.doubt in ("fresh", "waiting")
                doubt: Doubt = "stale" if carried else stretch.doubt
                parts.append(replace(stretch, from_us=max(stretch.from_us, risen_us), doubt=doubt))
        if known and dead_us < risen_us:
            parts.append(Stretch(dead_us, risen_us, None, None, "server-dead"))
        stretches = sorted(parts, key=lambda part: part.from_us)
    return list(stretches)
