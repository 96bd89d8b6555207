"""Starting the server, and the guard that ends it when the tap is killed without a chance to do so itself.

`subprocess` would take longer to import than everything else the tap does before the server runs, so on
POSIX this is `os.posix_spawn`. The server leads a process group of its own: whatever it starts ends with
it.
"""

from __future__ import annotations

import os
import sys

if sys.platform != "win32":
    # SIGPIPE and SIGXFSZ, which Python ignores and would pass on ignored (`signal` imports slowly).
    _IGNORED_BY_PYTHON = (13, 25) if sys.platform != "sunos5" else (13, 31)

_GUARD = """
trap '' HUP INT TERM
read -r group && [ "$group" ] || exit
read -r _ && exit
kill -s TERM -- "-$group" || exit
i=0
while kill -s 0 -- "-$group" && [ $i -lt 20 ]; do i=$((i + 1)); sleep 0.1; done
kill -s KILL -- "-$group"
"""
"""Waits on a pipe that only the tap holds. The first line names the server; one more means that the tap ended in good
order, the end of the pipe that it was killed.

Linux could tell the server itself (PR_SET_PDEATHSIG), but only its first process, and setting it takes
`ctypes` in a forked child or a helper from util-linux. A shell is everywhere, costs a millisecond and takes
the whole group.
"""


SPARE_PIPES = 2
"""How many more must be possible: for the journal, the spool, and what is imported meanwhile. Without these the
connection would break off in the middle."""


class NotStarted(Exception):
    """The server cannot be run; `exit_code` is what a shell would return."""

    def __init__(self, command: str, reason: str, exit_code: int) -> None:
        super().__init__(f"cannot run {command}: {reason}")
        self.reason = reason
        self.exit_code = exit_code


class Guard:
    """The shell that ends the server if the tap is killed, and the pipe to it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def watch(self, server: Server) -> None:
        self._tell(str(server.pid))

    def dismiss(self) -> None:
        """All is over, or nothing was begun."""
        self._tell("")

    def _tell(self, line: str) -> None:
        try:
            os.write(self._fd, f"{line}\n".encode())
        except OSError:  # somebody ended it
            pass


def find_executable(command: str) -> str:
    """The file a shell would run for `command`. Raises NotStarted (127: not found, 126: not executable)."""
    if os.path.dirname(command):
        candidates = [command]
    else:
        path = os.environ.get("PATH", os.defpath)
        candidates = [os.path.join(folder or os.curdir, command) for folder in path.split(os.pathsep)]
    found_at = None
    for candidate in candidates:
        if os.path.isfile(candidate):
            if os.access(candidate, os.X_OK):
                return os.path.abspath(candidate)
            found_at = found_at or candidate
        elif os.path.isdir(candidate) and os.path.dirname(command):
            raise NotStarted(command, "it is a folder", 126)
    if found_at:
        raise NotStarted(command, f"{found_at} is not executable", 126)
    where = "no such file" if os.path.dirname(command) else "it is not on the PATH"
    raise NotStarted(command, f"{where}; install it or correct the command", 127)


def encode_batch_command(executable: str, words: list[str], shell: str) -> str:
    """The command line with which Windows' `cmd.exe` (`shell`) runs a `.cmd` file, which is what npm installs.

    Within quotes it leaves everything as it is but `"`, `%` and line ends, and for those there is no safe way: raises
    NotStarted when one of the words has any.
    """
    for word in words:
        if any(character in word for character in '"%\r\n'):
            raise NotStarted(executable, f"a batch file cannot be given the argument {word!r}", 126)
    quoted = " ".join(f'"{word}"' for word in (executable, *words))
    return f'"{shell}" /d /s /v:off /c "{quoted}"'


def is_batch_file(executable: str) -> bool:
    return executable.lower().endswith((".cmd", ".bat"))


if sys.platform == "win32":
    import shutil
    import subprocess

    class Server:
        """A running server: its pid and our ends of its pipes."""

        def __init__(self, process: subprocess.Popen[bytes]) -> None:
            assert process.stdin
            assert process.stdout
            assert process.stderr
            self.pid = process.pid
            self.stdin = process.stdin.fileno()
            self.stdout = process.stdout.fileno()
            self.stderr = process.stderr.fileno()
            self._process = process

        def wait_exit(self) -> tuple[int | None, int | None]:
            """Blocks until it has exited: its code."""
            return self._process.wait(), None

        def signal_group(self, number: int) -> bool:
            """Ends it and what it started, whatever the number but 0. Whether there was anyone left."""
            if self._process.poll() is not None:
                return False
            if number:
                subprocess.run(
                    ["taskkill", "/T", "/F", "/PID", str(self.pid)],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    check=False,
                )
            return True

    def start_server(command: list[str]) -> tuple[Server, str]:
        # `which` knows the endings in PATHEXT.
        executable = shutil.which(command[0])
        if executable is None:
            raise NotStarted(command[0], "it is not on the PATH; install it or correct the command", 127)
        words: str | list[str] = [executable, *command[1:]]
        if is_batch_file(executable):
            words = encode_batch_command(executable, command[1:], os.environ.get("COMSPEC", "cmd.exe"))
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
            )
        except OSError as error:
            raise NotStarted(command[0], error.strerror or str(error), 126) from error
        return Server(process), executable

    def start_guard() -> Guard | None:
        return None  # a job object would do; the server sees the end of its input

else:

    class Server:
        """A running server: its pid and our ends of its pipes."""

        def __init__(self, pid: int, stdin: int, stdout: int, stderr: int) -> None:
            self.pid = pid
            self.stdin = stdin
            self.stdout = stdout
            self.stderr = stderr

        def wait_exit(self) -> tuple[int | None, int | None]:
            """Blocks until it has exited: its code, or the signal that ended it."""
            status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            return (status, None) if status >= 0 else (None, -status)

        def signal_group(self, number: int) -> bool:
            """Whether there was anyone left in the group to get it."""
            try:
                os.killpg(self.pid, number)
            except (ProcessLookupError, PermissionError):
                return False
            return True

    def start_server(command: list[str]) -> tuple[Server, str]:
        """Runs `command`; returns it and the file it is. Raises NotStarted."""
        executable = find_executable(command[0])
        try:
            pipes = _open_pipes(3 + SPARE_PIPES)
        except OSError as error:
            raise NotStarted(command[0], error.strerror or str(error), 126) from error
        for pipe in pipes[3:]:
            _close(pipe)
        (stdin_read, stdin_write), (stdout_read, stdout_write), (stderr_read, stderr_write) = pipes[:3]
        theirs = (stdin_read, stdout_write, stderr_write)
        try:
            pid = os.posix_spawn(
                executable,
                command,
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate(theirs)],
                setpgroup=0,
                setsigdef=_IGNORED_BY_PYTHON,
            )
        except OSError as error:
            for fd in (stdin_write, stdout_read, stderr_read):
                os.close(fd)
            if isinstance(error, FileNotFoundError):  # of what the first line of a script names
                raise NotStarted(command[0], f"the interpreter of {executable} is missing", 127) from error
            raise NotStarted(command[0], error.strerror or str(error), 126) from error
        finally:
            for fd in theirs:
                os.close(fd)
        return Server(pid, stdin_write, stdout_read, stderr_read), executable

    def _open_pipes(count: int) -> list[tuple[int, int]]:
        """All of them, or none and OSError."""
        pipes: list[tuple[int, int]] = []
        try:
            while len(pipes) < count:
                pipes.append(os.pipe())
        except OSError:
            for pipe in pipes:
                _close(pipe)
            raise
        return pipes

    def _close(pipe: tuple[int, int]) -> None:
        for fd in pipe:
            os.close(fd)

    def start_guard() -> Guard | None:
        """Before the server, so that it is never without. None when there is no shell, or no room for it."""
        try:
            (end_read, end_write), null = os.pipe(), os.open(os.devnull, os.O_WRONLY)
        except OSError:
            return None
        try:
            os.posix_spawn(
                "/bin/sh",
                ["sh", "-c", _GUARD, "lsp-tap-guard"],
                {"PATH": os.defpath},
                file_actions=[(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate((end_read, null, null))],
                setpgroup=0,
            )
        except OSError:
            os.close(end_write)
            return None
        finally:
            os.close(end_read)
            os.close(null)
        return Guard(end_write)
