"""Verifications: what `lsp-tap verify` measured on a fresh server, folded like any recording.

The closing record of a verification says which replayed change was which recorded one, so a verification is a server's
timeline whose steps have their owners, and their times in the session, already.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lsp_tap.journal import records
from lsp_tap.session.history import Call, HistoryFold
from lsp_tap.session.ownership import OwnedStep
from lsp_tap.timeline.fold import Change, ServerTimeline, fold_server
from lsp_tap.timeline.states import State, find_state
from lsp_tap.timeline.steps import READ, FirstSight, Mark, find_steps


@dataclass(frozen=True, slots=True)
class Verification:
    """One server of one session, measured again."""

    finished: records.VerificationFinished
    timeline: ServerTimeline

    @property
    def server(self) -> tuple[str, str]:
        """The name and root of the recorded server it stands for."""
        return self.finished.server, self.finished.root

    @property
    def is_repeatable(self) -> bool:
        """Whether its numbers may replace the recorded ones."""
        return not self.finished.unrepeatable

    def covers(self, session_id: str, until_us: int) -> bool:
        """Whether it may stand for the recorded server in what `session_id` did until then."""
        return self.finished.session_id == session_id and until_us <= self.finished.until_us

    def list_known_since(self) -> dict[str, int]:
        """Since when, in the session, each document was known to its server."""
        known = {change.uri: change.time_us for change in reversed(self.finished.replayed)}
        return known | {document.uri: document.known_since_us for document in self.finished.opened}

    def find_state(self, until_us: int) -> State:
        """The state of all documents at a time in the session."""
        times = [change.time_us for change in self.finished.replayed]
        later = self.finished.replayed[bisect_right(times, until_us) :]
        return find_state(self.timeline, later[0].replayed_us if later else self.timeline.last_time_us)

    def find_owners(self, history: HistoryFold) -> tuple[Call | None, ...]:
        """The calls whose changes are replayed; None where one is nobody's, or not known yet."""
        found = []
        for of in self.finished.replayed:
            session = history.sessions.get(of.session_id or "")
            found.append(session.calls.get(of.call_id or "") if session else None)
        return tuple(found)

    def find_steps(self, owners: Sequence[Call | None]) -> list[OwnedStep]:
        """The steps, of these owners."""
        knowledge = _Knowledge(self.finished.replayed, self.timeline.last_time_us)
        owner_of = {change.version: owner for change, owner in zip(self.finished.replayed, owners, strict=True)}
        replayed = ((step, knowledge.find_replayed(step.cause)) for step in find_steps(self.timeline, knowledge))
        return [OwnedStep(step, owner_of[of.version], recorded_us=of.time_us) for step, of in replayed]


class _Knowledge:
    """What is known of replayed changes (see `timeline.steps.Knowledge`). All reports before the next change are on
    this one: the replay waited for them."""

    def __init__(self, replayed: Sequence[records.ChangeReplayed], end_us: int) -> None:
        self._by_version = {change.version: change for change in replayed}
        starts = [change.replayed_us for change in replayed]
        self._ends = dict(zip(self._by_version, [*starts[1:], end_us], strict=False))

    def find_replayed(self, cause: Change | Mark) -> records.ChangeReplayed:
        return self._by_version[int(cause.by) if isinstance(cause, Mark) else cause.version or 0]

    def find_first_sight(self, change: Change) -> FirstSight:
        replayed = self._by_version.get(change.version or 0)
        if replayed is None or replayed.sight == "read" or replayed.sight == "deleted":
            return READ
        return FirstSight(replayed.sight, replayed.origin)

    def find_patience(self, change: Change) -> int | None:
        return self._ends.get(change.version or 0)

    def list_marks(self) -> Sequence[Mark]:
        deleted = [change for change in self._by_version.values() if change.sight == "deleted"]
        return [Mark(change.replayed_us, str(change.version), (change.uri,)) for change in deleted]


def fold_verification(recorded: Iterable[records.Record]) -> Verification | None:
    """The records of one verification's journal; None if it was not finished, or does not tell of all it changed."""
    heard = list(recorded)
    finished = heard[-1] if heard else None
    if not isinstance(finished, records.VerificationFinished):
        return None
    timeline, told = fold_server(finished.server, heard), {change.version for change in finished.replayed}
    is_told = all(change.version in told for change in timeline.changes if change.altered)
    return Verification(finished, timeline) if is_told else None
