"""`lsp-tap doctor CAPTURE`: what is wrong in a recording, and nothing where nothing is."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from lsp_tap.cli import main
from lsp_tap.inspect.findings import Finding, find_problems
from lsp_tap.inspect.rules import RULES
from lsp_tap.journal.lines import encode_invalid
from lsp_tap.journal.reader import read_journal
from tests.golden.test_golden import GOLDEN
from tests.inspect.recorded import CLIENT, SERVER, RecordedTap
from tests.tap.tapped import python, tap

URI = "file:///p/cart.py"
RECORDINGS = sorted(GOLDEN.glob("*/tap/server-*.jsonl"))
BROKEN_ON_PURPOSE = {
    "a-server-that-dies-before-it-answers-is-dead": {"server-failed"},
    "a-server-that-dies-in-the-middle-of-a-turn-knows-nothing-of-what-follows": {"server-failed"},
}


def begun(folder: Path, *, capabilities: object = None, client: object = None) -> RecordedTap:
    recorded = RecordedTap(folder)
    recorded.say(CLIENT, id=0, method="initialize", params={"capabilities": client or {}})
    recorded.answer(0, {"capabilities": capabilities or {}})
    recorded.say(CLIENT, method="initialized", params={})
    return recorded


def find(recorded: RecordedTap) -> list[Finding]:
    return list(find_problems(read_journal(recorded.path)))


def find_names(recorded: RecordedTap) -> list[str]:
    return [found.rule.name for found in find(recorded)]


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedTap:
    return begun(tmp_path)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: f"{path.parts[-3][:60]}-{path.stem[-6:]}")
def test_real_servers_that_are_healthy_have_no_findings(path: Path) -> None:
    found = [f for f in find_problems(read_journal(path)) if f.severity != "note"]
    assert {f.rule.name for f in found} == BROKEN_ON_PURPOSE.get(path.parts[-3], set())


def test_what_the_server_prints_on_stdout_is_shown(recorded: RecordedTap) -> None:
    recorded.say_invalid(b"Loading plugins ...\n")
    recorded.stop()
    (found,) = find(recorded)
    assert (found.rule.name, found.severity, found.seq) == ("printed-on-stdout", "error", 4)
    assert found.excerpt == "Loading plugins ...\n"


@pytest.mark.parametrize(
    ("text", "length", "name"),
    [("größer", None, "length-in-characters"), ("🙂🙂", None, "length-in-characters"), ("abc", 40, "length-too-small")],
)
def test_a_length_that_is_too_small_is_told_from_one_in_characters(
    recorded: RecordedTap, text: str, length: int | None, name: str
) -> None:
    message = {"jsonrpc": "2.0", "method": "window/logMessage", "params": {"type": 3, "message": text}}
    body = json.dumps(message, ensure_ascii=False)
    data, cut = body.encode(), len(body) if length is None else length
    recorded.body(SERVER, data[:cut])
    recorded.write("invalid", encode_invalid(SERVER, data[cut:], "not a header"))
    recorded.say(SERVER, method="window/logMessage", params={"type": 3, "message": "after"})
    recorded.stop()
    (found,) = find(recorded)
    assert found.rule.name == name
    assert f"Content-Length is {cut} and the body has {len(data)} bytes" in found.detail
    assert found.excerpt.endswith(data[cut:].decode("utf-8", "replace"))


def test_a_length_counted_in_characters_is_found_in_what_a_real_server_wrote(tmp_path: Path) -> None:
    server = python(
        "import sys\n"
        'body = \'{"jsonrpc":"2.0","method":"window/logMessage","params":{"type":3,"message":"größer"}}\'\n'
        "sys.stdout.buffer.write(f'Content-Length: {len(body)}\\r\\n\\r\\n{body}'.encode() * 2)\n"
        "sys.stdout.buffer.flush()\n"
        "sys.stdin.buffer.read()\n"
    )
    with tap(server, tmp_path) as tapped:
        tapped.read(1)
        tapped.finish()
        found = Counter(f.rule.name for f in find_problems(tapped.read_journal()))
    assert found == {"length-in-characters": 2}


def test_a_length_that_is_too_large_swallows_the_next_message(recorded: RecordedTap) -> None:
    recorded.body(SERVER, b'{"jsonrpc":"2.0","method":"$/a"}Content-Length: 3\r\n')
    assert "length-too-large" in find_names(recorded)


def test_a_body_that_is_no_json_and_json_that_is_no_message_are_two_things(recorded: RecordedTap) -> None:
    recorded.body(SERVER, b"{nonsense}")
    recorded.body(SERVER, b'[{"jsonrpc":"2.0","method":"$/a"}]')
    recorded.body(CLIENT, b'{"method":"$/a"}')
    recorded.stop()
    assert sorted(find_names(recorded)) == ["body-not-json", "no-jsonrpc-version", "not-a-message"]


def test_a_stream_that_ended_inside_a_message_is_told_from_printing(recorded: RecordedTap) -> None:
    data = b'Content-Length: 90\r\n\r\n{"jsonrpc"'
    recorded.write("invalid", encode_invalid(SERVER, data, "ended 80 bytes short"))
    recorded.stop()
    assert find_names(recorded) == ["body-cut"]


def test_a_request_without_an_answer_is_named_after_some_seconds_only(recorded: RecordedTap) -> None:
    recorded.ask("x/slow")
    recorded.wait(4_000)
    recorded.ask("x/quick")
    recorded.wait(2_000)
    recorded.stop()
    assert [(f.rule.name, f.severity) for f in find(recorded)] == [
        ("unanswered-request", "error"),
        ("pending-at-the-end", "note"),
    ]


def test_what_was_pending_when_the_server_crashed_is_named(recorded: RecordedTap) -> None:
    recorded.ask("textDocument/didNothing", URI)
    recorded.add("server_exited", code=None, signal=11)
    recorded.add("tap_stopped", reason="server exited", exit_code=139)
    crash, pending = find(recorded)
    assert (crash.rule.name, crash.detail) == ("server-failed", "signal 11")
    assert (pending.rule.name, pending.severity, pending.seq) == ("pending-at-the-crash", "error", 4)


@pytest.mark.parametrize(
    ("said", "code", "expected"),
    [
        ((), 9, ["server-failed"]),
        ((), 0, ["server-left"]),
        (("exit",), 1, []),
        (("shutdown", "exit"), 0, []),
        (("shutdown", "exit"), 1, ["server-failed"]),
    ],
)
def test_an_exit_code_is_judged_by_what_was_said_before(
    recorded: RecordedTap, said: tuple[str, ...], code: int, expected: list[str]
) -> None:
    for method in said:
        if method == "shutdown":
            recorded.answer(recorded.ask("shutdown"))
        else:
            recorded.say(CLIENT, method=method)
    recorded.add("server_exited", code=code, signal=None)
    recorded.add("tap_stopped", reason="server exited", exit_code=code)
    assert find_names(recorded) == expected


def test_a_server_that_was_ended_has_not_failed(recorded: RecordedTap) -> None:
    recorded.add("server_exited", code=None, signal=15)
    recorded.add("tap_stopped", reason="signal 15", exit_code=143)
    assert find(recorded) == []


def test_answers_that_nobody_waits_for_are_found(recorded: RecordedTap) -> None:
    recorded.answer(77)
    recorded.answer(recorded.ask("x/once"))
    recorded.answer(1)
    recorded.answer("1")
    recorded.say(SERVER, id=None, error={"code": -32700, "message": "what?"})
    recorded.stop()
    found = find(recorded)
    assert sorted(f.rule.name for f in found) == ["answer-to-nobody"] * 3 + ["message-not-understood"]
    assert {f.detail for f in found} >= {"id 77 was never asked", "id 1 was answered before", 'id "1" was never asked'}


def test_an_answer_recorded_just_before_its_question_is_none_of_them(recorded: RecordedTap) -> None:
    recorded.say(CLIENT, id="a", result=None)
    recorded.at_ms -= 1.5
    recorded.say(SERVER, id="a", method="x/ask")
    recorded.wait(9_000)
    recorded.stop()
    assert find(recorded) == []


def test_an_id_used_again_in_flight_is_found_and_the_same_id_of_the_other_side_is_none(recorded: RecordedTap) -> None:
    recorded.ask("x/one", id=7)
    recorded.say(SERVER, id=7, method="x/other")
    recorded.say(CLIENT, id=7, result=None)
    recorded.ask("x/two", id=7)
    recorded.answer(7)
    recorded.answer(7)
    recorded.stop()
    (found,) = find(recorded)
    assert (found.rule.name, found.detail) == ("id-in-flight", "x/two has the id of x/one in seq 4")


def test_a_cancel_is_ignored_when_no_answer_at_all_comes(recorded: RecordedTap) -> None:
    for id, is_answered in ((1, True), (2, False)):
        recorded.ask("x/long", id=id)
        recorded.say(CLIENT, method="$/cancelRequest", params={"id": id})
        if is_answered:
            recorded.answer(id, error={"code": -32800, "message": "cancelled"})
    recorded.wait(6_000)
    recorded.stop()
    (found,) = find(recorded)
    assert found.rule.name == "ignored-cancel"
    assert found.seq == 7


def test_versions_that_stand_still_or_go_back_are_errors_and_gaps_are_worth_knowing(recorded: RecordedTap) -> None:
    recorded.open(URI, version=1)
    for version in (2, 2, 1, 2, 5):
        recorded.change(URI, version, "y\n")
    recorded.stop()
    assert [(f.rule.name, f.severity, f.detail) for f in find(recorded)] == [
        ("version-not-increasing", "error", f"{URI}: 2 after 2"),
        ("version-not-increasing", "error", f"{URI}: 1 after 2"),
        ("version-gap", "note", f"{URI}: 5 after 2"),
    ]


def test_documents_are_changed_and_closed_while_they_are_open_only(recorded: RecordedTap) -> None:
    close = {"textDocument": {"uri": URI}}
    recorded.change(URI, 1, "y\n")
    recorded.open(URI)
    recorded.open(URI)
    recorded.say(CLIENT, method="textDocument/didClose", params=close)
    recorded.change(URI, 2, "y\n")
    recorded.say(CLIENT, method="textDocument/didClose", params=close)
    recorded.open(URI)
    recorded.stop()
    found = find(recorded)
    assert [f.rule.name for f in found] == ["document-not-open", "document-opened-twice"] + ["document-not-open"] * 2
    assert found[0].detail.endswith("was never opened")
    assert found[2].detail.endswith("was closed before")


def test_diagnostics_of_a_version_nobody_sent_are_found(recorded: RecordedTap) -> None:
    recorded.open(URI, version=3)
    recorded.publish(URI, 1, version=3)
    recorded.publish(URI, 1, version=4)
    recorded.stop()
    assert find_names(recorded) == ["version-unknown-to-client"]


def test_what_was_never_announced_is_not_asked_for(tmp_path: Path) -> None:
    recorded = begun(tmp_path, capabilities={"hoverProvider": True, "renameProvider": False}, client={"workspace": {}})
    registrations = [{"id": "r", "method": "textDocument/references"}]
    for method in ("textDocument/hover", "textDocument/rename", "textDocument/references"):
        recorded.answer(recorded.ask(method, URI))
    recorded.say(SERVER, id="s", method="client/registerCapability", params={"registrations": registrations})
    recorded.say(CLIENT, id="s", result=None)
    recorded.answer(recorded.ask("textDocument/references", URI))
    recorded.say(
        SERVER, id="t", method="client/unregisterCapability", params={"unregisterations": [{"id": "r", "method": "m"}]}
    )
    recorded.say(CLIENT, id="t", result=None)
    recorded.answer(recorded.ask("textDocument/references", URI))
    recorded.say(SERVER, id="u", method="workspace/configuration", params={"items": []})
    recorded.say(CLIENT, id="u", result=[])
    recorded.stop()
    assert [(f.rule.name, f.detail.partition(" ")[0]) for f in find(recorded)] == [
        ("never-announced", "textDocument/rename"),
        ("never-announced", "textDocument/references"),
        ("never-announced", "textDocument/references"),
        ("client-never-announced", "workspace/configuration"),
    ]


def test_the_order_of_a_life_is_held(tmp_path: Path) -> None:
    recorded = RecordedTap(tmp_path)
    recorded.answer(recorded.ask("textDocument/hover", URI), error={"code": -32002, "message": "no"})
    recorded.say(CLIENT, id="i", method="initialize", params={})
    recorded.say(CLIENT, method="initialized", params={})
    recorded.say(SERVER, method="window/logMessage", params={"type": 3, "message": "hello"})
    recorded.answer("i", {"capabilities": {}})
    recorded.say(CLIENT, id="j", method="initialize", params={})
    recorded.answer("j", error={"code": -32600, "message": "no"})
    recorded.answer(recorded.ask("shutdown"))
    recorded.say(CLIENT, method="textDocument/didSave", params={})
    recorded.say(CLIENT, method="exit")
    recorded.stop()
    assert find_names(recorded) == [
        "before-initialize",
        "before-initialize-result",
        "initialize-twice",
        "after-shutdown",
    ]


def test_after_records_were_lost_nothing_is_called_an_error_for_want_of_them(recorded: RecordedTap) -> None:
    recorded.add("dropped", count=3, bytes=100, reason="No space left on device")
    recorded.answer(99)
    recorded.change(URI, 4, "y\n")
    recorded.say_invalid(b"print")
    recorded.stop()
    assert {(f.rule.name, f.severity) for f in find(recorded)} == {
        ("records-dropped", "warning"),
        ("answer-to-nobody", "note"),
        ("document-not-open", "note"),
        ("printed-on-stdout", "error"),
    }


def test_a_torn_journal_is_said_to_be_one(recorded: RecordedTap) -> None:
    with recorded.path.open("ab") as file:
        file.write(b'{"seq":9,"ti')
    assert sorted(find_names(recorded)) == ["journal-damaged", "journal-without-end"]


def test_a_message_nested_deeply_is_found_too(recorded: RecordedTap) -> None:
    depth = 900
    recorded.body(SERVER, b'{"method":"$/deep","params":' + b"[" * depth + b"]" * depth + b"}")
    recorded.stop()
    assert find_names(recorded) == ["no-jsonrpc-version"]


def test_bytes_that_were_written_wrongly_are_a_damaged_place(recorded: RecordedTap) -> None:
    recorded.add("invalid", direction="server_to_client", raw_length=3, base64="QQ", reason="no header")
    recorded.stop()
    (found,) = find(recorded)
    assert found.rule.name == "journal-damaged"
    assert "base64" in found.excerpt


def test_every_rule_says_where_it_is_from() -> None:
    assert all(rule.source and rule.meaning and rule.name == name for name, rule in RULES.items())


def test_doctor_prints_findings_and_fails_when_one_is_an_error(
    recorded: RecordedTap, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded.say_invalid(b"\x1b[31mLoading")
    recorded.stop()
    assert main(["doctor", str(recorded.path)]) == 1
    out, err = capsys.readouterr()
    assert str(recorded.path) in out
    assert "printed-on-stdout" in out
    assert "seq 4" in out
    assert "\\x1b[31mLoading" in out
    assert err == "lsp-tap: 1 error found\n"


def test_doctor_as_json_counts_all_and_shows_the_first_places(
    recorded: RecordedTap, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(50):
        recorded.say_invalid(b"x\n")
    recorded.stop()
    assert main(["doctor", "--json", str(recorded.path)]) == 1
    (group,) = json.loads(capsys.readouterr().out)
    assert (group["rule"], group["severity"], group["count"]) == ("printed-on-stdout", "error", 50)
    assert [place["seq"] for place in group["places"]] == list(range(4, 24))


def test_doctor_is_content_with_a_recording_that_has_nothing_wrong(
    recorded: RecordedTap, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded.stop()
    assert main(["doctor", str(recorded.path)]) == 0
    assert "nothing found" in capsys.readouterr().out
