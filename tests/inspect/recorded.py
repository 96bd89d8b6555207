"""Writes small captures with the journal's own writer: what taps and a client would have recorded."""

from __future__ import annotations

import json
import os
import weakref
from pathlib import Path
from typing import Any

from lsp_tap.journal.lines import (
    PART_BYTES,
    count_parts,
    encode_fields,
    encode_frame,
    encode_frame_head,
    encode_invalid,
    encode_part,
)
from lsp_tap.journal.repeats import Shortener
from lsp_tap.journal.writer import JournalWriter, create_file, create_folder, name_server_journal

START_US = 1_764_000_000_000_000
CLIENT_PID = 4700
CLIENT, SERVER = "client_to_server", "server_to_client"


class RecordedTap:
    """One tap. Each record is a millisecond after the one before, unless `wait` said otherwise; all are on disk."""

    def __init__(self, folder: Path, name: str = "alpha", *, at_ms: float = 0, pid: int = 1, root: str = "/p") -> None:
        self.at_ms = at_ms
        descriptor, path = create_file(create_folder(str(folder)), name_server_journal(name, START_US, pid))
        self.path = Path(path)
        self._writer = JournalWriter(descriptor)
        weakref.finalize(self, os.close, descriptor)
        self._shortener = Shortener()
        self._id = 0
        self.add(
            "tap_started", format=1, recorder="t", name=name, command=[name], cwd=root, pid=pid, client_pid=CLIENT_PID
        )

    @property
    def time_us(self) -> int:
        return START_US + round(self.at_ms * 1000)

    def wait(self, ms: float) -> None:
        self.at_ms += ms

    def write(self, kind: str, fields: bytes) -> int:
        self.at_ms += 1
        seq = self._writer.write(kind, fields, self.time_us, round(self.at_ms * 1000))
        self._writer.flush(round(self.at_ms * 1000))
        return seq

    def add(self, kind: str, **fields: Any) -> None:
        self.write(kind, encode_fields(fields))

    def body(self, direction: str, body: bytes, *, probe: bool = False) -> None:
        """A frame, whatever its body is."""
        header = b"Content-Length: %d\r\n\r\n" % len(body)
        shorten = self._shortener.shorten if direction == CLIENT else None
        fields, _ = encode_frame(direction, header, body, probe=probe, shorten=shorten)
        self._shortener.note_written(self.write("frame", fields))

    def say(self, direction: str, probe: bool = False, **message: Any) -> None:
        text = json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False, separators=(",", ":"))
        self.body(direction, text.encode(), probe=probe)

    def say_in_parts(self, direction: str, **message: Any) -> None:
        """A message as one over a mebibyte is recorded."""
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        seq = self.write("frame", encode_frame_head(direction, b"Content-Length: %d\r\n\r\n" % len(body), len(body)))
        for part in range(count_parts(len(body))):
            self.write("body_part", encode_part(seq, part, body[part * PART_BYTES : (part + 1) * PART_BYTES]))

    def ask(self, method: str, uri: str | None = None, *, id: Any = None, probe: bool = False) -> Any:
        """A request of the client's; returns its id."""
        self._id += 1
        identifier = self._id if id is None else id
        params = {"textDocument": {"uri": uri}} if uri else {}
        self.say(CLIENT, probe, id=identifier, method=method, params=params)
        return identifier

    def answer(self, id: Any, result: Any = None, *, error: Any = None, probe: bool = False) -> None:
        self.say(SERVER, probe, id=id, **({"error": error} if error else {"result": result}))

    def open(self, uri: str, version: int = 0, text: str = "x\n") -> None:
        item = {"uri": uri, "languageId": "python", "version": version, "text": text}
        self.say(CLIENT, method="textDocument/didOpen", params={"textDocument": item})

    def change(self, uri: str, version: int, text: str) -> None:
        params = {"textDocument": {"uri": uri, "version": version}, "contentChanges": [{"text": text}]}
        self.say(CLIENT, method="textDocument/didChange", params=params)

    def publish(self, uri: str, *severities: int, version: int | None = None) -> None:
        start = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 1}}
        found = [{"range": start, "message": f"m{n}", "severity": severity} for n, severity in enumerate(severities)]
        params = {"uri": uri, **({"version": version} if version is not None else {}), "diagnostics": found}
        self.say(SERVER, method="textDocument/publishDiagnostics", params=params)

    def complain(self, text: str) -> None:
        self.add("stderr", text=text)

    def say_invalid(self, data: bytes) -> None:
        self.write("invalid", encode_invalid(SERVER, data, "no Content-Length"))

    def stop(self) -> None:
        self.add("tap_stopped", reason="client closed", exit_code=0)


class RecordedClient:
    """A client's journal; times in milliseconds after the start."""

    def __init__(self, folder: Path, *, pid: int = CLIENT_PID) -> None:
        self.path = Path(create_folder(str(folder))) / f"client-20251124T160000Z-{pid}-1.jsonl"
        self._seq = 0
        self.add(0, "client_started", format=1, recorder="t", pid=pid, directory="/p")

    def add(self, at_ms: float, kind: str, **fields: Any) -> None:
        times = {"seq": self._seq, "time_us": START_US + round(at_ms * 1000), "monotonic_us": round(at_ms * 1000)}
        self._seq += 1
        with self.path.open("a") as file:
            file.write(json.dumps({**times, "kind": kind, **fields}) + "\n")

    def session(self, session_id: str, first_ms: float, last_ms: float) -> None:
        self.add(first_ms, "session_updated", session_id=session_id, directory="/p")
        self.add(last_ms, "session_idle", session_id=session_id)

    def call(
        self, call_id: str, tool: str, from_ms: float, to_ms: float, *files: str, session_id: str = "ses_one"
    ) -> None:
        of = {"session_id": session_id, "call_id": call_id, "tool": tool}
        states = [{"path": file, "existed": True, "skipped": "too large"} for file in files]
        self.add(from_ms, "tool_starting", **of, args={}, files=states)
        self.add(to_ms, "tool_finished", **of, files=states)
