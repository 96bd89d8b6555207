"""Journals as a tap writes them, from bytes, with the real splitter, assembler and encoder; and one of a client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from lsp_tap.cli import cli
from lsp_tap.journal.lines import encode_fields, encode_line
from lsp_tap.journal.records import Direction
from lsp_tap.journal.repeats import Shortener
from lsp_tap.tap.assembler import Assembler
from lsp_tap.wire.framing import Splitter, encode_frame

START_US = 1_764_000_000_000_000
C2S: Direction = "client_to_server"
S2C: Direction = "server_to_client"


class Journalled:
    """One journal in `folder`/tap. Each call happens a millisecond after the one before."""

    def __init__(self, folder: Path, name: str, first: dict[str, Any]) -> None:
        (folder / "tap").mkdir(parents=True, exist_ok=True)
        self.path = folder / "tap" / f"{name}.jsonl"
        self.time_us = START_US
        self._seq = 0
        kind = first.pop("kind")
        self.write(kind, encode_fields({"format": 1, "recorder": "t", **first}))

    def write(self, kind: str, fields: bytes) -> int:
        with self.path.open("ab") as file:
            file.write(encode_line(self._seq, self.time_us, self.time_us - START_US + 5_000, kind, fields))
        self._seq += 1
        return self._seq - 1

    def record(self, kind: str, **fields: Any) -> None:
        self.time_us += 1000
        self.write(kind, encode_fields(fields))


class Connection(Journalled):
    """What a server and its client said. `wire` has the bytes, by direction."""

    def __init__(self, folder: Path, name: str = "pyright", *, client_pid: int = 7) -> None:
        first = {"kind": "tap_started", "name": name, "command": [name, "--stdio"], "cwd": "/p", "pid": 1}
        stem = f"server-{name}-20251124T160000Z-1"
        super().__init__(folder, stem, first | {"client_pid": client_pid, "platform": "linux"})
        self.wire: dict[Direction, bytes] = {C2S: b"", S2C: b""}
        self._splitters = {direction: Splitter() for direction in self.wire}
        self._assemblers = {
            direction: Assembler(direction, self.write, Shortener() if direction == C2S else None)
            for direction in self.wire
        }

    def put(self, direction: Direction, data: bytes, *, probe: bool = False) -> None:
        """Bytes as they came in one read."""
        self.time_us += 1000
        if not probe:
            self.wire[direction] += data
        for event in self._splitters[direction].feed(data):
            self._assemblers[direction].step(event, probe=probe)

    def end(self) -> None:
        for direction, splitter in self._splitters.items():
            for event in splitter.close():
                self._assemblers[direction].step(event)

    def say(self, direction: Direction, *, probe: bool = False, **message: Any) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False).encode()
        self.put(direction, encode_frame(body), probe=probe)

    def ask(self, id: Any, method: str, params: Any = None, *, probe: bool = False) -> None:
        self.say(C2S, probe=probe, id=id, method=method, params=params)

    def answer(self, id: Any, result: Any = None, *, probe: bool = False) -> None:
        self.say(S2C, probe=probe, id=id, result=result)

    def initialize(self, name: str = "pyright") -> None:
        self.ask(0, "initialize", {"rootUri": "file:///p"})
        self.answer(0, {"capabilities": {}, "serverInfo": {"name": name, "version": "1.1"}})
        self.say(C2S, method="initialized", params={})

    def publish(self, uri: str, *severities: int) -> None:
        diagnostics = [{"message": "m", "severity": severity} for severity in severities]
        params = {"uri": uri, "diagnostics": diagnostics}
        self.say(S2C, method="textDocument/publishDiagnostics", params=params)


class Client(Journalled):
    """A coding agent's tool calls."""

    def __init__(self, folder: Path, *, pid: int = 7) -> None:
        client = {"name": "opencode", "version": "1.18.33"}
        first = {"kind": "client_started", "client": client, "pid": pid, "directory": "/p"}
        super().__init__(folder, "client-20251124T160000Z-7-0", first)

    def start(self, call: str, tool: str = "edit", session: str = "ses_one") -> None:
        self.record("tool_starting", session_id=session, call_id=call, tool=tool, args={}, files=[])

    def finish(self, call: str, tool: str = "edit", session: str = "ses_one") -> None:
        self.record("tool_finished", session_id=session, call_id=call, tool=tool, files=[])


def hostile(folder: Path) -> Connection:
    """A connection in which everything that is odd happens once."""
    connection = Connection(folder)
    connection.initialize()
    stray = b'{"id":"\\ud800 [Trace - \xe2\x80\xa8"}'
    connection.put(C2S, b"content-length:%d\ncontent-type: x\n\n%s" % (len(stray), stray))
    spread = b'{\n "id": "a/b]\'\\n",\r\n "method": "x\'] \\u2028[Trace</script>",\n "n": 1.0}'
    connection.put(C2S, encode_frame(spread))
    connection.put(
        S2C,
        encode_frame(b'{"id":"a/b]\'\\n","error":{"code":-32601,"message":"<b>\\r\\n\\n\\n[Trace - 1] no\\u2028"}}'),
    )
    connection.put(S2C, encode_frame(b'{"method":"n","params":{"big":1e999,"same":1,"same":12345678901234567890}}'))
    connection.put(S2C, encode_frame(b"not JSON"))
    connection.put(S2C, encode_frame(b"\xff\xfe"))
    connection.put(S2C, encode_frame(b'\xef\xbb\xbf{"method":"with/bom"}'))
    text = "".join(f"it's a </script> of {number} \u2028lines\n" for number in range(50))
    for version in range(3):
        document = {"uri": "file:///p/long.py", "version": version}
        changes = [{"text": text.replace(" 7 ", f" {version} \x1b[31m")}]
        connection.say(
            C2S, method="textDocument/didChange", params={"textDocument": document, "contentChanges": changes}
        )
    connection.put(S2C, b"a print on stdout\n")
    connection.put(S2C, b"\xff\xfe\n")
    connection.put(S2C, encode_frame(b"[1,2]"))
    connection.put(S2C, encode_frame(b"null"))
    connection.put(S2C, encode_frame(b"[" * 300 + b"]" * 300))
    connection.put(S2C, b"Content-Length: 0\r\n\r\n")
    connection.answer("nobody asked")
    connection.ask(1.5, "never/answered")
    connection.ask(None, "also/never")
    connection.ask({"an": "object"}, "answered/oddly", ["</script><script>alert(1)</script>"])
    connection.answer({"an": "object"}, 1)
    big = json.dumps({"method": "big", "params": {"text": "é" * 700_000}}, ensure_ascii=False).encode()
    for piece in (encode_frame(big)[:40], encode_frame(big)[40:]):
        connection.put(C2S, piece)
    connection.record("stderr", text="warning\n")
    connection.record("dropped", count=2, bytes=10, reason="No space left on device")
    connection.put(C2S, b'Content-Length: 99\r\n\r\n{"cut"')
    connection.end()
    with connection.path.open("ab") as file:
        file.write(b'{"seq":99,"ti')
    return connection


def export(folder: Path, *words: str, exit_code: int = 0) -> Result:
    """`lsp-tap export`, all that is in `folder`."""
    result = CliRunner().invoke(cli, ["export", "--dir", str(folder), *words], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result


def bring_in(path: Path, folder: Path, *words: str) -> list[Path]:
    """`lsp-tap import`; the journals it wrote."""
    result = CliRunner().invoke(cli, ["import", str(path), "--dir", str(folder), *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return [Path(line) for line in result.stdout.splitlines()]
