"""The process behind a replay: a tap and its server, started, listened to, and ended whatever happens.

JSON stays as it is in both directions: what the recorded client sent is sent again, fields that no library knows
included, and what the server says is only looked at where it matters.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import anyio
from lsprotocol.types import ResponseError, ResponseErrorMessage
from pygls.client import JsonRPCClient
from pygls.exceptions import JsonRpcException
from pygls.protocol.json_rpc import (
    JsonRPCNotification,
    JsonRPCProtocol,
    JsonRPCRequestMessage,
    JsonRPCResponseMessage,
)

from lsp_tap.errors import LspTapError
from lsp_tap.verification.recorded_client import CLIENTS_OWN

_LAST_WORDS_S: Final = 1.0
_GOODBYE_S: Final = 3.0
_TAP_GOODBYE_S: Final = 6.0  # a tap ends a server within 2 s of the end of its input
_STDERR_BYTES: Final = 4096

logging.getLogger("pygls").addHandler(logging.NullHandler())  # it warns of every notification nobody reads


class NotMeasured(LspTapError):
    """A server could not be measured again: `reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class _PlainProtocol(JsonRPCProtocol):
    """JSON-RPC without types for parameters and results."""

    def _serialize_message(self, data: Any) -> dict[str, Any]:
        fields = super()._serialize_message(data)
        if "method" in fields and fields.get("params") is None:
            del fields["params"]  # shutdown and exit have none, and some servers refuse a null
        return fields

    def structure_message(self, data: dict[str, Any]) -> Any:
        if "jsonrpc" not in data:
            return data
        version, params = data["jsonrpc"], data.get("params")
        if "method" in data:
            if "id" in data:
                return JsonRPCRequestMessage(id=data["id"], method=data["method"], jsonrpc=version, params=params)
            return JsonRPCNotification(method=data["method"], jsonrpc=version, params=params)
        if data.get("error") is not None:
            error = data["error"]
            told = ResponseError(
                code=error.get("code", 0), message=str(error.get("message", "")), data=error.get("data")
            )
            return ResponseErrorMessage(id=data.get("id"), error=told, jsonrpc=version)
        return JsonRPCResponseMessage(id=data["id"], jsonrpc=version, result=data.get("result"))


class Connection(JsonRPCClient):
    """One server behind one tap."""

    def __init__(self) -> None:
        super().__init__(protocol_cls=_PlainProtocol)
        self._stderr = bytearray()
        self._stderr_ended = anyio.Event()
        self.has_ended = anyio.Event()

    async def start(
        self, command: Sequence[str], *, name: str, root: str, environment: Mapping[str, str], folder: Path
    ) -> None:
        """Start `command` in `root`, journalled into `folder` as `name`. Raises OSError."""
        # -P: the interpreter would look for modules in the project's folder first, and run what it finds.
        tap = [sys.executable, "-P", "-m", "lsp_tap", "run", "--no-probe", "--name", name, "--dir", str(folder), "--"]
        own = {variable: value for variable, value in os.environ.items() if variable not in CLIENTS_OWN}
        await self.start_io(*tap, *command, cwd=root, env=own | dict(environment), start_new_session=True)
        assert self._server is not None
        assert self._server.stderr is not None
        self._async_tasks.append(asyncio.ensure_future(self._read_stderr(self._server.stderr)))

    async def _read_stderr(self, stream: asyncio.StreamReader) -> None:
        """Keep the end of it: a process whose output nobody reads may never end."""
        while block := await stream.read(1 << 16):
            self._stderr = (self._stderr + block)[-_STDERR_BYTES:]
        self._stderr_ended.set()

    async def server_exit(self, server: asyncio.subprocess.Process) -> None:
        with anyio.move_on_after(_LAST_WORDS_S):
            await self._stderr_ended.wait()
        self.has_ended.set()

    async def ask(self, method: str, params: Any) -> Any:
        """The result of a request. Raises NotMeasured."""
        try:
            return await self.protocol.send_request_async(method, params)
        except JsonRpcException as error:
            raise NotMeasured(f"it refused {method}: {error.message}") from error
        except (RuntimeError, ConnectionError):
            await self.has_ended.wait()
            raise self._describe_end() from None

    def check_alive(self) -> None:
        """Raises NotMeasured once the server has ended."""
        if self.has_ended.is_set():
            raise self._describe_end()

    def _describe_end(self) -> NotMeasured:
        assert self._server is not None
        code = self._server.returncode
        last = self._stderr.decode(errors="replace").strip().splitlines()[-1:]
        told = f": {last[0].removeprefix('lsp-tap: ')}" if last else ""
        return NotMeasured(f"it ended{'' if code is None else f' with exit code {code}'}{told}")

    async def end(self) -> None:
        """End the server as the specification has it, then by closing its input: the tap does the rest."""
        assert self._server is not None
        process = self._server
        if process.returncode is None:
            with contextlib.suppress(Exception), anyio.move_on_after(_GOODBYE_S):
                await self.protocol.send_request_async("shutdown", None)
            with contextlib.suppress(Exception):
                self.protocol.notify("exit", None)
            assert process.stdin is not None
            process.stdin.close()
            with anyio.move_on_after(_TAP_GOODBYE_S):
                await process.wait()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        with anyio.move_on_after(_GOODBYE_S):
            await self.stop()  # type: ignore[no-untyped-call]
        for task in self._async_tasks:
            task.cancel()
        process._transport.close()  # type: ignore[attr-defined]
