"""Whatever was recorded: its own mock says the same again, at once and in a real replay."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsp_tap.export.traffic import encode_json
from lsp_tap.playback.answers import AnswerBook
from lsp_tap.playback.causality import Causality
from lsp_tap.playback.compare import compare_conversations
from lsp_tap.playback.conversation import Conversation, allow_deep_messages, find_uri
from lsp_tap.playback.latencies import Slower
from lsp_tap.playback.mock import MockServer, Reply
from lsp_tap.playback.replay import Options, run_replay
from lsp_tap.playback.roots import RootMap
from lsp_tap.wire.messages import Notification, Request, Response, parse_message
from tests.fuzz.odd_records import make_records
from tests.inspect.recorded import CLIENT, SERVER, RecordedTap
from tests.playback.recorded import find_journal, read

DOCUMENTS = [f"file:///p/{name}" for name in ("a.py", "b%20c.py")]
METHODS = ("textDocument/hover", "textDocument/completion", "textDocument/diagnostic", "toy/own")
ACTIONS = st.one_of(
    st.tuples(st.just("change"), st.integers(0, 1), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("ask"), st.sampled_from(METHODS), st.integers(0, 1), st.integers(0, 2), st.integers(0, 3)),
    st.tuples(st.just("publish"), st.integers(0, 1), st.lists(st.integers(1, 4), max_size=3), st.booleans()),
    st.tuples(st.just("configure"), st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.just("notify"), st.sampled_from(("toy/told", "window/logMessage")), st.integers(0, 1)),
    st.tuples(st.just("progress"), st.integers(0, 1)),
    st.tuples(st.just("refuse"), st.integers(0, 1)),
    st.tuples(st.just("ignore"), st.integers(0, 1)),
)
CONVERSATIONS = st.lists(ACTIONS, max_size=14)


class Speaker:
    """Records a conversation of which each part makes sense, whatever the actions are."""

    def __init__(self, folder: Path) -> None:
        self.tap = RecordedTap(folder, root="/p")
        self._versions: dict[str, int] = {}
        self._asked = 0
        id = self.tap.ask("shutdown")  # only to start at another id
        self.tap.answer(id, None)
        self.tap.say(CLIENT, id=0, method="initialize", params={"processId": 1, "rootUri": "file:///p"})
        self.tap.answer(0, {"capabilities": {}, "serverInfo": {"name": "toy"}})
        self.tap.say(CLIENT, method="initialized", params={})

    def act(self, action: tuple[Any, ...]) -> None:
        match action:
            case ("change", which, text, is_closed):
                self._change(DOCUMENTS[which], f"text {text}\n", is_closed)
            case ("ask", method, which, line, said):
                self._ask(method, DOCUMENTS[which], line, {"items": [{"label": f"{said}", "uri": DOCUMENTS[which]}]})
            case ("publish", which, severities, is_versioned):
                version = self._versions.get(DOCUMENTS[which])
                self.tap.publish(DOCUMENTS[which], *severities, version=version if is_versioned else None)
            case ("configure", section, value):
                self._asked += 1
                params = {"items": [{"section": str(section)}]}
                self.tap.say(SERVER, id=self._asked, method="workspace/configuration", params=params)
                self.tap.say(CLIENT, id=self._asked, result=[{"value": value, "path": "/p/x"}])
            case ("notify", method, said):
                self.tap.say(SERVER, method=method, params={"message": f"/p/{said}"})
            case ("progress", which):
                for kind in ("begin", "end"):
                    self.tap.say(SERVER, method="$/progress", params={"token": which, "value": {"kind": kind}})
            case ("refuse", which):
                id = self.tap.ask("toy/refused", DOCUMENTS[which])
                self.tap.answer(id, error={"code": -32603, "message": "no"})
            case ("ignore", which):
                self.tap.ask("toy/ignored", DOCUMENTS[which])

    def _change(self, uri: str, text: str, is_closed: bool) -> None:
        if uri not in self._versions:
            self._versions[uri] = 1
            self.tap.open(uri, 1, text)
        elif is_closed:
            del self._versions[uri]
            self.tap.say(CLIENT, method="textDocument/didClose", params={"textDocument": {"uri": uri}})
        else:
            self._versions[uri] += 1
            self.tap.change(uri, self._versions[uri], text)

    def _ask(self, method: str, uri: str, line: int, said: Any) -> None:
        self._asked += 1
        params = {"textDocument": {"uri": uri}, "position": {"line": line, "character": 0}}
        self.tap.say(CLIENT, id=f"q{self._asked}", method=method, params=params)
        self.tap.answer(f"q{self._asked}", said)


def record(folder: Path, actions: list[tuple[Any, ...]]) -> Path:
    speaker = Speaker(folder)
    for action in actions:
        speaker.act(action)
    return speaker.tap.path


def play_to_mock(conversation: Conversation, folder: Path, root: str) -> Path:
    """The recorded client in `root`, and the mock, without any process between them."""
    roots, mock = RootMap(conversation.root, root), MockServer(conversation)
    book, tap = AnswerBook(conversation, roots), RecordedTap(folder, root=root)

    def say(message: dict[str, Any]) -> None:
        tap.say(CLIENT, **{name: value for name, value in message.items() if name != "jsonrpc"})
        parsed = parse_message(message)
        assert parsed is not None
        for reply in mock.hear(parsed):
            tap.say(SERVER, **{name: value for name, value in reply.message.items() if name != "jsonrpc"})
            asked = parse_message(reply.message)
            if isinstance(asked, Request):
                say({"id": asked.id, "result": book.answer(asked).result})

    for step in conversation.steps:
        match step.message:
            case Response():
                pass
            case Request(id=id, method=method, params=params) if step.is_client:
                say({"id": id, "method": method, "params": roots.map(params)})
            case Notification(method=method, params=params) if step.is_client:
                say({"method": method, "params": roots.map(params)})
    return tap.path


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(CONVERSATIONS, st.sampled_from(("/p", "/srv/q r")))
def test_the_mock_of_a_recording_says_what_was_recorded(actions: list[tuple[Any, ...]], root: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        recorded = read(record(Path(place, "a"), actions))
        again = read(play_to_mock(recorded, Path(place, "b"), root))
        comparison = compare_conversations(recorded, again)
        assert not comparison.is_different, comparison.to_json()
        assert all(counts[0] == counts[1] for counts in comparison.messages.values()), comparison.messages
        assert {find_uri(step.params) for step in again.steps} == {
            None if uri is None else RootMap("/p", root).map_uri(uri)
            for uri in (find_uri(step.params) for step in recorded.steps)
        }


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.integers(1, 60))
def test_whatever_is_in_a_recording_it_is_read_compared_and_served(data: st.DataObject, count: int) -> None:
    records = make_records(lambda below: data.draw(st.integers(0, below - 1)), count)
    check_odd([json.dumps(record).encode() for record in records])


def test_deeply_nested_messages_are_messages() -> None:
    deep = json.loads("[" * 900 + "]" * 900)
    params = {"textDocument": {"uri": "file:///p/a.py"}}
    messages = [
        (CLIENT, {"id": 0, "method": "initialize", "params": {"rootUri": "file:///p"}}),
        (CLIENT, {"id": 1, "method": "toy/deep", "params": {**params, "deep": deep}}),
        (SERVER, {"id": 1, "result": deep}),
    ]
    started = {
        "kind": "tap_started",
        "format": 1,
        "recorder": "t",
        "name": "n",
        "command": ["n"],
        "cwd": "/p",
        "pid": 1,
    }
    frames = [
        {"kind": "frame", "direction": direction, "raw_length": 1, "message": {"jsonrpc": "2.0", **message}}
        for direction, message in messages
    ]
    times = [{"seq": n, "time_us": n, "monotonic_us": n} for n in range(4)]
    with allow_deep_messages():
        replies = check_odd([json.dumps(a | b).encode() for a, b in zip(times, [started, *frames], strict=True)])
        assert replies[-1].message["result"] == deep


def check_odd(lines: list[bytes]) -> list[Reply]:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "server-odd.jsonl")
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        recorded = read(path)
    assert not compare_conversations(recorded, recorded, slower=Slower()).is_different
    roots = RootMap(recorded.root, "/elsewhere")
    mock, book, causality = MockServer(recorded), AnswerBook(recorded, roots), Causality(roots)
    replies: list[Reply] = []
    for step in recorded.steps:
        if step.is_client:
            causality.send(step.method, roots.map(step.params))
            replies += mock.hear(step.message)
        else:
            causality.pass_recorded(step)
            causality.hear(step.message)
            if isinstance(step.message, Request):
                book.answer(step.message)
        causality.find_readiness()
    for reply in replies:
        encode_json(reply.message)
    return replies


@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow])
@given(CONVERSATIONS)
def test_a_replay_against_the_mock_of_the_recording_gives_no_difference(actions: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        check_replay(record(Path(place), actions))


@pytest.mark.parametrize("latency", ["none", "recorded"])
def test_a_replay_against_the_mock_of_a_long_recording_gives_no_difference(tmp_path: Path, latency: str) -> None:
    """That the law above speaks of something: of each action several."""
    actions: list[tuple[Any, ...]] = []
    for n in range(12):
        actions += [("change", n % 2, n % 4, n % 5 == 4), ("publish", n % 2, [1, 2][: n % 3], n % 2 == 0)]
        actions += [
            ("ask", METHODS[n % 4], n % 2, n % 3, n % 4),
            ("configure", n % 3, n % 2),
            ("notify", "toy/told", 0),
        ]
        actions += [("progress", n % 2), ("refuse", 0), ("ignore", 1)]
    check_replay(record(tmp_path, actions), "--latency", latency)


def check_replay(path: Path, *options: str) -> None:
    command = [sys.executable, "-m", "lsp_tap", "serve", *options, str(path)]
    replayed = run_replay(find_journal(path), command, Options())
    assert replayed.played.failure is None
    assert replayed.played.notes == []
    assert not replayed.is_different, replayed.to_json()
