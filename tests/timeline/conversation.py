"""Writes the records of a conversation between a client and a server, for tests of the pure parts."""

from __future__ import annotations

from typing import Any

from lsp_tap.journal import records
from lsp_tap.timeline.fold import ServerTimeline, fold_server

START_US = 1_764_000_000_000_000


def lsp_diagnostic(
    line: int, message: str, *, severity: int = 1, code: str = "rule", columns: tuple[int, int] = (0, 3)
) -> dict[str, Any]:
    return {
        "range": {"start": {"line": line, "character": columns[0]}, "end": {"line": line, "character": columns[1]}},
        "message": message,
        "severity": severity,
        "code": code,
        "source": "test",
    }


class Conversation:
    """Each call is one record, a millisecond after the one before unless `wait` said otherwise."""

    def __init__(self, name: str = "server", *, encoding: str | None = None, cwd: str = "/p") -> None:
        self.name, self.cwd = name, cwd
        self.records: list[records.Record] = []
        self.time_us = START_US
        self._versions: dict[str, int] = {}
        self._id = 0
        self.start()
        self.frame("client_to_server", {"id": "init", "method": "initialize", "params": {}})
        capabilities = {"positionEncoding": encoding} if encoding else {}
        self.frame("server_to_client", {"id": "init", "result": {"capabilities": capabilities}})

    def _add(self, model: type[Any], kind: str, **fields: Any) -> None:
        self.time_us += 1000
        seq = len(self.records)
        self.records.append(model(seq=seq, time_us=self.time_us, monotonic_us=self.time_us, kind=kind, **fields))

    def wait(self, ms: int) -> None:
        self.time_us += ms * 1000

    def start(self) -> None:
        self._versions.clear()
        self._add(
            records.TapStarted,
            "tap_started",
            format=1,
            recorder="t",
            name=self.name,
            command=(self.name,),
            cwd=self.cwd,
            pid=1,
        )

    def stop(self, reason: str = "client closed") -> None:
        self._add(records.TapStopped, "tap_stopped", reason=reason, exit_code=0)

    def frame(self, direction: str, message: dict[str, Any], **fields: Any) -> None:
        self._add(
            records.Frame, "frame", direction=direction, raw_length=1, message={"jsonrpc": "2.0", **message}, **fields
        )

    def open(self, uri: str, text: str) -> int:
        version = self._versions[uri] = 0
        item = {"uri": uri, "languageId": "x", "version": version, "text": text}
        self.frame("client_to_server", {"method": "textDocument/didOpen", "params": {"textDocument": item}})
        return version

    def change(self, uri: str, text: str) -> int:
        self._versions[uri] += 1
        params = {"textDocument": {"uri": uri, "version": self._versions[uri]}, "contentChanges": [{"text": text}]}
        self.frame("client_to_server", {"method": "textDocument/didChange", "params": params})
        return self._versions[uri]

    def push(self, uri: str, *diagnostics: dict[str, Any], version: int | None = None) -> None:
        params: dict[str, Any] = {"uri": uri, "diagnostics": list(diagnostics)}
        if version is not None:
            params["version"] = version
        self.frame("server_to_client", {"method": "textDocument/publishDiagnostics", "params": params})

    def ask(self, uri: str, *, probe: bool = False, identifier: str | None = None) -> int:
        self._id += 1
        params: dict[str, Any] = {"textDocument": {"uri": uri}}
        if identifier is not None:
            params["identifier"] = identifier
        message = {"id": self._id, "method": "textDocument/diagnostic", "params": params}
        self.frame("client_to_server", message, probe=probe)
        return self._id

    def answer(self, request: int, *diagnostics: dict[str, Any], **result: Any) -> None:
        full = {"kind": "full", "items": list(diagnostics), **result}
        self.frame("server_to_client", {"id": request, "result": full})

    def fail(self, request: int, code: int) -> None:
        self.frame("server_to_client", {"id": request, "error": {"code": code, "message": "no"}})

    def timeline(self) -> ServerTimeline:
        return fold_server(self.name, self.records)
