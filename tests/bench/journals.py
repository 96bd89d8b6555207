"""Journals of any size that look like real ones, made from a seed: an agent at work on this repository's own package.

A turn is some tool calls, every second one an edit. As OpenCode does, each call that touches a file sends its whole
text, which is in the journal once, as a tap has it, and is answered by pushes and by pulls of the client and of the
tap. In between an editor's requests (hover, completion, semantic tokens, symbols) take `chatter` of all bytes, whatever
the fold makes of them.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import lsp_tap
from lsp_tap.journal.lines import encode_fields, encode_frame, encode_line
from lsp_tap.journal.repeats import Shortener

START_US = 1_767_225_600_000_000
PROJECT = "/home/ada/project"
TURNS_A_SESSION = 25
CLIENT_PID = 2_000_000_000  # above any real one, so that these recorders are known to run no more
MESSAGES = (
    '"{}" is not a known attribute of module "lsp_tap"\n  Attribute "{}" is unknown (reportAttributeAccessIssue)',
    'Argument of type "Literal[{}]" cannot be assigned to parameter "path" of type "Path" in function "read_{}"',
    "`{}` imported but unused, and shadowed by the definition of `{}` on line 17",
)


def make_journals(
    logs: Path, size_bytes: int, *, calls_a_turn: int = 20, chatter: float = 0.45, texts_are_whole: bool = False
) -> Work:
    """Finished turns until the journals in `logs/tap` have that size; more can be added with the returned object."""
    work = Work(logs, chatter=chatter, texts_are_whole=texts_are_whole)
    while work.size_bytes < size_bytes:
        work.add_turn(calls_a_turn)
    return work


class Work:
    """One client and one server at work; whole lines are on the disk after each `add_turn`."""

    def __init__(
        self,
        logs: Path,
        *,
        chatter: float = 0.45,
        pid: int = CLIENT_PID,
        server_pid: int = CLIENT_PID + 1,
        documents: int = 60,
        name: str = "bench",
        start_us: int = START_US,
        texts_are_whole: bool = False,
    ) -> None:
        """`texts_are_whole`: as in journals of format 1, however often a text crosses the wire."""
        (logs / "tap").mkdir(parents=True, exist_ok=True)
        self.chance = random.Random(1)
        self.now_us = start_us
        self._name, self._start_us = name, start_us
        self.size_bytes = 0
        self.turns = 0
        self._chatter, self._chatted = chatter, 0
        self._client = (logs / "tap" / f"client-20260101T000000Z-{pid}-0.jsonl").open("wb")
        self._server = (logs / "tap" / f"server-checker-20260101T000000Z-{server_pid}.jsonl").open("wb")
        self._seq: dict[BinaryIO, int] = {self._client: 0, self._server: 0}
        self._shortener = None if texts_are_whole else Shortener()
        self._ids = self._versions = self._names = 0
        found = sorted(Path(lsp_tap.__file__).parent.rglob("*.py"), key=lambda path: -path.stat().st_size)
        self._lines = {
            f"src/{path.parent.name}_{path.name}": path.read_text().splitlines() for path in found[:documents]
        }
        self._opened: set[str] = set()
        self._created_ms: dict[str, int] = {}
        self._stored: set[str] = set()
        self._errors: dict[str, list[tuple[str, int, str]]] = {name: [] for name in self._lines}
        self._noise = list(self._make_noise())
        self._write(
            self._client, "client_started", format=1, recorder="lsp-tap bench", client={"name": "opencode"}, pid=pid,
            directory=PROJECT, worktree=PROJECT,
        )  # fmt: skip
        self._write(
            self._server, "tap_started", format=1, recorder="lsp-tap bench", name="checker", command=["checker"],
            cwd=PROJECT, pid=server_pid, parent_pid=pid, client="opencode", client_pid=pid, probe=True,
        )  # fmt: skip
        self._ask("initialize", {"rootUri": f"file://{PROJECT}"}, {"capabilities": {"positionEncoding": "utf-16"}})
        self._flush()

    @property
    def session_id(self) -> str:
        return f"ses_{self._name}{max(0, self.turns - 1) // TURNS_A_SESSION:04}"

    def add_turn(self, calls: int) -> None:
        self.turns += 1
        if self.turns % TURNS_A_SESSION == 1:
            self._write(
                self._client, "session_updated", session_id=self.session_id, title="Bench", directory=PROJECT,
                created_ms=self.now_us // 1000,
            )  # fmt: skip
        user, reply = f"msg_{self.turns:05}a", f"msg_{self.turns:05}b"
        self._message(user, "user")
        self._write(
            self._client, "text_updated", session_id=self.session_id, message_id=user, part_id=f"{user}t",
            text_kind="text", text=f"Please mend what is broken in part {self.turns}.",
        )  # fmt: skip
        self._message(reply, "assistant", parent_id=user, model="scripted/m")
        name = self.chance.choice(list(self._lines))
        for number in range(calls):
            if self.chance.random() < 0.3:
                name = self.chance.choice(list(self._lines))
            self._call(reply, f"call_{self.turns:05}_{number}", name, is_edit=number % 2 == 1)
        self._write(
            self._client, "text_updated", session_id=self.session_id, message_id=reply, part_id=f"{reply}t",
            text_kind="text", text="It is mended.",
        )  # fmt: skip
        tokens = {"input": 900, "output": 80, "reasoning": 0, "cache": {"read": 8000, "write": 0}}
        ended = {"completed_ms": self.now_us // 1000, "finish": "stop", "tokens": tokens}
        self._message(reply, "assistant", parent_id=user, model="scripted/m", **ended)
        self._write(self._client, "session_idle", session_id=self.session_id)
        self._flush()

    def finish(self) -> None:
        """Both recorders end, as their journals say."""
        self._write(self._client, "client_stopped")
        self._write(self._server, "tap_stopped", reason="client closed", exit_code=0)
        self._client.close()
        self._server.close()

    def _message(self, message_id: str, role: str, **fields: Any) -> None:
        self.now_us += 1_000
        fields = {"created_ms": self._created_ms.setdefault(message_id, self.now_us // 1000), **fields}
        self._write(
            self._client,
            "message_updated",
            session_id=self.session_id,
            message_id=message_id,
            role=role,
            agent="build",
            **fields,
        )

    def _call(self, reply: str, call: str, name: str, *, is_edit: bool) -> None:
        path, tool = f"{PROJECT}/{name}", "edit" if is_edit else "read"
        before, args = "\n".join(self._lines[name]) + "\n", {"filePath": f"{PROJECT}/{name}"}
        if is_edit:
            args["oldString"], args["newString"] = self._alter(name)
        after = "\n".join(self._lines[name]) + "\n"
        ids = {"session_id": self.session_id, "call_id": call, "tool": tool}
        part = {**ids, "message_id": reply, "part_id": f"{call}p"}
        self._write(self._client, "tool_updated", **part, status="pending")
        files = [self._store(path, before)] if is_edit else []
        self._write(self._client, "tool_starting", **ids, args=args, files=files)
        self._write(self._client, "tool_updated", **part, status="running", start_ms=self.now_us // 1000)
        self._touch(name, after)
        files = [self._store(path, after)] if is_edit else []
        self._write(self._client, "tool_finished", **ids, files=files)
        output = (
            "Edit applied."
            if is_edit
            else "".join(f"{n:05}| {line}\n" for n, line in enumerate(self._lines[name][:80]))
        )
        self._write(
            self._client, "tool_updated", **part, status="completed", args=args, output=output,
            end_ms=self.now_us // 1000,
        )  # fmt: skip
        self.now_us += self.chance.randrange(200_000, 4_000_000)

    def _alter(self, name: str) -> tuple[str, str]:
        """Changes a line, or a line becomes two; an error comes or goes with it."""
        lines, errors = self._lines[name], self._errors[name]
        at = self.chance.randrange(len(lines))
        old, self._names = lines[at], self._names + 1
        new = [f"{old[: len(old) - len(old.lstrip())]}value_{self._names} = {self.chance.random()}"]
        if len(lines) < 600 and self.chance.random() < 0.3:
            new.insert(0, old)
        lines[at : at + 1] = new
        if errors and self.chance.random() < 0.55:
            errors.pop(self.chance.randrange(len(errors)))
        else:
            code = self.chance.choice(("reportAttributeAccessIssue", "reportArgumentType", "F401"))
            message = self.chance.choice(MESSAGES).replace("{}", f"value_{self._names}")
            errors.append((code, self.chance.randrange(len(lines)), message))
        return old, "\n".join(new)

    def _touch(self, name: str, text: str) -> None:
        """The client tells the server of a file's text, and everybody asks what it thinks of it."""
        uri = f"file://{PROJECT}/{name}"
        self._versions += 1
        self._say("workspace/didChangeWatchedFiles", {"changes": [{"uri": uri, "type": 2}]})
        document: dict[str, Any] = {"uri": uri, "version": self._versions}
        if name not in self._opened:
            self._opened.add(name)
            document |= {"languageId": "python", "text": text}
            self._say("textDocument/didOpen", {"textDocument": document})
        else:
            self._say("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})
        version, items = self._versions, [self._diagnostic(error) for error in self._errors[name]]
        self.now_us += 20_000
        self._say("textDocument/publishDiagnostics", {"uri": uri, "version": version, "diagnostics": items}, back=True)
        for probe in (False, True):
            report = {"kind": "full", "items": items}
            self._ask("textDocument/diagnostic", {"textDocument": {"uri": uri}}, report, probe=probe)
        while self._chatted < self._chatter * self.size_bytes:
            method, result = self.chance.choice(self._noise)
            self._chatted += self._ask(
                method, {"textDocument": {"uri": uri}, "position": {"line": 3, "character": 9}}, result
            )

    def _diagnostic(self, error: tuple[str, int, str]) -> dict[str, Any]:
        code, line, message = error
        place = {"start": {"line": line, "character": 4}, "end": {"line": line, "character": 17}}
        return {"range": place, "severity": 1, "code": code, "source": "checker", "message": message}

    def _make_noise(self) -> Iterator[tuple[str, Any]]:
        for _ in range(40):
            words = [f"{self.chance.choice('abcdefgh')}_{self.chance.randrange(10**6)}" for _ in range(80)]
            yield (
                "textDocument/hover",
                {"contents": {"kind": "markdown", "value": "```python\n" + " ".join(words[:40])}},
            )
            yield (
                "textDocument/completion",
                {
                    "items": [
                        {"label": w, "kind": 6, "sortText": f"09.{w}", "data": {"position": [3, 9]}} for w in words
                    ]
                },
            )
            numbers = [self.chance.randrange(40) for _ in range(1500)]
            yield "textDocument/semanticTokens/full", {"data": numbers}
            place = {"start": {"line": 3, "character": 4}, "end": {"line": 9, "character": 17}}
            yield "textDocument/documentSymbol", [{"name": w, "kind": 12, "range": place} for w in words[:30]]

    def _store(self, path: str, text: str) -> dict[str, Any]:
        encoded = text.encode()
        sha256 = hashlib.sha256(encoded).hexdigest()
        if sha256 not in self._stored:
            self._stored.add(sha256)
            self._write(self._client, "text_stored", sha256=sha256, text=text)
        return {"path": path, "existed": True, "sha256": sha256, "bytes": len(encoded)}

    def _ask(self, method: str, params: Any, result: Any, *, probe: bool = False) -> int:
        self._ids += 1
        request_id = f"lsp-tap:bench:{self._ids}" if probe else self._ids
        size = self._frame({"id": request_id, "method": method, "params": params}, back=False, probe=probe)
        self.now_us += 5_000
        return size + self._frame({"id": request_id, "result": result}, back=True, probe=probe)

    def _say(self, method: str, params: Any, *, back: bool = False) -> int:
        return self._frame({"method": method, "params": params}, back=back)

    def _frame(self, message: dict[str, Any], *, back: bool, probe: bool = False) -> int:
        direction = "server_to_client" if back else "client_to_server"
        body = json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":"), ensure_ascii=False).encode()
        header = b"Content-Length: %d\r\n\r\n" % len(body)
        shortener = None if back else self._shortener
        shorten = None if shortener is None else shortener.shorten
        fields, _ = encode_frame(direction, header, body, probe=probe, shorten=shorten)
        size = self._write_line(self._server, "frame", fields)
        if shortener is not None:
            shortener.note_written(self._seq[self._server] - 1)
        return size

    def _write(self, file: BinaryIO, kind: str, **fields: Any) -> int:
        return self._write_line(file, kind, encode_fields(fields))

    def _write_line(self, file: BinaryIO, kind: str, fields: bytes) -> int:
        self.now_us += 150
        seq, self._seq[file] = self._seq[file], self._seq[file] + 1
        size = file.write(encode_line(seq, self.now_us, self.now_us - self._start_us, kind, fields))
        self.size_bytes += size
        return size

    def _flush(self) -> None:
        self._client.flush()
        self._server.flush()
