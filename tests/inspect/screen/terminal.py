"""`lsp-tap inspect` in a terminal of its own: keys go in, and what is on the screen is read from what comes out."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_SEQUENCE = re.compile(
    r"\x1b\[[0-9;:?<>=]*[a-zA-Z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[PX^_].*?\x1b\\|\x1b.", re.DOTALL
)
PATIENCE_S = 60.0


class Terminal:
    """A process on a pseudo-terminal. `text` is all that it wrote, without escape sequences."""

    def __init__(
        self, arguments: Sequence[str], *, size: tuple[int, int] = (120, 36), environment: dict[str, str] | None = None
    ) -> None:
        self._own, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.before = termios.tcgetattr(other)
        self.start_s = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lsp_tap", *arguments],
            stdin=other, stdout=other, stderr=other, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(environment or {})},
        )  # fmt: skip
        self._other = other
        self.raw = b""
        self.text = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for descriptor in (self._other, self._own):
            with suppress(OSError):  # after `hang_up`
                os.close(descriptor)

    def read(self, patience_s: float = 0.05) -> str:
        """What came since; empty where nothing did in time."""
        if not select.select([self._own], [], [], patience_s)[0]:
            return ""
        data = os.read(self._own, 1 << 16)
        self.raw += data
        text = _SEQUENCE.sub("", data.decode("utf-8", "replace"))
        self.text += text
        return text

    def wait_for(self, pattern: str, patience_s: float = PATIENCE_S) -> float:
        """Until what was written from now on matches; how long that took, in seconds."""
        start_s = time.perf_counter()
        seen = ""
        wanted = re.compile(pattern)
        while wanted.search(seen) is None:
            seen += self.read()
            if time.perf_counter() - start_s > patience_s:
                raise AssertionError(f"waited {patience_s} s for {pattern!r}, had {seen[-2000:]!r}")
        return time.perf_counter() - start_s

    def press(self, keys: str) -> None:
        os.write(self._own, keys.encode())

    def hang_up(self) -> None:
        """As when a window is closed."""
        os.close(self._other)
        os.close(self._own)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        """Its exit code."""
        deadline_s = time.monotonic() + patience_s
        while self.process.poll() is None:
            self.read()
            if time.monotonic() > deadline_s:
                raise AssertionError(f"it did not end, had {self.text[-500:]!r}")
        self.read()
        return self.process.returncode

    @property
    def is_restored(self) -> bool:
        """Whether the terminal works as before: its mode, the ordinary screen, the cursor."""
        last = self.raw[-2000:]
        return termios.tcgetattr(self._other) == self.before and b"\x1b[?1049l" in last and b"\x1b[?25h" in last


def memory_mb(pid: int) -> float:
    """What a process and its children hold in memory."""
    total_kb = 0
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in path.read_text().splitlines())
        except OSError:
            continue
        if pid in (int(fields["Pid"]), int(fields["PPid"])):
            total_kb += int(fields.get("VmRSS", "0").split()[0])
    return total_kb / 1024
