"""The pumps: read, write to the other side, hand it on. Nothing else may come between.

client ── 0 ──> ClientPump ──> server.stdin          server.stdout ──> ServerPump ── 1 ──> client
                 (also inject)                        (also keeps back answers)

What a message waits for is what a pump does before its write: a thread that was just woken up finds nothing in the
processor's caches, and half a dozen calls are half of what a hop costs. So it only takes the time and looks whether
anybody wants something (no lock); all else comes after the write, when it is the other process that is busy.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from time import monotonic, monotonic_ns, sleep

from lsp_tap.tap.items import CLIENT, SERVER, STAMPING, Chunk, ErrorOutput, Told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lsp_tap.tap.gate import AnswerGate, Run
    from lsp_tap.tap.recorder import Recorder

PIPE_BYTES = 1 << 16
"""What a pipe holds unless it is widened."""

WIDE_BYTES = 1 << 19
"""What it holds then. The system grants all processes of a user 64 MiB of pipes."""

FEW_BYTES = 1 << 13
"""Less than this is read into memory of its own, more into a block: fresh memory for much of it would cost more than
the copying does."""

BLOCK_BYTES = 3 << 16

CLOSE_S = 0.05
"""What somebody who wants to close a descriptor waits for a write to it."""


class Intake:
    """Reads one descriptor; where it brings much, wide pipes and large pieces keep the threads from waiting for each
    other."""

    def __init__(self, fd: int, target: int, blocks: list[bytearray]) -> None:
        """`target` is where the bytes go, a pipe that is widened with ours; `blocks` are those that nobody needs."""
        self._fd = fd
        self._target = target
        self._blocks = blocks
        self._block = bytearray()
        self._room = memoryview(self._block)
        self._is_much = self._is_wide = False
        self.full_block: bytearray | None = None
        """The block that was filled with what was read last. It goes back among the blocks when nobody needs what is in
        it any more."""

    def read(self) -> bytes | memoryview:
        """What is there; empty at the end."""
        while True:
            try:
                if self._is_much:
                    return self._read_much()
                data = os.read(self._fd, FEW_BYTES)
            except BlockingIOError:
                _wait_ready(self._fd, to_write=False)
                continue
            except OSError:
                return b""
            if len(data) == FEW_BYTES:
                self._is_much = True
            return data

    def _read_much(self) -> bytes | memoryview:
        """Raises OSError."""
        if sys.platform == "win32":
            return os.read(self._fd, PIPE_BYTES)
        if len(self._room) < PIPE_BYTES:
            self._begin_block()
        count = os.readv(self._fd, [self._room])
        data = self._room[:count]
        self.full_block = None
        if count < FEW_BYTES:
            self._is_much = False
            return bytes(data)
        if count >= PIPE_BYTES and not self._is_wide:
            self._is_wide = True
            _widen_pipe(self._fd)
            _widen_pipe(self._target)
        self._room = self._room[count:]
        if len(self._room) < PIPE_BYTES:
            self.full_block = self._block
        return data

    def _begin_block(self) -> None:
        try:
            self._block = self._blocks.pop()
        except IndexError:
            self._block = bytearray(BLOCK_BYTES)
        self._room = memoryview(self._block)


def _wait_ready(fd: int, *, to_write: bool) -> None:
    """A descriptor that we were given is non-blocking when somebody else who has it made it so."""
    if sys.platform != "win32":  # there none is
        poll = select.poll()
        poll.register(fd, select.POLLOUT if to_write else select.POLLIN)
        poll.poll()


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
        self._is_wanted = False  # by another thread, which has the lock
        self._chunks = 0
        self._is_closed = False
        self.delivered_bytes = 0
        """How much the server has taken."""
        if sys.platform != "win32":
            os.set_blocking(server, False)

    def run(self) -> None:
        intake = Intake(self._client, self._server, self._recorder.blocks)
        put, marks = self._recorder.put, self._recorder.forwarding_since_ns
        # When the server no longer reads this goes on, so that the client's end is noticed.
        while data := intake.read():
            marks[CLIENT] = STAMPING
            marks[CLIENT] = read_ns = monotonic_ns()
            if self._is_wanted:
                self._lock.acquire()
                self._lock.release()
            try:
                count = os.write(self._server, data)
            except OSError:
                count = 0
            if count == len(data):
                self.delivered_bytes += count
                self._chunks += 1
                put(Chunk(CLIENT, self._chunks, data, read_ns, intake.full_block))
            else:
                with self._lock:
                    self._pass_on(data, count, read_ns, intake.full_block)
        put(Chunk(CLIENT, self._chunks))
        self._report("client closed")  # before the server can exit because of it
        self.close()

    def inject(self, frame: bytes, chunks: int) -> bool:
        """Writes `frame`, of at most `WHOLE_BYTES`, if that needs no waiting and the client has said nothing since its
        chunk number `chunks`.
        """
        if not self._lock.acquire(blocking=False):
            return False
        self._is_wanted = True
        try:
            if self._is_passing() or self._is_closed or chunks != self._chunks:
                return False
            return os.write(self._server, frame) == len(frame)
        except OSError:
            return False
        finally:
            self._is_wanted = False
            self._lock.release()

    def close(self) -> None:
        """Ends the server's input, unless a write to it is stuck."""
        deadline_s = monotonic() + CLOSE_S
        if self._lock.acquire(timeout=CLOSE_S):
            self._is_wanted = True
            while self._is_passing() and monotonic() < deadline_s:
                sleep(CLOSE_S / 50)
            if not self._is_closed and not self._is_passing():
                self._close()
            self._is_wanted = False
            self._lock.release()

    def _is_passing(self) -> bool:
        """Whether the pump is on its way without the lock. When it is not, it will see that `_is_wanted` is set: both
        threads say what they do before they look what the other does."""
        return self._recorder.forwarding_since_ns[CLIENT] != 0

    def _close(self) -> None:
        self._is_closed = True
        os.close(self._server)
        self._server = -1  # the number may soon be another's

    def _pass_on(self, data: bytes | memoryview, count: int, read_ns: int, block: bytearray | None) -> None:
        """Blocks until all is written or the server no longer reads; `count` bytes of it were. What is written is
        recorded at once, since it may be answered while the rest is waiting.
        """
        marks = self._recorder.forwarding_since_ns
        while True:
            if count:
                self.delivered_bytes += count
                self._chunks += 1
                is_all = count == len(data)
                self._recorder.put(Chunk(CLIENT, self._chunks, data[:count], read_ns, block if is_all else None))
                if is_all:
                    return
                data = data[count:]
            try:
                marks[CLIENT] = STAMPING
                marks[CLIENT] = read_ns = monotonic_ns()
                count = os.write(self._server, data)
            except BlockingIOError:
                count = marks[CLIENT] = 0
                self._wait_writable()
            except OSError:
                marks[CLIENT] = 0
                if not self._is_closed:
                    self._close()
                    self._report("server deaf")
                return

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
    WHOLE_BYTES = 512
else:
    WHOLE_BYTES = os.pathconf(os.sep, "PC_PIPE_BUF")
"""A pipe takes this much at once or not at all, so a request of the tap's own is never half written."""


class ServerPump:
    """From the server to the client."""

    def __init__(self, server: int, client: int, recorder: Recorder, report: Callable[[str], None]) -> None:
        self._server = server
        self._client = client
        self._recorder = recorder
        self._report = report
        self._lock = threading.Lock()  # of the gate
        self._is_gated = False  # the gate may be closed: nothing is forwarded without the lock
        self._gate: AnswerGate | None = None
        self._chunks = 0
        self._is_ended = False
        self._is_client_gone = False
        self.accepted_bytes = 0
        """How much the client has taken."""

    def run(self) -> None:
        intake = Intake(self._server, self._client, self._recorder.blocks)
        put, marks = self._recorder.put, self._recorder.forwarding_since_ns
        while data := intake.read():
            marks[SERVER] = STAMPING
            marks[SERVER] = read_ns = monotonic_ns()
            if self._is_gated:
                self._pass_gate(data, read_ns, intake.full_block)
                continue
            try:
                count = os.write(self._client, data)
            except OSError:
                count = 0
            self.accepted_bytes += count
            if count != len(data):
                self._write(data[count:])
            self._chunks += 1
            put(Chunk(SERVER, self._chunks, data, read_ns, intake.full_block))
        with self._lock:
            self._is_ended = True
            end = Chunk(SERVER, self._chunks)
            if self._gate is None or self._gate.is_open:
                self._recorder.put(end)
            else:
                forward, runs = self.gate.close()
                self._write(forward)
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
        # As with `ClientPump._is_passing`: a pump that is not on its way will see this, and wait for the lock.
        self._is_gated = True
        try:
            if self.gate.is_open and (self._recorder.forwarding_since_ns[SERVER] or chunks != self._chunks):
                return False
            if self._is_ended or not inject():
                return False
            self.gate.expect(request_id)
            return True
        finally:
            self._is_gated = not self.gate.is_open
            self._lock.release()

    def _pass_gate(self, data: bytes | memoryview, read_ns: int, block: bytearray | None) -> None:
        with self._lock:
            self._chunks += 1
            chunk = Chunk(SERVER, self._chunks, data, read_ns, block)
            is_open = self.gate.is_open
            forward, runs = (data, []) if is_open else self.gate.feed(bytes(data))
            self._write(forward)
            self._is_gated = not self.gate.is_open
        if is_open:
            self._recorder.put(chunk)
            return
        self._record(runs, chunk)
        self._recorder.release(chunk)
        self._recorder.forwarding_since_ns[SERVER] = 0

    def _write(self, data: bytes | memoryview) -> None:
        while data and not self._is_client_gone:
            try:
                count = os.write(self._client, data)
            except BlockingIOError:
                _wait_ready(self._client, to_write=True)
                continue
            except OSError:
                # Reading goes on: a server that cannot write cannot end either.
                self._is_client_gone = True
                self._report("client gone")
                return
            self.accepted_bytes += count
            if count == len(data):
                return
            data = memoryview(data)[count:]

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
            data = os.read(server, PIPE_BYTES)
        except OSError:
            data = b""
        if not data:
            return
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(2, rest) :]
            except BlockingIOError:
                _wait_ready(2, to_write=True)
            except OSError:
                break  # nobody listens; the journal does
        recorder.put(ErrorOutput(data))
