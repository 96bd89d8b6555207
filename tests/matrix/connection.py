"""One language server behind `lsp-tap run`, spoken to as OpenCode 1.18.33 speaks.

First touch of a file: didChangeWatchedFiles (created) and didOpen, version 0. Later ones: didChangeWatchedFiles
(changed) and didChange with the complete text, as one whole-document range where the server syncs incrementally. Never
didSave, didClose, shutdown or exit.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.e2e.opencode import TAP

Json = dict[str, Any]

INITIALIZE_S: Final = 45.0
PULL_S: Final = 3.0
DOCUMENT_S: Final = 5.0
DEBOUNCE_S: Final = 0.15

LANGUAGES: Final = {
    ".py": "python", ".ts": "typescript", ".js": "javascript", ".json": "json", ".css": "css", ".c": "c", ".cpp": "cpp",
    ".h": "c", ".yaml": "yaml", ".sh": "shellscript", ".php": "php",
}  # fmt: skip


class Connection:
    """Starts the server in `root` and initializes it. Raises TimeoutError or OSError where that fails."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        root: Path,
        *,
        initialization: Json | None = None,
        environment: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        client_pid: int,
    ) -> None:
        self.name, self._root, self._initialization = name, root, initialization
        own = {"OPENCODE": "1", "OPENCODE_PID": str(client_pid)}
        self.process = subprocess.Popen(
            [*TAP, "run", "--name", name, "--dir", str(root / ".opencode-logs"), *options, "--", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=root,
            env={**os.environ, **own, **(environment or {})},
        )
        self._sending = threading.Lock()
        self._news = threading.Condition()
        self._answers: dict[int, Json] = {}
        self._pushed: dict[str, tuple[float, int | None]] = {}
        self._identifiers: dict[str, str | None] = {}
        self._sent: dict[Path, tuple[int, str]] = {}
        self._next_id = 0
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._initialize()

    def touch(self, path: Path) -> tuple[int, float]:
        """Tell the server of the file's text as it is on disk; the version told of, and when."""
        text = path.read_bytes().decode()
        uri = path.as_uri()
        with self._sending:
            told = self._sent.get(path)
            at = time.monotonic()
            version = 0 if told is None else told[0] + 1
            self._sent[path] = version, text
            kind = 1 if told is None else 2
            self._notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": uri, "type": kind}]})
            if told is None:
                language = LANGUAGES.get(path.suffix, "plaintext")
                item = {"uri": uri, "languageId": language, "version": 0, "text": text}
                self._notify("textDocument/didOpen", {"textDocument": item})
            else:
                change: Json = {"text": text}
                if self._is_incremental:
                    change["range"] = {"start": {"line": 0, "character": 0}, "end": _end_of(told[1])}
                item = {"uri": uri, "version": version}
                self._notify("textDocument/didChange", {"textDocument": item, "contentChanges": [change]})
        return version, at

    def wait_document(self, path: Path, version: int, since: float) -> None:
        """Wait for the server's word on the document, as the client does after an edit: pull, else push, up to 5 s."""
        deadline = since + DOCUMENT_S
        while time.monotonic() < deadline and not self._ended:
            known = len(self._identifiers)
            if self._pull(path) or self._wait_push(path, version, since, deadline, known):
                return

    def wait_ended(self, timeout_s: float = 10.0) -> None:
        """Wait until the server and its tap are gone."""
        self.process.wait(timeout_s)
        self._reader.join(timeout_s)

    def stop(self) -> None:
        """SIGTERM, which is all a server gets; then its end is waited for."""
        self.process.terminate()
        self.wait_ended()
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            return

    def _initialize(self) -> None:
        uri = self._root.as_uri()
        folders = [{"name": "workspace", "uri": uri}]
        capabilities = {
            "window": {"workDoneProgress": True},
            "workspace": {
                "configuration": True,
                "didChangeWatchedFiles": {"dynamicRegistration": True},
                "diagnostics": {"refreshSupport": False},
            },
            "textDocument": {
                "synchronization": {"didOpen": True, "didChange": True},
                "diagnostic": {"dynamicRegistration": True, "relatedDocumentSupport": True},
                "publishDiagnostics": {"versionSupport": False},
            },
        }
        asked = self._request(
            "initialize",
            {
                "rootUri": uri,
                "processId": self.process.pid,
                "workspaceFolders": folders,
                "initializationOptions": self._initialization or {},
                "capabilities": capabilities,
            },
        )
        self._await([asked], INITIALIZE_S)
        if asked not in self._answers:
            raise TimeoutError(f"{self.name} did not answer initialize")
        found = self._answers[asked]["result"]["capabilities"]
        sync = found.get("textDocumentSync")
        self._is_incremental = (sync.get("change") if isinstance(sync, dict) else sync) == 2
        self._has_static_pull = bool(found.get("diagnosticProvider"))
        self._notify("initialized", {})
        if self._initialization:
            self._notify("workspace/didChangeConfiguration", {"settings": self._initialization})

    def _pull(self, path: Path) -> bool:
        """Ask without an identifier and once per registered one. Whether an answer had anything to say."""
        if not (self._has_static_pull or self._identifiers):
            return False
        identifiers = [None, *dict.fromkeys(i for i in self._identifiers.values() if i)]
        document = {"uri": path.as_uri()}
        asked = [
            self._request("textDocument/diagnostic", {**({"identifier": i} if i else {}), "textDocument": document})
            for i in identifiers
        ]
        self._await(asked, PULL_S)
        answers = [self._answers.get(number, {}).get("result") for number in asked]
        return any(isinstance(answer, dict) and isinstance(answer.get("items"), list) for answer in answers)

    def _wait_push(self, path: Path, version: int, since: float, deadline: float, known: int) -> bool:
        """Wait for a push on this version, and for quiet after it; False for a new registration or the deadline."""

        def is_settled() -> bool:
            at, described = self._pushed.get(path.as_uri(), (0.0, None))
            is_news = described == version or (described is None and at >= since)
            return is_news and time.monotonic() - at >= DEBOUNCE_S

        with self._news:
            while time.monotonic() < deadline and not self._ended:
                if is_settled():
                    return True
                if len(self._identifiers) != known:
                    return False
                self._news.wait(DEBOUNCE_S)
        return False

    def _await(self, asked: Sequence[int], timeout_s: float) -> None:
        with self._news:
            self._news.wait_for(lambda: self._ended or all(i in self._answers for i in asked), timeout_s)

    def _request(self, method: str, params: Json) -> int:
        with self._news:
            number, self._next_id = self._next_id, self._next_id + 1
        self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return number

    def _notify(self, method: str, params: Json) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def _send(self, message: Json) -> None:
        body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            return  # the server is gone, and nobody tells the client's caller

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            while (header := stream.readline()) != b"":
                length = 0
                while header.strip():
                    name, _, value = header.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                    header = stream.readline()
                body = stream.read(length)
                if len(body) < length:
                    break
                self._take(json.loads(body))
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _take(self, message: Json) -> None:
        method, params = message.get("method"), message.get("params") or {}
        with self._news:
            if method is None:
                self._answers[message["id"]] = message
            elif method == "textDocument/publishDiagnostics":
                self._pushed[params["uri"]] = time.monotonic(), params.get("version")
            elif method == "client/registerCapability":
                for item in params["registrations"]:
                    if item["method"] == "textDocument/diagnostic":
                        self._identifiers[item["id"]] = (item.get("registerOptions") or {}).get("identifier")
            elif method == "client/unregisterCapability":
                for item in params["unregisterations"]:
                    self._identifiers.pop(item["id"], None)
            self._news.notify_all()
        if method is not None and "id" in message:
            self._answer(message["id"], method, params)

    def _answer(self, request_id: Any, method: str, params: Json) -> None:
        result: Any = None
        if method == "workspace/configuration":
            result = [_section(self._initialization, item.get("section")) for item in params["items"]]
        elif method == "workspace/workspaceFolders":
            result = [{"name": "workspace", "uri": self._root.as_uri()}]
        self._send({"jsonrpc": "2.0", "id": request_id, "result": result})


def _section(settings: Json | None, section: str | None) -> Any:
    found: Any = settings
    for name in (section or "").split("."):
        if name:
            found = found.get(name) if isinstance(found, dict) else None
    return found


def _end_of(text: str) -> Json:
    """Where a text ends, as OpenCode counts it: UTF-16 units, lines ended by LF, CRLF or CR."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return {"line": len(lines) - 1, "character": len(lines[-1].encode("utf-16-le")) // 2}
