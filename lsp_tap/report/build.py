"""A recording becomes the page as plain data: every text in it went through `Texts`, and no recorded object is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lsp_tap.report.calls import CallView, CallViews, relative_to
from lsp_tap.report.texts import Excerpt, Texts
from lsp_tap.report.tracks import Track, VersionMark, fold_tracks
from lsp_tap.report.traffic import ServerRun, Waited, merge_slowest, read_run
from lsp_tap.session.attribution import find_path
from lsp_tap.session.build import Builder, format_time
from lsp_tap.session.history import SessionHistory
from lsp_tap.session.models import Lsp, Outcome, SessionFile, Turn
from lsp_tap.session.ownership import OwnedStep
from lsp_tap.session.recording import Recording
from lsp_tap.session.turns import TurnHistory, find_turns
from lsp_tap.timeline.fold import ServerTimeline

TRACKS_LIMIT: Final = 12
"""Charts of documents in one turn; a turn that touches more is read in its list of calls."""
_STDERR_LIMIT: Final = 4_000
_MESSAGE_LIMIT: Final = 6_000
_UNANSWERED_LIMIT: Final = 20
_AFTERMATH_US: Final = 30_000_000
"""How long after a session's end its servers' answers still belong to it."""


@dataclass(frozen=True, slots=True)
class NumbersView:
    """The sums of a turn or of the session; None: nobody knows."""

    before: int | None
    after: int | None
    cleared: int | None
    introduced: int | None
    left: int | None
    fix: int | None
    suppression: int | None
    deletion: int | None
    external_cleared: int | None
    external_introduced: int | None
    warnings_before: int | None
    warnings_after: int | None
    baseline: str
    freshness: str
    servers: tuple[str, ...]
    files: int
    lines: int | None
    calls: int
    seconds: float | None
    tokens_in: int | None
    tokens_out: int | None
    tokens_cached: int | None
    cache_hit_rate: float | None
    scores: tuple[tuple[str, float | None], ...]


@dataclass(frozen=True, slots=True)
class StretchView:
    """Seconds since the turn began."""

    from_s: float
    to_s: float
    errors: int | None
    warnings: int | None
    doubt: str


@dataclass(frozen=True, slots=True)
class VersionView:
    """`who`: `session` (a call of it, `call` is its anchor if it is on the page), `other` (another session's),
    `nobody` (no call's), or `same` (the text was sent as it was before)."""

    at_s: float
    version: int | None
    who: str
    call: str | None
    label: str


@dataclass(frozen=True, slots=True)
class TrackView:
    anchor: str
    path: str
    server: str
    stretches: tuple[StretchView, ...]
    versions: tuple[VersionView, ...]

    @property
    def first(self) -> StretchView | None:
        return self.stretches[0] if self.stretches else None

    @property
    def last(self) -> StretchView | None:
        return self.stretches[-1] if self.stretches else None


@dataclass(frozen=True, slots=True)
class TurnView:
    anchor: str
    number: int
    task: Excerpt
    response: Excerpt
    success: bool
    reasons: tuple[str, ...]
    numbers: NumbersView
    start: str | None
    agent: str
    model: str
    span_s: float
    calls: tuple[CallView, ...]
    tracks: tuple[TrackView, ...]
    more_tracks: int


@dataclass(frozen=True, slots=True)
class RequestView:
    """`at`: which turn, and how long after it began. `latency_ms` None: never answered."""

    method: str
    server: str
    document: str
    at: str
    latency_ms: float | None
    asked_by: str
    error: str


@dataclass(frozen=True, slots=True)
class ServerView:
    name: str
    command: str
    version: str
    encoding: str
    processes: int
    messages: int
    bytes: int
    crashes: int
    exits: tuple[tuple[str, bool], ...]
    dropped: int
    invalid_bytes: int
    stderr: Excerpt | None


@dataclass(frozen=True, slots=True)
class Report:
    """The page. `is_pruned`: of its journals only the heads are left, so there are no charts and no diffs."""

    session_id: str
    title: str
    directory: str
    start: str
    client: str
    agent: str
    model: str
    parent: str
    children: tuple[str, ...]
    success: bool
    reasons: tuple[str, ...]
    numbers: NumbersView
    turns: tuple[TurnView, ...]
    servers: tuple[ServerView, ...]
    slowest: tuple[RequestView, ...]
    unanswered: tuple[RequestView, ...]
    more_unanswered: int
    dropped: int
    is_pruned: bool
    is_redacted: bool


def build_report(
    recording: Recording,
    builder: Builder,
    session: SessionFile,
    *,
    redact: Callable[[str], str] | None = None,
) -> Report:
    """The page of `session`, which `builder` made of `recording` (or which was kept, where that was pruned).

    `redact` is asked about every recorded text.
    """
    texts = Texts(redact)
    return _Building(recording, builder, session, texts).build(is_redacted=redact is not None)


class _Building:
    def __init__(self, recording: Recording, builder: Builder, session: SessionFile, texts: Texts) -> None:
        self._recording, self._session, self._texts = recording, session, texts
        self._is_pruned = builder.is_pruned(session.session_id)
        self._history: SessionHistory | None = recording.history.sessions.get(session.session_id)
        found = find_turns(self._history) if self._history and not self._is_pruned else []
        self._turns: dict[str, TurnHistory] = {turn.user.message_id: turn for turn in found}
        self._servers: list[tuple[ServerTimeline, list[OwnedStep]]] = (
            builder.list_servers(session.session_id) if self._history else []
        )
        self._family = set(recording.history.find_family(self._history)) if self._history else set()
        self._anchors = {
            call: f"turn-{number}-call-{n}"
            for number, turn in enumerate(session.turns, 1)
            for n, call in enumerate(turn.actions, 1)
        }
        ends = [turn.end_us for turn in self._turns.values()]
        starts = [turn.start_us for turn in self._turns.values()]
        self._start_us, self._end_us = min(starts, default=0), max(ends, default=0)

    def build(self, *, is_redacted: bool) -> Report:
        session, show = self._session, self._texts.show
        steps = [owned for _, of_server in self._servers for owned in of_server]
        views = CallViews(self._texts, self._recording.history, None if self._is_pruned else self._history, steps)
        until_us = self._end_us + _AFTERMATH_US
        tracks = [
            track
            for timeline, of_server in self._servers
            for track in fold_tracks(timeline, of_server, max(until_us, timeline.last_time_us))
        ]
        runs = [
            read_run(timeline, self._recording.find_journals(timeline), self._start_us, until_us)
            for timeline, _ in self._servers
        ]
        last = session.turns[-1] if session.turns else None
        unanswered = [waited for run, _ in runs for waited in run.unanswered]
        client = " ".join(filter(None, ("OpenCode", session.opencode_version)))
        return Report(
            session_id=show(session.session_id),
            title=show(session.title or ""),
            directory=show(session.directory),
            start=session.start_time or "",
            client=show(client if session.opencode_version else ""),
            agent=show(last.agent.name or "" if last else ""),
            model=show(last.agent.model or "" if last else ""),
            parent=show(session.parent_id or ""),
            children=tuple(show(child) for child in session.children),
            success=session.outcome.success,
            reasons=tuple(show(reason, 400) for reason in session.outcome.reasons),
            numbers=self._view_numbers(session.outcome),
            turns=tuple(self._view_turn(n, turn, views, tracks) for n, turn in enumerate(session.turns, 1)),
            servers=tuple(self._view_server(run) for run, _ in runs),
            slowest=tuple(self._view_request(one) for one in merge_slowest([slowest for _, slowest in runs])),
            unanswered=tuple(self._view_request(one) for one in unanswered[:_UNANSWERED_LIMIT]),
            more_unanswered=max(0, len(unanswered) - _UNANSWERED_LIMIT),
            dropped=self._recording.dropped,
            is_pruned=self._is_pruned,
            is_redacted=is_redacted,
        )

    def _view_turn(self, number: int, turn: Turn, views: CallViews, tracks: Sequence[Track]) -> TurnView:
        anchor, found = f"turn-{number}", self._turns.get(turn.message_id)
        actions = {action.call_id: action for action in self._session.tool_calls}
        starts = self._find_starts(found)
        calls = tuple(
            views.make(actions[call], self._anchors[call], n, starts.get(call))
            for n, call in enumerate(turn.actions, 1)
            if call in actions
        )
        end_us = self._find_end(found, tracks) if found else 0
        cut = [track.cut(found.start_us, end_us) for track in tracks] if found else []
        chosen = sorted((t for t in cut if _rank(t) is not None), key=lambda t: _rank(t) or (0, 0))
        return TurnView(
            anchor=anchor,
            number=number,
            task=self._texts.excerpt(turn.task, _MESSAGE_LIMIT),
            response=self._texts.excerpt(turn.output.response, _MESSAGE_LIMIT),
            success=turn.outcome.success,
            reasons=tuple(self._texts.show(reason, 400) for reason in turn.outcome.reasons),
            numbers=self._view_numbers(turn.outcome),
            start=turn.metadata.timestamp,
            agent=self._texts.show(turn.agent.name or ""),
            model=self._texts.show(turn.agent.model or ""),
            span_s=_seconds(end_us - found.start_us) if found else 0.0,
            calls=calls,
            tracks=tuple(
                self._view_track(f"{anchor}-track-{n}", track, found.start_us)
                for n, track in enumerate(chosen[:TRACKS_LIMIT], 1)
                if found
            ),
            more_tracks=max(0, len(chosen) - TRACKS_LIMIT),
        )

    def _find_starts(self, turn: TurnHistory | None) -> Mapping[str, float]:
        if turn is None:
            return {}
        return {c.call_id: _seconds(c.start_us - turn.start_us) for c in turn.calls if c.start_us is not None}

    def _find_end(self, turn: TurnHistory, tracks: Sequence[Track]) -> int:
        """When the turn was over, and the servers had answered to what it wrote."""
        edited = [t for t in tracks if any(turn.start_us <= v.time_us <= turn.end_us for v in t.versions if v.altered)]
        answers = [s.from_us for t in edited for s in t.stretches if turn.end_us < s.from_us <= turn.limit_us]
        end_us = max([turn.end_us, *(us for us in answers if us <= turn.end_us + _AFTERMATH_US)])
        return int(min(end_us + (end_us - turn.start_us) // 50, turn.limit_us))  # so that the last state is seen

    def _view_track(self, anchor: str, track: Track, start_us: int) -> TrackView:
        return TrackView(
            anchor=anchor,
            path=self._texts.show(relative_to(find_path(track.uri), self._session.directory), 200),
            server=self._texts.show(track.server, 60),
            stretches=tuple(
                StretchView(_seconds(s.from_us - start_us), _seconds(s.to_us - start_us), s.errors, s.warnings, s.doubt)
                for s in track.stretches
            ),
            versions=tuple(self._view_version(mark, start_us) for mark in track.versions),
        )

    def _view_version(self, mark: VersionMark, start_us: int) -> VersionView:
        call = self._anchors.get(mark.owner.call_id) if mark.owner else None
        if not mark.altered:
            who, label = "same", "sent unaltered"
        elif mark.owner is None:
            who, label = "nobody", "written by nobody's call"
        elif mark.owner.session_id in self._family:
            who, label = "session", f"written by {mark.owner.tool}"
        else:
            who, label = "other", "written by another session"
        return VersionView(_seconds(mark.time_us - start_us), mark.version, who, call, self._texts.show(label, 60))

    def _view_request(self, waited: Waited) -> RequestView:
        uri = relative_to(find_path(waited.uri), self._session.directory) if waited.uri else ""
        asker = "lsp-tap" if waited.by_tap else "the server" if waited.from_server else "the client"
        return RequestView(
            method=self._texts.show(waited.method, 80),
            server=self._texts.show(waited.server, 60),
            document=self._texts.show(uri, 160),
            at=self._name_moment(waited.asked_us),
            latency_ms=None if waited.latency_us is None else waited.latency_us / 1000,
            asked_by=asker,
            error=self._texts.show(waited.error, 160) if waited.error is not None else "",
        )

    def _name_moment(self, time_us: int) -> str:
        for number, turn in enumerate(self._session.turns, 1):
            found = self._turns.get(turn.message_id)
            if found and found.start_us <= time_us < found.limit_us:
                return f"turn {number}, {_seconds(time_us - found.start_us):.1f} s"
        return format_time(time_us) or ""

    def _view_server(self, run: ServerRun) -> ServerView:
        timeline, show = run.timeline, self._texts.show
        info = timeline.server_info
        named = " ".join(str(info[key]) for key in ("name", "version") if isinstance(info.get(key), str))
        stderr = self._texts.take(run.stderr)[-_STDERR_LIMIT:]
        excerpt = self._texts.excerpt(stderr)
        return ServerView(
            name=show(timeline.name, 60),
            command=show(" ".join(timeline.command), 400),
            version=show(named, 120),
            encoding=show(timeline.encoding, 20),
            processes=run.processes,
            messages=run.messages,
            bytes=run.bytes,
            crashes=sum(one.crashed for one in run.exits),
            exits=tuple((f"{one.how}, {self._name_moment(one.time_us)}", one.crashed) for one in run.exits),
            dropped=run.dropped,
            invalid_bytes=run.invalid_bytes,
            stderr=Excerpt(excerpt.text, max(0, run.stderr_length - len(stderr))) if run.stderr.strip() else None,
        )

    def _view_numbers(self, outcome: Outcome) -> NumbersView:
        metrics = outcome.metrics
        lsp: Lsp = metrics.lsp
        cost, scores = metrics.token_cost, outcome.evaluation
        return NumbersView(
            before=lsp.errors_before,
            after=lsp.errors_after,
            cleared=lsp.errors_cleared,
            introduced=lsp.errors_introduced,
            left=lsp.errors_persisted,
            fix=lsp.cleared_by.fix,
            suppression=lsp.cleared_by.suppression,
            deletion=lsp.cleared_by.deletion,
            external_cleared=lsp.external_cleared,
            external_introduced=lsp.external_introduced,
            warnings_before=lsp.warnings_before,
            warnings_after=lsp.warnings_after,
            baseline=lsp.baseline,
            freshness=lsp.freshness,
            servers=tuple(self._texts.show(server, 60) for server in lsp.servers),
            files=metrics.files_modified,
            lines=metrics.lines_changed,
            calls=metrics.tool_call_count,
            seconds=metrics.time_to_completion,
            tokens_in=cost.input,
            tokens_out=cost.output,
            tokens_cached=cost.cache.read,
            cache_hit_rate=metrics.cache_hit_rate,
            scores=(
                ("correctness", scores.correctness),
                ("efficiency", scores.efficiency),
                ("minimal edits", scores.minimal_edits),
            ),
        )


def _rank(track: Track) -> tuple[int, int] | None:
    """The order in which a turn's tracks are shown: what it altered, what changed by that, what had errors all along.

    None: nothing to see.
    """
    altered = [mark.time_us for mark in track.versions if mark.altered]
    if altered:
        return 0, altered[0]
    counts = {(s.errors, s.doubt) for s in track.stretches}
    if len(counts) > 1:
        return 1, track.stretches[1].from_us
    if any(s.errors or s.doubt != "fresh" for s in track.stretches):
        return 2, track.stretches[0].from_us
    return (3, track.versions[0].time_us) if track.versions and track.stretches else None


def _seconds(us: int) -> float:
    return round(us / 1e6, 3)
