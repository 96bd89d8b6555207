"""A span of steps (a turn): what of its beginning is left at its end, and which step did what.

Each diagnostic is followed from step to step. One that the span itself introduced and removed again is neither. One
that vanished on the way and is there again at the end, on the same line or the same words elsewhere, persisted. So

    after = before - cleared + introduced      and      sum of steps (introduced - cleared) = after - before
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from lsp_tap.timeline.diagnostics import Diagnostic
from lsp_tap.timeline.identity import match_returned
from lsp_tap.timeline.linemap import LineMap
from lsp_tap.timeline.steps import DocumentState, Step


@dataclass(frozen=True, slots=True)
class Traced:
    """A diagnostic as an end of the span shows it, the step that cleared or introduced it, and how that saw it."""

    diagnostic: Diagnostic
    step: Step
    at_step: Diagnostic


@dataclass(slots=True)
class Span:
    """`cleared` and `introduced` name the step that did it. `known` documents count on
    both sides; `altered` ones were edited, `blind` ones before the server had ever seen them."""

    before: list[Diagnostic] = field(default_factory=list)
    after: list[Diagnostic] = field(default_factory=list)
    persisted: list[Diagnostic] = field(default_factory=list)
    cleared: list[Traced] = field(default_factory=list)
    introduced: list[Traced] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    altered: set[str] = field(default_factory=set)
    blind: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Track:
    """One document on its way: each diagnostic of its present state with where it came from."""

    first: DocumentState
    last: DocumentState
    alive: dict[Diagnostic, Diagnostic | Traced]
    lost: dict[Diagnostic, Traced] = field(default_factory=dict)


def fold_span(steps: Sequence[Step], counts: Callable[[str], bool] = lambda uri: True) -> Span:
    """Fold consecutive steps of one server. Only documents (uris) for which `counts` are looked at."""
    span = Span()
    tracks: dict[str, _Track] = {}
    for step in steps:
        if step.uri is not None:
            span.altered.add(step.uri)
        if step.uri is not None and step.blind:
            span.blind.add(step.uri)
        if step.uri is not None and step.origin in tracks:
            tracks[step.uri] = _rename(tracks.pop(step.origin), step.uri)
        for uri, before in step.before.items():
            if uri in span.blind or not counts(uri):
                continue
            track = tracks.setdefault(uri, _Track(before, before, {d: d for d in before.diagnostics}))
            _advance(track, step, uri)
    for track in tracks.values():
        _close(span, track)
    span.known = set(tracks)
    return span


def _rename(track: _Track, uri: str) -> _Track:
    """The document goes on under another name; where its diagnostics came from stays."""
    track.alive = {replace(diagnostic, uri=uri): origin for diagnostic, origin in track.alive.items()}
    track.last = track.last.moved_to(uri)
    return track


def _advance(track: _Track, step: Step, uri: str) -> None:
    track.last = step.after[uri]
    matching = step.matchings.get(uri)
    if matching is None:
        return
    origins = track.alive
    track.alive = {new: origins[old] for old, new in matching.persisted if old in origins}
    track.alive.update((new, Traced(new, step, new)) for new in matching.introduced)
    for gone in matching.cleared:
        origin = origins.get(gone)
        if isinstance(origin, Diagnostic):
            track.lost[origin] = Traced(origin, step, gone)


def _close(span: Span, track: _Track) -> None:
    came = {new: origin for new, origin in track.alive.items() if isinstance(origin, Traced)}
    again = match_returned(track.lost, came, LineMap(track.first.text, track.last.text))
    span.before += track.first.diagnostics
    span.after += track.last.diagnostics
    span.persisted += [new for new, origin in track.alive.items() if isinstance(origin, Diagnostic)]
    span.persisted += [new for _, new in again.persisted]
    span.cleared += [track.lost[old] for old in again.cleared]
    span.introduced += [Traced(new, came[new].step, came[new].at_step) for new in again.introduced]
