"""What the tap costs: round trips, large messages, start and memory, against a direct pipe and against `tee`.

    python tests/bench/relay.py [--rounds N] [--json]

The yardstick is `tee in | server | tee out`, which records every byte and understands none. Rounds of all set-ups are
interleaved, so that a busy moment of the machine falls on each of them; medians are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ECHO = Path(__file__).parent.parent / "tap" / "peers" / "echo.py"
SERVER = [sys.executable, "-I", str(ECHO)]
SETUPS = ("direct", "tee", "tap")


def list_command(setup: str, folder: Path) -> list[str]:
    if setup == "direct":
        return SERVER
    if setup == "tap":
        return [sys.executable, "-I", "-m", "lsp_tap", "run", "--dir", str(folder), "--", *SERVER]
    return [
        "sh",
        "-c",
        f"tee {shlex.quote(f'{folder}/in')} | {shlex.join(SERVER)} | tee {shlex.quote(f'{folder}/out')}",
    ]


def encode_message(size_bytes: int) -> bytes:
    """A request with text of that size: lines as a program has them."""
    line = 'def total(cart): return sum(item.price for item in cart)  # "all of it"\n'
    text = (line * (size_bytes // len(line) + 1))[:size_bytes]
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": {"text": text}}).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


class Peer:
    """A set-up that runs, seen from the client."""

    def __init__(self, setup: str, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.start_s = time.perf_counter()
        self.process = subprocess.Popen(
            list_command(setup, folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._in, self._out = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self._in, False)

    def measure_round_trip_ms(self, message: bytes) -> float:
        """From the first byte sent to the last byte back. Reads while it writes, as a client must."""
        import select

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

    def read_rss_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def stop(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.read()
        self.process.wait(10)
        self.process.stdout.close()


def measure(rounds: int, folder: Path) -> dict[str, dict[str, float]]:
    """Medians: measure -> set-up -> milliseconds (or MB)."""
    small, large = encode_message(420), encode_message(1_000_000)
    samples: dict[str, dict[str, list[float]]] = {
        name: {setup: [] for setup in SETUPS}
        for name in (
            "start to first answer",
            "round trip of 0.5 KB",
            "1 MB each way",
            "resident MB",
            "resident MB after 1 MB",
        )
    }
    for number in range(rounds):
        for setup in SETUPS:
            peer = Peer(setup, folder / f"{setup}-{number}")
            peer.measure_round_trip_ms(small)
            samples["start to first answer"][setup].append((time.perf_counter() - peer.start_s) * 1000)
            for _ in range(50):
                peer.measure_round_trip_ms(small)
            trips = [peer.measure_round_trip_ms(small) for _ in range(400)]
            samples["round trip of 0.5 KB"][setup].append(statistics.median(trips))
            samples["resident MB"][setup].append(peer.read_rss_mb())
            samples["1 MB each way"][setup].append(
                statistics.median(peer.measure_round_trip_ms(large) for _ in range(10))
            )
            samples["resident MB after 1 MB"][setup].append(peer.read_rss_mb())
            peer.stop()
    empty = []
    for _ in range(rounds):
        start_s = time.perf_counter()
        subprocess.run([sys.executable, "-I", "-c", "pass"], check=True)
        empty.append((time.perf_counter() - start_s) * 1000)
    medians = {
        name: {setup: statistics.median(values) for setup, values in by_setup.items()}
        for name, by_setup in samples.items()
    }
    medians["start to first answer"]["python -I -c pass"] = statistics.median(empty)
    return medians


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        medians = measure(options.rounds, Path(folder))
    if options.json:
        sys.stdout.write(json.dumps(medians, indent=2) + "\n")
        return
    sys.stdout.write(f"{'':26}{'direct':>10}{'tee':>10}{'tap':>10}{'tap/direct':>12}{'tap/tee':>10}\n")
    for name, of in medians.items():
        direct, tee, tap = of["direct"], of["tee"], of["tap"]
        sys.stdout.write(f"{name:26}{direct:10.3f}{tee:10.3f}{tap:10.3f}{tap / direct:12.2f}{tap / tee:10.2f}\n")
    empty = medians["start to first answer"]["python -I -c pass"]
    first = medians["start to first answer"]["tap"]
    sys.stdout.write(f"first answer / python -I -c pass ({empty:.1f} ms): {first / empty:.2f}\n")


if __name__ == "__main__":
    main()
