"""What calls and turns did to the diagnostics: steps of the timeline, by who wrote them, summed."""

from __future__ import annotations

import os.path
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cached_property

from lsp_tap.session.attribution import Attribution, find_files, find_path
from lsp_tap.session.history import Call, HistoryFold, SessionHistory
from lsp_tap.session.models import Diagnostics, Lsp
from lsp_tap.session.ownership import OwnedStep, find_owned_steps
from lsp_tap.session.sums import CallMeasure, Sums, is_within
from lsp_tap.session.verified import Verification
from lsp_tap.timeline.fold import ServerTimeline
from lsp_tap.timeline.steps import Freshness, State, StateFinder


class _Server:
    """A server's steps, to be found by time and by whose they are."""

    def __init__(
        self,
        timeline: ServerTimeline,
        steps: list[OwnedStep],
        known_since_us: dict[str, int],
        verification: Verification | None = None,
    ) -> None:
        self.timeline, self.steps = timeline, steps
        self.known_since_us, self.verification = known_since_us, verification
        self.owners = {id(step.owner) for step in steps if step.owner is not None}
        self._of_call: dict[int, list[int]] = {}
        self._of_session: dict[str, list[int]] = {}
        for number, step in enumerate(steps):
            parts = (step.owner, step.unseen.owner if step.unseen else None)
            both = {id(call): call for call in parts if call is not None}
            for key, call in both.items():
                self._of_call.setdefault(key, []).append(number)
                self._of_session.setdefault(call.session_id, []).append(number)
        self._by_time = sorted(range(len(steps)), key=lambda number: steps[number].time_us)
        self._times_us = [steps[number].time_us for number in self._by_time]

    @property
    def is_verified(self) -> bool:
        return self.verification is not None

    def find_state(self, until_us: int) -> State:
        return self.verification.find_state(until_us) if self.verification else self._states.find(until_us)

    @cached_property
    def _states(self) -> StateFinder:
        return StateFinder(self.timeline)

    def list_of_call(self, call: Call) -> list[int]:
        """The numbers of the steps that a call had a part in."""
        return self._of_call.get(id(call), [])

    def list_of_sessions(self, session_ids: Iterable[str]) -> list[int]:
        return sorted({number for session_id in session_ids for number in self._of_session.get(session_id, ())})

    def list_between(self, start_us: int, limit_us: float) -> list[int]:
        """The numbers of the steps in that time, in no order."""
        return self._by_time[bisect_left(self._times_us, start_us) : bisect_left(self._times_us, limit_us)]

    def judge_silence(self, files: Sequence[str], call: Call) -> Freshness | None:
        """How sure the state is after a call whose text never reached the server; None: such files are not its
        concern.
        """
        known, suffixes = self._known_files
        if not any(path in known or os.path.splitext(path)[1] in suffixes for path in files):
            return None
        timeline = self.timeline
        last = timeline.endings[-1] if timeline.endings else None
        was_restarted = last is not None and last.order < timeline.started_order
        if last and last.crashed and not was_restarted and last.time_us <= (call.end_us or last.time_us):
            return "server-dead"
        return "stale" if known.intersection(files) else None

    @cached_property
    def _known_files(self) -> tuple[set[str], set[str]]:
        """The files that the server was told of, and their suffixes."""
        known = {find_path(uri) for uri in {change.uri for change in self.timeline.changes}}
        return known, {os.path.splitext(path)[1] for path in known}


class Measuring:
    """All servers of a recording, measured against all its calls."""

    def __init__(
        self,
        history: HistoryFold,
        timelines: Iterable[ServerTimeline],
        verifications: Iterable[Verification] = (),
    ) -> None:
        self._history = history
        self._attribution = Attribution(history)
        self._families: dict[str, dict[str, SessionHistory]] = {}
        self._servers = [self._own(timeline) for timeline in timelines]
        self._verified = [_Server(v.timeline, v.find_steps(history), v.list_known_since(), v) for v in verifications]

    def _own(self, timeline: ServerTimeline) -> _Server:
        known: dict[str, int] = {}
        heard = [(c.uri, c.time_us) for c in timeline.changes] + [(r.uri, r.time_us) for r in timeline.reports]
        for uri, time_us in heard:
            known[uri] = min(time_us, known.get(uri, time_us))
        calls = [
            call
            for session in self._history.ordered_sessions()
            if is_of(timeline, session)
            for call in session.calls.values()
        ]
        return _Server(timeline, find_owned_steps(timeline, self._attribution, calls), known)

    def list_recorded(self, session: SessionHistory) -> list[tuple[ServerTimeline, list[OwnedStep]]]:
        """The servers of a session as recorded, whether verified or not, each with its steps."""
        return [(server.timeline, server.steps) for server in self._servers if is_of(server.timeline, session)]

    def _servers_of(self, session: SessionHistory, until_us: int) -> list[_Server]:
        """The servers of a session as recorded; of those that were verified up to `until_us`, the verification."""
        verified = {
            server.verification.server: server
            for server in self._verified
            if server.verification and server.verification.covers(session.session_id, until_us)
        }
        recorded = [server for server in self._servers if is_of(server.timeline, session)]
        kept = [server for server in recorded if (server.timeline.name, server.timeline.cwd) not in verified]
        return [*kept, *verified.values()]

    def _find_family(self, session: SessionHistory) -> dict[str, SessionHistory]:
        if session.session_id not in self._families:
            self._families[session.session_id] = self._history.find_family(session)
        return self._families[session.session_id]

    def _call_in(self, session: SessionHistory, owner: Call, family: dict[str, SessionHistory]) -> Call | None:
        """The call of `session` that `owner` is part of: itself, or the one that started its sub-agent's session."""
        session_id = owner.session_id
        while session_id != session.session_id:
            child = family.get(session_id)
            parent_id = child.latest.parent_id if child and child.latest else None
            parent = family.get(parent_id or "")
            if child is None or parent is None:
                return None
            owner = next((c for c in parent.calls.values() if c.child_session_id == session_id), owner)
            if owner.session_id != parent.session_id:
                return None
            session_id = parent.session_id
        return owner

    def _find_altered(self, call: Call, files: Sequence[str]) -> list[str]:
        """Those of a call's files that it left other than it found them, or nobody knows."""
        before, after = ({path: self._history.content_of(state) for path, state in states.items()} for states in (
            call.files_before, call.files_after))  # fmt: skip
        return [path for path in files if before.get(path) is None or before.get(path) != after.get(path)]

    def measure_call(self, session: SessionHistory, call: Call) -> CallMeasure | None:
        """What one call did; None for a call that changed no file anybody's server could know of."""
        family = self._find_family(session)
        files = find_files(call, session.directory)
        sums = Sums(session.directory)

        def is_mine(owner: Call | None) -> bool:
            return owner is not None and self._call_in(session, owner, family) is call

        for server in self._servers_of(session, call.end_us or 0):
            mine = server.list_of_call(call)
            if call.child_session_id is not None:
                below = server.list_of_sessions(family.keys() - {session.session_id})
                steps = ((number, server.steps[number]) for number in below)
                parts = {n for n, o in steps if is_mine(o.owner) or (o.unseen is not None and is_mine(o.unseen.owner))}
                mine = sorted(parts.union(mine))
            for first, last in _find_runs(mine):
                sums.add_span(server.steps[first : last + 1], is_mine, is_verified=server.is_verified)
            if not mine and call.status == "completed":
                silent = server.judge_silence(self._find_altered(call, files), call)
                if silent is not None:
                    sums.freshness.append(silent)
                    sums.servers.add(server.timeline.name)
        if not sums.steps and not (files and call.status == "completed"):
            return None
        return sums.build_call_measure()

    def measure_span(
        self, session: SessionHistory, start_us: int, end_us: int, limit_us: float, calls: Sequence[Call]
    ) -> tuple[Lsp, Diagnostics]:
        """What all calls between two times did, and the diagnostics at the start.

        Steps that none of the session's calls (nor its sub-agents') wrote count as external. Documents that became
        known after `end_us` do not count.
        """
        family = self._find_family(session)
        sums = Sums(session.directory)

        def is_ours(owner: Call | None) -> bool:
            return owner is not None and owner.session_id in family

        for server in self._servers_of(session, end_us):
            known = server.known_since_us
            ours = [
                number
                for number in server.list_between(start_us, limit_us)
                if is_ours(server.steps[number].owner) or server.steps[number].time_us <= end_us
            ]
            if ours:
                counts = lambda uri, known=known: known.get(uri, end_us) <= end_us  # noqa: E731
                run = server.steps[min(ours) : max(ours) + 1]
                sums.add_span(run, is_ours, counts, is_verified=server.is_verified)
            else:
                state = server.find_state(end_us if limit_us == float("inf") else int(limit_us))
                still = [d for uri, s in state.items() if known.get(uri, end_us) <= end_us for d in s.diagnostics]
                sums.add_still(server.timeline.name, still, has_state=bool(state), is_verified=server.is_verified)
            edited = [(c, f) for c in calls if c.status == "completed" and (f := find_files(c, session.directory))]
            for call, files in edited:
                if id(call) not in server.owners:
                    silent = server.judge_silence(self._find_altered(call, files), call)
                    if silent is not None:
                        sums.freshness.append(silent)
        return sums.build_lsp(), sums.diagnostics(sums.before)


def is_of(timeline: ServerTimeline, session: SessionHistory) -> bool:
    """Same client process; where a tap did not know its client: in the session's directory, and not over before it."""
    if timeline.clients and session.clients:
        return not timeline.clients.isdisjoint(session.clients)
    return is_within(timeline.cwd, session.directory) and timeline.last_time_us >= (session.first_us or 0)


def _find_runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """The first and last of each run of consecutive numbers, which are in order."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return runs
