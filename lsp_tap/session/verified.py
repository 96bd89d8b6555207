"""Verifications: what `lsp-tap verify` measured on a fresh server, folded like any recording.

The closing record of a verification says which replayed change was which recorded one, so a verification is a server's
timeline whose steps have their owners, and their times in the session, already.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lsp_tap.journal import records
from lsp_tap.session.history import HistoryFold
from lsp_tap.session.ownership import OwnedStep
from lsp_tap.timeline.fold import Change, ServerTimeline, fold_server
from lsp_tap.timeline.steps import READ, FirstSight, Mark, State, find_state, find_steps


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

    def find_steps(self, history: HistoryFold) -> list[OwnedStep]:
        """The steps, owned by the calls whose changes they replay."""
        knowledge = _Knowledge(self.finished.replayed, self.timeline.last_time_us)
        owned = []
        for step in find_steps(self.timeline, knowledge):
            of = knowledge.find_replayed(step.cause)
            session = history.sessions.get(of.session_id or "")
            call = session.calls.get(of.call_id or "") if session else None
            owned.append(OwnedStep(step, call, recorded_us=of.time_us))
        return owned


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
    """The records of one verification's journal; None if it was not finished."""
    heard = list(recorded)
    finished = heard[-1] if heard else None
    if not isinstance(finished, records.VerificationFinished):
        return None
    return Verification(finished, fold_server(finished.server, heard))
