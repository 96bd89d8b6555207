"""A server behind a tap, as a process: messages in and out in their order, started, listened to, and gone afterwards.

Our own wire layer instead of pygls: a replay sends what no type has a place for, looks at all messages in their order,
and must get along with servers whose framing is odd.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import anyio
from anyio.abc import Process

from lsp_tap.export.traffic import encode_json
from lsp_tap.verification.recorded_client import CLIENTS_OWN
from lsp_tap.wire.framing import Frame, FrameSplitter, encode_frame
from lsp_tap.wire.messages import Message, parse_message

_TAP_GOODBYE_S: Final = 8.0  # a tap is gone within five seconds of its client
_LAST_WORDS_S: Final = 2.0
_STDERR_BYTES: Final = 4096
_BROKEN: Final = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


class ServerProcess:
    """Use `start_server`. `changed` is set when something happens, then replaced; `has_ended`: nothing more comes."""

    def __init__(self, process: Process, hear: Callable[[Message], None]) -> None:
        self._process, self._hear = process, hear
        self._outgoing: deque[bytes] = deque()
        self._is_writing = False
        self._has_outgoing = anyio.Event()
        self._stderr = bytearray()
        self.changed = anyio.Event()
        self.has_ended = False

    @property
    def exit_code(self) -> int | None:
        """As the server's; None while it runs."""
        return self._process.returncode

    @property
    def stderr(self) -> str:
        """The end of what it wrote there."""
        return self._stderr.decode(errors="replace")

    @property
    def has_taken_all(self) -> bool:
        """Whether what was sent has left us."""
        return not self._outgoing and not self._is_writing

    def send(self, **message: Any) -> None:
        """A message, after those before it. Waits for nobody: a server that is writing must be read."""
        self._outgoing.append(encode_frame(encode_json({"jsonrpc": "2.0", **message})))
        self._has_outgoing.set()

    def notice(self) -> None:
        """Wake who waits for `changed`."""
        self.changed.set()
        self.changed = anyio.Event()

    async def listen(self) -> None:
        """Until the end of its output; then `has_ended`."""
        assert self._process.stdout is not None
        splitter = FrameSplitter()
        with suppress(*_BROKEN):
            while True:
                for frame in splitter.feed(await self._process.stdout.receive()):
                    message = parse_message(_parse(frame.body)) if isinstance(frame, Frame) else None
                    if message is not None:
                        self._hear(message)
                        self.notice()
        self.has_ended = True
        self.notice()

    async def write(self) -> None:
        """What is sent, until nobody reads it."""
        assert self._process.stdin is not None
        with suppress(*_BROKEN):
            while True:
                while self._outgoing:
                    self._is_writing = True
                    await self._process.stdin.send(self._outgoing.popleft())
                self._is_writing = False
                self.notice()
                self._has_outgoing = anyio.Event()
                await self._has_outgoing.wait()

    async def read_stderr(self) -> None:
        """All of it: a process whose output nobody reads may never end."""
        assert self._process.stderr is not None
        with suppress(*_BROKEN):
            while True:
                self._stderr = (self._stderr + await self._process.stderr.receive())[-_STDERR_BYTES:]

    async def end(self) -> None:
        """By closing its input: the tap does the rest. A server that is ending gets time first, or it would look as if
        we had ended it."""
        process = self._process
        assert process.stdin is not None
        with anyio.move_on_after(_LAST_WORDS_S if self.has_ended else 0):
            await process.wait()
        with suppress(*_BROKEN):
            await process.stdin.aclose()
        with anyio.move_on_after(_TAP_GOODBYE_S):
            await process.wait()
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            with anyio.move_on_after(_LAST_WORDS_S):
                await process.wait()


@asynccontextmanager
async def start_server(
    command: Sequence[str], *, name: str, cwd: str, folder: Path, probe: bool, hear: Callable[[Message], None]
) -> AsyncIterator[ServerProcess]:
    """`command` in `cwd`, journalled into `folder` as `name`; ended when the block is, whatever happens. Raises OSError
    where it cannot be started at all."""
    # -P: the interpreter would look for modules in the project's folder first, and run what it finds.
    tap = [sys.executable, "-P", "-m", "lsp_tap", "run", "--name", name, "--dir", str(folder)]
    options = () if probe else ("--no-probe",)
    own = {variable: value for variable, value in os.environ.items() if variable not in CLIENTS_OWN}
    process = await anyio.open_process(
        [*tap, *options, "--", *command], stdin=subprocess.PIPE, cwd=cwd, env=own, start_new_session=True
    )
    server = ServerProcess(process, hear)
    try:
        async with anyio.create_task_group() as tasks:
            for task in (server.listen, server.write, server.read_stderr):
                tasks.start_soon(task)
            try:
                yield server
            finally:
                with anyio.CancelScope(shield=True):
                    await server.end()
                tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await process.aclose()


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
