"""A tap that runs, seen from its client: real processes, raw bytes."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lsp_tap.journal.reader import Entry, read_journal
from lsp_tap.journal.records import Frame

PEERS = Path(__file__).parent / "peers"
PATIENCE_S = 20.0


def peer(name: str, *words: str) -> list[str]:
    return [sys.executable, "-I", str(PEERS / f"{name}.py"), *words]


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-c", code]


def wait_until(condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Polls what only the operating system or another process knows."""
    deadline_s = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"waited {patience_s} s for {what}")
        select.select([], [], [], 0.01)


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter: it ended between open and read
        return False


class Tapped:
    """`lsp-tap run` in front of `server`, recording into `folder`. `prepare` is what its shell does first."""

    journals = "server-*.jsonl"

    def __init__(
        self,
        server: Sequence[str],
        folder: Path,
        *,
        options: Sequence[str] = ("--no-probe",),
        cwd: Path | None = None,
        environment: dict[str, str] | None = None,
        stdout: int | None = None,
        prepare: str = ":",
    ) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "lsp_tap", "run", "--dir", str(folder), *options, "--", *server]
        self.process = subprocess.Popen(
            ["sh", "-c", f'{prepare}; exec "$@"', "sh", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
        )
        assert self.process.stdin is not None
        assert self.process.stderr is not None
        self.stdin = self.process.stdin
        self._buffer = b""

    def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.stdin.fileno(), rest) :]

    def send_message(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.send(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes of the output."""
        while len(self._buffer) < count:
            self._buffer += self._read_some()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def read_message(self) -> Any:
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self._read_some()
        header, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return json.loads(self.read(int(header.removeprefix(b"Content-Length: "))))

    def _read_some(self) -> bytes:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        data = os.read(self.process.stdout.fileno(), 1 << 16) if ready else b""
        if not data:
            raise AssertionError(f"the output ended or stalled after {self._buffer[-200:]!r}")
        return data

    def finish(self, data: bytes = b"") -> tuple[bytes, bytes]:
        """Sends `data`, closes the input, and returns all that comes out and all of standard error."""
        out, err = self.process.communicate(data or None, timeout=PATIENCE_S)
        return self._buffer + (out or b""), err

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        return self.process.wait(patience_s)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    @property
    def journal_path(self) -> Path:
        (path,) = self.list_journals()
        return path

    def list_journals(self) -> list[Path]:
        """None before it is made, which is a moment after the start."""
        return list((self.folder / "tap").glob(self.journals))

    def read_journal(self) -> list[Entry]:
        """What has been written so far."""
        paths = self.list_journals()
        return list(read_journal(paths[0])) if paths else []

    def read_kinds(self) -> list[str]:
        return [getattr(entry, "kind", "unreadable") for entry in self.read_journal()]

    def read_frames(self, direction: str) -> list[Frame]:
        return [entry for entry in self.read_journal() if isinstance(entry, Frame) and entry.direction == direction]


@contextlib.contextmanager
def tap(server: Sequence[str], folder: Path, **options: Any) -> Iterator[Tapped]:
    """A tap that is gone afterwards, whatever the test does."""
    tapped = Tapped(server, folder, **options)
    try:
        yield tapped
    finally:
        if tapped.process.poll() is None:
            tapped.process.kill()
        for stream in (tapped.process.stdin, tapped.process.stdout, tapped.process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        tapped.process.wait(PATIENCE_S)
