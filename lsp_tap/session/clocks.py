"""Times as a clock would have told them that nobody set back.

Client and servers are told apart in time by the wall clock, which a person or a time service may set back while they
run: then what came later seems to have come earlier, and belongs to no turn. Each record also has the time of a clock
that never goes back, so where the difference between the two falls the wall clock was set back by that much, and
every later time of the recorder is that much too early.

What goes up is left alone: the steady clock stands still while a machine sleeps.

A server that is started afterwards has a journal that begins with the wrong time already. Its first record says how
long the machine was running then, as its client's first record does, and what is missing between the two is what the
client's clock had lost. A client that is started afterwards is believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

from lsp_tap.journal import records
from lsp_tap.journal.heads import FrameHead

SET_BACK_US: Final = 1_000_000
"""A clock that is only being corrected moves by less at once."""

_TOLD_MS: Final = ("created_ms", "updated_ms", "completed_ms", "start_ms", "end_ms")
_ROUNDING_US: Final = 1_000
_LAST_US: Final = 253_402_300_799_999_999  # of the year 9999
_NEVER_US: Final = -(2**63)

_UPTIME_US: Final = 2_000_000
"""How far apart two processes' numbers for how long the machine is running may be: some are told whole seconds."""

AnyRecord = TypeVar("AnyRecord", bound=records.Recorded)


@dataclass(slots=True)
class _Span:
    """Between two times at which the clock was set back: from when until when it showed, and how much too little."""

    start_us: int
    end_us: int
    shift_us: int


class Clock:
    """The clock of one journal, `shift_us` behind from the start. Give it every record, in order."""

    def __init__(self, shift_us: int = 0) -> None:
        self._shift_us = shift_us
        self._spans: list[_Span] = []
        self._last: tuple[int, int] | None = None  # the wall clock, and the steady one

    def amend(self, record: AnyRecord) -> AnyRecord:
        """The record with the times it should have, also those that the client itself told."""
        self._step(record.time_us, record.monotonic_us)
        if not self._shift_us:
            return record
        told = {name: self._amend_ms(value) for name in _TOLD_MS if (value := getattr(record, name, None)) is not None}
        return record.model_copy(update={"time_us": self._amend_us(record.time_us), **told})

    def amend_head(self, head: FrameHead) -> FrameHead:
        """The head of a frame with the time it should have. Its frame has the one it had: that is for `amend`."""
        self._step(head.time_us, head.monotonic_us)
        if self._shift_us:
            head.time_us = self._amend_us(head.time_us)
        return head

    @property
    def steps(self) -> int:
        """How often it was set back so far."""
        return max(0, len(self._spans) - 1)

    def find_shift(self, client: records.ClientStarted, tap: records.TapStarted) -> int:
        """How far this clock, `client`'s, was behind when `tap` started, in microseconds; 0 where nobody can tell."""
        if client.uptime_us is None or tap.uptime_us is None:
            return 0
        behind_us = (client.time_us - client.uptime_us) - (tap.time_us - tap.uptime_us)
        shifts = (span.shift_us for span in self._spans)
        nearest = min(shifts, key=lambda shift_us: abs(shift_us - behind_us), default=0)
        return nearest if abs(nearest - behind_us) <= _UPTIME_US else 0

    def _amend_us(self, time_us: int) -> int:
        return min(time_us + self._shift_us, _LAST_US)

    def _step(self, time_us: int, monotonic_us: int) -> None:
        last = self._last
        self._last = time_us, monotonic_us
        if last is None:
            self._spans.append(_Span(_NEVER_US, time_us, self._shift_us))
        elif last == self._last:
            return  # a frame that its head was of
        else:
            passed_us = monotonic_us - last[1]
            back_us = last[0] + passed_us - time_us
            if back_us > SET_BACK_US:
                self._spans[-1].end_us += passed_us
                self._shift_us += back_us
                self._spans.append(_Span(time_us - passed_us, time_us, self._shift_us))
        span = self._spans[-1]
        if time_us > span.end_us:
            span.end_us = time_us

    def _amend_ms(self, told_ms: float) -> float:
        """A time that the client told is one that the clock showed before; where it showed it twice, the later time."""
        told_us = told_ms * 1000
        for span in reversed(self._spans):
            if span.start_us - _ROUNDING_US <= told_us <= span.end_us + _ROUNDING_US:
                return min(told_us + span.shift_us, _LAST_US) / 1000
        return told_ms
