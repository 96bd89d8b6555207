"""From changes and reports to steps: what each thing that happened cleared and introduced, on all documents.

The life of a diagnostic, before the code:

- A *step* begins when something is altered: the text of a document the server has (a `Change`), or something else that
  may bear on it (a `Mark`: a command that ran, a configuration file, a deletion). It ends where the next one begins.
- Its state is what the server last said of every document by then; its *before* is the state of the step before it. So
  the steps telescope: over any run of them, introduced minus cleared is the last state's size minus the first's.
- The first report on a version belongs to the change that made it, however late it comes, and so does every report that
  comes while the call that wrote it still waits for the server. (Two files written at once: the report on the first
  comes after the change of the second.) Later reports on the same text belong to what happened in between.
- A document whose state was not known before it was altered has no *before*: it joins the state with the first thing
  the server says of it, and until then counts on neither side. A document that a call created has a known empty one;
  one that was moved takes its state along; one that was deleted has none left.
- A document first reported in the middle, and not altered until then, is taken to have been so all along.
- A report older than the change (nothing newer came) is carried on; the step's freshness says so.
- A server may speak through several channels. An answer on a newer text replaces the answers on older ones, whatever
  identifier they were asked with: whoever asks again, asks every registration again. And what two channels said of one
  text is one finding: whichever of them speaks later decides about it. (ruff pushes the old findings once more before
  every change and answers pulls after it; pyright is asked with and without an identifier by the client, and with one
  by the tap.)
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, Protocol

from lsp_tap.timeline.contents import EMPTY_CONTENT, Content
from lsp_tap.timeline.diagnostics import Diagnostic
from lsp_tap.timeline.fold import Change, Report, ServerTimeline
from lsp_tap.timeline.identity import Matching, match_diagnostics
from lsp_tap.timeline.linemap import LineMap

Freshness = Literal["fresh", "stale", "timed-out", "server-dead", "no-server"]
FRESHNESS_ORDER: tuple[Freshness, ...] = ("fresh", "stale", "timed-out", "server-dead", "no-server")
"""From sure to knowing nothing. A sum is as sure as its least sure part."""


@dataclass(frozen=True, slots=True)
class FirstSight:
    """What a server's first sight of a document was: as it stood (`read`), newly made (`created`), after somebody had
    already changed it (`written`), or under a new name (`moved` from the document `origin`)."""

    kind: Literal["read", "created", "written", "moved"]
    origin: str | None = None


READ = FirstSight("read")


@dataclass(frozen=True, slots=True)
class Mark:
    """Something other than a document was altered at `time_us` (wall clock). `by` names who did it; `deleted` are the
    documents that were deleted by it."""

    time_us: int
    by: str
    deleted: tuple[str, ...] = ()


class Knowledge(Protocol):
    """What those who altered things know, and the wire does not."""

    def find_first_sight(self, change: Change) -> FirstSight:
        """Asked for a change whose document the server did not know before."""

    def find_patience(self, change: Change) -> int | None:
        """Until when (wall clock, microseconds) the one who made `change` waited for the server; None: unknown."""

    def list_marks(self) -> Sequence[Mark]:
        """In the order of time."""


class _Nothing:
    def find_first_sight(self, change: Change) -> FirstSight:
        return READ

    def find_patience(self, change: Change) -> int | None:
        return None

    def list_marks(self) -> Sequence[Mark]:
        return ()


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
EMPTY = DocumentState((), EMPTY_CONTENT)


class _StateLog:
    """The states of all documents at all steps: of each document, when it became what."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[list[int], list[DocumentState | None]]] = {}

    def set(self, uri: str, number: int, state: DocumentState | None) -> None:
        """What the document is from step `number` on; None: not known on both sides of it."""
        if self.find(uri, number) != state:
            numbers, states = self._entries.setdefault(uri, ([], []))
            numbers.append(number)
            states.append(state)

    def find(self, uri: str, number: int) -> DocumentState | None:
        numbers, states = self._entries.get(uri, ((), ()))
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

    def __init__(self, log: _StateLog, number: int, changed: State) -> None:
        self._log, self._number, self._changed = log, number, changed

    def __getitem__(self, uri: str) -> DocumentState:
        state = self._changed.get(uri) or self._log.find(uri, self._number)
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


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """`before` and `after` hold the documents known on both sides; `matchings` those of them that differ.

    `cause` is what was altered. `settled_us`: wall clock of the first report on a changed text; None: there was none.
    `blind`: the document was altered before the server had ever seen it. `origin`: the document it was moved from.
    `touched`: all documents that are other than they were after the step before this one, or may be.
    """

    server: str
    cause: Change | Mark
    before: StateAt
    after: StateAt
    touched: Sequence[str]
    matchings: Mapping[str, Matching]
    freshness: Freshness
    settled_us: int | None = None
    blind: bool = False
    origin: str | None = None

    @property
    def uri(self) -> str | None:
        """The document whose text was altered."""
        return self.cause.uri if isinstance(self.cause, Change) else None


# Whoever writes a session again asks the same of all but its last steps.
@lru_cache(maxsize=1024)
def match_documents(before: DocumentState, after: DocumentState) -> Matching:
    """Match two states of one document."""
    if before.diagnostics and after.diagnostics:
        return match_diagnostics(before.diagnostics, after.diagnostics, map_lines(before.content, after.content))
    return Matching((), before.diagnostics, after.diagnostics)


@lru_cache(maxsize=32)
def map_lines(old: Content | None, new: Content | None) -> LineMap:
    """Where the lines of one text are in another."""
    return LineMap(None if old is None else old.text, None if new is None else new.text)


def find_steps(timeline: ServerTimeline, knowledge: Knowledge | None = None) -> list[Step]:
    """All steps of a server, in order. Marks that made no difference are none."""
    knowledge = knowledge or _Nothing()
    sights = {c: knowledge.find_first_sight(c) for c in timeline.changes if c.earlier is None}
    altering = [c for c in timeline.changes if c.altered or sights.get(c, READ) is not READ]
    causes: list[tuple[float, Change | Mark]] = [(c.order, c) for c in altering]
    causes += [(bisect_right(timeline.times_us, m.time_us) + 0.75, m) for m in knowledge.list_marks()]
    causes.sort(key=lambda cause: cause[0])
    states = _States(_place(timeline.reports, knowledge))
    walk = _Walk(timeline, states, sights, set(states.hear_until(causes[0][0])) if causes else set())
    steps: list[Step] = []
    for number, (begins, cause) in enumerate(causes):
        ends = causes[number + 1][0] if number + 1 < len(causes) else float("inf")
        step = walk.take_step(number, cause, begins, ends)
        if isinstance(cause, Change) or step.matchings:
            steps.append(step)
            walk.touched = set()
    return steps


class _Walk:
    """Goes from cause to cause, and looks only at the documents that something was said or done about."""

    def __init__(
        self, timeline: ServerTimeline, states: _States, sights: Mapping[Change, FirstSight], touched: set[str]
    ) -> None:
        self._timeline, self._states, self._sights = timeline, states, sights
        self._log = _StateLog()
        self._last: set[str] = set(touched)
        self.touched: set[str] = set(touched)  # since the last step that was one

    def take_step(self, number: int, cause: Change | Mark, begins: float, ends: float) -> Step:
        """One step; its `before` has what only became known now."""
        states = self._states
        sight = self._sights.get(cause, READ) if isinstance(cause, Change) else READ
        uri = cause.uri if isinstance(cause, Change) else None
        gone = cause.deleted if isinstance(cause, Mark) else ()
        found: dict[str, DocumentState | None] = {}  # what the cause itself says of the state before
        if uri is not None and sight.kind == "created":
            found[uri] = states.assume(uri, EMPTY)
        elif uri is not None and sight.kind == "written":
            found[uri] = None
        elif uri is not None and sight.origin is not None and (moved := states.find(sight.origin)) is not None:
            found[sight.origin] = None
            found[uri] = states.assume(uri, moved.moved_to(uri))
            states.forget(sight.origin, begins)
        for deleted in gone:
            found[deleted] = states.find(deleted)
            states.forget(deleted, begins)
        heard = states.hear_until(ends)
        now = {*heard, *found}
        changed: dict[str, DocumentState] = {}
        for other in sorted(now | self._last):
            after = states.find(other)
            before = found[other] if other in found else heard.get(other, after)
            if after is None and before is not None and other in gone:
                after = EMPTY
            if before is None and not (sight.kind == "written" and other == uri):
                before = after  # first heard of now and not altered: it was so before
            if before is None or after is None or states.is_assumed(other):
                self._log.set(other, number, None)
                continue
            self._log.set(other, number, after)
            if before != after:
                changed[other] = before
        self.touched |= now | self._last
        self._last = now
        after_all = StateAt(self._log, number, {})
        fresh = states.first_on(cause) if isinstance(cause, Change) else None
        return Step(
            server=self._timeline.name,
            cause=cause,
            before=StateAt(self._log, number, changed),
            after=after_all,
            touched=tuple(sorted(self.touched)),
            matchings={other: match_documents(before, after_all[other]) for other, before in changed.items()},
            freshness=_judge_freshness(self._timeline, cause, fresh, states) if isinstance(cause, Change) else "fresh",
            settled_us=fresh.time_us if fresh else None,
            blind=sight.kind == "written",
            origin=sight.origin if sight.kind == "moved" and uri in after_all else None,
        )


def _judge_freshness(timeline: ServerTimeline, change: Change, fresh: Report | None, states: _States) -> Freshness:
    if fresh is not None:
        return "fresh"
    ending = next((ending for ending in timeline.endings if ending.order > change.order), None)
    if ending is not None and ending.crashed:
        return "server-dead"
    return "stale" if states.said_before(change) else "timed-out"


def find_state(timeline: ServerTimeline, until_us: int) -> State:
    """The state of all documents by what had arrived at `until_us` (wall clock)."""
    return StateFinder(timeline).find(until_us)


class StateFinder:
    """Finds the states of a timeline at many times: of each document anew only if something was said of it since."""

    def __init__(self, timeline: ServerTimeline) -> None:
        self._reports: dict[str, list[Report]] = {}
        for report in _place(timeline.reports, _Nothing()):
            self._reports.setdefault(report.uri, []).append(report)
        self._times_us = {uri: sorted(r.time_us for r in reports) for uri, reports in self._reports.items()}
        self._found: dict[str, tuple[int, DocumentState | None]] = {}

    def find(self, until_us: int) -> State:
        """By what had arrived at `until_us` (wall clock)."""
        found = ((uri, self._find(uri, until_us)) for uri in self._reports)
        return {uri: state for uri, state in found if state is not None}

    def _find(self, uri: str, until_us: int) -> DocumentState | None:
        count = bisect_right(self._times_us[uri], until_us)
        known = self._found.get(uri, (0, None))
        if count != known[0]:
            states = _States(report for report in self._reports[uri] if report.time_us <= until_us)
            states.hear_until(float("inf"))
            known = self._found[uri] = count, states.find(uri)
        return known[1]


class _States:
    """Reports by the moment they describe."""

    def __init__(self, reports: Iterable[Report]) -> None:
        self._reports = sorted(reports, key=lambda report: (report.as_of, report.time_us))
        self._next = 0
        self._channels: dict[str, dict[str, Report]] = {}  # without what another channel has taken over
        self._latest: dict[str, dict[str, Report]] = {}  # by document and channel, whole
        self._gone: dict[str, float] = {}  # documents that are no more, since which order
        self._state: dict[str, DocumentState] = {}
        self._assumed: set[str] = set()
        self._by_uri: dict[str, list[Report]] = {}
        for report in self._reports:
            self._by_uri.setdefault(report.uri, []).append(report)

    def hear_until(self, order: float) -> dict[str, DocumentState | None]:
        """Go on to just before `order`, which never goes back from call to call. The documents that something was said
        of, with their states before.
        """
        touched = {}
        while self._next < len(self._reports) and self._reports[self._next].as_of < order:
            report = self._reports[self._next]
            self._next += 1
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
        for known in (self._channels, self._latest, self._state):
            known.pop(uri, None)
        self._gone[uri] = since

    def _hear(self, report: Report) -> None:
        channels = self._channels.setdefault(report.uri, {})
        latest = self._latest.setdefault(report.uri, {})
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

    def first_on(self, change: Change) -> Report | None:
        """The first report that describes the text of `change` (which may have been sent again since, unaltered)."""
        reports = self._by_uri.get(change.uri, [])
        at = bisect_left(reports, float(change.order), key=lambda report: report.as_of)
        described = reports[at].change if at < len(reports) else None
        return reports[at] if described and described.content == change.content else None

    def said_before(self, change: Change) -> bool:
        reports = self._by_uri.get(change.uri, [])
        return bool(reports) and reports[0].as_of < change.order


def _place(reports: Iterable[Report], knowledge: Knowledge) -> Iterable[Report]:
    """Put the reports that a change brought right behind it. See the module on which these are."""
    answered: set[tuple[Change, str]] = set()
    patience: dict[Change, int | None] = {}
    for report in reports:
        change = report.change
        if change is not None:
            is_first = (change, report.channel) not in answered
            answered.add((change, report.channel))
            if change not in patience:
                patience[change] = knowledge.find_patience(change)
            if is_first or report.time_us <= (patience[change] or 0):
                report = report.placed_at(min(report.as_of, change.order + 0.5))
        yield report


def _is_answer(report: Report) -> bool:
    return report.channel.startswith("pull:")


def _speak_of_one_text(one: Report, other: Report) -> bool:
    if one.change is None or other.change is None:
        return one.change is other.change
    return one.change.content == other.change.content


def _unite(reports: Iterable[Report]) -> DocumentState:
    """Last push united with the last pull of each identifier; what both say counts once."""
    ordered: Sequence[Report] = sorted(reports, key=lambda report: report.as_of)
    newest = ordered[-1].change
    together = {diagnostic for report in ordered for diagnostic in report.diagnostics}
    return DocumentState(tuple(sorted(together)), newest.content if newest else None)
