"""What a tap carries, each once for some seconds and, in `make soak`, at its full size."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.wire.framing import encode_frame
from tests.soak.load import (
    Echoed,
    Figures,
    Journalled,
    list_frames,
    pause,
    read_journalled,
    read_peak_mb,
    say_steadily,
    wait_still,
)
from tests.tap.tapped import Tapped, peer, tap, wait_until

PEERS = Path(__file__).parent / "peers"
BOUND_MB = 40.0
"""Resident, whatever passes. How much it really is, `make bench` measures; here it must be no matter of the load."""

LENGTH = 5_000
"""Of the text in a frame."""

PIPES_BYTES = 1 << 20
"""More than two pipes and a pump can hold between a sender and a reader that has stopped."""


def sizes(short: Any, full: Any) -> pytest.MarkDecorator:
    """Both sizes of a test that has an argument `size`."""
    long = pytest.param(full, id="full", marks=[pytest.mark.soak, pytest.mark.timeout(3600)])
    return pytest.mark.parametrize("size", [pytest.param(short, id="short"), long])


def soak_peer(name: str, *words: str) -> list[str]:
    return [sys.executable, "-I", str(PEERS / f"{name}.py"), *words]


@sizes(3, 600)
def test_two_hundred_messages_a_second(size: int, tmp_path: Path) -> None:
    with tap(peer("echo"), tmp_path, options=()) as tapped:
        echoed = Echoed(tapped)
        say_steadily(echoed, 200, size)
        figures = echoed.finish()
    figures.tell("200 messages a second")
    figures.check_complete()
    assert figures.peak_mb < BOUND_MB
    assert figures.sent / figures.seconds > 190, "the sender was held up"


@sizes(2, 60)
def test_sixteen_servers_at_once_in_one_project(size: int, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        taps = [
            stack.enter_context(tap(peer("echo"), tmp_path, options=("--name", f"server{number}")))
            for number in range(16)
        ]
        figures: dict[int, Figures] = {}
        threads = [
            threading.Thread(target=_talk, args=(tapped, number, size, figures)) for number, tapped in enumerate(taps)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(figures) == list(range(16))
    for number in range(16):
        figures[number].check_complete()
        assert figures[number].peak_mb < BOUND_MB
    _add_up(list(figures.values())).tell("16 servers in one project")
    assert len(list((tmp_path / "tap").iterdir())) == 16


def _talk(tapped: Tapped, number: int, seconds: int, figures: dict[int, Figures]) -> None:
    echoed = Echoed(_OfMany(tapped, f"server-server{number}-*.jsonl"))
    say_steadily(echoed, 15, seconds, seed=number)
    figures[number] = echoed.finish()


class _OfMany(Tapped):
    """One of several taps that record into one folder."""

    def __init__(self, tapped: Tapped, journals: str) -> None:
        self.__dict__.update(tapped.__dict__)
        self.journals = journals


def _add_up(figures: list[Figures]) -> Figures:
    journalled = [figure.journalled for figure in figures]
    return Figures(
        sum(figure.sent for figure in figures),
        sum(figure.received for figure in figures),
        Journalled(
            sum(each.to_server for each in journalled), sum(each.to_client for each in journalled),
            sum(each.dropped for each in journalled), sum(each.unreadable for each in journalled),
        ),
        max(figure.seconds for figure in figures),
        sorted(ms for figure in figures for ms in figure.latency_ms),
        max(figure.peak_mb for figure in figures),
    )  # fmt: skip


@sizes((2_000, 2), (10_000, 50))
def test_bursts_of_frames(size: tuple[int, int], tmp_path: Path) -> None:
    """Each burst is sent as fast as the tap takes it, and is back before the next one begins."""
    frames, bursts = size
    room = {"LSP_TAP_KEEP_MB": "10000"}  # it is more than a project's journals may take
    with tap(peer("echo"), tmp_path, options=(), environment=room) as tapped:
        echoed = Echoed(tapped)
        for number in range(bursts):
            burst = list(list_frames(frames, seed=number))
            for start in range(0, frames, 100):
                echoed.say(burst[start : start + 100])
            wait_until(lambda: echoed.received == echoed.sent, "the burst to come back", 120)
        figures = echoed.finish()
    figures.tell(f"bursts of {frames} frames")
    figures.check_complete()
    assert figures.peak_mb < BOUND_MB


@sizes((8, 1), (64, 10))
def test_a_large_frame_again_and_again(size: tuple[int, int], tmp_path: Path) -> None:
    megabytes, times = size
    text = ("0123456789 grün " * 70_000).encode()[:1_000_000]
    with tap(peer("echo"), tmp_path, options=()) as tapped:
        echoed = Echoed(tapped)
        for number in range(times):
            body = b'{"jsonrpc":"2.0","id":%d,"method":"m","params":["%s"]}' % (number, b'","'.join([text] * megabytes))
            echoed.say([(number, encode_frame(body))])
            wait_until(lambda: echoed.received == echoed.sent, "the frame to come back", 120)
        figures = echoed.finish()
    figures.tell(f"frames of {megabytes} MB")
    figures.check_complete()
    assert figures.peak_mb < BOUND_MB


@sizes((1.0, 3_000), (60.0, 200_000))
def test_a_client_that_stops_reading_stops_the_server(size: tuple[float, int], tmp_path: Path) -> None:
    seconds, count = size
    progress = tmp_path / "progress"
    progress.touch()
    server = soak_peer("source", str(count), str(LENGTH), str(progress))
    with tap(server, tmp_path / "logs", options=()) as tapped:
        stuck_at = wait_stuck(lambda: progress.stat().st_size, seconds)
        assert 0 < stuck_at * LENGTH < PIPES_BYTES
        started_s = time.monotonic()
        expected, received = hashlib.sha256(), hashlib.sha256()
        for number in range(count):
            frame = encode_numbered(number)
            expected.update(frame)
            received.update(tapped.read(len(frame)))
        seconds = time.monotonic() - started_s
        wait_still(tapped)
        peak_mb = read_peak_mb(tapped.process.pid)
        assert tapped.finish() == (b"", b"")
    assert received.digest() == expected.digest()
    tell_stuck("a client that stopped reading", stuck_at, count, seconds, peak_mb)
    assert peak_mb < BOUND_MB
    assert read_journalled(tapped.journal_path) == Journalled(0, count, 0, 0)


@sizes((1.0, 3_000), (60.0, 200_000))
def test_a_server_that_stops_reading_stops_the_client(size: tuple[float, int], tmp_path: Path) -> None:
    seconds, count = size
    go = tmp_path / "go"
    sent = 0
    expected = hashlib.sha256()

    def send() -> None:
        nonlocal sent
        for number in range(count):
            frame = encode_numbered(number)
            tapped.send(frame)
            expected.update(frame)
            sent += 1

    with tap(soak_peer("sink", str(go)), tmp_path / "logs", options=()) as tapped:
        sender = threading.Thread(target=send)
        sender.start()
        stuck_at = wait_stuck(lambda: sent, seconds)
        assert 0 < stuck_at * LENGTH < PIPES_BYTES
        started_s = time.monotonic()
        go.touch()
        sender.join()
        seconds = time.monotonic() - started_s
        wait_still(tapped)
        peak_mb = read_peak_mb(tapped.process.pid)
        out, err = tapped.finish()
    assert expected.hexdigest().encode() in out
    assert err == b""
    tell_stuck("a server that stopped reading", stuck_at, count, seconds, peak_mb)
    assert peak_mb < BOUND_MB
    assert read_journalled(tapped.journal_path) == Journalled(count, 1, 0, 0)


def encode_numbered(number: int) -> bytes:
    """As `source` writes them."""
    text = b"x" * LENGTH
    return encode_frame(b'{"jsonrpc":"2.0","method":"m","params":{"number":%d,"text":"%s"}}' % (number, text))


def wait_stuck(read_count: Callable[[], int], seconds: float) -> int:
    """Until a count has begun and stands still, and then as long as `seconds`; the count."""
    wait_until(lambda: read_count() > 0, "the first one")
    count = -1
    while count != (count := read_count()):
        pause(0.5)
    pause(seconds)
    assert read_count() == count, "it went on"
    return count


def tell_stuck(what: str, stuck_at: int, count: int, seconds: float, peak_mb: float) -> None:
    sys.stdout.write(
        f"{what}: the sender was stopped after {stuck_at * LENGTH / 1000:.0f} KB; afterwards "
        f"{count * LENGTH / 1e6 / seconds:.0f} MB/s, at most {peak_mb:.1f} MB resident, {count} frames in = out = "
        "journalled\n"
    )
