"""With the probe the wire is as without it, but for the tap's own requests and their answers. Real processes."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.journal.records import Frame, ProbingStopped
from lsp_tap.wire.framing import Frame as WireFrame
from lsp_tap.wire.framing import FrameSplitter, encode_frame
from tests.tap.tapped import Tapped, peer, tap, wait_until

OURS = re.compile(rb'"id": ?"lsp-tap:[0-9a-f]{4,8}:\d+"')
URI = "file:///a.py"


def encode(**message: Any) -> bytes:
    return encode_frame(json.dumps({"jsonrpc": "2.0", **message}).encode())


INITIALIZE = encode(id=0, method="initialize", params={})
INITIALIZED = encode(method="initialized", params={})
OPEN = encode(
    method="textDocument/didOpen",
    params={"textDocument": {"uri": URI, "languageId": "python", "version": 0, "text": "x"}},
)
CHANGE = encode(
    method="textDocument/didChange", params={"textDocument": {"uri": URI, "version": 1}, "contentChanges": []}
)


class Meeting:
    """A client and `pull_server` with a tap between, each knowing which bytes it sent and got."""

    def __init__(self, tapped: Tapped, received_path: Path) -> None:
        self.tapped = tapped
        self.sent = b""
        self._received_path = received_path

    def send(self, data: bytes) -> None:
        self.tapped.send(data)
        self.sent += data

    @property
    def received(self) -> bytes:
        """What the server got."""
        return self._received_path.read_bytes()

    def split_received(self) -> tuple[bytes, list[Any]]:
        """What the server got from the client, and the requests of the tap's own in between."""
        splitter = FrameSplitter()
        theirs, ours = b"", []
        for frame in splitter.feed(self.received) + splitter.close():
            if isinstance(frame, WireFrame) and OURS.search(frame.body):
                ours.append(json.loads(frame.body))
            else:
                theirs += frame.raw
        return theirs, ours

    def wait_asked(self, count: int) -> None:
        wait_until(lambda: len(self.split_received()[1]) >= count, f"{count} requests of the tap")

    def read_probe_frames(self) -> list[Frame]:
        return [entry for entry in self.tapped.read_journal() if isinstance(entry, Frame) and entry.probe]

    def wait_recorded_answers(self, count: int) -> None:
        def is_there() -> bool:
            answers = [frame for frame in self.read_probe_frames() if frame.direction == "server_to_client"]
            return len(answers) >= count

        wait_until(is_there, f"{count} answers in the journal")


def meet(tmp_path: Path, *words: str, options: tuple[str, ...] = ()) -> Any:
    received = tmp_path / "received"
    received.touch()
    return tap(peer("pull_server", str(received), *words), tmp_path / "logs", options=options), received


@pytest.mark.parametrize(
    "words",
    [
        ("static",),
        ("dynamic",),
        ("static", "id-last"),
        ("static", "pieces", "chatty"),
        ("dynamic", "id-last", "pieces", "chatty"),
        ("dynamic", "garbage", "chatty"),
        ("static", "cancel", "chatty"),
    ],
    ids=" ".join,
)
def test_the_client_never_sees_what_the_tap_asked(words: tuple[str, ...], tmp_path: Path) -> None:
    """The same conversation twice, with the probe and without: but for the answers the server says the same."""
    heard = {}
    for options in ((), ("--no-probe",)):
        folder = tmp_path / ("probe" if not options else "plain")
        folder.mkdir()
        running, received = meet(folder, *words, options=options)
        with running as tapped:
            meeting = Meeting(tapped, received)
            for data in (INITIALIZE, INITIALIZED, OPEN):
                meeting.send(data)
            if not options:
                meeting.wait_recorded_answers(3 if "cancel" in words else 1)
            meeting.send(CHANGE)
            if not options:
                meeting.wait_recorded_answers(4 if "cancel" in words else 2)
            for number in range(3):
                meeting.send(encode(id=f"c{number}", method="x", params=[number]))
            out, err = tapped.finish()
            theirs, ours = meeting.split_received()
            assert theirs == meeting.sent
            assert len(ours) == (0 if options else 4 if "cancel" in words else 2)
            assert err == b""
            assert tapped.wait() == 0
            heard[options] = out
            if options:
                assert meeting.received == meeting.sent
                continue
            frames = meeting.read_probe_frames()
            asked = [frame.message for frame in frames if frame.direction == "client_to_server"]
            answered = [frame.message["id"] for frame in frames if frame.direction == "server_to_client"]
            assert asked == ours
            assert answered == [request["id"] for request in ours]
    assert OURS.search(heard[()]) is None
    assert forget_pulls(heard[()]) == forget_pulls(heard[("--no-probe",)])


def forget_pulls(data: bytes) -> bytes:
    """Without what a chatty server says about every pull, and without the lines of one that writes garbage."""
    splitter = FrameSplitter()
    frames = [entry for entry in splitter.feed(data) if isinstance(entry, WireFrame)]
    return b"".join(frame.raw for frame in frames if b"lsp-tap:" not in frame.body)


def test_asks_nothing_while_the_client_is_in_the_middle_of_a_frame(tmp_path: Path) -> None:
    running, received = meet(tmp_path, "static")
    with running as tapped:
        meeting = Meeting(tapped, received)
        meeting.send(INITIALIZE + INITIALIZED + OPEN)
        meeting.wait_asked(1)
        request = encode(id=1, method="x", params=["y" * 100])
        meeting.send(CHANGE + request[:60])
        wait_until(lambda: meeting.received.endswith(request[:60]), "the half frame")
        for start in range(60, len(request)):
            meeting.send(request[start : start + 1])
        meeting.wait_asked(2)
        theirs, _ = meeting.split_received()
        assert theirs == meeting.sent


def test_a_document_whose_name_is_too_long_to_ask_for_keeps_no_other_from_being_asked(tmp_path: Path) -> None:
    """What a pipe does not take at once cannot be put between two frames of the client's."""
    running, received = meet(tmp_path, "static")
    with running as tapped:
        meeting = Meeting(tapped, received)
        long = URI.replace("a.py", "%C3%A4" * 1000)
        meeting.send(INITIALIZE + INITIALIZED + OPEN)
        meeting.wait_asked(1)
        meeting.send(
            encode(
                method="textDocument/didOpen",
                params={"textDocument": {"uri": long, "languageId": "python", "version": 0, "text": ""}},
            )
            + CHANGE
        )
        meeting.wait_asked(2)
        _, ours = meeting.split_received()
        assert [request["params"]["textDocument"]["uri"] for request in ours] == [URI, URI]


def test_a_broken_stream_of_the_client_ends_the_asking(tmp_path: Path) -> None:
    running, received = meet(tmp_path, "static")
    with running as tapped:
        meeting = Meeting(tapped, received)
        meeting.send(INITIALIZE + INITIALIZED + OPEN)
        meeting.wait_recorded_answers(1)
        tapped.send(b"Oops: 1\r\n\r\n" + CHANGE)
        wait_until(
            lambda: any(isinstance(entry, ProbingStopped) for entry in tapped.read_journal()), "the end of the asking"
        )
        tapped.finish()
        assert len(meeting.read_probe_frames()) == 2


def test_nothing_is_asked_after_shutdown(tmp_path: Path) -> None:
    running, received = meet(tmp_path, "static")
    with running as tapped:
        meeting = Meeting(tapped, received)
        meeting.send(INITIALIZE + INITIALIZED)
        meeting.send(OPEN + encode(id=1, method="shutdown"))
        tapped.read_message()
        assert tapped.read_message()["id"] == 1
        meeting.send(encode(method="exit"))
        assert tapped.wait() == 0
        assert meeting.split_received() == (meeting.sent, [])


def test_a_server_that_never_answers_holds_nothing_up(tmp_path: Path) -> None:
    running, received = meet(tmp_path, "static", "deaf-to-pulls")
    with running as tapped:
        meeting = Meeting(tapped, received)
        meeting.send(INITIALIZE + INITIALIZED + OPEN)
        assert tapped.read_message()["id"] == 0
        meeting.wait_asked(1)
        for number in range(100):
            meeting.send(encode(id=number, method="x", params={"text": "y" * 1000 * number}))
            assert tapped.read_message()["id"] == number
        meeting.send(encode(method="exit"))
        assert tapped.wait() == 0


def test_the_clients_own_pulls_are_answered_and_not_repeated(tmp_path: Path) -> None:
    running, received = meet(tmp_path, "dynamic")
    with running as tapped:
        meeting = Meeting(tapped, received)
        meeting.send(INITIALIZE + INITIALIZED)
        tapped.read_message()
        assert tapped.read_message()["method"] == "client/registerCapability"
        pull = encode(id="mine", method="textDocument/diagnostic", params={"textDocument": {"uri": URI}})
        meeting.send(OPEN + pull)
        assert tapped.read_message()["id"] == "mine"
        # Had it been about to ask for this document, it would have by the time it asks for another.
        meeting.send(OPEN.replace(b"a.py", b"b.py"))
        meeting.wait_asked(1)
        _, ours = meeting.split_received()
        assert ours[0]["params"]["textDocument"]["uri"] == "file:///b.py"


def test_a_tap_in_a_tap_asks_for_itself_and_each_keeps_its_own(tmp_path: Path) -> None:
    received = tmp_path / "received"
    received.touch()
    inner = [sys.executable, "-m", "lsp_tap", "run", "--dir", str(tmp_path / "inner"), "--"]
    server = peer("pull_server", str(received), "static")
    with tap(inner + server, tmp_path / "outer", options=()) as tapped:
        meeting = Meeting(tapped, received)
        meeting.send(INITIALIZE + INITIALIZED + OPEN)
        meeting.wait_recorded_answers(1)
        out, _ = tapped.finish()
        splitter = FrameSplitter()
        (answer,) = splitter.feed(out)
        assert isinstance(answer, WireFrame)
        assert json.loads(answer.body)["id"] == 0
