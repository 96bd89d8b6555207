"""A client for one fresh server: it opens and changes documents, and waits until the server has said all it has to say.

*Settled* is: every document reported on in its present version, no work in progress (`$/progress`), and then quiet.

- A server that answers pulls has reported on a document when it answered one request for each registration that is for
  it. What it cannot answer now (ServerCancelled, ContentModified) it is asked again, and on a
  `workspace/diagnostic/refresh` everything is.
- A server that pushes has reported with a push of that version or, without one, with any push since the change.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
from pygls.exceptions import JsonRpcException

from lsp_tap.tap.selector import matches_selector
from lsp_tap.verification.connection import Connection
from lsp_tap.verification.recorded_client import RecordedClient

QUIET_PULL_S: Final = 0.3
QUIET_PUSH_S: Final = 0.6
QUIET_UNVERSIONED_S: Final = 1.5
"""How long nothing may come after the last report. Without versions nobody knows which report is the last on a text:
typescript sends syntactic and semantic findings one after the other."""

RETRY_S: Final = 0.1
PULLS_AT_ONCE: Final = 4
_NOT_NOW: Final = frozenset({-32801, -32802})  # ContentModified, ServerCancelled


@dataclass(slots=True)
class _Document:
    language: str
    version: int
    is_reported: bool = False
    is_given_up: bool = False


class ReplayClient(Connection):
    """One connection. Use `start_client`."""

    def __init__(self, recorded: RecordedClient) -> None:
        super().__init__()
        self._recorded = recorded
        self._initialize = recorded.initialize or {}
        self._documents: dict[str, _Document] = {}
        self._registrations: dict[str, Mapping[str, Any]] = {}
        self._working: set[str] = set()
        self._refreshes = 0
        self._has_unversioned = False
        self._last_said = 0.0
        self._said = anyio.Event()
        features = {
            "client/registerCapability": self._register,
            "client/unregisterCapability": self._unregister,
            "workspace/configuration": self._configure,
            "workspace/workspaceFolders": lambda params: self._initialize.get("workspaceFolders"),
            "workspace/applyEdit": lambda params: {"applied": False},
            "workspace/diagnostic/refresh": self._refresh,
            "window/workDoneProgress/create": lambda params: None,
            "window/showMessageRequest": lambda params: None,
            "window/showDocument": lambda params: {"success": False},
            "textDocument/publishDiagnostics": self._published,
            "$/progress": self._progressed,
        }
        for name, handler in features.items():
            self.feature(name)(partial(handler))  # pygls sets attributes, which methods do not take

    # What the server says

    def _hear(self) -> None:
        self._last_said = time.monotonic()
        self._said.set()
        self._said = anyio.Event()

    def _register(self, params: Any) -> None:
        for registration in params["registrations"]:
            if registration["method"] == "textDocument/diagnostic":
                self._registrations[registration["id"]] = registration.get("registerOptions") or {}
                self._hear()

    def _unregister(self, params: Any) -> None:
        for registration in params["unregisterations"]:  # spelled so in the specification
            self._registrations.pop(registration["id"], None)

    def _configure(self, params: Any) -> list[Any]:
        known = self._recorded.configuration
        return [known.get((item.get("scopeUri"), item.get("section"))) for item in params["items"]]

    def _refresh(self, params: Any) -> None:
        self._refreshes += 1
        self._hear()

    def _published(self, params: Any) -> None:
        document, version = self._documents.get(params["uri"]), params.get("version")
        if document is not None and version in (None, document.version):
            document.is_reported |= self._needs_push(params["uri"], document)
            self._has_unversioned |= version is None
        self._hear()

    def _progressed(self, params: Any) -> None:
        token, kind = json.dumps(params["token"]), (params.get("value") or {}).get("kind")
        if kind == "begin":
            self._working.add(token)
        elif kind == "end":
            self._working.discard(token)
            self._hear()

    async def server_exit(self, server: asyncio.subprocess.Process) -> None:
        await super().server_exit(server)
        self._hear()

    # What we say

    async def initialize(self) -> None:
        """As the recorded client did. Raises NotMeasured."""
        result = await self.ask("initialize", {**self._initialize, "processId": os.getpid()})
        static = ((result or {}).get("capabilities") or {}).get("diagnosticProvider")
        if static is not None and static is not False:
            self._registrations[""] = static if isinstance(static, dict) else {}
        self.protocol.notify("initialized", {})
        for settings in self._recorded.settings:
            self.protocol.notify("workspace/didChangeConfiguration", settings)

    def open(self, uri: str, language: str, version: int, text: str, *, is_new: bool = False) -> None:
        """`is_new`: the file has just been created."""
        if is_new:
            self._tell_watched(uri, 1)
        self._documents[uri] = _Document(language, version)
        item = {"uri": uri, "languageId": language, "version": version, "text": text}
        self.protocol.notify("textDocument/didOpen", {"textDocument": item})

    def is_open(self, uri: str) -> bool:
        return uri in self._documents

    def change(self, uri: str, version: int, text: str) -> None:
        document = self._documents[uri]
        document.version, document.is_reported, document.is_given_up = version, False, False
        changed = {"textDocument": {"uri": uri, "version": version}, "contentChanges": [{"text": text}]}
        self.protocol.notify("textDocument/didChange", changed)

    def close(self, uri: str) -> None:
        """The file is gone."""
        if self._documents.pop(uri, None) is not None:
            self.protocol.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
        self._tell_watched(uri, 3)

    def _tell_watched(self, uri: str, kind: int) -> None:
        self.protocol.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": uri, "type": kind}]})

    # Waiting

    async def wait_settled(self, limit_s: float) -> list[str]:
        """Wait until all is said, or until `limit_s` is over. Returns the documents that were not reported on in their
        present version; they are not waited for again until they change. Raises NotMeasured if the server ended."""
        with anyio.move_on_after(limit_s) as scope:
            answers: object = None
            while True:
                refreshes, earlier = self._refreshes, answers
                await self._wait_pushes()
                answers = await self._pull_all()
                await self._wait_quiet()
                # Asking can itself make a server send a refresh: the same answers again end that.
                if refreshes == self._refreshes or (answers is not None and answers == earlier):
                    break
        self.check_alive()
        if scope.cancelled_caught:
            self._working.clear()  # work that never ends must not be waited for again and again
        silent = [uri for uri, document in self._documents.items() if not document.is_reported]
        for uri in silent:
            self._documents[uri].is_given_up = True
        return silent

    def _find_identifiers(self, uri: str, document: _Document) -> list[str | None]:
        return [
            options.get("identifier")
            for options in self._registrations.values()
            if matches_selector(options.get("documentSelector"), uri, document.language)
        ]

    def _needs_push(self, uri: str, document: _Document) -> bool:
        """Whether nobody can be asked for it."""
        if self._find_identifiers(uri, document):
            return False
        return bool(self._registrations) or not self._recorded.answers_pulls

    async def _wait_pushes(self) -> None:
        """Until every document that is not asked for has its push, and there is somebody to ask where there was."""

        def is_waiting() -> bool:
            if self._recorded.answers_pulls and not self._registrations:
                return True
            return any(
                not document.is_reported and not document.is_given_up and self._needs_push(uri, document)
                for uri, document in self._documents.items()
            )

        while is_waiting():
            self.check_alive()
            await self._said.wait()

    async def _pull_all(self) -> dict[tuple[str, str | None], str] | None:
        """Ask for all documents; what was answered, None where there is nobody to ask."""
        pulls = [(u, d, i) for u, d in self._documents.items() for i in self._find_identifiers(u, d)]
        if not pulls:
            return None
        answers: dict[tuple[str, str | None], str] = {}
        limiter = anyio.CapacityLimiter(PULLS_AT_ONCE)

        async def pull(uri: str, identifier: str | None) -> None:
            async with limiter:
                answer = await self._pull(uri, identifier)
            if answer is not None:
                answers[uri, identifier] = json.dumps(answer.get("items"), sort_keys=True)

        async with anyio.create_task_group() as tasks:
            for uri, _, identifier in pulls:
                tasks.start_soon(pull, uri, identifier)
        for uri, document, _ in pulls:
            document.is_reported = all((u, i) in answers for u, _, i in pulls if u == uri)
        self._last_said = time.monotonic()
        return answers

    async def _pull(self, uri: str, identifier: str | None) -> Mapping[str, Any] | None:
        """One answer; None if the server refuses for good."""
        params: dict[str, Any] = {"textDocument": {"uri": uri}}
        if identifier is not None:
            params["identifier"] = identifier
        delay_s = RETRY_S
        while not self.has_ended.is_set():
            try:
                answer = await self.protocol.send_request_async("textDocument/diagnostic", params)
            except JsonRpcException as error:
                data = error.data if isinstance(error.data, dict) else {}
                if error.code not in _NOT_NOW or data.get("retriggerRequest") is False:
                    return None
                await anyio.sleep(delay_s)
                delay_s = min(2 * delay_s, 2.0)
            except (RuntimeError, ConnectionError):
                return None
            else:
                return answer if isinstance(answer, dict) else None
        return None

    async def _wait_quiet(self) -> None:
        if self._registrations:
            quiet_s = QUIET_PULL_S
        else:
            quiet_s = QUIET_UNVERSIONED_S if self._has_unversioned else QUIET_PUSH_S
        while True:
            self.check_alive()
            left_s = self._last_said + quiet_s - time.monotonic()
            if left_s <= 0 and not self._working:
                return
            with anyio.move_on_after(left_s if left_s > 0 else None):
                await self._said.wait()


@contextlib.asynccontextmanager
async def start_client(recorded: RecordedClient, name: str, folder: Path) -> AsyncIterator[ReplayClient]:
    """The recorded server, started afresh behind a tap that journals into `folder`, and ended whatever happens."""
    client = ReplayClient(recorded)
    await client.start(recorded.command, name=name, root=recorded.root, environment=recorded.environment, folder=folder)
    try:
        yield client
    finally:
        with anyio.CancelScope(shield=True):
            await client.end()
