"""The queue between the pumps and the recording, and the thread at its end.

The thread works in batches some milliseconds apart: woken for every message it would fight the pumps for the
interpreter in the middle of each round trip. What comes meanwhile waits in memory up to `SPILL_BYTES`; a burst of
more goes to the spool (`lsp_tap.tap.spool`) and into the journal when it is over.

    pumps ──> queue (memory) ──────────────────> recording
                   └──> spool (disk), in a burst ──┘

Only when the spool is full, too, do the pumps wait for the journal.
"""

from __future__ import annotations

import sys
import threading
import time
from _queue import Empty, SimpleQueue  # `queue` is these two and four imports
from operator import attrgetter

from lsp_tap.errors import complain
from lsp_tap.tap.items import CLIENT, SERVER, STAMPING, Chunk, Item, Lost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lsp_tap.tap.recording import Recording
    from lsp_tap.tap.spool import Spool

QUIET_S = 0.003
MAX_DELAY_S = 0.1
"""A batch waits for a pause in the traffic, but not for longer than this. It delays the journal and the
probe, never the wire."""

START_S = 0.05
"""What the recording imports would compete with the pumps' first moments; no real server answers sooner."""

STUCK_S = 0.02
"""A pump that has been forwarding for longer is stuck in a write, and not waited for."""

SPILL_BYTES = 1 << 18
"""More than this does not wait in memory for a pause."""

START_BYTES = 3 << 18
"""Nor than this for the end of the start."""

QUEUE_BYTES = 6 << 18
"""More than this is not kept in memory, however slow the spool is."""

MAX_BLOCKS = 8
"""As many as are in a full queue are kept to be read into again."""

ITEM_BYTES = 256
"""What an item weighs beside its bytes."""

STALL_S = 2.0
"""A pump waits for a full queue as long as something is taken out of it at least this often; then what comes next
is forwarded and lost to the journal, until there is room. A slow disk slows the wire down, a stuck one does not
stop it."""

CLOSE_S = 1.0
"""What the end of the process waits for the last batch, should the disk be stuck."""

MAX_CLOSE_S = 2.0
"""And for what is in the spool, should the disk be slow. What is left then is counted as lost."""

WAIT_S = 0.0005
_NOTES = 3


class Recorder:
    """`open_recording` is called in the thread: what it imports and opens, the wire does not wait for."""

    def __init__(self, open_recording: Callable[[], Recording]) -> None:
        self._open_recording = open_recording
        self._queue: SimpleQueue[Item | None] = SimpleQueue()
        self._taken_bytes = 0
        self._progress = 0
        # Each number below is changed by one thread only, so that no lock is needed.
        self._put_bytes = [0, 0, 0, 0]
        self._lost: list[Lost | None] = [None, None, None]
        self._is_stuck = [False, False, False]
        self.forwarding_since_ns = [0, 0, 0]
        """By source, on the monotonic clock: since when a pump has had something that it has not put here yet, 0 when
        it has nothing, STAMPING just before."""
        self.blocks: list[bytearray] = []
        """Memory for a pump to read into, at most MAX_BLOCKS; each was filled and is needed no more."""
        self._later: list[Item | None] = []
        self._later_bytes = 0
        self._is_filling = threading.Event()
        self._full_bytes = START_BYTES
        self._is_late = self._is_off = False
        self._spool: Spool | None = None
        self._spooled_since_s = 0.0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Where the system grants no more threads, nothing is recorded."""
        try:
            self._thread.start()
        except RuntimeError as error:
            self._is_off = True
            self._is_stuck = [True, True, True]
            complain(f"cannot record: {error}; the connection goes on, unrecorded")

    def put(self, item: Item, *, is_last: bool = True) -> None:
        """Called by the one pump that `item.source` belongs to; `is_last` of what it was forwarding."""
        source = item.source
        if self._is_stuck[source] and self._lose(item):
            self.forwarding_since_ns[source] = 0
            return
        put_bytes = self._put_bytes
        put_bytes[source] += item.size_bytes + ITEM_BYTES
        self._queue.put(item)
        if is_last:
            self.forwarding_since_ns[source] = 0
        waiting_bytes = sum(put_bytes) - self._taken_bytes
        if waiting_bytes > self._full_bytes:
            if not self._is_filling.is_set():
                self._is_filling.set()
            self._is_stuck[source] = waiting_bytes > QUEUE_BYTES and not self._wait_room()

    def release(self, item: Item) -> None:
        """Nobody needs what the item has in a block any more."""
        if isinstance(item, Chunk) and item.block is not None:
            if len(self.blocks) < MAX_BLOCKS:
                self.blocks.append(item.block)
            item.data, item.block = b"", None

    def _lose(self, item: Item) -> bool:
        """Whether there is still no room; when there is, what was lost is said first."""
        if self._is_off:
            return True
        lost = self._lost[item.source]
        if self._waiting_bytes() > QUEUE_BYTES:
            if lost is None:
                lost = self._lost[item.source] = Lost(item.source)
            lost.add(item)
            return True
        if lost is not None:
            self._lost[item.source] = None
            self._put_bytes[item.source] += ITEM_BYTES
            self._queue.put(lost)
        return False

    def note(self, item: Item) -> None:
        """Something small of the tap's own, from the main thread."""
        self._put_bytes[_NOTES] += ITEM_BYTES
        self._queue.put(item)

    def close(self) -> None:
        """Everything put so far is written, if that takes no longer than CLOSE_S, or MAX_CLOSE_S for a lot."""
        for lost in self._lost:
            if lost is not None:
                self.note(lost)
        self._queue.put(None)
        deadline_s = time.monotonic() + MAX_CLOSE_S
        seen = -1
        while self._thread.is_alive() and seen != (seen := self._progress):
            if time.monotonic() >= deadline_s:
                self._is_late = True
                self._thread.join(CLOSE_S / 2)
                break
            self._thread.join(min(CLOSE_S, max(0.0, deadline_s - time.monotonic())))
        if self._thread.is_alive():
            complain("the end of the journal was not written in time and is lost")

    def _waiting_bytes(self) -> int:
        return sum(self._put_bytes) - self._taken_bytes

    def _wait_room(self) -> bool:
        seen, since_s = self._progress, time.monotonic()
        while self._waiting_bytes() > QUEUE_BYTES:
            if self._progress != seen:
                seen, since_s = self._progress, time.monotonic()
            elif time.monotonic() - since_s > STALL_S:
                return False
            time.sleep(WAIT_S)
        return True

    def _wait_pause(self) -> bool:
        """False when memory was filling before there was a pause."""
        until_s = time.monotonic() + MAX_DELAY_S
        put_bytes = -1
        while put_bytes != (put_bytes := sum(self._put_bytes)) and time.monotonic() < until_s:
            self._is_filling.clear()
            if self._waiting_bytes() - self._later_bytes > SPILL_BYTES:
                return False
            self._is_filling.wait(QUIET_S)
        return True

    def _run(self) -> None:
        """Whatever goes wrong in here, nobody may wait for it."""
        try:
            self._record_all()
        except Exception as error:
            complain(f"the recording broke off: {error!r}; the connection goes on, unrecorded")
            self._taken_bytes = sum(self._put_bytes)
            while self._queue.get() is not None:
                self._taken_bytes = sum(self._put_bytes)

    def _record_all(self) -> None:
        timeout_s: float | None = None
        recording: Recording | None = None
        while True:
            batch, is_pause = self._take_batch(timeout_s, is_first=recording is None)
            if batch and recording is None:
                recording = self._open_recording()
                self._full_bytes = SPILL_BYTES
            if recording is None:
                continue
            is_last = bool(batch) and batch[-1] is None
            items = sorted(filter(None, batch), key=attrgetter("monotonic_ns"))
            # Popped from its end. (`sorted(reverse=True)` would turn round what one chunk was cut into.)
            items.reverse()
            batch.clear()
            if not is_last and (self._spool or not is_pause):
                self._spill(recording, items)
            is_due = is_last or is_pause or items or time.monotonic() - self._spooled_since_s > MAX_DELAY_S
            timeout_s = QUIET_S
            if is_due and self._record(recording, items, is_last=is_last):
                if is_last:
                    recording.close()
                    return
                timeout_s = recording.end_batch()

    def _spill(self, recording: Recording, items: list[Item]) -> None:
        """Puts the items into the spool; those that it does not take stay."""
        if recording.folder is None:
            return
        if self._spool is None:
            from lsp_tap.tap.spool import Spool

            self._spool = Spool(recording.folder)
        if not self._spool:
            self._spooled_since_s = time.monotonic()
        while items and (taken := self._spool.add(items)):
            for item in taken:
                self._taken_bytes += item.size_bytes + ITEM_BYTES
                self.release(item)
            self._progress += 1

    def _record(self, recording: Recording, items: list[Item], *, is_last: bool) -> bool:
        """What is in the spool, then the items. False when it was left for what fills memory again."""
        put_bytes = sum(self._put_bytes)
        while True:
            item = self._take_spooled(recording)
            if item is None and items:
                item = items.pop()
                self._taken_bytes += item.size_bytes + ITEM_BYTES
            if item is None:
                return True
            recording.step(item)
            self.release(item)
            self._progress += 1
            if sum(self._put_bytes) - put_bytes > SPILL_BYTES and not is_last:
                if items:
                    self._spill(recording, items)
                if not items:
                    return False

    def _take_spooled(self, recording: Recording) -> Item | None:
        if self._spool is None:
            return None
        item = None if self._is_late else self._spool.read()
        count, size_bytes = self._spool.drop_all() if self._is_late else self._spool.take_lost()
        if count:
            for source in (CLIENT, SERVER):
                lost = Lost(source)
                lost.has_chunks = True
                if source == SERVER:
                    lost.count, lost.lost_bytes = count, size_bytes
                recording.step(lost)
        return item

    def _take_batch(self, timeout_s: float | None, *, is_first: bool) -> tuple[list[Item | None], bool]:
        """What happened until there was a pause (then True), or until it was too much. None comes last.

        An answer may be queued before its question: the pump that forwarded the question was not done yet. Each was
        stamped when it was read, so within a batch time puts them right; and what is newer than all that is known to
        have been queued waits for the next batch.
        """
        batch, self._later = self._later, []
        complete_ns = sys.maxsize
        is_pause = True
        try:
            if not batch:
                batch.append(self._queue.get(timeout=timeout_s))
            if is_first:
                self._is_filling.wait(START_S)
            else:
                is_pause = self._wait_pause()
            complete_ns = self._find_complete_ns()
            while batch[-1] is not None:
                batch.append(self._queue.get_nowait())
        except Empty:
            pass
        if batch and batch[-1] is not None:
            batch = self._split(batch, complete_ns)
        return batch, is_pause

    def _split(self, batch: list[Item | None], complete_ns: int) -> list[Item | None]:
        self._later = [item for item in batch if item is not None and item.monotonic_ns > complete_ns]
        self._later_bytes = sum(item.size_bytes + ITEM_BYTES for item in self._later if item is not None)
        return [item for item in batch if item is not None and item.monotonic_ns <= complete_ns]

    def _find_complete_ns(self) -> int:
        """Until when everything that was read is in the queue, but for what a stuck pump has."""
        now_ns, marks = time.monotonic_ns(), self.forwarding_since_ns.copy()
        while STAMPING in marks:
            time.sleep(0)
            now_ns, marks = time.monotonic_ns(), self.forwarding_since_ns.copy()
        stuck_ns = now_ns - int(STUCK_S * 1e9)
        return min((since_ns for since_ns in marks if since_ns > stuck_ns), default=now_ns)
