"""A mock server on standard input and output. Our own wire layer: what a client gets is the recorded JSON."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any, Final, Literal

import anyio
from anyio.abc import TaskGroup

from lsp_tap.export.traffic import encode_json
from lsp_tap.journal.reader import Journal
from lsp_tap.playback.conversation import allow_deep_messages, read_conversation
from lsp_tap.playback.mock import MockServer, Reply
from lsp_tap.wire.framing import Frame, FrameSplitter, encode_frame
from lsp_tap.wire.messages import Message, Notification, parse_message

LatencyKind = Literal["none", "recorded"]

_BLOCK_BYTES: Final = 1 << 16
_PARSE_ERROR: Final = -32700


@allow_deep_messages()
def run_server(journal: Journal, latency: LatencyKind) -> int:
    """Serve until the client says `exit` or closes our input. Returns the exit code: 0 after a `shutdown`, else 1."""
    return anyio.run(_Server(MockServer(read_conversation(journal)), latency).run)


class _Server:
    def __init__(self, mock: MockServer, latency: LatencyKind) -> None:
        self._mock, self._latency = mock, latency
        self._lock = anyio.Lock()

    async def run(self) -> int:
        splitter = FrameSplitter()
        async with anyio.create_task_group() as tasks:
            # Writing to a client that is gone ends it like the end of its output does.
            with suppress(BrokenPipeError):
                while data := await anyio.to_thread.run_sync(os.read, 0, _BLOCK_BYTES, abandon_on_cancel=True):
                    for frame in splitter.feed(data):
                        if isinstance(frame, Frame) and await self._hear(frame, tasks):
                            break
                    else:
                        continue
                    break
            tasks.cancel_scope.cancel()
        for method, count in self._mock.unmatched.items():
            print(f"lsp-tap serve: {method}: {count} not as in the recording", file=sys.stderr)  # noqa: T201
        return 0 if self._mock.is_shut_down else 1

    async def _hear(self, frame: Frame, tasks: TaskGroup) -> bool:
        """Answer; whether that was the end."""
        try:
            value = json.loads(frame.body)
        except (ValueError, RecursionError) as error:
            told = {"code": _PARSE_ERROR, "message": f"lsp-tap serve: {error}"}
            await self._send({"jsonrpc": "2.0", "id": None, "error": told})
            return False
        message: Message | None = parse_message(value)
        if message is None:
            return False
        if isinstance(message, Notification) and message.method == "exit":
            return True
        for reply in self._mock.hear(message):
            if self._latency == "recorded" and reply.delay_us > 0:
                tasks.start_soon(self._send_later, reply)
            else:
                await self._send(reply.message)
        return False

    async def _send_later(self, reply: Reply) -> None:
        await anyio.sleep(reply.delay_us / 1e6)
        with suppress(BrokenPipeError):
            await self._send(reply.message)

    async def _send(self, message: dict[str, Any]) -> None:
        async with self._lock:
            await anyio.to_thread.run_sync(_write_all, encode_frame(encode_json(message)))


def _write_all(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]
