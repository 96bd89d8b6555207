"""The recording as a server: which answer a request gets, and what is said by itself, and when."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.playback.mock import MockServer
from lsp_tap.wire.framing import encode_frame
from lsp_tap.wire.messages import Notification, Request, Response
from tests.inspect.recorded import CLIENT, SERVER, RecordedTap
from tests.playback.recorded import FIRST, Talk, read, record, toy
from tests.tap.tapped import Tapped, tap

A = "file:///p/a.py"


class Recording(RecordedTap):
    """A project /p with one document."""

    def start(self) -> None:
        id = self.ask("initialize")
        self.answer(id, {"capabilities": {}})
        self.say(CLIENT, method="initialized", params={})

    def hover(self, line: int, said: Any, *, uri: str = A) -> None:
        self._id += 1
        params = {"textDocument": {"uri": uri}, "position": {"line": line, "character": 0}}
        self.say(CLIENT, id=self._id, method="textDocument/hover", params=params)
        self.answer(self._id, said)

    def mock(self) -> MockServer:
        return MockServer(read(self.path))


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return Recording(tmp_path)


def hover(mock: MockServer, line: int, *, uri: str = A) -> Any:
    params = {"textDocument": {"uri": uri}, "position": {"line": line, "character": 0}, "workDoneToken": "own"}
    (reply,) = mock.hear(Request("h", "textDocument/hover", params))
    assert reply.message["id"] == "h"
    return reply.message.get("result", reply.message.get("error"))


def change(mock: MockServer, version: int, text: str, *, uri: str = A) -> list[dict[str, Any]]:
    params = {"textDocument": {"uri": uri, "version": version}, "contentChanges": [{"text": text}]}
    return [reply.message for reply in mock.hear(Notification("textDocument/didChange", params))]


def test_the_same_question_has_the_answer_of_its_text(recording: Recording) -> None:
    recording.change(A, 1, "one")
    recording.hover(0, "of one")
    recording.change(A, 2, "two")
    recording.hover(0, "of two")
    mock = recording.mock()
    assert hover(mock, 0) == "of one"
    change(mock, 2, "two")
    assert hover(mock, 0) == "of two"
    assert hover(mock, 0) == "of two"


def test_the_same_question_on_the_same_text_has_its_answers_in_order(recording: Recording) -> None:
    recording.change(A, 1, "one")
    for said in ("first", "second"):
        recording.hover(0, said)
    mock = recording.mock()
    change(mock, 1, "one")
    assert [hover(mock, 0) for _ in range(3)] == ["first", "second", "second"]


def test_another_question_on_the_document_has_the_nearest_answer(recording: Recording) -> None:
    for line in (2, 9):
        recording.hover(line, f"line {line}")
    mock = recording.mock()
    assert [hover(mock, line) for line in (9, 3, 100, 0)] == ["line 9", "line 2", "line 9", "line 2"]


def test_what_was_not_recorded_is_an_error_that_says_so(recording: Recording) -> None:
    recording.hover(0, "x")
    mock = recording.mock()
    refused = hover(mock, 0, uri="file:///p/other.py")
    assert refused["code"] == -32803
    assert "no answer to textDocument/hover for file:///p/other.py is recorded" in refused["message"]
    (reply,) = mock.hear(Request(1, "textDocument/rename", {"textDocument": {"uri": A}}))
    assert reply.message["error"]["code"] == -32601
    assert dict(mock.unmatched) == {"textDocument/hover": 1, "textDocument/rename": 1}


def test_an_error_that_was_recorded_is_answered_and_silence_is_silence(recording: Recording) -> None:
    id = recording.ask("textDocument/foldingRange", A)
    recording.answer(id, error={"code": -32603, "message": "oh"})
    recording.ask("textDocument/documentSymbol", A)
    mock = recording.mock()
    (reply,) = mock.hear(Request("f", "textDocument/foldingRange", {"textDocument": {"uri": A}}))
    assert reply.message == {"jsonrpc": "2.0", "id": "f", "error": {"code": -32603, "message": "oh"}}
    assert mock.hear(Request("s", "textDocument/documentSymbol", {"textDocument": {"uri": A}})) == []


def test_reports_follow_the_text_they_are_on_in_whatever_order_texts_come(recording: Recording) -> None:
    b = "file:///p/b.py"
    recording.change(A, 1, "one")
    recording.change(b, 1, "one")
    recording.publish(b, 1, version=1)
    recording.publish(A, 1, 1, version=1)
    mock = recording.mock()
    assert [message["params"]["uri"] for message in change(mock, 1, "one", uri=b)] == [b]
    assert [len(message["params"]["diagnostics"]) for message in change(mock, 1, "one")] == [2]
    assert change(mock, 1, "one") == []


def test_another_text_of_the_document_stands_for_the_recorded_one(recording: Recording) -> None:
    recording.change(A, 1, "one")
    recording.publish(A, 1, version=1)
    assert len(change(recording.mock(), 7, "something else")) == 1


def test_the_servers_questions_come_where_they_came_and_go_on_when_answered(recording: Recording) -> None:
    recording.start()
    recording.say(SERVER, id="s1", method="workspace/configuration", params={"items": [{}]})
    recording.say(CLIENT, id="s1", result=[1])
    recording.say(SERVER, method="window/logMessage", params={"type": 3, "message": "configured"})
    mock = recording.mock()
    (started,) = mock.hear(Request(0, "initialize", {"rootUri": "file:///p"}))
    assert started.message["result"] == {"capabilities": {}}
    (asked,) = mock.hear(Notification("initialized", {}))
    assert asked.message["method"] == "workspace/configuration"
    (told,) = mock.hear(Response(asked.message["id"], [2]))
    assert told.message["params"]["message"] == "configured"
    assert mock.hear(Response("never asked")) == []


def test_paths_are_those_of_the_client(recording: Recording) -> None:
    recording.say(CLIENT, id=0, method="initialize", params={"rootUri": "file:///p"})
    recording.answer(0, {"capabilities": {}})
    recording.hover(1, {"contents": "in /p/a.py", "uri": A})
    mock = recording.mock()
    mock.hear(Request(0, "initialize", {"rootUri": "file:///home/bob/my%20p"}))
    found = hover(mock, 1, uri="file:///home/bob/my%20p/a.py")
    assert found == {"contents": "in /home/bob/my p/a.py", "uri": "file:///home/bob/my%20p/a.py"}


def test_progress_has_the_clients_token(recording: Recording) -> None:
    params = {"textDocument": {"uri": A}, "workDoneToken": "recorded"}
    recording.say(CLIENT, id=1, method="textDocument/references", params=params)
    recording.say(SERVER, method="$/progress", params={"token": "recorded", "value": {"kind": "begin"}})
    recording.answer(1, [])
    asked = Request(5, "textDocument/references", {"textDocument": {"uri": A}, "workDoneToken": "mine"})
    begun, answered = recording.mock().hear(asked)
    assert begun.message["params"]["token"] == "mine"
    assert answered.message["result"] == []


def test_shutdown_is_answered_in_any_case(recording: Recording) -> None:
    (reply,) = recording.mock().hear(Request(1, "shutdown"))
    assert reply.message == {"jsonrpc": "2.0", "id": 1, "result": None}


# The process


def serve(journal: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "lsp_tap", "serve", *options, str(journal)]


def test_a_client_hears_from_the_mock_what_it_heard_from_the_server(tmp_path: Path) -> None:
    journal = record(tmp_path / "logs", tmp_path / "project", toy())
    other = tmp_path / "elsewhere"
    record(tmp_path / "again", other, serve(journal))
    (again,) = (tmp_path / "again" / "tap").glob("*.jsonl")
    said = [
        [step.message for step in read(path).steps if not step.is_client and step.method != "completionItem/resolve"]
        for path in (journal, again)
    ]
    assert str(said[0]).replace(str(tmp_path / "project"), str(other)) == str(said[1])


def test_recorded_latency_takes_as_long_as_the_server_did(tmp_path: Path) -> None:
    journal = record(tmp_path / "logs", tmp_path / "project", toy("slow"))
    times = []
    for latency in ("none", "recorded"):
        with tap(serve(journal, "--latency", latency), tmp_path / latency) as tapped:
            talk = talk_hover(tapped, tmp_path / "project")
            started = time.monotonic()
            talk.ask_about("textDocument/hover", 1)
            times.append(time.monotonic() - started)
            talk.stop()
            tapped.wait()
    assert times[1] >= 0.3
    assert times[0] < times[1]


def talk_hover(tapped: Tapped, root: Path) -> Talk:
    talk = Talk(tapped, root)
    talk.start()
    talk.open(FIRST)
    talk.wait_published()
    return talk


SHUTDOWN, EXIT = b'{"jsonrpc":"2.0","id":1,"method":"shutdown"}', b'{"jsonrpc":"2.0","method":"exit"}'


@pytest.mark.parametrize(
    ("sent", "exit_code", "said"),
    [
        ([], 1, b""),
        ([EXIT], 1, b""),
        ([b"{x}"], 1, b"-32700"),
        ([b"[]", SHUTDOWN], 0, b'"id":1'),
        ([SHUTDOWN, EXIT, b"{x}"], 0, b'"id":1,"result":null}'),
    ],
)
def test_it_ends_with_its_client(tmp_path: Path, sent: list[bytes], exit_code: int, said: bytes) -> None:
    recording = Recording(tmp_path)
    recording.start()
    data = b"".join(map(encode_frame, sent))
    done = subprocess.run(serve(recording.path), input=data, capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (exit_code, b"")
    assert done.stdout.endswith(said) if EXIT in sent else said in done.stdout
