"""`lsp-tap log` as a person and as a program see it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lsp_tap.cli import main
from lsp_tap.errors import UsageError
from lsp_tap.inspect.calls import CallIndex
from lsp_tap.inspect.completion import complete_word
from lsp_tap.inspect.filter_language import OPERATORS
from lsp_tap.inspect.flows import FlowReader, Item
from lsp_tap.inspect.log import FIELDS, LineWriter, Look, TemplateWriter, list_fields
from lsp_tap.inspect.summary import summarise
from lsp_tap.journal.reader import read_head
from tests.inspect.recorded import CLIENT, SERVER, RecordedClient, RecordedTap

CART = "file:///p/cart.py"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def tap(tmp_path: Path) -> RecordedTap:
    recorded = RecordedTap(tmp_path / ".opencode-logs")
    recorded.open(CART, 2, "a\nb\n")
    recorded.publish(CART, 1, 1, 2, version=2)
    hover = recorded.ask("textDocument/hover", CART)
    recorded.wait(41)
    recorded.answer(hover, {"contents": "int"})
    return recorded


def read_items(tap: RecordedTap) -> list[Item]:
    journal = read_head(tap.path)
    assert journal is not None
    return list(FlowReader(journal).read_rest())


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["log", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_line_says_who_what_how_long_and_how_much(tap: RecordedTap, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [" ".join(line.split()[1:]) for line in run(capsys, str(tap.path), "--relative")]
    assert lines == [
        "alpha · event tap started: alpha",
        "alpha → textDocument/didOpen 176 B cart.py v2, python, 3 lines",
        "alpha ← textDocument/publishDiagnostics 460 B cart.py v2: 2 errors 1 warning",
        "alpha → textDocument/hover #1 131 B cart.py",
        "alpha ⇐ textDocument/hover #1 42.0 ms 74 B cart.py: {contents}",
    ]


def test_several_taps_come_by_time_and_the_last_few_alone_on_demand(
    tap: RecordedTap, capsys: pytest.CaptureFixture[str]
) -> None:
    other = RecordedTap(tap.path.parent.parent, "beta", pid=2, at_ms=1)
    other.at_ms = 2.5
    other.complain("hello\n")
    folder = str(tap.path.parent)
    servers = [line.split()[1] for line in run(capsys, folder)]
    assert servers == ["alpha", "alpha", "beta", "alpha", "beta", "alpha", "alpha"]
    assert [line.split()[2] for line in run(capsys, folder, "-n", "1")] == ["⇐"]
    assert run(capsys, folder, "-n", "0") == []


def test_json_is_an_object_a_line_with_the_tool_call_it_belongs_to(
    tap: RecordedTap, capsys: pytest.CaptureFixture[str]
) -> None:
    client = RecordedClient(tap.path.parent.parent)
    client.call("call_1", "edit", 3, 10, "/p/cart.py")
    (line,) = run(capsys, "--dir", str(tap.path.parent.parent), "~k", "response", "--json", "-v")
    found = json.loads(line)
    assert (found["method"], found["id"], found["latency_ms"], found["bytes"]) == ("textDocument/hover", 1, 42.0, 74)
    assert (found["calls"], found["sessions"], found["seq"]) == (["call_1"], ["ses_one"], 4)
    assert found["message"] == {"jsonrpc": "2.0", "id": 1, "result": {"contents": "int"}}


def test_a_template_fills_its_fields(tap: RecordedTap, capsys: pytest.CaptureFixture[str]) -> None:
    template = r"{{{seq}}} {kind:>12} {method:<20.10}|{latency_ms:6.1f}\t{id}"
    lines = run(capsys, str(tap.path), "~m *", "--format", template)
    assert lines == [
        "{1} notification textDocume          |     -\t-",
        "{2} notification textDocume          |     -\t-",
        "{3}      request textDocume          |     -\t1",
        "{4}     response textDocume          |  42.0\t1",
    ]


def test_every_documented_field_can_be_in_a_template(tap: RecordedTap) -> None:
    write = TemplateWriter(" ".join(f"{{{field}}}" for field in FIELDS), CallIndex())
    assert all(write(item) for item in read_items(tap))


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{nothing}", "--format: no field 'nothing': there are time iso "),
        ("{seq.__class__}", "--format: no field 'seq.__class__'"),
        ("{method!r}", "--format: method!r: no conversions"),
        ("{latency_ms:s}", "--format: latency_ms:s: "),
        ("{open", "--format: expected '}' before end of string"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(template: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        TemplateWriter(template, CallIndex())
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["missing.jsonl"], 1, "lsp-tap: missing.jsonl: no such file, folder, or session in "),
        (["./missing"], 1, "lsp-tap: ./missing: no such file, folder, or session in "),
        (["~q"], 2, "lsp-tap: filter: no operator ~q"),
        (["--format", "{x}"], 2, "lsp-tap: --format: no field 'x'"),
        (["--format", "{id}", "--json"], 2, "lsp-tap: --json and --format exclude each other"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    tap: RecordedTap, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, reason: str
) -> None:
    assert main(["log", "--dir", str(tap.path.parent.parent), *arguments]) == code
    error = capsys.readouterr().err
    assert error.startswith(reason)
    assert error.count("\n") == 1


def test_a_file_that_is_no_tap_journal_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.jsonl").write_text("{}\n")
    assert main(["log", str(tmp_path / "x.jsonl")]) == 1
    assert "not a journal" in capsys.readouterr().err
    client = RecordedClient(tmp_path / "logs")
    assert main(["log", str(client.path)]) == 1
    assert "not a tap's journal" in capsys.readouterr().err


def test_whole_messages_are_indented_below_their_lines(tap: RecordedTap, capsys: pytest.CaptureFixture[str]) -> None:
    line, *body = run(capsys, str(tap.path), "~k", "response", "-v")
    assert "textDocument/hover" in line
    assert json.loads("\n".join(body))["result"] == {"contents": "int"}


def test_colours_change_nothing_of_the_text(tap: RecordedTap) -> None:
    plain, coloured = (LineWriter(Look(colour=colour, is_verbose=True)) for colour in (False, True))
    for item in read_items(tap):
        shown = coloured(item)
        assert "\x1b[" in shown
        assert ANSI.sub("", shown).rstrip() == plain(item)


def test_a_line_is_cut_at_the_width_of_the_terminal_but_its_columns_are_kept(tap: RecordedTap) -> None:
    tap.complain("数" * 200)
    write = LineWriter(Look(width=90))
    lines = [write(item) for item in read_items(tap)]
    assert lines[-1].endswith("…")
    assert len(lines[-1]) < 70  # a character takes two cells
    assert all(len(line) <= 90 for line in lines)


def test_recorded_text_is_shown_and_never_obeyed(tap: RecordedTap, capsys: pytest.CaptureFixture[str]) -> None:
    tap.complain("\x1b]0;owned\x07\x1b[2J")
    tap.say(SERVER, method="window/logMessage", params={"type": 1, "message": "\x1b[31m\u202e\r\n"})
    tap.say(SERVER, method="x\x1b[2J", id="\x1b[1m")
    for options in ([], ["-v"], ["--format", "{method} {id} {body} {summary}"]):
        text = "\n".join(run(capsys, str(tap.path), *options))
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\x07" not in text


@pytest.mark.parametrize(
    ("direction", "message", "summary"),
    [
        (CLIENT, {"method": "textDocument/hover", "id": 1, "params": {"textDocument": {"uri": "file:///p/a%20b.py"},
         "position": {"line": 2, "character": 9}}}, "a b.py 3:10"),
        (CLIENT, {"method": "textDocument/didOpen", "params": {"textDocument": {"uri": 5}}}, "not as LSP has it: "),
        (CLIENT, {"method": "$/cancelRequest", "params": {"id": 4}}, "#4"),
        (SERVER, {"method": "$/progress", "params": {"token": "t", "value": {"kind": "report", "percentage": 12,
         "message": "indexing"}}}, "report 12% indexing"),
        (SERVER, {"method": "window/logMessage", "params": {"type": 2, "message": "careful"}}, "warning: careful"),
        (SERVER, {"method": "client/registerCapability", "id": 1, "params": {"registrations": [
         {"id": "1", "method": "textDocument/diagnostic"}]}}, "textDocument/diagnostic"),
        (SERVER, {"method": "textDocument/publishDiagnostics", "params": {"uri": "file:///q/x", "diagnostics": []}},
         "/q/x: no diagnostics"),
        (SERVER, {"id": 9, "error": {"code": -32601, "message": "no such method"}}, "-32601 no such method"),
        (SERVER, {"id": 9, "error": "odd"}, "not as LSP has it: "),
    ],
)  # fmt: skip
def test_a_message_in_words(tmp_path: Path, direction: str, message: dict[str, object], summary: str) -> None:
    tap = RecordedTap(tmp_path)
    tap.say(direction, **message)  # type: ignore[arg-type]
    assert summarise(read_items(tap)[-1]).startswith(summary)


def test_every_item_has_all_fields_for_programs(tap: RecordedTap) -> None:
    tap.complain("x")
    tap.say_invalid(b"\xff")
    for item in read_items(tap):
        json.dumps(list_fields(item, CallIndex()))


def test_places_that_cannot_be_read_are_reported_and_the_rest_is_shown(
    tap: RecordedTap, capsys: pytest.CaptureFixture[str]
) -> None:
    with tap.path.open("ab") as file:
        file.write(b"{torn")
    assert main(["log", str(tap.path)]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 5
    assert printed.err == f"lsp-tap: {tap.path.name}:6: torn line: the recorder was stopped while writing\n"


@pytest.mark.parametrize(
    ("earlier", "incomplete", "expected"),
    [
        ([], "~", list(OPERATORS)),
        (["~m"], "textDocument/didO", ["textDocument/didOpen"]),
        (["~s"], "", ["alpha"]),
        (["~k"], "st", ["stderr"]),
        (["~d"], "c", ["c2s"]),
        ([], "la", ["last"]),
    ],
)
def test_a_shell_completes(tap: RecordedTap, earlier: list[str], incomplete: str, expected: list[str]) -> None:
    offered = complete_word(earlier, incomplete, tap.path.parent.parent)
    assert [value for value, _ in offered] == expected
