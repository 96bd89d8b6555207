"""Python loads this before anything else in a process whose PYTHONPATH names its folder: what our code can see of the
machine is then as on Windows, where this module's tests cannot run. What Windows lacks is gone; what only it has is not
there either, so that programs are started in POSIX's way and `taskkill` is whatever is on the PATH.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
from typing import Any

LACKING: dict[Any, tuple[str, ...]] = {
    os: (
        *("O_CLOEXEC", "O_NOFOLLOW", "chown", "fork", "getegid", "geteuid", "getgid", "getpgid", "getuid", "killpg"),
        *("mkfifo", "pathconf", "posix_spawn", "pwritev", "readv", "set_blocking", "setpgid", "setsid", "writev"),
    ),
    select: ("epoll", "poll"),
    signal: ("SIGHUP", "SIGKILL", "SIGXFSZ", "pause", "setitimer"),
}
_real_which, _real_platform = shutil.which, sys.platform


def _which(name: str) -> str | None:
    sys.platform = _real_platform
    try:
        return _real_which(name)
    finally:
        sys.platform = "win32"


shutil.which = _which  # type: ignore[assignment]
for module, names in LACKING.items():
    for name in names:
        delattr(module, name)
for name in ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"):
    sys.modules[name] = None  # type: ignore[assignment]
subprocess._USE_POSIX_SPAWN = False  # type: ignore[misc]
sys.platform = "win32"
