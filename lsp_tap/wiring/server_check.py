"""Does one language server answer `initialize` when it is started as OpenCode starts it?"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient

_MOMENT_S: Final = 1.0
_REGISTER_S: Final = 3.0  # servers register for pulls within this time of `initialized`, or hardly ever
_STDERR_BYTES: Final = 4096
_GOODBYE_S: Final = 3.0  # what a server gets for each of: shutdown, the end of its input, SIGTERM

logging.getLogger("pygls").addHandler(logging.NullHandler())  # it warns of every notification nobody reads


@dataclass(frozen=True)
class Answer:
    """What a server said of itself. `diagnostics`: `pull` (asked for), `pull (dynamic)` (registered later) or
    `push`."""

    name: str | None
    version: str | None
    diagnostics: str
    position_encoding: str
    initialize_ms: int


class ServerSilentError(Exception):
    """The server did not answer `initialize`. `exit_code` is None when it runs but says nothing."""

    def __init__(self, reason: str, exit_code: int | None, stderr: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code
        self.stderr = stderr


class _Client(LanguageClient):
    """pygls' client with the answers OpenCode gives to a server's own requests."""

    def __init__(self) -> None:
        super().__init__("lsp-tap doctor", "1")
        self.registered = anyio.Event()
        self.stderr = bytearray()
        self.stderr_ended = anyio.Event()
        self.reading = anyio.CancelScope(shield=True)

        def register(params: types.RegistrationParams) -> None:
            if any(item.method == types.TEXT_DOCUMENT_DIAGNOSTIC for item in params.registrations):
                self.registered.set()

        def accept(params: object) -> None: ...

        def configure(params: types.ConfigurationParams) -> list[None]:
            return [None for _ in params.items]

        self.feature(types.CLIENT_REGISTER_CAPABILITY)(register)
        self.feature(types.CLIENT_UNREGISTER_CAPABILITY)(accept)
        self.feature(types.WINDOW_WORK_DONE_PROGRESS_CREATE)(accept)
        self.feature(types.WORKSPACE_CONFIGURATION)(configure)

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._server is not None
        return self._server

    async def read_stderr(self) -> None:
        """Keep the end of it. Also while the server is being ended: one whose output nobody reads never does."""
        assert self.process.stderr is not None
        with self.reading:
            while block := await self.process.stderr.read(1 << 16):
                self.stderr = (self.stderr + block)[-_STDERR_BYTES:]
            self.stderr_ended.set()

    async def close(self) -> None:
        """Let go of the process; nothing of it is waited for any more than a moment."""
        # What it reads may have ended in the middle of a message.
        with contextlib.suppress(Exception), anyio.move_on_after(_MOMENT_S):
            await self.stop()  # type: ignore[no-untyped-call]
        for task in self._async_tasks:
            task.cancel()
        self.reading.cancel()
        self.process._transport.close()  # type: ignore[attr-defined]


async def wait_answer(
    command: Sequence[str],
    *,
    root: Path,
    environment: Mapping[str, str],
    initialization: Mapping[str, Any] | None,
    timeout_s: float,
) -> Answer:
    """Start `command` in `root`, initialize it, and end it again whatever happens. Raises ServerSilentError."""
    async with _start(command, root, environment) as client:
        outcome = await _ask(client, _initialize_params(root, initialization), timeout_s)
    if isinstance(outcome, ServerSilentError):
        raise outcome
    return outcome


async def _ask(client: _Client, params: types.InitializeParams, timeout_s: float) -> Answer | ServerSilentError:
    started = time.monotonic()
    result: list[types.InitializeResult] = []
    refusal: str | None = None
    with anyio.move_on_after(timeout_s):
        async with anyio.create_task_group() as tasks:

            async def initialize() -> None:
                nonlocal refusal
                try:
                    result.append(await client.initialize_async(params))
                except JsonRpcException as error:
                    refusal = f"refused: {error.message}"
                except (RuntimeError, ConnectionError):  # it ended, which is seen below
                    return
                tasks.cancel_scope.cancel()

            tasks.start_soon(initialize)
            await client.process.wait()
            tasks.cancel_scope.cancel()
    initialize_ms = round((time.monotonic() - started) * 1000)
    if not result:
        with anyio.move_on_after(_MOMENT_S):
            await client.stderr_ended.wait()
        code = client.process.returncode
        silence = f"no answer within {timeout_s:g} s" if code is None else f"ended with exit code {code}"
        return ServerSilentError(refusal or silence, code, client.stderr.decode(errors="replace").strip())
    client.initialized(types.InitializedParams())
    capabilities, info = result[0].capabilities, result[0].server_info
    diagnostics = "pull" if capabilities.diagnostic_provider else "push"
    if diagnostics == "push":
        with anyio.move_on_after(_REGISTER_S):
            await client.registered.wait()
            diagnostics = "pull (dynamic)"
    encoding = capabilities.position_encoding or types.PositionEncodingKind.Utf16
    return Answer(
        name=info.name if info else None,
        version=info.version if info else None,
        diagnostics=diagnostics,
        position_encoding=encoding.value if isinstance(encoding, types.PositionEncodingKind) else encoding,
        initialize_ms=initialize_ms,
    )


@contextlib.asynccontextmanager
async def _start(command: Sequence[str], root: Path, environment: Mapping[str, str]) -> AsyncIterator[_Client]:
    client = _Client()
    try:
        await client.start_io(command[0], *command[1:], cwd=root, env=dict(environment), start_new_session=True)
    except (OSError, ValueError) as error:  # a NUL in a word of the command is a ValueError
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ServerSilentError(f"cannot be started: {reason}", 127, "") from None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.read_stderr)
        try:
            yield client
        finally:
            with anyio.CancelScope(shield=True):
                await _end(client)


async def _end(client: _Client) -> None:
    """As the specification has it, then by closing its input, then by force."""
    process = client.process
    if process.returncode is None:
        with contextlib.suppress(Exception), anyio.move_on_after(_GOODBYE_S):
            await client.shutdown_async(None)
        with contextlib.suppress(Exception):
            client.exit(None)
        if process.stdin is not None:
            process.stdin.close()
        await _wait_end(process)
    for end in (process.terminate, process.kill):
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                end()
            await _wait_end(process)
    await client.close()


async def _wait_end(process: asyncio.subprocess.Process) -> None:
    with anyio.move_on_after(_GOODBYE_S):
        await process.wait()


def _initialize_params(root: Path, initialization: Mapping[str, Any] | None) -> types.InitializeParams:
    uri = root.as_uri()
    return types.InitializeParams(
        process_id=os.getpid(),
        root_uri=uri,
        workspace_folders=[types.WorkspaceFolder(uri=uri, name="workspace")],
        initialization_options=dict(initialization or {}),
        capabilities=types.ClientCapabilities(
            window=types.WindowClientCapabilities(work_done_progress=True),
            workspace=types.WorkspaceClientCapabilities(
                configuration=True,
                did_change_watched_files=types.DidChangeWatchedFilesClientCapabilities(dynamic_registration=True),
                diagnostics=types.DiagnosticWorkspaceClientCapabilities(refresh_support=False),
            ),
            text_document=types.TextDocumentClientCapabilities(
                synchronization=types.TextDocumentSyncClientCapabilities(),
                diagnostic=types.DiagnosticClientCapabilities(dynamic_registration=True, related_document_support=True),
                publish_diagnostics=types.PublishDiagnosticsClientCapabilities(version_support=False),
            ),
        ),
    )
