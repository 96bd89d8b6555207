"""What calls and turns did to the diagnostics: steps of the timeline, by who wrote them, summed."""

from __future__ import annotations

import os.path
from bisect import bisect_left, bisect_right, insort
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import partial

from lsp_tap.sequences import count_common
from lsp_tap.session.attribution import Attribution, find_files, find_path
from lsp_tap.session.history import Call, HistoryFold, SessionHistory
from lsp_tap.session.memo import Memo
from lsp_tap.session.models import Diagnostics, Lsp
from lsp_tap.session.ownership import OwnedStep, Ownership
from lsp_tap.session.sums import CallMeasure, Sums, is_within
from lsp_tap.session.verified import Verification
from lsp_tap.timeline.fold import ServerTimeline
from lsp_tap.timeline.states import State, StateFinder
from lsp_tap.timeline.steps import Freshness


class _Server:
    """A server's steps, to be found by time and by whose they are."""

    def __init__(self, timeline: ServerTimeline, verification: Verification | None = None) -> None:
        self.timeline, self.verification = timeline, verification
        self.steps: list[OwnedStep] = []
        self._by_time: list[int] = []
        self._times_us: list[int] = []
        self._of_call: dict[Call, list[int]] = {}
        self._of_session: dict[str, list[int]] = {}
        self._changes = self._reports = 0  # that were taken in
        self._states: StateFinder | None = None
        self._reported_us: list[int] = []
        self._files: set[str] = set()
        self._suffixes: set[str] = set()
        self.known_since_us: dict[str, int] = verification.list_known_since() if verification else {}
        self.revision = 0  # of those times: a document that is new does not count
        self._take_in()

    @property
    def is_verified(self) -> bool:
        return self.verification is not None

    def _take_in(self) -> None:
        """What the timeline holds more."""
        changes, reports = self.timeline.changes[self._changes :], self.timeline.reports[self._reports :]
        self._changes += len(changes)
        self._reports += len(reports)
        for uri in {change.uri for change in changes}:
            self._files.add(find_path(uri))
            self._suffixes.add(os.path.splitext(find_path(uri))[1])
        for report in reports:
            insort(self._reported_us, report.time_us)
        if self.verification is None:
            heard = [(c.uri, c.time_us) for c in changes] + [(r.uri, r.time_us) for r in reports]
            for uri, time_us in heard:
                if time_us < self.known_since_us.setdefault(uri, time_us):
                    self.known_since_us[uri] = time_us
                    self.revision += 1

    def take_steps(self, steps: list[OwnedStep]) -> None:
        """These are its steps now."""
        kept = count_common(self.steps, steps)
        for step in reversed(self.steps[kept:]):
            for call in step.list_parts():
                self._of_call[call].pop()
                self._of_session[call.session_id].pop()
        for number, step in enumerate(steps[kept:], kept):
            for call in step.list_parts():
                self._of_call.setdefault(call, []).append(number)
                self._of_session.setdefault(call.session_id, []).append(number)
        self.steps = steps
        times_us = [step.time_us for step in steps]
        self._by_time = sorted(range(len(steps)), key=times_us.__getitem__)
        self._times_us = sorted(times_us)

    def find_state(self, until_us: int) -> State:
        if self.verification:
            return self.verification.find_state(until_us)
        if self._states is None:
            self._states = StateFinder(self.timeline)
        self._states.update()
        return self._states.find(until_us)

    def mark_reports(self, until_us: int) -> tuple[int, int]:
        """How many reports had come by then, and when the last of them. Where both are the same, so are the reports:
        none goes away, and a new one counts."""
        count = bisect_right(self._reported_us, until_us)
        last_us = self._reported_us[count - 1] if count else 0
        return count, until_us if self.verification else last_us

    def knew(self, uri: str, until_us: int) -> bool:
        """Whether the document was known by then."""
        return self.known_since_us.get(uri, until_us) <= until_us

    def list_of_call(self, call: Call) -> list[int]:
        """The numbers of the steps that a call had a part in."""
        return self._of_call.get(call, [])

    def owns_step(self, call: Call) -> bool:
        return any(self.steps[number].owner is call for number in self.list_of_call(call))

    def list_of_sessions(self, session_ids: Iterable[str]) -> list[int]:
        return sorted({number for session_id in session_ids for number in self._of_session.get(session_id, ())})

    def list_between(self, start_us: int, limit_us: float) -> list[int]:
        """The numbers of the steps in that time, in no order."""
        return self._by_time[bisect_left(self._times_us, start_us) : bisect_left(self._times_us, limit_us)]

    def knows_such(self, files: Iterable[str]) -> bool:
        """Whether any of the files is of a kind that it was told of."""
        return any(path in self._files or os.path.splitext(path)[1] in self._suffixes for path in files)

    def judge_silence(self, files: Sequence[str], call: Call) -> Freshness | None:
        """How sure the state is after a call whose text never reached the server; None: such files are not its
        concern.
        """
        if not self.knows_such(files):
            return None
        timeline = self.timeline
        last = timeline.endings[-1] if timeline.endings else None
        was_restarted = last is not None and last.order < timeline.started_order
        if last and last.crashed and not was_restarted and last.time_us <= (call.end_us or last.time_us):
            return "server-dead"
        return "stale" if self._files.intersection(files) else None


class _Recorded(_Server):
    """A server as it was recorded, and goes on being."""

    def __init__(self, timeline: ServerTimeline, attribution: Attribution) -> None:
        super().__init__(timeline)
        self._ownership = Ownership(timeline, attribution)
        self._length = 0  # of the timeline that was taken in
        self.sessions: dict[str, SessionHistory] = {}

    def update(self, history: HistoryFold, altered: Sequence[SessionHistory], since_us: Mapping[str, float]) -> None:
        """Take in what is new: of the timeline, of the sessions, and of the attribution (see `Attribution.update`)."""
        before, length = self.sessions, len(self.timeline.times_us)
        self.sessions = {s.session_id: s for s in history.sessions.values() if is_of(self.timeline, s)}
        if (
            length == self._length
            and self.sessions.keys() == before.keys()
            and self.sessions.keys().isdisjoint(session.session_id for session in altered)
            and self._files.isdisjoint(since_us)
        ):
            return
        self._length = length
        self._take_in()
        calls = [call for session in self.sessions.values() for call in session.calls.values()]
        self.take_steps(self._ownership.find_steps(calls, since_us))


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
        self._revision = 0
        self._servers: list[_Recorded] = []
        self._verified: list[_Server] = []
        self._memo = Memo()
        self.update(timelines, verifications)

    def update(self, timelines: Iterable[ServerTimeline], verifications: Iterable[Verification]) -> None:
        """Take in what became known since; these are the timelines and verifications now."""
        self._families: dict[str, dict[str, SessionHistory]] = {}
        self._recorded: dict[str, list[_Server]] = {}
        self._memo.begin_round()
        since_us = self._attribution.update()
        altered = [session for session in self._history.sessions.values() if session.revision > self._revision]
        self._revision = self._history.revision
        known = {id(server.timeline): server for server in self._servers}
        self._servers = [known.get(id(t)) or _Recorded(t, self._attribution) for t in timelines]
        for server in self._servers:
            server.update(self._history, altered, since_us)
        self._verified = [self._verify(verification) for verification in verifications]

    def _verify(self, verification: Verification) -> _Server:
        owners = verification.find_owners(self._history)

        def measure() -> _Server:
            server = _Server(verification.timeline, verification)
            server.take_steps(verification.find_steps(owners))
            return server

        return self._memo.recall(measure, owners, verification)

    def list_recorded(self, session: SessionHistory) -> list[tuple[ServerTimeline, list[OwnedStep]]]:
        """The servers of a session as recorded, whether verified or not, each with its steps."""
        return [(s.timeline, s.steps) for s in self._servers if session.session_id in s.sessions]

    def _servers_of(self, session: SessionHistory, until_us: int) -> list[_Server]:
        """The servers of a session as recorded; of those that were verified up to `until_us`, the verification."""
        session_id = session.session_id
        recorded = self._recorded.get(session_id)
        if recorded is None:
            recorded = self._recorded[session_id] = [s for s in self._servers if session_id in s.sessions]
        verified = {
            server.verification.server: server
            for server in self._verified
            if server.verification and server.verification.covers(session_id, until_us)
        }
        if not verified:
            return recorded
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

    def _judge_silence(self, server: _Server, call: Call, directory: str) -> Freshness | None:
        """What a server's silence says of a call that wrote files, other than those that it left as it found them."""
        files = find_files(call, directory) if call.status == "completed" else []
        if not server.knows_such(files):
            return None
        before, after = ({path: self._history.content_of(state) for path, state in states.items()} for states in (
            call.files_before, call.files_after))  # fmt: skip
        altered = [path for path in files if before.get(path) is None or before.get(path) != after.get(path)]
        return server.judge_silence(altered, call)

    def measure_call(self, session: SessionHistory, call: Call, memo: Memo) -> CallMeasure | None:
        """What one call did; None for a call that changed no file anybody's server could know of."""
        family, directory = self._find_family(session), session.directory
        spans: list[tuple[bool, tuple[OwnedStep, ...]]] = []
        silences: list[tuple[Freshness, str]] = []

        def is_mine(owner: Call | None) -> bool:
            return owner is not None and self._call_in(session, owner, family) is call

        for server in self._servers_of(session, call.end_us or 0):
            mine = server.list_of_call(call)
            if call.child_session_id is not None:
                below = server.list_of_sessions(family.keys() - {session.session_id})
                parts = {number for number in below if any(map(is_mine, server.steps[number].list_parts()))}
                mine = sorted(parts.union(mine))
            for first, last in _find_runs(mine):
                spans.append((server.is_verified, tuple(server.steps[first : last + 1])))
            if not mine and (silent := self._judge_silence(server, call, directory)) is not None:
                silences.append((silent, server.timeline.name))
        if not spans and not (call.status == "completed" and find_files(call, directory)):
            return None

        def add_up() -> CallMeasure:
            sums = Sums(directory)
            for is_verified, run in spans:
                sums.add_span(run, is_mine, is_verified=is_verified)
            for freshness, name in silences:
                sums.add_silence(freshness, name)
            return sums.build_call_measure()

        # Whose part of a sub-agent's work is whose hangs on more than the steps.
        shared = [is_mine(part) for _, run in spans for step in run for part in step.list_parts()]
        measure = memo.recall(add_up, ("call", call, directory, *spans, *silences, *shared))
        return memo.settle(call, measure)

    def measure_span(
        self,
        session: SessionHistory,
        start_us: int,
        end_us: int,
        limit_us: float,
        calls: Sequence[Call],
        memo: Memo,
    ) -> tuple[Lsp, Diagnostics]:
        """What all calls between two times did, and the diagnostics at the start.

        Steps that none of the session's calls (nor its sub-agents') wrote count as external. Documents that became
        known after `end_us` do not count.
        """
        family = self._find_family(session)
        until_us = end_us if limit_us == float("inf") else int(limit_us)
        runs: list[tuple[_Server, Sequence[OwnedStep]]] = []
        silences: list[Freshness] = []
        depends_on: list[Hashable] = [end_us, session.directory, frozenset(family)]

        def is_ours(owner: Call | None) -> bool:
            return owner is not None and owner.session_id in family

        for server in self._servers_of(session, end_us):
            ours = [
                number
                for number in server.list_between(start_us, limit_us)
                if is_ours(server.steps[number].owner) or server.steps[number].time_us <= end_us
            ]
            run = tuple(server.steps[min(ours) : max(ours) + 1]) if ours else ()
            runs.append((server, run))
            depends_on += [server, server.revision, run or server.mark_reports(until_us)]
            silent = (self._judge_silence(server, c, session.directory) for c in calls if not server.owns_step(c))
            silences += [freshness for freshness in silent if freshness is not None]

        def add_up() -> tuple[Lsp, Diagnostics]:
            sums = Sums(session.directory)
            for server, run in runs:
                counts = partial(server.knew, until_us=end_us)
                if run:
                    sums.add_span(run, is_ours, counts, is_verified=server.is_verified)
                else:
                    state = server.find_state(until_us)
                    still = [d for uri, s in state.items() if counts(uri) for d in s.diagnostics]
                    sums.add_still(server.timeline.name, still, has_state=bool(state), is_verified=server.is_verified)
            sums.freshness += silences
            return sums.build_lsp(), sums.diagnostics(sums.before)

        return memo.settle((start_us, len(calls)), memo.recall(add_up, ("span", *depends_on, *silences)))


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
