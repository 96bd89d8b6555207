"""What each operator of a filter lets through, on one recorded conversation, and the laws of logic on any."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from lsp_tap.inspect.calls import CallIndex
from lsp_tap.inspect.filter_language import And, Filter, Not, Or, parse_filter
from lsp_tap.inspect.filtering import compile_filter
from lsp_tap.inspect.flows import FlowReader, Item, merge_by_time
from lsp_tap.inspect.selection import select
from lsp_tap.journal.capture import open_capture
from tests.inspect.recorded import CLIENT, SERVER, RecordedClient, RecordedTap
from tests.inspect.test_filter_language import filters

CART, SHOP = "file:///p/cart.py", "file:///p/src/sh%20op.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two servers, a session with an edit of cart.py from 10 to 60 ms."""
    place = tmp_path_factory.mktemp("project") / ".opencode-logs"
    alpha = RecordedTap(place, "alpha")
    alpha.open(CART)  # 2 ms
    alpha.at_ms = 19
    alpha.change(CART, 1, "y\n")  # 20
    hover = alpha.ask("textDocument/hover", CART)  # 21
    late = alpha.ask("textDocument/diagnostic", CART)  # 22
    elsewhere = alpha.ask("textDocument/completion", SHOP)  # 23
    alpha.answer(hover, {"contents": "the \u00e9 of cart"})  # 24
    alpha.answer(elsewhere, error={"code": -32803, "message": "failed"})  # 25
    probe = alpha.ask("textDocument/diagnostic", CART, id="lsp-tap:1:1", probe=True)  # 26
    alpha.answer(probe, {"kind": "full", "items": []}, probe=True)
    alpha.complain("starting\n")
    alpha.say_invalid(b"oops")
    alpha.at_ms = 299
    alpha.answer(late, {"kind": "full", "items": []})  # 300
    beta = RecordedTap(place, "beta", pid=2, at_ms=400)
    beta.publish(SHOP, 1, 2)
    client = RecordedClient(place)
    client.session("ses_one", 5, 100)
    client.call("call_1", "edit", 10, 60, "/p/cart.py")
    return place


def read(folder: Path, text: str) -> list[str]:
    """What the filter lets through, each item in a word or two."""
    return [describe(item) for item in select([text], folder).read()]


def describe(item: Item) -> str:
    if item.method is None:
        return item.kind
    name = item.method.rpartition("/")[2]
    return {"response": f"{name}=", "error": f"{name}!"}.get(item.kind, name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("~m textDocument/hover", "hover hover="),
        ("~m hover", "hover hover="),
        ("~m *Change", "didChange"),
        ("~d c2s & ~m *hover", "hover"),
        ("~d s2c & ~m *hover", "hover="),
        ("~k notification", "didOpen didChange publishDiagnostics"),
        ("~k error", "completion!"),
        ("~k response !~p", "hover= completion! diagnostic="),
        ("~k stderr | ~k invalid", "stderr invalid"),
        ("~k event", "event event"),
        ("~s beta", "event publishDiagnostics"),
        ("~s b* ~m *", "publishDiagnostics"),
        ("~u cart.py & ~k notification", "didOpen didChange"),
        ("~u 'src/sh op.py'", "completion completion! publishDiagnostics"),
        ("~u op.py", ""),
        ("~u */*op.py ~s beta", "publishDiagnostics"),
        ("~i 1", "hover hover="),
        ("~i lsp-tap:1:1", "diagnostic diagnostic="),
        ("~l >200ms", "diagnostic="),
        ("~l <=1ms", "diagnostic="),
        ("~p", "diagnostic diagnostic="),
        ("~b 'contents.*cart'", "hover="),
        ("É", "hover="),
        ("FAILED", "completion!"),
        ("oops", "invalid"),
        ("~t edit & ~u cart.py & !~p", "didChange hover diagnostic hover= diagnostic="),
        ("~t call_1 & ~l >200ms", "diagnostic="),
        ("~session ses_o & ~k stderr", "stderr"),
        ("~session ses_two", ""),
        ("!~session ses_one", "event didOpen event publishDiagnostics"),
    ],
)
def test_an_operator_lets_through(folder: Path, text: str, expected: str) -> None:
    assert " ".join(read(folder, text)) == expected


def test_a_message_escaped_on_the_wire_is_found_as_it_reads(tmp_path: Path) -> None:
    tap = RecordedTap(tmp_path)
    tap.body(CLIENT, rb'{"jsonrpc":"2.0","method":"$\/x","params":{"text":"caf\u00e9"}}')
    tap.body(SERVER, b'{"jsonrpc":"2.0","method":"$/y","params":{}}')
    assert [item.seq for item in select(["~m $/x & café"], tmp_path).read()] == [1]


def test_a_session_named_as_the_capture_shows_what_belongs_to_it(folder: Path) -> None:
    assert [describe(item) for item in select(["ses_one", "~k notification"], folder).read()] == ["didChange"]
    assert [describe(item) for item in select(["last", "~k notification"], folder).read()] == ["didChange"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(one=filters, other=filters)
def test_the_laws_of_logic_hold(folder: Path, one: Filter, other: Filter) -> None:
    capture = open_capture([], folder)
    calls = CallIndex(capture.clients)
    items = list(merge_by_time(FlowReader(journal).read_rest() for journal in capture.taps))

    def through(wanted: Filter) -> list[int]:
        test = compile_filter(wanted, calls)
        return [number for number, item in enumerate(items) if test(item)]

    assert through(Not(Not(one))) == through(one)
    assert through(Not(And((one, other)))) == through(Or((Not(one), Not(other))))
    assert through(Not(Or((one, other)))) == through(And((Not(one), Not(other))))
    assert through(And((one, other))) == through(And((other, one)))
    assert through(parse_filter("~all")) == list(range(len(items)))
