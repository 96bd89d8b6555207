"""Whatever either side says arrives as it was sent, and the journal knows it."""

from __future__ import annotations

import base64
import json
import random
import sys
import threading
from pathlib import Path

import pytest

from lsp_tap.journal.exact import WirePiece, read_wire
from lsp_tap.journal.records import Frame, InvalidBytes, StderrWritten
from lsp_tap.wire.framing import encode_frame
from tests.tap.tapped import peer, python, tap, wait_until

ODD_STREAMS = {
    "several frames": encode_frame(b'{"id":0,"method":"a"}') + encode_frame(b'{"id":null,"result":1}'),
    "odd headers": b"content-length:2\r\nX-Other: 1\r\n\r\n{}" + b"CONTENT-LENGTH: 2\n\n[]",
    "not JSON": encode_frame(b"hello") + encode_frame(b"\xff\xfe\x00") + encode_frame(b""),
    "ids of every type": b"".join(
        encode_frame(b'{"jsonrpc":"2.0","id":%s,"method":"m"}' % id)
        for id in (b'"a"', b"1.5", b"null", b"0", b"-1", b"1e3")
    ),
    "garbage between frames": b"Loading...\n" + encode_frame(b"{}") + b"\r\n\r\nNote: x\n" + encode_frame(b"[]"),
    "a length in characters": b'Content-Length: 10\r\n\r\n{"a":"\xc3\xbc\xc3\xbc"}' + encode_frame(b"{}"),
    "a length that is too long": b"Content-Length: 30\r\n\r\n{}" + encode_frame(b'{"id":1}') + encode_frame(b"{}"),
    "no framing at all": b"\x00\x01\x02" * 1000,
    "bodies with line breaks": encode_frame(b'{\r\n  "id": 1\n}') + encode_frame(b"\n"),
    "a frame that never ends": encode_frame(b"{}") + b"Content-Length: 100\r\n\r\n{",
    "a header that never ends": encode_frame(b"{}") + b"Content-Le",
}


@pytest.mark.parametrize("options", [("--no-probe",), ()], ids=["without the probe", "with the probe"])
@pytest.mark.parametrize("stream", ODD_STREAMS.values(), ids=ODD_STREAMS)
def test_any_stream_in_any_pieces(stream: bytes, options: tuple[str, ...], tmp_path: Path) -> None:
    pieces = random.Random(7)
    with tap(peer("echo"), tmp_path, options=options) as tapped:
        rest = stream
        while rest:
            size = pieces.choice([1, 2, 3, 50, 1000])
            tapped.send(rest[:size])
            assert tapped.read(len(rest[:size])) == rest[:size]
            rest = rest[size:]
        assert tapped.finish() == (b"", b"")
        assert tapped.wait() == 0
        for direction in ("client_to_server", "server_to_client"):
            entries = [
                entry
                for entry in tapped.read_journal()
                if isinstance(entry, Frame | InvalidBytes) and entry.direction == direction
            ]
            assert sum(entry.raw_length for entry in entries) == len(stream)


@pytest.mark.parametrize("options", [("--no-probe",), ()], ids=["without the probe", "with the probe"])
def test_a_text_that_is_sent_again_and_again_is_journalled_once(options: tuple[str, ...], tmp_path: Path) -> None:
    text = "".join(f"line {number}, as long as lines are in most programs\n" for number in range(200))
    sent = b""
    with tap(peer("echo"), tmp_path, options=options) as tapped:
        for version in range(30):
            document = {"uri": "file:///p/a.py", "version": version}
            changes = [{"text": text.replace("line 7,", f"line seven, {version},")}]
            message = {
                "method": "textDocument/didChange", "params": {"textDocument": document, "contentChanges": changes},
            }  # fmt: skip
            sent += encode_frame(json.dumps(message).encode())
        tapped.finish(sent)
        pieces = [piece for piece in read_wire(tapped.journal_path, probe=False) if isinstance(piece, WirePiece)]
        assert b"".join(piece.data for piece in pieces if piece.direction == "client_to_server") == sent
        lines = tapped.journal_path.read_bytes().splitlines()
        assert sum(len(line) for line in lines if b'"client_to_server"' in line) < len(sent) / 10


def test_the_journal_says_what_each_frame_was(tmp_path: Path) -> None:
    with tap(peer("echo"), tmp_path) as tapped:
        tapped.finish(ODD_STREAMS["ids of every type"] + ODD_STREAMS["not JSON"] + b"oops")
        frames = tapped.read_frames("client_to_server")
        assert [frame.message["id"] for frame in frames[:6]] == ["a", 1.5, None, 0, -1, 1000]
        assert [(frame.body, frame.body_base64) for frame in frames[6:]] == [
            ("hello", None),
            (None, base64.b64encode(b"\xff\xfe\x00").decode()),
            ("", None),
        ]
        assert all(frame.error for frame in frames[6:])
        (invalid, _) = [entry for entry in tapped.read_journal() if isinstance(entry, InvalidBytes)]
        assert (invalid.text, invalid.reason) == ("oops", "ended inside a header")


@pytest.mark.parametrize("megabytes", [10, 64])
def test_a_large_frame_passes_in_bounded_memory(megabytes: int, tmp_path: Path) -> None:
    text = ("0123456789 ü " * 100_000)[: 1 << 20]
    body = json.dumps({"id": 1, "method": "m", "params": [text] * megabytes}, ensure_ascii=False).encode()
    frame = encode_frame(body)
    with tap(peer("echo"), tmp_path) as tapped:
        sender = threading.Thread(target=tapped.send, args=(frame,))
        sender.start()
        received = bytearray()
        while len(received) < len(frame):
            received += tapped.read(min(1 << 20, len(frame) - len(received)))
        sender.join()
        assert received == frame
        peak_kb = int(Path(f"/proc/{tapped.process.pid}/status").read_text().partition("VmHWM:")[2].split()[0])
        tapped.finish()
        assert peak_kb < 24_000
        for direction in ("client_to_server", "server_to_client"):
            (recorded,) = tapped.read_frames(direction)
            assert recorded.raw_length == len(frame)
            assert recorded.message == json.loads(body)


def test_standard_error_passes_and_is_recorded(tmp_path: Path) -> None:
    line = "warnung: größer " * 15_000 + "\n"
    code = (
        "import os; data = 'warnung: größer '.encode() * 15_000 + b'\\n\\xff end'\n"
        "while data: data = data[os.write(2, data):]"
    )
    with tap(python(code), tmp_path) as tapped:
        out, err = tapped.finish()
        assert (out, err) == (b"", line.encode() + b"\xff end")
        recorded = "".join(entry.text for entry in tapped.read_journal() if isinstance(entry, StderrWritten))
        assert recorded == line + "\ufffd end"


def test_descriptors_that_somebody_made_non_blocking_end_and_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import os\n"
        "while data := os.read(0, 65536):\n"
        "    os.write(2, data)\n"
        "    while data: data = data[os.write(1, data):]"
    )
    # More than pipes hold, in few frames: what is journalled when it ends has two seconds, on a busy machine as well.
    stream = b"".join(encode_frame(b'{"id":%d,"method":"%s"}' % (number, b"m" * 400)) for number in range(3_000))
    unblock = f"{sys.executable} -c 'import os; [os.set_blocking(fd, False) for fd in range(3)]'"
    with tap(python(code), tmp_path, prepare=unblock) as tapped:
        wait_until(lambda: len(tapped.read_kinds()) >= 2, "the tap to wait for its client")
        assert "server_exited" not in tapped.read_kinds()
        assert tapped.finish(stream) == (stream, stream)
        assert tapped.wait() == 0


def test_two_taps_at_once_keep_their_journals_apart(tmp_path: Path) -> None:
    with tap(peer("echo"), tmp_path / "1") as first, tap(peer("echo"), tmp_path / "2") as second:
        first.send_message({"method": "one"})
        second.send_message({"method": "two"})
        assert first.read_message()["method"] == "one"
        assert second.read_message()["method"] == "two"
        first.finish()
        second.finish()
        assert [frame.message["method"] for frame in first.read_frames("client_to_server")] == ["one"]
        assert [frame.message["method"] for frame in second.read_frames("client_to_server")] == ["two"]


def test_a_tap_in_a_tap_changes_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lsp_tap", "run", "--dir", str(tmp_path / "inner"), "--", *peer("echo")]
    stream = ODD_STREAMS["several frames"]
    with tap(command, tmp_path / "outer", options=()) as tapped:
        tapped.send(stream)
        assert tapped.read(len(stream)) == stream
        assert tapped.finish() == (b"", b"")
        assert tapped.wait() == 0
        assert len(tapped.read_frames("server_to_client")) == 2


def test_a_slow_client_slows_the_server_down_and_loses_nothing(tmp_path: Path) -> None:
    size = 3_000_000
    code = f"import os; data = b'x' * {size}\nwhile data: data = data[os.write(1, data):]"
    with tap(python(code), tmp_path) as tapped:
        assert tapped.read(1) == b"x"
        out, _ = tapped.finish()
        assert len(out) == size - 1


def test_what_the_client_said_before_it_left_reaches_a_slow_server(tmp_path: Path) -> None:
    count = 400_000
    code = (
        "import os, select, sys\n"
        f"seen = 0\nwhile seen < {count}:\n"
        "    seen += len(os.read(0, 100_000)); select.select([], [], [], 0.05)\n"
        "os.write(1, str(seen).encode())"
    )
    with tap(python(code), tmp_path) as tapped:
        out, _ = tapped.finish(b"y" * count)
        assert out == str(count).encode()


def test_a_resident_tap_is_small(tmp_path: Path) -> None:
    with tap(peer("echo"), tmp_path, options=()) as tapped:
        for number in range(200):
            tapped.send_message({"id": number, "method": "m", "params": {"text": "x" * 400}})
            tapped.read_message()
        status = Path(f"/proc/{tapped.process.pid}/status").read_text()
        assert int(status.partition("VmRSS:")[2].split()[0]) < 20_000


def test_a_burst_leaves_the_tap_small_and_nothing_else_in_its_folder(tmp_path: Path) -> None:
    body = json.dumps({"id": 1, "method": "m", "params": {"items": [{"a": 1, "b": "x"}] * 40_000}}).encode()
    frame = encode_frame(body)
    with tap(peer("echo"), tmp_path) as tapped:
        for _ in range(40):
            sender = threading.Thread(target=tapped.send, args=(frame,))
            sender.start()
            assert tapped.read(len(frame)) == frame
            sender.join()
        status = Path(f"/proc/{tapped.process.pid}/status").read_text()
        assert int(status.partition("VmHWM:")[2].split()[0]) < 20_000
        tapped.finish()
        assert [path.suffix for path in (tmp_path / "tap").iterdir()] == [".jsonl"]
        for direction in ("client_to_server", "server_to_client"):
            frames = tapped.read_frames(direction)
            assert [recorded.raw_length for recorded in frames] == [len(frame)] * 40
