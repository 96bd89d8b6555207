"""From changes and reports to steps: what each thing that happened cleared and introduced, on all documents.

The life of a diagnostic, before the code:

- A *step* begins when something is altered: the text of a document the server has (a `Change`), or something else that
  may bear on it (a `Mark`: a command that ran, a configuration file, a deletion). It ends where the next one begins.
- Its state is what the server last said of every document by then (`states`); its *before* is the state of the step
  before it. So the steps telescope: over any run of them, introduced minus cleared is the last state's size minus the
  first's.
- A document whose state was not known before it was altered has no *before*: it joins the state with the first thing
  the server says of it, and until then counts on neither side. A document that a call created has a known empty one;
  one that was moved takes its state along; one that was deleted has none left.
- A document first reported in the middle, and not altered until then, is taken to have been so all along.
- A report older than the change (nothing newer came) is carried on; the step's freshness says so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal, NamedTuple, Protocol

from lsp_tap.sequences import count_common
from lsp_tap.timeline.contents import Content
from lsp_tap.timeline.fold import Change, Report, ServerTimeline
from lsp_tap.timeline.identity import Matching, match_diagnostics
from lsp_tap.timeline.linemap import LineMap
from lsp_tap.timeline.states import EMPTY, DocumentState, PlacedReports, StateAt, StateLog, States

Freshness = Literal["fresh", "stale", "timed-out", "server-dead", "no-server"]
FRESHNESS_ORDER: tuple[Freshness, ...] = ("fresh", "stale", "timed-out", "server-dead", "no-server")
"""From sure to knowing nothing. A sum is as sure as its least sure part."""

_WALKS: Final = 4
"""How many times back steps can be taken up again: a late answer seldom is on anything older."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """`before` and `after` hold the documents known on both sides; `matchings` those of them that differ.

    `cause` is what was altered. `settled`: the first report on a changed text; None: there was none so far.
    `blind`: the document was altered before the server had ever seen it. `origin`: the document it was moved from.
    `touched`: all documents that are other than they were after the step before this one, or may be. `number`: of the
    cause.
    """

    server: str
    number: int
    cause: Change | Mark
    before: StateAt
    after: StateAt
    touched: Sequence[str]
    matchings: Mapping[str, Matching]
    freshness: Freshness
    settled: Report | None = None
    blind: bool = False
    origin: str | None = None

    @property
    def settled_us(self) -> int | None:
        """When that report came, wall clock."""
        return None if self.settled is None else self.settled.time_us

    @property
    def uri(self) -> str | None:
        """The document whose text was altered."""
        return self.cause.uri if isinstance(self.cause, Change) else None

    def describe(self) -> tuple[object, ...]:
        """All that it is, if what was before it is known."""
        states = [(uri, self.before.find(uri), self.after.find(uri)) for uri in self.touched]
        return self.number, self.cause, self.freshness, self.settled, self.blind, self.origin, states


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
    return StepFinder(timeline, knowledge or _Nothing()).find()


class StepFinder:
    """Finds the steps of a timeline that grows. Those before the first thing that is new, or is other than it was when
    they were found last, are the same objects again.
    """

    def __init__(self, timeline: ServerTimeline, knowledge: Knowledge) -> None:
        self._timeline, self._knowledge = timeline, knowledge
        self._placed = PlacedReports(timeline, knowledge.find_patience)
        self._log = StateLog()
        self._walks: list[_Walk] = []  # how it stood before the last cause, the last few times
        # What the steps were made from, the last time:
        self._causes: list[_Cause] = []
        self._reports: list[Report] = []
        self._steps: list[Step] = []

    def find(self) -> list[Step]:
        """All steps so far, in order. Marks that made no difference are none."""
        causes = self._list_causes()
        self._placed.update()
        walk = self._take_up(causes)
        last, since = len(causes) - 1, causes[walk.number].order if causes else 0
        steps = [self._bring_up_to_date(step, since) for step in self._steps[: walk.found]]
        again = {step.number: (step, step.describe()) for step in self._steps[walk.found :] if walk.number}
        self._log.cut(walk.number)
        for number in range(walk.number, len(causes)):
            if number == last and (not self._walks or self._walks[-1].number < last):
                self._walks = [*self._walks[1 - _WALKS :], walk.go_on(self._placed.all)]
            step = walk.take_step(causes[number], causes[number + 1].order if number < last else float("inf"))
            if step is not None:
                known, description = again.get(number, (step, ()))
                if description != step.describe():
                    known, again = step, {}  # nor are those behind it what they were: they build on it
                steps.append(known)
        self._causes, self._reports, self._steps = causes, self._placed.all.copy(), steps
        return steps

    def _list_causes(self) -> list[_Cause]:
        find_first_sight, times_us = self._knowledge.find_first_sight, self._timeline.times_us
        causes = [
            _Cause(change.order, change, sight)
            for change in self._timeline.changes
            if (sight := find_first_sight(change) if change.earlier is None else READ) is not READ or change.altered
        ]
        causes += [_Cause(bisect_right(times_us, m.time_us) + 0.75, m, READ) for m in self._knowledge.list_marks()]
        return sorted(causes, key=lambda cause: cause.order)

    def _take_up(self, causes: Sequence[_Cause]) -> _Walk:
        """The latest walk that would be at its place again, coming from the beginning: it has seen the same causes and
        reports, and none that is new belongs before it.
        """
        reports = self._placed.all
        same_causes, same_reports = count_common(self._causes, causes), count_common(self._reports, reports)
        while self._walks:
            walk = self._walks[-1]
            heard = walk.states.heard
            if (
                walk.number < same_causes
                and heard <= same_reports
                and (heard == len(reports) or reports[heard].as_of >= causes[walk.number].order)
            ):
                return walk.go_on(reports)
            self._walks.pop()
        self._log = StateLog()
        return _Walk(self._timeline, self._placed, self._log, causes[0].order if causes else 0)

    def _bring_up_to_date(self, step: Step, since: float) -> Step:
        """That the server spoke of a step, or died, may become known long after it. Nothing that is new belongs before
        `since`.
        """
        if not isinstance(step.cause, Change) or (step.settled is not None and step.settled.as_of < since):
            return step
        settled, freshness = _judge_freshness(self._timeline, self._placed, step.cause)
        if (settled, freshness) == (step.settled, step.freshness):
            return step
        return replace(step, settled=settled, freshness=freshness)


class _Cause(NamedTuple):
    """What begins a step; `sight` is what a change was at first sight."""

    order: float
    of: Change | Mark
    sight: FirstSight


class _Walk:
    """Goes from cause to cause, and looks only at the documents that something was said or done about."""

    def __init__(self, timeline: ServerTimeline, placed: PlacedReports, log: StateLog, begins: float) -> None:
        self.number = self.found = 0  # causes that it has passed, and steps among them
        self.states = States(placed.all)
        self._timeline, self._placed, self._log = timeline, placed, log
        self._last = self._touched = frozenset(self.states.hear_until(begins))  # `_touched`: since the last step

    def go_on(self, reports: Sequence[Report]) -> _Walk:
        """A copy, to be gone on with where this one stands."""
        other = copy(self)
        other.states = self.states.go_on(reports)
        return other

    def take_step(self, cause: _Cause, ends: float) -> Step | None:
        """One step, if it was one; its `before` has what only became known now."""
        begins, of, sight = cause
        number, states = self.number, self.states
        self.number += 1
        uri = of.uri if isinstance(of, Change) else None
        gone = of.deleted if isinstance(of, Mark) else ()
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
        now = frozenset([*heard, *found])
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
        touched = self._touched | now | self._last
        self._last = now
        after_all = StateAt(self._log, number, {})
        matchings = {other: match_documents(before, after_all[other]) for other, before in changed.items()}
        is_step = isinstance(of, Change) or bool(matchings)
        self._touched = frozenset() if is_step else touched
        if not is_step:
            return None
        self.found += 1
        settled, freshness = (
            _judge_freshness(self._timeline, self._placed, of) if isinstance(of, Change) else (None, "fresh")
        )
        return Step(
            server=self._timeline.name,
            number=number,
            cause=of,
            before=StateAt(self._log, number, changed),
            after=after_all,
            touched=tuple(sorted(touched)),
            matchings=matchings,
            freshness=freshness,
            settled=settled,
            blind=sight.kind == "written",
            origin=sight.origin if sight.kind == "moved" and uri in after_all else None,
        )


def _judge_freshness(
    timeline: ServerTimeline, placed: PlacedReports, change: Change
) -> tuple[Report | None, Freshness]:
    settled = placed.first_on(change)
    if settled is not None:
        return settled, "fresh"
    ending = next((ending for ending in timeline.endings if ending.order > change.order), None)
    if ending is not None and ending.crashed:
        return None, "server-dead"
    return None, "stale" if placed.said_before(change) else "timed-out"
