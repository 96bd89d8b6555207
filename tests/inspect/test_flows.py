"""Messages of a journal: the fast way sees what the tolerant reader sees, and answers find their requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsp_tap.inspect.flows import FlowReader, Item
from lsp_tap.journal.reader import Unreadable, read_head, read_journal
from lsp_tap.journal.records import Frame
from lsp_tap.wire.messages import Notification, Request, Response, parse_message
from tests.inspect.recorded import CLIENT, SERVER, RecordedTap

values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "error", "method", "x"]), inner),
    max_leaves=6,
)
identifiers = st.integers(-3, 3) | st.sampled_from(["1", "a", 'q"', "é", ""]) | st.none() | st.just(1.5)
members: dict[str, st.SearchStrategy[Any]] = {
    "jsonrpc": st.just("2.0"),
    "id": identifiers,
    "method": st.sampled_from(["textDocument/hover", "$/x", "é/\\", ""]),
    "params": st.builds(lambda uri, rest: {"textDocument": {"uri": uri}, **rest}, st.sampled_from(["file:///a", "b"]),
                        st.dictionaries(st.sampled_from(["id", "z"]), values)) | values,
    "result": values,
    "error": st.none() | st.just({"code": 1, "message": "no"}),
}  # fmt: skip


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    names = draw(st.lists(st.sampled_from(list(members)), unique=True))
    if draw(st.booleans()):
        names = sorted(names, key=list(members).index)  # as most peers write them
    message = {name: draw(members[name]) for name in names}
    separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    return json.dumps(message, ensure_ascii=draw(st.booleans()), separators=separators).encode()


def read_items(path: Path) -> list[Item]:
    journal = read_head(path)
    assert journal is not None
    return list(FlowReader(journal).read_rest())


def find_kind(value: object) -> str:
    match parse_message(value):
        case Request():
            return "request"
        case Notification():
            return "notification"
        case Response(error=error):
            return "response" if error is None else "error"
    return "invalid"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(sent=st.lists(st.tuples(st.sampled_from([CLIENT, SERVER]), bodies()), max_size=8))
def test_every_message_is_what_the_tolerant_reader_says(tmp_path_factory: Any, sent: list[tuple[str, bytes]]) -> None:
    tap = RecordedTap(tmp_path_factory.mktemp("logs"))
    for direction, body in sent:
        tap.body(direction, body)
    items = [item for item in read_items(tap.path) if item.kind != "event"]
    frames = [entry for entry in read_journal(tap.path) if isinstance(entry, Frame)]
    assert [(i.seq, i.direction, i.raw_length, i.kind) for i in items] == [
        (f.seq, f.direction, f.raw_length, find_kind(f.message)) for f in frames
    ]
    for item, frame in zip(items, frames, strict=True):
        parsed = parse_message(frame.message)
        uri_before_parsing = item.uri
        assert item.message == frame.message
        if isinstance(parsed, Request | Notification):
            assert item.method == parsed.method
            params = parsed.params if isinstance(parsed.params, dict) else {}
            document = params.get("textDocument")
            uri = document.get("uri") if isinstance(document, dict) else params.get("uri")
            assert item.uri == uri_before_parsing == (uri if isinstance(uri, str) else None)
        if isinstance(parsed, Request | Response):
            assert item.id == parsed.id


def test_an_answer_knows_its_request_and_how_long_it_took(tmp_path: Path) -> None:
    tap = RecordedTap(tmp_path)
    asked = tap.ask("textDocument/hover", "file:///p/cart.py")
    tap.wait(41)
    tap.answer(asked, {"contents": "int"})
    answer = read_items(tap.path)[-1]
    assert (answer.kind, answer.method, answer.latency_us, answer.uri) == (
        "response", "textDocument/hover", 42_000, "file:///p/cart.py",
    )  # fmt: skip


def test_the_same_id_of_both_sides_is_two_requests(tmp_path: Path) -> None:
    tap = RecordedTap(tmp_path)
    tap.ask("textDocument/hover", id=1)
    tap.say(SERVER, id=1, method="workspace/configuration", params={})
    tap.say(CLIENT, id=1, result=[])
    tap.answer(1, {})
    assert [item.method for item in read_items(tap.path)[-2:]] == ["workspace/configuration", "textDocument/hover"]


def test_an_answer_nobody_asked_for_is_shown_as_such(tmp_path: Path) -> None:
    tap = RecordedTap(tmp_path)
    tap.answer(7, {})
    answer = read_items(tap.path)[-1]
    assert (answer.kind, answer.method, answer.latency_us) == ("response", None, None)


def test_a_message_recorded_in_parts_is_whole_and_answered(tmp_path: Path) -> None:
    tap = RecordedTap(tmp_path)
    asked = tap.ask("textDocument/completion")
    tap.say_in_parts(SERVER, id=asked, result=["x" * (1 << 20)])
    answer = read_items(tap.path)[-1]
    assert answer.method == "textDocument/completion"
    assert len(answer.message["result"][0]) == 1 << 20


def test_what_is_no_message_is_read_too(tmp_path: Path) -> None:
    tap = RecordedTap(tmp_path)
    tap.say_invalid(b"Traceback\n")
    tap.complain("warning: slow\n")
    tap.body(SERVER, b"{broken")
    tap.body(SERVER, b"[1]")
    tap.stop()
    kinds = [(item.kind, item.text) for item in read_items(tap.path)[1:]]
    assert [kind for kind, _ in kinds] == ["invalid", "stderr", "invalid", "invalid", "event"]
    assert kinds[0][1] == "no Content-Length: Traceback\n"
    assert "{broken" in kinds[2][1]
    assert kinds[3][1] == "not a JSON-RPC message: [1]"


def test_places_that_cannot_be_read_are_problems_and_the_rest_is_read(tmp_path: Path) -> None:
    tap = RecordedTap(tmp_path)
    tap.ask("shutdown")
    with tap.path.open("ab") as file:
        file.write(b'{"seq":9,"kind":"mystery"}\n{"seq":10,"time_us":1,"monotonic_us":1,"kind":"fra')
    journal = read_head(tap.path)
    assert journal is not None
    reader = FlowReader(journal)
    assert [item.method for item in reader.read_rest()][-1] == "shutdown"
    assert [(type(problem), problem.reason) for problem in reader.problems] == [
        (Unreadable, "unknown kind"),
        (Unreadable, "torn line"),
    ]
