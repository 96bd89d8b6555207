"""What the tap costs: round trips, large messages, start and memory, against its peers.

    python -m tests.bench.relay [--rounds N] [--json]

The yardstick is `tee in | server | tee out`, which records every byte and understands none; lsp-devtools 0.4.0
(`agent`, with a `record` that takes what it sends) does the tap's job. The server sends back what it gets. Rounds of
all set-ups are interleaved, so that a busy moment of the machine falls on each of them, and medians are compared; over
a gigabyte it is the mean, which has the waiting for the journal in it.
Memory is VmRSS of the tap's process, and VmHWM, its peak, over a gigabyte of traffic.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, median
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
SERVER: Final = [sys.executable, "-I", str(ROOT / "tests/tap/peers/echo.py")]
LSP_DEVTOOLS: Final = ROOT / ".setup/consumers/bin/lsp-devtools"

DIRECT, TEE, TAP, TAP_PROBING, DEVTOOLS = "direct", "tee", "tap --no-probe", "tap", "lsp-devtools"
SETUPS: Final = (DIRECT, TEE, TAP, TAP_PROBING, DEVTOOLS)

START, SMALL, LARGE = "start to first answer, ms", "round trip of 0.5 KB, ms", "1 MB each way, ms"
IDLE, BURST = "resident, MB", "resident after 1 MB messages, MB"
SUSTAINED, PEAK, GROWTH = "its mean over 1 GB, ms", "peak resident over 1 GB, MB", "its growth after 100 MB, MB"

WARM_UP_TRIPS, SMALL_TRIPS, LARGE_TRIPS = 50, 400, 20
DEVTOOLS_TRIPS, DEVTOOLS_LARGE_TRIPS = 40, 1  # it takes a second for a megabyte
SETTLE_S: Final = 0.3
"""The start is a row of its own; the others are of what runs."""

LARGE_BYTES: Final = 1_000_000
TRAFFIC_BYTES: Final = 1_000_000_000

Samples = dict[str, dict[str, list[float]]]
"""Measure -> set-up -> values."""


def list_command(setup: str, folder: Path, port: int) -> list[str]:
    """`port` is where lsp-devtools' recorder listens."""
    match setup:
        case "direct":
            return SERVER
        case "tee":
            into, out = (shlex.quote(str(folder / name)) for name in ("in", "out"))
            return ["sh", "-c", f"tee {into} | {shlex.join(SERVER)} | tee {out}"]
        case "lsp-devtools":
            return [str(LSP_DEVTOOLS), "agent", "--port", str(port), "--", *SERVER]
    options = ["--no-probe"] if setup == TAP else []
    return [sys.executable, "-I", "-m", "lsp_tap", "run", "--dir", str(folder), *options, "--", *SERVER]


def encode_message(size_bytes: int) -> bytes:
    """A request with text of that size: lines as a program has them."""
    line = 'def total(cart): return sum(item.price for item in cart)  # "all of it"\n'
    text = (line * (size_bytes // len(line) + 1))[:size_bytes]
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": {"text": text}}).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


class Peer:
    """A set-up that runs, seen from the client."""

    def __init__(self, setup: str, folder: Path, port: int = 0) -> None:
        self.start_s = time.perf_counter()
        self.process = subprocess.Popen(
            list_command(setup, folder, port),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if setup == DEVTOOLS else None,
            bufsize=0,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._in, self._out = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self._in, False)

    def measure_round_trip_ms(self, message: bytes) -> float:
        """From the first byte sent to the last byte back. Reads while it writes, as a client must."""
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        start_s = time.perf_counter()
        to_send, missing = memoryview(message), len(message)
        while missing:
            if to_send:
                try:
                    to_send = to_send[os.write(self._in, to_send) :]
                except BlockingIOError:
                    poll.register(self._in, select.POLLOUT)
            ready = dict(poll.poll() if missing and (to_send or missing == len(message)) else [(self._out, 1)])
            if self._out in ready:
                missing -= len(os.read(self._out, 1 << 16))
            if not to_send or self._in in ready:
                try:
                    poll.unregister(self._in)
                except KeyError:
                    pass
        return (time.perf_counter() - start_s) * 1000

    def read_memory_mb(self, field: str = "VmRSS") -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition(f"{field}:")[2].split()[0]) / 1024

    def stop(self, *, is_killed: bool) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        if is_killed:  # lsp-devtools does not end by itself
            self.process.kill()
        self.process.stdout.read()
        self.process.wait(30)
        self.process.stdout.close()


@contextmanager
def recorder_of_devtools(folder: Path) -> Iterator[int]:
    """`lsp-devtools record`; the port it listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    words = ["record", "--port", str(port), "--to-file", str(folder / "recorded.json")]
    process = subprocess.Popen([str(LSP_DEVTOOLS), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline_s = time.monotonic() + 20
        while f":{port:04X} 00000000:0000 0A" not in Path("/proc/net/tcp").read_text():
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError("lsp-devtools record does not listen")
            select.select([], [], [], 0.05)
        yield port
    finally:
        process.kill()
        process.wait()


def measure_round(setup: str, folder: Path, samples: Samples) -> None:
    folder.mkdir(parents=True)
    if setup == DEVTOOLS:
        with recorder_of_devtools(folder) as port:
            _measure_peer(Peer(setup, folder, port), setup, samples)
    else:
        _measure_peer(Peer(setup, folder), setup, samples)


def _measure_peer(peer: Peer, setup: str, samples: Samples) -> None:
    def note(name: str, value: float) -> None:
        samples.setdefault(name, {}).setdefault(setup, []).append(value)

    small, large = encode_message(420), encode_message(LARGE_BYTES)
    is_slow = setup == DEVTOOLS
    peer.measure_round_trip_ms(small)
    note(START, (time.perf_counter() - peer.start_s) * 1000)
    time.sleep(SETTLE_S)
    for _ in range(WARM_UP_TRIPS):
        peer.measure_round_trip_ms(small)
    trips = range(DEVTOOLS_TRIPS if is_slow else SMALL_TRIPS)
    note(SMALL, median(peer.measure_round_trip_ms(small) for _ in trips))
    note(IDLE, peer.read_memory_mb())
    trips = range(DEVTOOLS_LARGE_TRIPS if is_slow else LARGE_TRIPS)
    note(LARGE, median(peer.measure_round_trip_ms(large) for _ in trips))
    note(BURST, peer.read_memory_mb())
    peer.stop(is_killed=is_slow)


def measure_traffic(setup: str, folder: Path, samples: Samples) -> None:
    """A gigabyte, one message after the other: half of it there, half of it back."""
    folder.mkdir(parents=True)
    peer = Peer(setup, folder)
    large = encode_message(LARGE_BYTES)
    trips: list[float] = []
    early_mb = 0.0
    while len(trips) * 2 * len(large) < TRAFFIC_BYTES:
        trips.append(peer.measure_round_trip_ms(large))
        if len(trips) == 50:
            early_mb = peer.read_memory_mb("VmHWM")
    samples.setdefault(SUSTAINED, {})[setup] = trips
    if setup in (TAP, TAP_PROBING):
        peak_mb = peer.read_memory_mb("VmHWM")
        samples.setdefault(PEAK, {})[setup] = [peak_mb]
        samples.setdefault(GROWTH, {})[setup] = [peak_mb - early_mb]
    peer.stop(is_killed=False)


def measure(rounds: int, setups: tuple[str, ...], folder: Path) -> dict[str, dict[str, float]]:
    """Medians (and a mean): measure -> set-up -> milliseconds (or MB)."""
    samples: Samples = {}
    empty: list[float] = []
    for number in range(rounds):
        for setup in setups:
            measure_round(setup, folder / f"{SETUPS.index(setup)}-{number}", samples)
        start_s = time.perf_counter()
        subprocess.run([sys.executable, "-I", "-c", "pass"], check=True)
        empty.append((time.perf_counter() - start_s) * 1000)
    for setup in (TEE, TAP, TAP_PROBING):
        measure_traffic(setup, folder / f"{SETUPS.index(setup)}-traffic", samples)
    medians = {
        name: {setup: (fmean if name == SUSTAINED else median)(values) for setup, values in by_setup.items()}
        for name, by_setup in samples.items()
    }
    medians[START]["python -I -c pass"] = median(empty)
    return medians


class Aim(NamedTuple):
    """`value` compared to `limit`; met when it is no more, or no less if `is_least`."""

    text: str
    value: float
    limit: float
    is_least: bool = False

    @property
    def is_met(self) -> bool:
        return self.value >= self.limit if self.is_least else self.value <= self.limit


def list_aims(medians: dict[str, dict[str, float]]) -> Iterator[Aim]:
    for tap in (TAP, TAP_PROBING):
        yield Aim(f"{tap}: 0.5 KB round trip, of the tee pair's", medians[SMALL][tap] / medians[SMALL][TEE], 1.2)
        if DEVTOOLS in medians[SMALL]:
            faster = medians[SMALL][DEVTOOLS] / medians[SMALL][tap]
            yield Aim(f"{tap}: times faster than lsp-devtools", faster, 10, is_least=True)
        yield Aim(f"{tap}: 1 MB each way, of the tee pair's", medians[LARGE][tap] / medians[LARGE][TEE], 0.8)
        first = medians[START][tap] / medians[START]["python -I -c pass"]
        yield Aim(f"{tap}: first answer, of `python -I -c pass`", first, 3)
        yield Aim(f"{tap}: resident MB, at most", max(medians[BURST][tap], medians[PEAK][tap]), 16)
        yield Aim(f"{tap}: MB that its peak grows from 100 MB to 1 GB", medians[GROWTH][tap], 1)


def print_tables(medians: dict[str, dict[str, float]], setups: tuple[str, ...]) -> None:
    write = sys.stdout.write
    write(f"{'':34}" + "".join(f"{setup:>16}" for setup in setups) + f"{'tap/tee':>10}{'probe/none':>12}\n")
    for name, of in medians.items():
        cells = "".join(f"{of[setup]:16.3f}" if setup in of else f"{'':16}" for setup in setups)
        ratio = f"{of[TAP] / of[TEE]:10.2f}" if TEE in of and name not in (IDLE, BURST) else f"{'':10}"
        write(f"{name:34}{cells}{ratio}{of[TAP_PROBING] / of[TAP] if of[TAP] else 1:12.2f}\n")
    write(f"python -I -c pass: {medians[START]['python -I -c pass']:.1f} ms\n\n")
    for aim in list_aims(medians):
        sign = ">=" if aim.is_least else "<="
        write(f"{aim.text:58}{aim.value:8.2f}  {sign} {aim.limit:<5} {'met' if aim.is_met else 'not met'}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--without", action="append", default=[], choices=[DIRECT, DEVTOOLS])
    options = parser.parse_args()
    setups = tuple(setup for setup in SETUPS if setup not in options.without)
    with tempfile.TemporaryDirectory() as folder:
        medians = measure(options.rounds, setups, Path(folder))
    if options.json:
        sys.stdout.write(json.dumps(medians, indent=2) + "\n")
    else:
        print_tables(medians, setups)


if __name__ == "__main__":
    main()
