"""States: what a server had said of each document, at any moment of its timeline.

- A report describes the moment of its `as_of` (`fold`), but those that a change brought belong right behind it: the
  first report on a version, however late it comes, and every one that comes while the call that wrote the version still
  waits for the server. (Two files written at once: the report on the first comes after the change of the second.) Later
  reports on the same text belong to what happened in between.
- A server may speak through several channels. An answer on a newer text replaces the answers on older ones, whatever
  identifier they were asked with: whoever asks again, asks every registration again. And what two channels said of one
  text is one finding: whichever of them speaks later decides about it. (ruff pushes the old findings once more before
  every change and answers pulls after it; pyright is asked with and without an identifier by the client, and with one
  by the tap.)
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final

from lsp_tap.timeline.contents import EMPTY_CONTENT, Content
from lsp_tap.timeline.diagnostics import Diagnostic
from lsp_tap.timeline.fold import Change, Report, ServerTimeline

_AS_OF: Final = attrgetter("as_of")
_MOMENT: Final = attrgetter("as_of", "time_us")


@dataclass(frozen=True, slots=True)
class DocumentState:
    """What was last said of a document: the union of all channels, and the text it speaks of (None: never sent)."""

    diagnostics: tuple[Diagnostic, ...]
    content: Content | None

    @property
    def text(self) -> str | None:
        return None if self.content is None else self.content.text

    def moved_to(self, uri: str) -> DocumentState:
        return DocumentState(tuple(replace(d, uri=uri) for d in self.diagnostics), self.content)


State = Mapping[str, DocumentState]
EMPTY: Final = DocumentState((), EMPTY_CONTENT)


_NO_ENTRIES: Final[tuple[list[int], list[DocumentState | None]]] = ([], [])


class StateLog:
    """The states of all documents at all steps: of each document, when it became what."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[list[int], list[DocumentState | None]]] = {}

    def set(self, uri: str, number: int, state: DocumentState | None) -> None:
        """What the document is from step `number` on; None: not known on both sides of it."""
        if self.find(uri, number) != state:
            numbers, states = self._entries.setdefault(uri, ([], []))
            numbers.append(number)
            states.append(state)

    def cut(self, number: int) -> None:
        """Forget what was said of step `number` and those after it."""
        for numbers, states in self._entries.values():
            while numbers and numbers[-1] >= number:
                numbers.pop()
                states.pop()
        self._entries = {uri: entry for uri, entry in self._entries.items() if entry[0]}

    def find(self, uri: str, number: int) -> DocumentState | None:
        numbers, states = self._entries.get(uri, _NO_ENTRIES)
        if numbers and numbers[-1] <= number:
            return states[-1]
        at = bisect_right(numbers, number)
        return states[at - 1] if at else None

    def list_known(self, number: int) -> list[str]:
        return [uri for uri in self._entries if self.find(uri, number) is not None]

    def list_states(self, number: int) -> list[tuple[str, DocumentState]]:
        found = []
        for uri, (numbers, states) in self._entries.items():
            at = len(numbers) if numbers[-1] <= number else bisect_right(numbers, number)
            state = states[at - 1] if at else None
            if state is not None:
                found.append((uri, state))
        return found


class StateAt(Mapping[str, DocumentState]):
    """The states at one step, of which `changed` are others."""

    __slots__ = ("_changed", "_log", "_number")

    def __init__(self, log: StateLog, number: int, changed: State) -> None:
        self._log, self._number, self._changed = log, number, changed

    def find(self, uri: str) -> DocumentState | None:
        """As `get`, but faster."""
        return self._changed.get(uri) or self._log.find(uri, self._number)

    def __getitem__(self, uri: str) -> DocumentState:
        state = self.find(uri)
        if state is None:
            raise KeyError(uri)
        return state

    def __iter__(self) -> Iterator[str]:
        return iter(self._log.list_known(self._number))

    def __len__(self) -> int:
        return len(self._log.list_known(self._number))

    def list_all(self) -> list[tuple[str, DocumentState]]:
        """As `items`, but faster."""
        return [(uri, self._changed.get(uri) or state) for uri, state in self._log.list_states(self._number)]


class PlacedReports:
    """The reports of a timeline in the order of the moments to which they belong: `all`, and those `of` each document.

    `find_patience` says until when (wall clock, microseconds; None: unknown) who made a change waited for the server.
    """

    def __init__(self, timeline: ServerTimeline, find_patience: Callable[[Change], int | None] | None = None) -> None:
        self._timeline, self._find_patience = timeline, find_patience
        self._clear()

    def _clear(self) -> None:
        self.all: list[Report] = []
        self.of: dict[str, list[Report]] = {}
        self._patience: dict[Change, int | None] = {}
        self._placed = 0

    def update(self) -> Sequence[Report]:
        """Take in what is new, and return that."""
        if self._find_patience and [*map(self._find_patience, self._patience)] != [*self._patience.values()]:
            self._clear()
        new = self._timeline.reports[self._placed :]
        for report in new:
            placed = self._place(report)
            _insert(self.all, placed)
            _insert(self.of.setdefault(report.uri, []), placed)
        self._placed += len(new)
        return new

    def _place(self, report: Report) -> Report:
        change = report.change
        if change is None:
            return report
        if self._find_patience and change not in self._patience:
            self._patience[change] = self._find_patience(change)
        if report.time_us <= (self._patience.get(change) or 0) or self._is_first(change, report.channel):
            return report.placed_at(min(report.as_of, change.order + 0.5))
        return report

    def _is_first(self, change: Change, channel: str) -> bool:
        reports = self.of.get(change.uri, [])
        since = bisect_left(reports, change.order, key=_AS_OF)  # none describes a moment before the text it is on
        return not any(report.change is change and report.channel == channel for report in reports[since:])

    def first_on(self, change: Change) -> Report | None:
        """The first report that describes the text of `change` (which may have been sent again since, unaltered)."""
        reports = self.of.get(change.uri, [])
        at = bisect_left(reports, change.order, key=_AS_OF)
        described = reports[at].change if at < len(reports) else None
        return reports[at] if described and described.content == change.content else None

    def said_before(self, change: Change) -> bool:
        reports = self.of.get(change.uri, [])
        return bool(reports) and reports[0].as_of < change.order


def _insert(reports: list[Report], report: Report) -> None:
    if reports and _MOMENT(reports[-1]) > _MOMENT(report):
        insort(reports, report, key=_MOMENT)
    else:
        reports.append(report)


class States:
    """The states of all documents, from moment to moment. `reports` are in order; `heard` of them were."""

    def __init__(self, reports: Sequence[Report]) -> None:
        self._reports = reports
        self.heard = 0
        self._channels: dict[str, Mapping[str, Report]] = {}  # without what another channel has taken over
        self._latest: dict[str, Mapping[str, Report]] = {}  # by document and channel, whole
        self._gone: dict[str, float] = {}  # documents that are no more, since which order
        self._state: dict[str, DocumentState] = {}
        self._assumed: set[str] = set()

    def go_on(self, reports: Sequence[Report]) -> States:
        """A copy that goes on with `reports`, of which those that were heard are the same."""
        other = copy(self)
        other._reports = reports
        other._channels, other._latest = dict(self._channels), dict(self._latest)
        other._gone, other._state, other._assumed = dict(self._gone), dict(self._state), set(self._assumed)
        return other

    def hear_until(self, order: float) -> dict[str, DocumentState | None]:
        """Go on to just before `order`, which never goes back from call to call. The documents that something was said
        of, with their states before.
        """
        touched = {}
        while self.heard < len(self._reports) and self._reports[self.heard].as_of < order:
            report = self._reports[self.heard]
            self.heard += 1
            if report.change is None or report.change.order >= self._gone.get(report.uri, 0):
                self._hear(report)
                touched[report.uri] = self._state.get(report.uri)
        for uri in touched:
            self._state[uri] = _unite(self._channels[uri].values())
            self._assumed.discard(uri)
        return touched

    def find(self, uri: str) -> DocumentState | None:
        return self._state.get(uri)

    def assume(self, uri: str, state: DocumentState) -> DocumentState:
        """The state of a document of which nothing was said yet."""
        if uri not in self._channels:
            self._state[uri] = state
            self._assumed.add(uri)
        return state

    def is_assumed(self, uri: str) -> bool:
        return uri in self._assumed

    def forget(self, uri: str, since: float) -> None:
        """The document is no more; it is heard of again if it is opened again. Clients do not close what they move or
        delete, so the server goes on about it."""
        self._channels.pop(uri, None)
        self._latest.pop(uri, None)
        self._state.pop(uri, None)
        self._gone[uri] = since

    def _hear(self, report: Report) -> None:
        channels = dict(self._channels.get(report.uri, {}))
        latest = dict(self._latest.get(report.uri, {}))
        replaced = [
            other
            for other in latest.values()
            if other.channel == report.channel
            or (_is_answer(other) and _is_answer(report) and not _speak_of_one_text(other, report))
        ]
        for name, other in channels.items():
            decided = {d for r in replaced if r.channel == name or _speak_of_one_text(r, other) for d in r.diagnostics}
            if decided:
                kept = tuple(d for d in other.diagnostics if d not in decided)
                channels[name] = replace(other, diagnostics=kept)
        latest[report.channel] = channels[report.channel] = report
        self._channels[report.uri], self._latest[report.uri] = channels, latest


def find_state(timeline: ServerTimeline, until_us: int) -> State:
    """The state of all documents by what had arrived at `until_us` (wall clock)."""
    return StateFinder(timeline).find(until_us)


class StateFinder:
    """Finds the states of a timeline at many times: of each document anew only if something was said of it since."""

    def __init__(self, timeline: ServerTimeline) -> None:
        self._placed = PlacedReports(timeline)
        self._times_us: dict[str, list[int]] = {}
        self._found: dict[str, tuple[int, DocumentState | None]] = {}
        self.update()

    def update(self) -> None:
        """Take in what was said meanwhile."""
        for report in self._placed.update():
            insort(self._times_us.setdefault(report.uri, []), report.time_us)
            self._found.pop(report.uri, None)

    def find(self, until_us: int) -> State:
        """By what had arrived at `until_us` (wall clock)."""
        found = ((uri, self._find(uri, until_us)) for uri in self._times_us)
        return {uri: state for uri, state in found if state is not None}

    def _find(self, uri: str, until_us: int) -> DocumentState | None:
        count = bisect_right(self._times_us[uri], until_us)
        known = self._found.get(uri, (0, None))
        if count != known[0]:
            states = States([report for report in self._placed.of[uri] if report.time_us <= until_us])
            states.hear_until(float("inf"))
            known = self._found[uri] = count, states.find(uri)
        return known[1]


def _is_answer(report: Report) -> bool:
    return report.channel.startswith("pull:")


def _speak_of_one_text(one: Report, other: Report) -> bool:
    if one.change is None or other.change is None:
        return one.change is other.change
    return one.change.content == other.change.content


def _unite(reports: Iterable[Report]) -> DocumentState:
    """Last push united with the last pull of each identifier; what both say counts once."""
    ordered: Sequence[Report] = sorted(reports, key=_AS_OF)
    newest = ordered[-1].change
    together = {diagnostic for report in ordered for diagnostic in report.diagnostics}
    return DocumentState(tuple(sorted(together)), newest.content if newest else None)
