"""From changes and reports to steps: what every altering change cleared and introduced, on all documents of a server.

The life of a diagnostic, before the code:

- A *step* is a change that altered a text. Its state is what the server last said of every document as of the moment
  before the next step; its *before* is the state of the step before it. So the steps telescope: summed over any run of
  steps, introduced minus cleared is the size of the last state minus the size of the first.
- A document whose state was not known before it was altered has no *before*: it joins the state with the first thing
  the server says of it, and until then counts on neither side. A document that a call created has a known empty one.
- A document first reported in the middle, and not altered until then, is taken to have been so all along.
- A report older than the change (nothing newer came) is carried on; the step's freshness says so.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from lsp_tap.timeline.diagnostics import Diagnostic
from lsp_tap.timeline.fold import Change, Report, ServerTimeline
from lsp_tap.timeline.identity import Matching, match_diagnostics
from lsp_tap.timeline.linemap import LineMap

Freshness = Literal["fresh", "stale", "timed-out", "server-dead", "no-server"]
FRESHNESS_ORDER: tuple[Freshness, ...] = ("fresh", "stale", "timed-out", "server-dead", "no-server")
"""From sure to knowing nothing. A sum is as sure as its least sure part."""

FirstSight = Literal["read", "created", "written"]
"""What a server's first sight of a document was: as it stood, newly made, or after somebody had already changed it."""


@dataclass(frozen=True, slots=True)
class DocumentState:
    """What was last said of a document: the union of all channels, and the text it speaks of (None: never sent)."""

    diagnostics: tuple[Diagnostic, ...]
    text: str | None


State = Mapping[str, DocumentState]
EMPTY = DocumentState((), "")


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """`before` and `after` hold the documents known on both sides; `matchings` those of them that differ."""

    server: str
    change: Change
    before: State
    after: State
    matchings: Mapping[str, Matching]
    freshness: Freshness
    settled_us: int | None  # wall clock of the first report on this version; None: there was none
    blind: bool  # the document was altered before the server had ever seen it


def match_documents(before: DocumentState, after: DocumentState) -> Matching:
    """Match two states of one document."""
    return match_diagnostics(before.diagnostics, after.diagnostics, _line_map(before.text, after.text))


@lru_cache(maxsize=64)
def _line_map(old: str | None, new: str | None) -> LineMap:
    return LineMap(old, new)


def _as_read(change: Change) -> FirstSight:
    return "read"


def find_steps(timeline: ServerTimeline, first_sight: Callable[[Change], FirstSight] = _as_read) -> list[Step]:
    """All steps of a server, in order. `first_sight` is asked for changes whose document was not known before."""
    sights = {c: first_sight(c) for c in timeline.changes if c.previous is None}
    altering = [c for c in timeline.changes if c.altered or sights.get(c, "read") != "read"]
    states = _States(timeline)
    steps: list[Step] = []
    before = dict(states.until(altering[0].order)) if altering else {}
    for number, change in enumerate(altering):
        sight = sights.get(change)
        if sight == "created":
            before[change.uri] = EMPTY
        elif sight == "written":
            before.pop(change.uri, None)
        ends = altering[number + 1].order if number + 1 < len(altering) else float("inf")
        after = dict(states.until(ends))
        for uri, state in after.items():
            if uri not in before and not (sight == "written" and uri == change.uri):
                before[uri] = state  # first heard of now and not altered: it was so before
        both = {uri: state for uri, state in before.items() if uri in after}
        fresh = states.first_on(change)
        steps.append(
            Step(
                server=timeline.name,
                change=change,
                before=both,
                after={uri: after[uri] for uri in both},
                matchings={
                    uri: match_documents(state, after[uri]) for uri, state in both.items() if state is not after[uri]
                },
                freshness=_judge_freshness(timeline, change, fresh, states),
                settled_us=fresh.time_us if fresh else None,
                blind=sight == "written",
            )
        )
        # A created document of which nothing was said yet stays a known empty one.
        before = {**{uri: state for uri, state in before.items() if state is EMPTY}, **after}
    return steps


def _judge_freshness(timeline: ServerTimeline, change: Change, fresh: Report | None, states: _States) -> Freshness:
    if fresh is not None:
        return "fresh"
    ending = next((ending for ending in timeline.endings if ending.order > change.order), None)
    if ending is not None and ending.crashed:
        return "server-dead"
    return "stale" if states.said_before(change) else "timed-out"


def find_state(timeline: ServerTimeline, until_us: int) -> State:
    """The state of all documents by what had arrived at `until_us` (wall clock)."""
    states = _States(timeline, until_us)
    return states.until(float("inf"))


class _States:
    """The reports of a timeline by the moment they describe."""

    def __init__(self, timeline: ServerTimeline, until_us: int | None = None) -> None:
        heard = (r for r in timeline.reports if until_us is None or r.time_us <= until_us)
        self._reports = sorted(heard, key=lambda report: (report.as_of, report.time_us))
        self._next = 0
        self._channels: dict[str, dict[str, Report]] = {}
        self._state: dict[str, DocumentState] = {}
        self._by_uri: dict[str, list[Report]] = {}
        for report in self._reports:
            self._by_uri.setdefault(report.uri, []).append(report)

    def until(self, order: float) -> State:
        """The state as of just before `order`, which never goes back from call to call."""
        touched = set()
        while self._next < len(self._reports) and self._reports[self._next].as_of < order:
            report = self._reports[self._next]
            self._channels.setdefault(report.uri, {})[report.channel] = report
            touched.add(report.uri)
            self._next += 1
        for uri in touched:
            self._state[uri] = _unite(self._channels[uri].values())
        return self._state

    def first_on(self, change: Change) -> Report | None:
        """The first report that describes the text of `change` (which may have been sent again since, unaltered)."""
        reports = self._by_uri.get(change.uri, [])
        at = bisect_left(reports, float(change.order), key=lambda report: report.as_of)
        described = reports[at].change if at < len(reports) else None
        return reports[at] if described and described.text == change.text else None

    def said_before(self, change: Change) -> bool:
        reports = self._by_uri.get(change.uri, [])
        return bool(reports) and reports[0].as_of < change.order


def _unite(reports: Iterable[Report]) -> DocumentState:
    """Last push united with the last pull of each identifier; what both say counts once."""
    ordered: Sequence[Report] = sorted(reports, key=lambda report: report.as_of)
    newest = ordered[-1].change
    together = {diagnostic for report in ordered for diagnostic in report.diagnostics}
    return DocumentState(tuple(sorted(together)), newest.text if newest else None)
