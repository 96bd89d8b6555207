"""Python loads this before anything else in a process whose PYTHONPATH names its folder: a disk that fails and a clock
that is set while the process runs, for what no test may do to its machine.

    LSP_TAP_TEST_DISK   a file; while it is there, no file can be written to: its text is the number of the error
    LSP_TAP_TEST_CLOCK  a file; its text is by how many seconds the wall clock is off
"""

import os
import stat
import time

_real_write, _real_time_ns = os.write, time.time_ns


def _read(name: str) -> str:
    try:
        with open(os.environ.get(name, "")) as file:
            return file.read()
    except OSError:
        return ""


def _write(fd: int, data: bytes | memoryview) -> int:
    if stat.S_ISREG(os.fstat(fd).st_mode) and (number := _read("LSP_TAP_TEST_DISK")):
        raise OSError(int(number), os.strerror(int(number)))
    return _real_write(fd, data)


def _time_ns() -> int:
    return _real_time_ns() + int(_read("LSP_TAP_TEST_CLOCK") or 0) * 1_000_000_000


os.write = _write  # type: ignore[assignment]
time.time_ns = _time_ns
