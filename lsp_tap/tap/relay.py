"""The pumps: read, write to the other side, hand a copy on. Nothing else may come between.

client ── 0 ──> ClientPump ──> server.stdin          server.stdout ──> ServerPump ── 1 ──> client
                 (also inject)                        (also keeps back answers)
"""

from __future__ import annotations

import os
import select
import sys
import threading
import time

from lsp_tap.tap.items import CLIENT, SERVER, Chunk, ErrorOutput, Told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lsp_tap.tap.gate import AnswerGate, Run
    from lsp_tap.tap.recorder import Recorder

CHUNK_BYTES = 1 << 16
"""What a pipe holds unless it is widened."""

WIDE_BYTES = 1 << 18
"""What it holds then, and what is read at once. The system grants all processes of a user 64 MiB of pipes."""


class Intake:
    """Reads one descriptor into memory that is used again; what fills that widens it, and the pipes."""

    def __init__(self, fd: int, target: int) -> None:
        """`target` is where the bytes go, a pipe that is widened with ours."""
        self._fd = fd
        self._target = target
        self._buffer = memoryview(bytearray(CHUNK_BYTES))

    def read(self) -> memoryview:
        """What is there, until the next call; empty at the end."""
        while True:
            try:
                count = _read_into(self._fd, self._buffer)
            except BlockingIOError:
                _wait_ready(self._fd, to_write=False)
                continue
            except OSError:
                count = 0
            break
        data = self._buffer[:count]
        if count == CHUNK_BYTES:
            _widen_pipe(self._fd)
            _widen_pipe(self._target)
            self._buffer = memoryview(bytearray(WIDE_BYTES))
        return data


if sys.platform == "win32":

    def _read_into(fd: int, buffer: memoryview) -> int:
        data = os.read(fd, len(buffer))
        buffer[: len(data)] = data
        return len(data)

else:

    def _read_into(fd: int, buffer: memoryview) -> int:
        return os.readv(fd, [buffer])


def _wait_ready(fd: int, *, to_write: bool) -> None:
    """A descriptor that we were given is non-blocking when somebody else who has it made it so."""
    if sys.platform != "win32":  # there none is
        poll = select.poll()
        poll.register(fd, select.POLLOUT if to_write else select.POLLIN)
        poll.poll()


def _write_some(fd: int, data: memoryview) -> int:
    """How much was written; waits until something can be."""
    while True:
        try:
            return os.write(fd, data)
        except BlockingIOError:
            _wait_ready(fd, to_write=True)


def _widen_pipe(fd: int) -> None:
    if sys.platform == "linux":
        import fcntl

        try:
            if fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ) < WIDE_BYTES:
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, WIDE_BYTES)
        except OSError:
            pass  # no pipe, or the user has too many


class ClientPump:
    """From the client to the server. `report` is told "client closed", "client left" (there may be more of
    what it wrote) and "server deaf".
    """

    def __init__(self, client: int, server: int, recorder: Recorder, report: Callable[[str], None]) -> None:
        self._client = client
        self._server = server
        self._recorder = recorder
        self._report = report
        self._lock = threading.Lock()  # of the server's stdin and what is known about it
        self._chunks = 0
        self._is_closed = False
        self.delivered_bytes = 0
        """How much the server has taken."""
        if sys.platform != "win32":
            os.set_blocking(server, False)

    def run(self) -> None:
        intake = Intake(self._client, self._server)
        # When the server no longer reads this goes on, so that the client's end is noticed.
        while data := intake.read():
            with self._lock:
                self._pass_on(data)
        self._recorder.put(Chunk(CLIENT, self._chunks))
        self._report("client closed")  # before the server can exit because of it
        self.close()

    def inject(self, frame: bytes, chunks: int) -> bool:
        """Writes `frame`, of at most `PIPE_BYTES`, if that needs no waiting and the client has said nothing since its
        chunk number `chunks`.
        """
        if not self._lock.acquire(blocking=False):
            return False
        try:
            if self._is_closed or chunks != self._chunks:
                return False
            return os.write(self._server, frame) == len(frame)
        except OSError:
            return False
        finally:
            self._lock.release()

    def close(self) -> None:
        """Ends the server's input, unless a write to it is stuck."""
        if self._lock.acquire(timeout=0.05):
            if not self._is_closed:
                self._is_closed = True
                os.close(self._server)
            self._lock.release()

    def _pass_on(self, data: memoryview) -> None:
        """Blocks until all is written or the server no longer reads. What is written is recorded at once, since it
        may be answered while the rest is waiting.
        """
        try:
            while data and not self._is_closed:
                self._recorder.forwarding_since_ns[CLIENT] = time.monotonic_ns()
                chunk = Chunk(CLIENT, self._chunks + 1)
                try:
                    count = os.write(self._server, data)
                except BlockingIOError:
                    self._recorder.forwarding_since_ns[CLIENT] = 0
                    self._wait_writable()
                    continue
                self.delivered_bytes += count
                self._chunks += 1
                self._recorder.put(chunk.fill(data[:count]))
                data = data[count:]
        except OSError:
            self._is_closed = True
            os.close(self._server)
            self._report("server deaf")
        self._recorder.forwarding_since_ns[CLIENT] = 0

    def _wait_writable(self) -> None:
        """Until the server reads again. A client that goes away meanwhile would not be noticed by reading."""
        if sys.platform != "win32":  # there a write waits
            poll = select.poll()
            poll.register(self._server, select.POLLOUT)
            poll.register(self._client, getattr(select, "POLLRDHUP", 0))
            ready = dict(poll.poll())
            if self._server not in ready:
                self._report("client left")
                poll.unregister(self._client)
                poll.poll()


if sys.platform == "win32":
    PIPE_BYTES = 512
else:
    PIPE_BYTES = os.pathconf(os.sep, "PC_PIPE_BUF")
"""A pipe takes this much at once or not at all, so a request of the tap's own is never half written."""


class ServerPump:
    """From the server to the client."""

    def __init__(self, server: int, client: int, recorder: Recorder, report: Callable[[str], None]) -> None:
        self._server = server
        self._client = client
        self._recorder = recorder
        self._report = report
        self._lock = threading.Lock()  # of the gate
        self._gate: AnswerGate | None = None
        self._chunks = 0
        self._is_ended = False
        self._is_client_gone = False
        self.accepted_bytes = 0
        """How much the client has taken."""

    def run(self) -> None:
        intake = Intake(self._server, self._client)
        while data := intake.read():
            self._recorder.forwarding_since_ns[SERVER] = time.monotonic_ns()
            chunk = Chunk(SERVER, self._chunks + 1)
            with self._lock:
                self._chunks += 1
                if is_open := self._gate is None or self._gate.is_open:
                    self._write(data)
                else:
                    forward, runs = self.gate.feed(bytes(data))
                    self._write(memoryview(forward))
            if is_open:
                self._recorder.put(chunk.fill(data))
            else:
                self._record(runs, chunk)
            self._recorder.forwarding_since_ns[SERVER] = 0
        with self._lock:
            self._is_ended = True
            end = Chunk(SERVER, self._chunks)
            if self._gate is None or self._gate.is_open:
                self._recorder.put(end)
            else:
                forward, runs = self.gate.close()
                self._write(memoryview(forward))
                self._record(runs, end)
        self._end_output()
        self._report("server closed")

    @property
    def gate(self) -> AnswerGate:
        """While it is open it belongs to the recorder's thread, which makes it, else to this one."""
        if self._gate is None:
            from lsp_tap.tap.gate import AnswerGate

            self._gate = AnswerGate()
        return self._gate

    def is_client_gone(self) -> bool:
        """Whether nobody is left who could read what we write."""
        if not self._is_client_gone and sys.platform != "win32":
            poll = select.poll()
            poll.register(self._client, 0)
            return bool(poll.poll(0))
        return self._is_client_gone

    def expect(self, request_id: str, chunks: int, inject: Callable[[], bool]) -> bool:
        """Sends a request whose answer is to be kept back, if the gate can be closed: all chunks up to
        number `chunks` were noted, and no more were forwarded. False when it was not sent."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            if self._is_ended or (self.gate.is_open and chunks != self._chunks) or not inject():
                return False
            self.gate.expect(request_id)
            return True
        finally:
            self._lock.release()

    def _write(self, rest: memoryview) -> None:
        try:
            while rest and not self._is_client_gone:
                count = _write_some(self._client, rest)
                self.accepted_bytes += count
                rest = rest[count:]
        except OSError:
            # Reading goes on: a server that cannot write cannot end either.
            self._is_client_gone = True
            self._report("client gone")

    def _record(self, runs: list[Run], last: Chunk) -> None:
        for run in runs:
            self._recorder.put(Told(run.events, run.answer_to, last), is_last=run is runs[-1])

    def _end_output(self) -> None:
        """The client sees the end of the server's output when the server ends it."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._client)
        os.close(null)


def pump_stderr(server: int, recorder: Recorder) -> None:
    """Standard error, passed through and recorded."""
    while True:
        try:
            data = os.read(server, CHUNK_BYTES)
        except OSError:
            data = b""
        if not data:
            return
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[_write_some(2, rest) :]
        except OSError:
            pass  # nobody listens; the journal does
        recorder.put(ErrorOutput(data))
