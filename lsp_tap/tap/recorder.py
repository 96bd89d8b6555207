"""The queue between the pumps and the recording, and the thread at its end.

It is bounded in bytes, and the thread works in batches some milliseconds apart: woken for every message it
would fight the pumps for the interpreter in the middle of each round trip.
"""

from __future__ import annotations

import threading
import time
from operator import attrgetter
from queue import Empty, SimpleQueue

from lsp_tap.tap.items import Item, Lost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lsp_tap.tap.recording import Recording

QUIET_S = 0.003
MAX_DELAY_S = 0.1
"""A batch waits for a pause in the traffic, but not for longer than this. It delays the journal and the
probe, never the wire."""

START_S = 0.05
"""What the recording imports would compete with the pumps' first moments; no real server answers sooner."""

FORWARDING_LOOKS = 6

QUEUE_BYTES = 32 << 20
"""More than this is not kept waiting; a burst of large messages stays below it and is recorded when it is
over.
"""

STALL_S = 0.25
"""A pump waits for a full queue as long as something is taken out of it at least this often; then what the
pump has is forwarded and lost to the journal. A slow disk slows the wire down, a stuck one does not stop
it."""

CLOSE_S = 1.0
"""What the end of the process waits for the last batch, should the disk be stuck."""


class Recorder:
    """`open_recording` is called in the thread: what it imports and opens, the wire does not wait for."""

    def __init__(self, open_recording: Callable[[], Recording]) -> None:
        self._open_recording = open_recording
        self._queue: SimpleQueue[Item | None] = SimpleQueue()
        self._taken_bytes = 0
        # Each number below is changed by one thread only, so that no lock is needed.
        self._put_bytes = [0, 0, 0]
        self._lost: list[Lost | None] = [None, None, None]
        self.is_forwarding = [False, False, False]
        """By source: a pump has read something that it has not put here yet. Set before it is stamped."""
        self._later: list[Item | None] = []
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, item: Item) -> None:
        """Called by the one pump that `item.source` belongs to."""
        lost = self._lost[item.source]
        if self._waiting_bytes() > QUEUE_BYTES and not self._wait_room():
            if lost is None:
                lost = self._lost[item.source] = Lost(item.source)
            lost.add(item)
            return
        if lost is not None:
            self._lost[item.source] = None
            self._queue.put(lost)
        self._put_bytes[item.source] += item.size_bytes
        self._queue.put(item)

    def note(self, item: Item) -> None:
        """Something small of the tap's own, from any thread."""
        self._queue.put(item)

    def close(self) -> None:
        """Everything put so far is written, if that takes no longer than CLOSE_S."""
        for lost in self._lost:
            if lost is not None:
                self._queue.put(lost)
        self._queue.put(None)
        self._thread.join(CLOSE_S)

    def _waiting_bytes(self) -> int:
        return sum(self._put_bytes) - self._taken_bytes

    def _wait_room(self) -> bool:
        seen, since_s = self._taken_bytes, time.monotonic()
        while self._waiting_bytes() > QUEUE_BYTES:
            if self._taken_bytes != seen:
                seen, since_s = self._taken_bytes, time.monotonic()
            elif time.monotonic() - since_s > STALL_S:
                return False
            time.sleep(QUIET_S)
        return True

    def _wait_pause(self) -> None:
        until_s = time.monotonic() + MAX_DELAY_S
        put_bytes = -1
        while put_bytes != (put_bytes := sum(self._put_bytes)) and time.monotonic() < until_s:
            if self._waiting_bytes() > QUEUE_BYTES * 3 // 4:
                return
            time.sleep(QUIET_S)

    def _run(self) -> None:
        timeout_s: float | None = None
        recording: Recording | None = None
        while True:
            batch = self._take_batch(timeout_s, is_first=recording is None)
            if batch and recording is None:
                recording = self._open_recording()
            if recording is None:
                continue
            is_last = bool(batch) and batch[-1] is None
            items = sorted(filter(None, batch), key=attrgetter("monotonic_ns"))
            # Popped from its end. (`sorted(reverse=True)` would turn round what one chunk was cut into.)
            items.reverse()
            batch.clear()
            while items:
                item = items.pop()
                recording.step(item)
                self._taken_bytes += item.size_bytes
            if is_last:
                recording.close()
                return
            timeout_s = recording.end_batch()

    def _take_batch(self, timeout_s: float | None, *, is_first: bool) -> list[Item | None]:
        """What happened until there was a pause. None comes last.

        An answer may be queued before its question: the pump that forwarded the question was not done yet. Each was
        stamped when it was read, so within a batch time puts them right; and what is newer than all that is known to
        have been queued waits for the next batch.
        """
        batch, self._later = self._later, []
        complete_ns = float("inf")
        try:
            if not batch:
                batch.append(self._queue.get(timeout=timeout_s))
            if is_first:
                time.sleep(START_S)
            else:
                self._wait_pause()
            complete_ns = self._find_complete_ns()
            while batch[-1] is not None:
                batch.append(self._queue.get_nowait())
        except Empty:
            pass
        return batch if not batch or batch[-1] is None else self._split(batch, complete_ns)

    def _split(self, batch: list[Item | None], complete_ns: float) -> list[Item | None]:
        self._later = [item for item in batch if item is not None and item.monotonic_ns > complete_ns]
        return [item for item in batch if item is not None and item.monotonic_ns <= complete_ns]

    def _find_complete_ns(self) -> float:
        """Until when everything that was read is in the queue. A pump that is stuck in a write is not waited for:
        nobody can have answered what it has."""
        for _ in range(FORWARDING_LOOKS):
            now_ns = time.monotonic_ns()
            if not any(self.is_forwarding):
                return now_ns
            time.sleep(QUIET_S / FORWARDING_LOOKS)
        return float("inf")
