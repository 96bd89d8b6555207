"""Load on a tap whose server sends everything back, and the figures it comes to."""

from __future__ import annotations

import os
import random
import re
import select
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsp_tap.journal.reader import Unreadable, read_journal
from lsp_tap.journal.records import Dropped, Frame
from lsp_tap.wire.framing import Frame as WireFrame
from lsp_tap.wire.framing import FrameSplitter, encode_frame
from tests.tap.tapped import Tapped, wait_until

_ID = re.compile(rb'"id":(\d+)')
_TEXT = "def total(prices: list[int]) -> int:\n    return sum(prices)  # größer\n" * 400


@dataclass(frozen=True)
class Journalled:
    """What a journal holds. A law of every journal: each entry is readable and none was dropped."""

    to_server: int
    to_client: int
    dropped: int
    unreadable: int


@dataclass(frozen=True)
class Figures:
    """Frames, and what they cost. `latency_ms` are of single round trips, sorted."""

    sent: int
    received: int
    journalled: Journalled
    seconds: float
    latency_ms: Sequence[float]
    peak_mb: float

    def tell(self, what: str) -> None:
        """On standard output, which `make soak` shows."""
        journalled = self.journalled
        latency = ""
        if self.latency_ms:
            p99 = self.latency_ms[min(len(self.latency_ms) - 1, len(self.latency_ms) * 99 // 100)]
            latency = f"round trip p50 {statistics.median(self.latency_ms):.2f} ms, p99 {p99:.2f} ms; "
        sys.stdout.write(
            f"{what}: {self.sent / self.seconds:.0f} frames/s over {self.seconds:.1f} s; {latency}"
            f"at most {self.peak_mb:.1f} MB resident; {self.sent} frames in = {self.received} out = "
            f"{journalled.to_server} + {journalled.to_client} journalled, {journalled.dropped} dropped\n"
        )

    def check_complete(self) -> None:
        """All that went in came out, and the journal has it both times."""
        assert (self.sent, self.sent) == (self.received, self.journalled.to_server)
        assert self.journalled == Journalled(self.sent, self.sent, 0, 0)


class Echoed:
    """The client of a tap in front of `echo`. Bytes that come back are compared with those that were sent."""

    def __init__(self, tapped: Tapped) -> None:
        self._tapped = tapped
        self._sent_s: dict[int, float] = {}
        self._latency_ms: list[float] = []
        self._expected = bytearray()
        self._lock = threading.Lock()  # of what is expected
        self._fault: str | None = None
        self.sent = self.received = 0
        self._listening = threading.Thread(target=self._listen)
        self._listening.start()
        self._started_s = time.monotonic()

    def say(self, frames: Sequence[tuple[int, bytes]]) -> None:
        """Sends numbered frames in one go. Blocks as long as the tap does not take them."""
        data = b"".join(frame for _, frame in frames)
        with self._lock:
            self._expected += data
        now_s = time.monotonic()
        self._sent_s.update((number, now_s) for number, _ in frames)
        self._tapped.send(data)
        self.sent += len(frames)

    def finish(self) -> Figures:
        """Ends the session; the figures of it. Peak memory is that of the tap alone."""
        while self.received < self.sent and self._fault is None and self._listening.is_alive():
            pause(0.01)
        seconds = time.monotonic() - self._started_s
        wait_still(self._tapped)
        peak_mb = read_peak_mb(self._tapped.process.pid)
        self._tapped.stdin.close()
        self._listening.join()
        self._tapped.wait(60)
        assert self._fault is None, self._fault
        assert not self._expected
        return Figures(
            self.sent, self.received, read_journalled(self._tapped.journal_path), seconds, sorted(self._latency_ms),
            peak_mb,
        )  # fmt: skip

    def _listen(self) -> None:
        assert self._tapped.process.stdout is not None
        splitter = FrameSplitter()
        while data := os.read(self._tapped.process.stdout.fileno(), 1 << 18):
            now_s = time.monotonic()
            with self._lock:
                if not self._expected.startswith(data):
                    self._fault = f"came back otherwise than sent: {data[:200]!r}"
                    return
                del self._expected[: len(data)]
            for frame in splitter.feed(data):
                assert isinstance(frame, WireFrame)
                self.received += 1
                if number := _ID.search(frame.raw[:200]):
                    self._latency_ms.append((now_s - self._sent_s.pop(int(number[1]))) * 1000)


def list_frames(count: int, seed: int = 1) -> Iterator[tuple[int, bytes]]:
    """Numbered frames as an agent's session has them: mostly short, some with a whole document."""
    sizes = random.Random(seed)
    for number in range(count):
        size = sizes.choice((20, 200, 200, 200, 2000, len(_TEXT)))
        text = _TEXT[:size].replace("\n", "\\n").encode()
        yield number, encode_frame(b'{"jsonrpc":"2.0","id":%d,"method":"m","params":{"text":"%s"}}' % (number, text))


def say_steadily(echoed: Echoed, per_s: float, seconds: float, seed: int = 1) -> None:
    """One frame after the other at a constant pace; a late one is followed by the next at once."""
    count = int(per_s * seconds)
    started_s = time.monotonic()
    for number, frame in list_frames(count, seed):
        pause(started_s + number / per_s - time.monotonic())
        echoed.say([(number, frame)])


def pause(seconds: float) -> None:
    """For a pace, and between two looks at an outside process."""
    if seconds > 0:
        select.select([], [], [], seconds)


def wait_still(tapped: Tapped) -> None:
    """Until the journal no longer grows: what is still to be recorded needs memory."""
    wait_until(lambda: bool(tapped.list_journals()), "the journal")
    size = -1
    while size != (size := tapped.journal_path.stat().st_size):
        pause(0.3)


def read_peak_mb(pid: int) -> float:
    """The most memory that was resident."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1000


def read_journalled(path: Path) -> Journalled:
    to_server = to_client = dropped = unreadable = 0
    for entry in read_journal(path):
        if isinstance(entry, Frame):
            to_server += entry.direction == "client_to_server" and not entry.probe
            to_client += entry.direction == "server_to_client" and not entry.probe
        elif isinstance(entry, Dropped):
            dropped += entry.count
        unreadable += isinstance(entry, Unreadable)
    return Journalled(to_server, to_client, dropped, unreadable)
