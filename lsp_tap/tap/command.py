"""`lsp-tap run`: its words, and the order of a start. The server is started before anything else is
imported.
"""

from __future__ import annotations

import os
import sys
import time

from lsp_tap.errors import UsageError, complain
from lsp_tap.tap.spawn import NotStarted, start_guard, start_server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lsp_tap.journal.writer import JournalWriter
    from lsp_tap.tap.gate import AnswerGate
    from lsp_tap.tap.items import Noted
    from lsp_tap.tap.recording import Inject, Recording
    from lsp_tap.tap.spawn import Guard

USAGE = "usage: lsp-tap run [--name ID] [--dir DIR] [--no-probe] -- SERVER [ARG...]"

HELP = f"""{USAGE}

Stands between a client and its language server: starts SERVER, passes on every byte in both
directions, and journals what is said.

  --name ID    what to call the server in the journal (its file name unless given)
  --dir DIR    the logs folder: else LSP_TAP_DIR, else the nearest .opencode-logs here or above,
               else the user's state folder
  --no-probe   never ask the server for diagnostics that the client did not ask for
  --help       this text

Exits as the server does: with its code, or with 128 + n when signal n ended it.
"""

ENVIRONMENT = (
    *("CONDA_PREFIX", "GOFLAGS", "JAVA_HOME", "LANG", "LC_ALL", "LC_CTYPE", "NODE_ENV", "OPENCODE"),
    *("OPENCODE_PID", "TZ", "VIRTUAL_ENV"),
)
"""What the journal says of the environment: names that explain what a server does and hold no secrets."""


class Options:
    """What `run` was told."""

    def __init__(self, words: list[str]) -> None:
        """Raises UsageError."""
        self.name: str | None = None
        self.folder: str | None = None
        self.is_probing = True
        self.is_help = False
        self.command: list[str] = []
        rest = list(words)
        while rest:
            word = rest.pop(0)
            option, equals, value = word.partition("=")
            if word == "--":
                self.command = rest
                break
            if word == "--no-probe":
                self.is_probing = False
            elif word in ("--help", "-h"):
                self.is_help = True
                return
            elif option in ("--name", "--dir"):
                if not equals:
                    value = rest.pop(0) if rest else ""
                if not value or (value == "--" and not equals):
                    raise UsageError(f"{option} needs a value; {USAGE}")
                if option == "--name":
                    self.name = value
                else:
                    self.folder = value
            elif word.startswith("-"):
                raise UsageError(f"there is no option {word}; {USAGE}")
            else:
                raise UsageError(f"the server's command goes after --; {USAGE}")
        if not self.command or not self.command[0]:
            raise UsageError(f"which server? {USAGE}")


def run_command(words: list[str]) -> int:
    """`lsp-tap run WORDS`. Returns the exit code; threads may still be waiting for input that never comes."""
    try:
        options = Options(words)
    except UsageError as error:
        complain(str(error))
        return error.exit_code
    if options.is_help:
        os.write(1, HELP.encode())
        return 0
    return _run(options)


def _run(options: Options) -> int:
    _open_standard_files()
    start, guard = _Start(options), start_guard()
    try:
        exit_code = _run_server(start, guard)
    except NotStarted as failure:
        complain(str(failure))
        start.journal_failure(failure)
        exit_code = failure.exit_code
    if guard is not None:
        guard.dismiss()
    return exit_code


def _run_server(start: _Start, guard: Guard | None) -> int:
    """From its start to the end: its exit code. Raises NotStarted."""
    server, start.executable = start_server(start.options.command)
    if guard is not None:
        guard.watch(server)

    from lsp_tap.tap.items import Noted
    from lsp_tap.tap.lifecycle import Session

    session = Session(server, start.open_recording)
    session.recorder.note(start.describe())
    session.recorder.note(Noted("server_started", pid=server.pid))
    exit_code, reason = session.run()
    session.recorder.note(Noted("tap_stopped", reason=reason, exit_code=exit_code))
    session.recorder.close()
    return exit_code


def _open_standard_files() -> None:
    """What was closed when we were started is empty and takes everything. Else the next file opened would get its
    number: the journal that of standard output.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


class _Start:
    """What is known when the tap starts."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.time_ns = time.time_ns()
        self.monotonic_ns = time.monotonic_ns()
        self.uptime_ns = _read_uptime_ns()
        self.executable: str | None = None
        base = os.path.basename(options.command[0])
        self.name = options.name or base.removesuffix(".exe").removesuffix(".cmd")

    def describe(self) -> Noted:
        from lsp_tap._version import __version__
        from lsp_tap.tap.items import Noted

        client_pid = os.environ.get("OPENCODE_PID", "")
        noted = Noted(
            "tap_started",
            format=2,
            recorder=f"lsp-tap {__version__}",
            name=_readable(self.name),
            command=[_readable(word) for word in self.options.command],
            executable=self.executable and _readable(self.executable),
            cwd=_readable(_find_cwd()),
            pid=os.getpid(),
            parent_pid=os.getppid(),
            client="opencode" if os.environ.get("OPENCODE") or client_pid else None,
            client_pid=int(client_pid) if client_pid.isdecimal() else None,
            python=sys.version.partition(" ")[0],
            platform=sys.platform,
            environment={name: _readable(os.environ[name]) for name in ENVIRONMENT if name in os.environ},
            probe=self.options.is_probing,
            **({} if self.uptime_ns is None else {"uptime_us": self.uptime_ns // 1000}),
        )
        noted.time_ns, noted.monotonic_ns = self.time_ns, self.monotonic_ns
        return noted

    def open_recording(self, gate: AnswerGate, inject: Inject) -> Recording:
        """Called in the recorder's thread. A journal that cannot be opened is told of, and done without."""
        from lsp_tap.tap.recording import Recording

        writer, path = self._open_journal()
        probe = None
        if self.options.is_probing and writer is not None:
            from lsp_tap.tap.probe import Probe

            probe = Probe(f"lsp-tap:{os.urandom(3).hex()}:")
        return Recording(writer, path, gate, probe, inject)

    def journal_failure(self, failure: NotStarted) -> None:
        from lsp_tap.tap.gate import AnswerGate
        from lsp_tap.tap.items import Noted

        recording = self.open_recording(AnswerGate(), lambda *_: False)
        recording.step(self.describe())
        reason = "server not found" if failure.exit_code == 127 else "server not executable"
        recording.step(Noted("tap_stopped", reason=reason, exit_code=failure.exit_code, detail=str(failure)))
        recording.close()

    def _open_journal(self) -> tuple[JournalWriter | None, str]:
        from lsp_tap.errors import JournalUnavailable
        from lsp_tap.journal.place import find_folder
        from lsp_tap.journal.room import read_room
        from lsp_tap.journal.writer import JournalWriter, create_file, create_folder, name_server_journal

        stem = name_server_journal(self.name, self.time_ns // 1000, os.getpid())
        try:
            folder = find_folder(self.options.folder)
            fd, path = create_file(create_folder(folder), stem)
        except (JournalUnavailable, OSError) as error:
            complain(f"{error}; the connection goes on, unrecorded")
            return None, ""
        return JournalWriter(fd, lambda: create_file(create_folder(folder), stem), read_room(folder)), path


def _read_uptime_ns() -> int | None:
    """How long the machine is running, sleep included: the same for all processes, whatever the wall clock shows."""
    uptime_ns: int | None = None
    if sys.platform == "linux":
        uptime_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return uptime_ns


def _find_cwd() -> str:
    try:
        return os.getcwd()
    except OSError:
        return os.environ.get("PWD", "")


def _readable(text: str) -> str:
    """File names are bytes; the journal is UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
