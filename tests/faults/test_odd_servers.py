"""A server that does what it should not: its client sees just that, at once, and the journal tells what it was."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import pytest

from lsp_tap.journal.records import Frame, InvalidBytes, StderrWritten
from lsp_tap.wire.framing import encode_frame
from lsp_tap.wiring import server_check
from lsp_tap.wiring.server_check import ServerSilentError, wait_answer
from tests.e2e.opencode import TAP
from tests.tap.tapped import Tapped, tap, wait_until

PEER = Path(__file__).parent / "peers" / "odd_server.py"
INITIALIZE = {"id": 0, "method": "initialize", "params": {}}
ANSWER = encode_frame(b'{"jsonrpc":"2.0","id":0,"result":{"capabilities":{}}}')
FIRST = b'{"jsonrpc":"2.0","method":"first"}'
LATER = encode_frame(b'{"jsonrpc":"2.0","method":"later"}')

SAID = {
    "prints lines between frames": b"Debugger listening\n" + ANSWER + b"done\r\n\r\nreally\n" + LATER,
    "says a frame is longer than it is": b"Content-Length: %d\r\n\r\n" % (len(FIRST) + 9) + FIRST + ANSWER + LATER,
    "says a frame is shorter than it is": b"Content-Length: %d\r\n\r\n" % (len(FIRST) - 9) + FIRST + ANSWER + LATER,
    "writes half a header": ANSWER + LATER + b"Content-Len",
    "writes a header and half a body": ANSWER + LATER + b"Content-Length: 40\r\n\r\n" + FIRST,
}


def odd_server(folder: Path, out: bytes, err: bytes = b"") -> list[str]:
    (folder / "out").write_bytes(out)
    (folder / "err").write_bytes(err)
    return [sys.executable, "-I", str(PEER), str(folder / "out"), str(folder / "err")]


def list_methods(tapped: Tapped) -> list[str | None]:
    frames = tapped.read_frames("server_to_client")
    return [frame.message.get("method") for frame in frames if isinstance(frame.message, dict)]


@pytest.mark.parametrize("options", [("--no-probe",), ()], ids=["without the probe", "with the probe"])
@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_what_a_server_should_not_say_arrives_and_is_journalled(
    said: bytes, options: tuple[str, ...], tmp_path: Path
) -> None:
    with tap(odd_server(tmp_path, said), tmp_path / "logs", options=options) as tapped:
        tapped.send_message(INITIALIZE)
        assert tapped.read(len(said)) == said  # while the server is still there, and silent
        wait_until(lambda: "later" in list_methods(tapped), "what follows in the journal")
        assert tapped.finish() == (b"", b"")
        assert tapped.wait() == 0
        entries = [
            entry
            for entry in tapped.read_journal()
            if isinstance(entry, Frame | InvalidBytes) and entry.direction == "server_to_client"
        ]
    assert sum(entry.raw_length for entry in entries) == len(said)
    good = [entry for entry in entries if isinstance(entry, Frame) and not entry.error]
    assert good[-1].message["method"] == "later"
    assert len(entries) > len(good), "that something was wrong is in the journal"


def test_a_line_of_200_kb_on_standard_error_holds_nothing_up(tmp_path: Path) -> None:
    """Its client reads standard error only later, and then all of it."""
    line = "größer ".encode() * 25_000 + b"\n"
    with tap(odd_server(tmp_path, ANSWER, line), tmp_path / "logs") as tapped:
        tapped.send_message(INITIALIZE)
        assert tapped.process.stderr is not None
        heard = b""
        while len(heard) < len(line):
            heard += os.read(tapped.process.stderr.fileno(), 65536)
        assert heard == line
        assert tapped.read(len(ANSWER)) == ANSWER
        assert tapped.finish() == (b"", b"")
        text = "".join(entry.text for entry in tapped.read_journal() if isinstance(entry, StderrWritten))
    assert text == line.decode()


@pytest.mark.parametrize(
    ("out", "err", "reason"),
    [
        (b"Content-Len", b"", "no answer within 1 s"),
        (b"Content-Length: 999\r\n\r\n" + FIRST, b"", "no answer within 1 s"),
        (b"", b"x" * 200_000 + b"\n", "no answer within 1 s"),
    ],
    ids=["half a header", "half a body", "a flood on standard error"],
)
def test_doctor_gives_up_on_a_server_that_goes_silent(
    out: bytes, err: bytes, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_check, "_GOODBYE_S", 0.5)
    command = [*TAP, "run", "--dir", str(tmp_path / "logs"), "--", *odd_server(tmp_path, out, err)]

    async def ask() -> None:
        await wait_answer(command, root=tmp_path, environment=os.environ, initialization=None, timeout_s=1.0)

    with pytest.raises(ServerSilentError, match=reason):
        anyio.run(ask)
