"""A span of steps (a turn): what of its beginning is left at its end, and which step did what.

Each diagnostic is followed from step to step. One that the span itself introduced and removed again is neither. One
that vanished on the way and is there again at the end, on the same line or the same words elsewhere, persisted. So

    after = before - cleared + introduced      and      sum of steps (introduced - cleared) = after - before
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from lsp_tap.timeline.contents import Content
from lsp_tap.timeline.diagnostics import Diagnostic
from lsp_tap.timeline.identity import Matching, match_returned
from lsp_tap.timeline.states import DocumentState
from lsp_tap.timeline.steps import Step, map_lines


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
    alive: dict[Diagnostic, Diagnostic | Traced] | None = None  # as at first, so far
    lost: dict[Diagnostic, Traced] = field(default_factory=dict)


def fold_span(steps: Sequence[Step], counts: Callable[[str], bool] = lambda uri: True) -> Span:
    """Fold consecutive steps of one server. Only documents (uris) for which `counts` are looked at."""
    span = Span()
    tracks: dict[str, _Track] = {}
    moving = _find_moving(steps)
    for number, step in enumerate(steps):
        if step.uri is not None:
            span.altered.add(step.uri)
        if step.uri is not None and step.blind:
            span.blind.add(step.uri)
        if step.uri is not None and step.origin in tracks:
            tracks[step.uri] = _rename(tracks.pop(step.origin), step.uri)
        # The first step shows all documents, a later one what became other than it was.
        looked_at = [(uri, step.before.find(uri)) for uri in step.touched] if number else step.before.list_all()
        for uri, before in looked_at:
            if before is None or uri in span.blind or not counts(uri):
                continue
            if uri not in moving:
                _add_still(span, uri, before)
                continue
            track = tracks.get(uri) or tracks.setdefault(uri, _Track(before, before))
            _advance(track, step, uri, before)
    for track in tracks.values():
        _close(span, track)
    span.known.update(tracks)
    return span


def _find_moving(steps: Sequence[Step]) -> set[str]:
    """The documents that may be other at the end than at the beginning; most are not."""
    moving = set().union(*(step.touched for step in steps[1:]), *(step.matchings for step in steps))
    return moving.union(uri for step in steps for uri in (step.uri, step.origin) if uri is not None)


def _add_still(span: Span, uri: str, state: DocumentState) -> None:
    span.known.add(uri)
    for found in (span.before, span.after, span.persisted):
        found += state.diagnostics


def _rename(track: _Track, uri: str) -> _Track:
    """The document goes on under another name; where its diagnostics came from stays."""
    track.alive = {replace(diagnostic, uri=uri): origin for diagnostic, origin in _list_alive(track).items()}
    track.last = track.last.moved_to(uri)
    return track


def _list_alive(track: _Track) -> dict[Diagnostic, Diagnostic | Traced]:
    return {d: d for d in track.first.diagnostics} if track.alive is None else track.alive


def _advance(track: _Track, step: Step, uri: str, before: DocumentState) -> None:
    matching = step.matchings.get(uri)
    if matching is None:
        track.last = before
        return
    track.last = step.after[uri]
    origins = _list_alive(track)
    track.alive = {new: origins[old] for old, new in matching.persisted if old in origins}
    track.alive.update((new, Traced(new, step, new)) for new in matching.introduced)
    for gone in matching.cleared:
        origin = origins.get(gone)
        if isinstance(origin, Diagnostic):
            track.lost[origin] = Traced(origin, step, gone)


def _close(span: Span, track: _Track) -> None:
    span.before += track.first.diagnostics
    span.after += track.last.diagnostics
    if track.alive is None:
        span.persisted += track.first.diagnostics
        return
    came = {new: origin for new, origin in track.alive.items() if isinstance(origin, Traced)}
    span.persisted += [new for new, origin in track.alive.items() if isinstance(origin, Diagnostic)]
    again = _match_ends(tuple(sorted(track.lost)), tuple(sorted(came)), track.first.content, track.last.content)
    span.persisted += [new for _, new in again.persisted]
    span.cleared += [track.lost[old] for old in again.cleared]
    span.introduced += [Traced(new, came[new].step, came[new].at_step) for new in again.introduced]


# A turn, its session and each later writing of them ask the same.
@lru_cache(maxsize=1024)
def _match_ends(
    lost: tuple[Diagnostic, ...], came: tuple[Diagnostic, ...], first: Content | None, last: Content | None
) -> Matching:
    if not lost or not came:
        return Matching((), lost, came)
    return match_returned(lost, came, map_lines(first, last))
