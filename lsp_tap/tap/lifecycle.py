"""The main thread: starts everything, waits for whichever end comes first, and brings the rest to it.

    what happens first            then
    the server exits              what it wrote last is drained, what is left of its group is ended
    the client closes our input   what it wrote last is passed on, then the server's input is closed; it may
                                  finish as long as the client takes
    what it writes the client is gone            the same, with less patience a signal
    the server's input is closed, its group gets SIGTERM; a second signal kills it

A group that gets SIGTERM and is still there after two seconds gets SIGKILL. However it ends, the tap is
gone within five seconds of its client.
"""

from __future__ import annotations

import sys
import threading
import time
from _queue import Empty, SimpleQueue  # `queue` is these two and four imports

from lsp_tap.tap.items import CLIENT, SERVER, Noted
from lsp_tap.tap.recorder import Recorder
from lsp_tap.tap.relay import ClientPump, ServerPump, pump_stderr
from lsp_tap.tap.spawn import NotStarted

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from lsp_tap.tap.gate import AnswerGate
    from lsp_tap.tap.recording import Inject, Recording
    from lsp_tap.tap.spawn import Server
else:
    import _signal as signal  # `signal` is this and enumerations, a tenth of the time that a start takes

GRACE_S = 1.0
"""For a server whose input was closed, to end by itself; begins again whenever the client takes some of its
output.
"""

MAX_GRACE_S = 30.0
TERMINATE_S = 2.0
"""Between SIGTERM and SIGKILL."""

DRAIN_S = 0.25
"""For output that is still in the pipes after the server exited; begins again with every piece the client
takes.
"""

MAX_DRAIN_S = 1.0
POLL_S = 0.02

SAME_SIGNAL_S = 0.25
"""A hang-up reaches a process more than once (from the terminal, from the client); a signal after that is
impatience.
"""

_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


class Session:
    """One server, from its start to the end of both."""

    def __init__(self, server: Server, open_recording: Callable[[AnswerGate, Inject], Recording]) -> None:
        self._server = server
        self._mailbox: SimpleQueue[str] = SimpleQueue()
        self.recorder = Recorder(lambda: open_recording(self._server_pump.gate, self._inject))
        self._client_pump = ClientPump(0, server.stdin, self.recorder, self._mailbox.put)
        self._server_pump = ServerPump(server.stdout, 1, self.recorder, self._mailbox.put)
        self._exit: tuple[int | None, int | None] | None = None  # code, signal
        self._signals: list[int] = []
        self._signalled_s = 0.0
        self._kill_at_s: float | None = None

    def run(self) -> tuple[int, str]:
        """Blocks until the end: the exit code, and the reason for `tap_stopped`. Raises NotStarted when the system does
        not grant the threads that pass the bytes on.
        """
        # The recorder runs Python for milliseconds on end; a pump that has bytes must not wait that long.
        sys.setswitchinterval(0.0001)
        self._catch_signals()
        try:
            errors = self._start(pump_stderr, self._server.stderr, self.recorder)
            self._start(self._wait_exit)
            output = self._start(self._server_pump.run)
            self._start(self._client_pump.run)
        except RuntimeError as error:
            self._server.signal_group(_KILL)
            raise NotStarted("the server", str(error), 126) from error
        self.recorder.start()
        reason = self._wait_end()
        if not self._end_server():
            # Ended by itself: what it started may be what still writes.
            self._drain(output)
        self._end_group()
        self._drain(output)
        self._drain(errors)
        code, number = self._exit or (None, None)
        self.recorder.note(Noted("server_exited", code=code, signal=number))
        if self._signals:
            return 128 + self._signals[0], reason
        return (code if code is not None else 128 + (number or 0)), reason

    def _catch_signals(self) -> None:
        for name in ("SIGTERM", "SIGINT", "SIGHUP"):
            number = getattr(signal, name, None)
            # What was ignored when we were started (nohup) stays so.
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._note_signal)

    def _note_signal(self, number: int, _frame: object) -> None:
        now_s = time.monotonic()
        if self._signals and now_s - self._signalled_s > SAME_SIGNAL_S:
            self._server.signal_group(_KILL)
        self._signalled_s = now_s
        self._signals.append(number)
        self._mailbox.put("signal")

    def _start(self, target: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, daemon=True)
        thread.start()
        return thread

    def _wait_exit(self) -> None:
        self._exit = self._server.wait_exit()
        self._mailbox.put("server exited")

    def _inject(self, frame: bytes, request_id: str, seen: list[int]) -> bool:
        return self._server_pump.expect(request_id, seen[SERVER], lambda: self._client_pump.inject(frame, seen[CLIENT]))

    def _wait_end(self) -> str:
        """The first thing that means the end."""
        while True:
            event = self._mailbox.get()
            if event == "signal":
                return f"signal {self._signals[0]}"
            if event == "server exited":
                return event
            if event == "client gone":  # it reads no more, so it needs no more
                self._client_pump.close()
            if event in ("client closed", "client left", "client gone"):
                return "client closed"

    def _end_server(self) -> bool:
        """Sees to it that the server exits; False when it did so by itself."""
        if self._exit is not None:
            return False
        # Not yet closed here: what the client wrote before it left may still be on its way.
        if not self._signals and self._wait_exited(GRACE_S, may_finish=True):
            return False
        self._client_pump.close()
        self._server.signal_group(signal.SIGTERM)
        self._kill_at_s = time.monotonic() + TERMINATE_S
        if not self._wait_exited(TERMINATE_S):
            self._server.signal_group(_KILL)
            self._wait_exited(GRACE_S)
        return True

    def _wait_exited(self, seconds: float, *, may_finish: bool = False) -> bool:
        """Whether the server exits in time. With `may_finish` time begins again while client and server
        still take what the other one writes, and a signal ends it."""
        start_s = time.monotonic()
        deadline_s, moved = start_s + seconds, self._moved_bytes()
        while self._exit is None:
            now_s = time.monotonic()
            if may_finish and moved != (moved := self._moved_bytes()) and not self._server_pump.is_client_gone():
                deadline_s = min(now_s + seconds, start_s + MAX_GRACE_S)
            if now_s >= deadline_s:
                return False
            try:
                event = self._mailbox.get(timeout=min(deadline_s - now_s, GRACE_S / 4))
            except Empty:
                continue
            if event == "signal" and may_finish:
                return False
        return True

    def _moved_bytes(self) -> int:
        return self._client_pump.delivered_bytes + self._server_pump.accepted_bytes

    def _drain(self, pump: threading.Thread) -> None:
        """Takes what the server wrote last, unless something else holds the pipe open and says no more."""
        deadline_s = time.monotonic() + MAX_DRAIN_S
        moved = -1
        while pump.is_alive() and time.monotonic() < deadline_s and moved != (moved := self._moved_bytes()):
            pump.join(DRAIN_S)

    def _end_group(self) -> None:
        """Ends what the server left behind in its group."""
        is_there = self._server.signal_group(signal.SIGTERM)
        kill_at_s = self._kill_at_s or time.monotonic() + TERMINATE_S
        while is_there and time.monotonic() < kill_at_s:
            time.sleep(POLL_S)
            is_there = self._server.signal_group(0)
        if is_there:
            self._server.signal_group(_KILL)
