"""What became of a document's diagnostics, version by version. Computed by the timeline and the sessions' attribution,
as plain values for the screen.

The fold keeps every text it sees. So of a large recording only what is about the document is folded (what an edit of
another file did to it then counts for the step before), and of many versions only those around a moment.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from lsp_tap.inspect.calls import CallIndex
from lsp_tap.inspect.flows import FlowReader, Item
from lsp_tap.journal.exact import read_exact
from lsp_tap.journal.reader import Journal, Unreadable, parse_line, read_head
from lsp_tap.journal.records import Record, TapStarted
from lsp_tap.session.attribution import Attribution
from lsp_tap.session.measuring import is_of
from lsp_tap.session.ownership import OwnedStep, find_owned_steps
from lsp_tap.timeline.diagnostics import Diagnostic, Severity
from lsp_tap.timeline.fold import Change, ServerFold, ServerTimeline
from lsp_tap.timeline.states import DocumentState, find_state

_WHOLE_BYTES: Final = 20_000_000
VERSIONS: Final = 200
"""As many are kept, half of them before the moment that is asked for."""
_LIFE: Final = ("initialize", "shutdown", "exit")


class Telling(Protocol):
    def send_json(self, **fields: Any) -> None:
        """One message to whoever asked."""


def tell_document(taps: Iterable[Path], clients: Iterable[Journal], order: dict[str, Any], output: Telling) -> None:
    """`{"role": "document", "uri": URI, "time_us": n, ...}` -> `history`."""
    journals = [journal for path in taps if (journal := read_head(path)) is not None]
    output.send_json(history=build_history(journals, CallIndex(clients), order["uri"], order["time_us"]))


def build_history(journals: Iterable[Journal], calls: CallIndex, uri: str, time_us: int) -> dict[str, Any]:
    """`uri`, `partial` (only messages about the document were looked at), `cut` (versions left out), and `versions`:
    server, version, time_us, `what` (opened, changed, sent again, the other document that was changed, or no document),
    errors, warnings, introduced, cleared (each a list of findings), elsewhere (counts in other documents), freshness,
    waited_ms, call, tool; None where nobody knows."""
    listed = list(journals)
    is_partial = sum(journal.path.stat().st_size for journal in listed) > _WHOLE_BYTES
    attribution = Attribution(calls.history)
    versions: list[dict[str, Any]] = []
    cut = 0
    for timeline, left_out in _fold(listed, uri, time_us, is_partial=is_partial):
        cut += left_out
        mine = [c for s in calls.history.sessions.values() if is_of(timeline, s) for c in s.calls.values()]
        versions += _list_versions(timeline, find_owned_steps(timeline, attribution, mine), uri)
    versions.sort(key=lambda version: version["time_us"])
    return {"uri": uri, "partial": is_partial, "cut": cut, "versions": versions}


def _fold(journals: list[Journal], uri: str, time_us: int, *, is_partial: bool) -> Iterator[tuple[ServerTimeline, int]]:
    """The timelines that speak of the document, one a server: of several processes, one after the other; and how many
    versions were left out."""
    latest: dict[tuple[str, str], ServerFold] = {}
    folds: list[tuple[ServerFold, list[int]]] = []
    for journal in journals:
        if not isinstance(journal.first, TapStarted):
            continue
        key = journal.first.name, journal.first.cwd
        fold = latest.get(key)
        if fold is None or fold.timeline.last_time_us > journal.first.time_us:
            fold = latest[key] = ServerFold(journal.first.name)
            folds.append((fold, []))
        left_out = next(counts for known, counts in folds if known is fold)
        for record in _read_records(journal, uri if is_partial else None):
            fold.step(record)
            if is_partial and len(fold.timeline.changes) > VERSIONS:
                left_out.append(_cut(fold.timeline, time_us))
    for fold, left_out in folds:
        timeline = fold.timeline
        if left_out:
            kept = {id(change) for change in timeline.changes}
            timeline.reports[:] = [r for r in timeline.reports if r.change is None or id(r.change) in kept]
        if any(change.uri == uri for change in timeline.changes) or any(r.uri == uri for r in timeline.reports):
            yield timeline, sum(left_out)


def _cut(timeline: ServerTimeline, time_us: int) -> int:
    """Leave out the version that is farthest from `time_us`; how many that were."""
    changes = timeline.changes
    changes.pop(0 if changes[VERSIONS // 2].time_us <= time_us else -1)
    return 1


def _read_records(journal: Journal, uri: str | None) -> Iterator[Record]:
    """All records, or those about a document and about the server's life."""
    if uri is None:
        yield from (entry for entry in journal if not isinstance(entry, Unreadable))
        return
    reader = FlowReader(journal)
    for item in reader.read_rest():
        if item.kind == "event" or item.method in _LIFE or item.uri == uri:
            entry = _find_record(journal, item)
            if entry is not None:
                yield entry


def _find_record(journal: Journal, item: Item) -> Record | None:
    entry = parse_line(item.line) if item.line else read_exact(journal.path, item.offset)
    return None if isinstance(entry, Unreadable) else entry


def _list_versions(timeline: ServerTimeline, steps: list[OwnedStep], uri: str) -> list[dict[str, Any]]:
    """The document's versions, and what else bore on it, each with the state it left."""
    by_cause = {id(owned.step.cause): owned for owned in steps}
    found = [
        _describe_version(timeline, change, by_cause.get(id(change)), steps, uri)
        for change in timeline.changes
        if change.uri == uri
    ]
    elsewhere = [owned for owned in steps if owned.step.uri != uri and uri in owned.step.matchings]
    return found + [_describe_step(owned, uri) for owned in elsewhere]


def _describe_version(
    timeline: ServerTimeline, change: Change, owned: OwnedStep | None, steps: list[OwnedStep], uri: str
) -> dict[str, Any]:
    if owned is not None:
        return {**_describe_step(owned, uri), "version": change.version}
    # Opened as it was, or sent again unaltered: no step, and the state is what the next one finds.
    following = next((other.step for other in steps if _order(timeline, other) > change.order), None)
    state = following.before.get(uri) if following else find_state(timeline, timeline.last_time_us).get(uri)
    report = next((report for report in timeline.reports if report.change is change), None)
    return {
        "server": timeline.name,
        "version": change.version,
        "time_us": change.time_us,
        "what": "opened" if change.previous is None else "sent again",
        **_count(state),
        "introduced": None,
        "cleared": None,
        "elsewhere": [],
        "freshness": "fresh" if report else None,
        "waited_ms": (report.time_us - change.time_us) / 1000 if report else None,
        "call": None,
        "tool": None,
    }


def _order(timeline: ServerTimeline, owned: OwnedStep) -> float:
    cause = owned.step.cause
    return cause.order if isinstance(cause, Change) else bisect_right(timeline.times_us, cause.time_us)


def _describe_step(owned: OwnedStep, uri: str) -> dict[str, Any]:
    step, cause, owner = owned.step, owned.step.cause, owned.owner
    matching = step.matchings.get(uri)
    is_known = uri in step.before
    others = [o for o, found in step.matchings.items() if o != uri and (found.introduced or found.cleared)]
    return {
        "server": step.server,
        "version": None,
        "time_us": cause.time_us,
        "what": "changed" if step.uri == uri else step.uri or "no document",
        **_count(step.after.get(uri)),
        "introduced": [_describe(d) for d in matching.introduced] if matching else [] if is_known else None,
        "cleared": [_describe(d) for d in matching.cleared] if matching else [] if is_known else None,
        "elsewhere": [
            {"uri": o, "introduced": len(step.matchings[o].introduced), "cleared": len(step.matchings[o].cleared)}
            for o in others
        ],
        "freshness": step.freshness,
        "waited_ms": (step.settled_us - cause.time_us) / 1000 if step.settled_us is not None else None,
        "call": owner.call_id if owner else None,
        "tool": owner.tool if owner else None,
    }


def _count(state: DocumentState | None) -> dict[str, int | None]:
    if state is None:
        return {"errors": None, "warnings": None}
    severities = [diagnostic.severity for diagnostic in state.diagnostics]
    return {"errors": severities.count(Severity.ERROR), "warnings": severities.count(Severity.WARNING)}


def _describe(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "line": diagnostic.line + 1,
        "column": diagnostic.column + 1,
        "severity": diagnostic.severity.name.lower(),
        "code": diagnostic.code,
        "message": diagnostic.message,
    }
