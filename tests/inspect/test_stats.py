"""Statistics: latencies, what was not answered, how soon diagnostics came, and what tool calls waited for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lsp_tap.inspect.stats import fold_stats, rank_percentile
from lsp_tap.inspect.waiting_budget import measure_union
from lsp_tap.journal.capture import open_capture
from lsp_tap.timeline.fold import ServerTimeline
from lsp_tap.timeline.freshness import FreshnessFold
from tests.inspect.recorded import CLIENT, SERVER, RecordedClient, RecordedTap
from tests.timeline.conversation import Conversation, lsp_diagnostic

CART, SHOP = "file:///p/cart.py", "file:///p/shop.py"


def measure(folder: Path) -> dict[str, Any]:
    fold, problems = fold_stats(open_capture([], folder))
    assert problems == []
    return dict(json.loads(json.dumps(fold.to_json())))


def find_method(folder: Path, method: str) -> dict[str, Any]:
    (found,) = [row for row in measure(folder)["methods"] if row["method"] == method]
    return dict(found)


def test_percentiles_are_latencies_that_were_measured(tmp_path: Path) -> None:
    tap = RecordedTap(tmp_path)
    for latency_ms in range(1, 101):
        asked = tap.ask("textDocument/hover", CART)
        tap.wait(latency_ms - 1)
        tap.answer(asked)
    found = find_method(tmp_path, "textDocument/hover")
    assert found["count"] == 100
    assert found["latency_ms"] == {"p50": 50, "p95": 95, "p99": 99, "max": 100}


@settings(deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=1), st.sampled_from([50, 95, 99]))
def test_so_many_of_a_hundred_do_not_exceed_a_percentile(numbers: list[int], percent: int) -> None:
    ordered = sorted(numbers)
    found = rank_percentile(ordered, percent)
    assert found in ordered
    assert sum(number <= found for number in ordered) >= percent / 100 * len(ordered)
    assert sum(number < found for number in ordered) < percent / 100 * len(ordered)


def test_errors_unanswered_and_cancelled_are_told_apart(tmp_path: Path) -> None:
    tap = RecordedTap(tmp_path)
    tap.answer(tap.ask("x/y"), {})
    tap.answer(tap.ask("x/y"), error={"code": 1, "message": "no"})
    tap.ask("x/y")
    cancelled = [tap.ask("x/y"), tap.ask("x/y")]
    for identifier in cancelled:
        tap.say(CLIENT, method="$/cancelRequest", params={"id": identifier})
    tap.answer(cancelled[0], error={"code": -32800, "message": "cancelled"})
    found = find_method(tmp_path, "x/y")
    assert [found[name] for name in ("count", "errors", "unanswered", "cancelled")] == [5, 1, 1, 2]


def test_sizes_are_those_of_both_sides_on_the_wire(tmp_path: Path) -> None:
    tap = RecordedTap(tmp_path)
    tap.answer(tap.ask("x/y"), {"long": "é" * 100})
    lengths = [json.loads(line)["raw_length"] for line in tap.path.read_text().splitlines()[1:]]
    assert find_method(tmp_path, "x/y")["bytes"] == sum(lengths) > 200


def test_stderr_and_invalid_bytes_are_counted(tmp_path: Path) -> None:
    tap = RecordedTap(tmp_path)
    tap.complain("slow\n")
    tap.complain("slower\n")
    tap.say_invalid(b"oops")
    counts = {row["method"]: row["count"] for row in measure(tmp_path)["methods"]}
    assert counts == {"(stderr)": 2, "(invalid)": 1}


def test_the_time_to_fresh_diagnostics_counts_from_an_edit_to_the_first_report_on_it(tmp_path: Path) -> None:
    tap = RecordedTap(tmp_path)
    tap.open(CART, 0, "a\n")
    tap.publish(CART, 1, version=0)
    tap.change(CART, 1, "b\n")
    tap.wait(39)
    tap.publish(CART, version=1)
    tap.wait(500)
    tap.publish(CART, version=1)
    tap.change(CART, 2, "b\n")  # the same text again is no edit
    tap.publish(CART, version=2)
    tap.change(CART, 3, "c\n")
    (found,) = measure(tmp_path)["freshness"]
    assert (found["edits"], found["edits_reported"], found["after_edit_ms"]["max"]) == (2, 1, 40)
    assert (found["opens"], found["after_open_ms"]["max"]) == (1, 1)


events = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.sampled_from([CART, SHOP])),
        st.tuples(st.just("change"), st.sampled_from([CART, SHOP]), st.sampled_from(["a\n", "b\n"])),
        st.tuples(st.just("close"), st.sampled_from([CART, SHOP])),
        st.tuples(st.just("publish"), st.sampled_from([CART, SHOP]), st.sampled_from([None, 0, 1, 2]), st.booleans()),
        st.tuples(st.just("pull"), st.sampled_from([CART, SHOP])),
        st.tuples(st.just("answer"), st.integers(0, 2), st.sampled_from(["full", "unchanged"])),
    ),
    max_size=20,
)


@settings(deadline=None)
@example(
    [("open", CART), ("publish", CART, None, False), ("change", CART, "a\n"), ("publish", CART, 0, False)]
)  # an old version reported again says nothing of the new one
@given(events)
def test_freshness_agrees_with_the_timeline(happened: list[tuple[Any, ...]]) -> None:
    talk, fold, waiting, versions = Conversation(), FreshnessFold(), list[int](), dict[str, int]()
    seen: list[tuple[int, str, int]] = []

    def say(direction: str, message: dict[str, Any]) -> None:
        talk.frame(direction, message)
        if direction == SERVER:
            seen.extend(
                (sent.time_us, sent.uri, sent.fresh_us or 0) for sent in fold.step_server(message, talk.time_us)
            )
        else:
            fold.step_client(message, talk.time_us)

    for number, (kind, *rest) in enumerate(happened):
        match kind, rest:
            case "open", [uri]:
                versions[uri] = 0
                item = {"uri": uri, "languageId": "x", "version": 0, "text": "a\n"}
                say(CLIENT, {"method": "textDocument/didOpen", "params": {"textDocument": item}})
            case "change", [uri, text]:
                versions[uri] = versions.get(uri, 0) + 1
                params = {"textDocument": {"uri": uri, "version": versions[uri]}, "contentChanges": [{"text": text}]}
                say(CLIENT, {"method": "textDocument/didChange", "params": params})
            case "close", [uri]:
                say(CLIENT, {"method": "textDocument/didClose", "params": {"textDocument": {"uri": uri}}})
            case "publish", [uri, version, some]:
                params = {"uri": uri, "version": version, "diagnostics": [lsp_diagnostic(0, "m")] * some}
                say(SERVER, {"method": "textDocument/publishDiagnostics", "params": params})
            case "pull", [uri]:
                waiting.append(number)
                params = {"textDocument": {"uri": uri}}
                say(CLIENT, {"id": number, "method": "textDocument/diagnostic", "params": params})
            case "answer", [which, result] if which < len(waiting):
                say(SERVER, {"id": waiting.pop(which), "result": {"kind": result, "items": []}})
    assert seen == list_first_reports(talk.timeline())


def list_first_reports(timeline: ServerTimeline) -> list[tuple[int, str, int]]:
    first: dict[int, tuple[int, str, int]] = {}
    for report in timeline.reports:
        if report.change is not None and report.time_us >= report.change.time_us:
            first.setdefault(report.change.order, (report.change.time_us, report.uri, report.time_us))
    return list(first.values())


def test_a_call_that_gave_up_is_told_when_it_would_have_succeeded(tmp_path: Path) -> None:
    client, tap = RecordedClient(tmp_path), RecordedTap(tmp_path)
    client.call("call_1", "edit", 10, 3110, "/p/cart.py")
    tap.open(CART)
    tap.at_ms = 99
    tap.change(CART, 1, "b\n")
    tap.at_ms = 109
    asked = tap.ask("textDocument/diagnostic", CART)  # 110
    never = tap.ask("textDocument/hover", CART)
    tap.at_ms = 4209
    tap.answer(asked, {"kind": "full", "items": []})  # 4210
    tap.answer(never, error={"code": -32801, "message": "content modified"})
    (budget,) = measure(tmp_path)["waiting"]
    alpha = {"server": "alpha", "uri": CART}
    assert budget["given_up"] == [
        {**alpha, "method": "textDocument/diagnostic", "asked_for_ms": 3000, "succeeded_at_ms": 4100},
        {**alpha, "method": "textDocument/hover", "asked_for_ms": 2999, "succeeded_at_ms": None},
    ]
    assert (budget["call"], budget["duration_ms"], budget["thinking_ms"]) == ("call_1", 3100, 3000)


def test_diagnostics_pushed_after_a_call_had_ended_came_too_late_for_it(tmp_path: Path) -> None:
    client, tap = RecordedClient(tmp_path), RecordedTap(tmp_path)
    client.call("call_1", "edit", 10, 110, "/p/cart.py")
    tap.open(CART)
    tap.at_ms = 19
    tap.change(CART, 1, "b\n")
    tap.at_ms = 219
    tap.publish(CART, 1, version=1)
    (budget,) = measure(tmp_path)["waiting"]
    (given_up,) = budget["given_up"]
    assert (given_up["method"], given_up["asked_for_ms"], given_up["succeeded_at_ms"]) == (
        "textDocument/publishDiagnostics", 90, 200,
    )  # fmt: skip


def test_a_call_queues_behind_older_requests_that_are_not_its_own(tmp_path: Path) -> None:
    client, tap = RecordedClient(tmp_path), RecordedTap(tmp_path)
    client.call("call_1", "edit", 50, 500, "/p/cart.py")
    older = tap.ask("workspace/symbol")
    tap.at_ms = 99
    first = tap.ask("textDocument/diagnostic", CART)  # 100
    second = tap.ask("textDocument/hover", CART)  # 101
    tap.at_ms = 199
    tap.answer(older)  # 200
    tap.at_ms = 249
    tap.answer(first)  # 250
    tap.at_ms = 299
    tap.answer(second)  # 300
    (budget,) = measure(tmp_path)["waiting"]
    assert (budget["requests"], budget["queued_ms"], budget["thinking_ms"]) == (2, 100, 100)
    assert budget["given_up"] == []


def test_a_session_counts_what_belongs_to_it_and_knows_what_was_open_before(tmp_path: Path) -> None:
    client, tap = RecordedClient(tmp_path), RecordedTap(tmp_path)
    tap.open(CART)
    tap.ask("x/before")
    client.session("ses_one", 50, 500)
    client.call("call_1", "edit", 100, 200, "/p/cart.py")
    client.session("ses_two", 600, 700)
    client.call("call_2", "edit", 610, 690, "/p/cart.py", session_id="ses_two")
    for at_ms, version in ((120, 1), (620, 2)):
        tap.at_ms = at_ms
        tap.change(CART, version, f"{version}\n")
        tap.answer(tap.ask("textDocument/diagnostic", CART), {"kind": "full", "items": []})
    fold, _ = fold_stats(open_capture(["ses_one"], tmp_path))
    found = fold.to_json()
    assert {row["method"]: row["count"] for row in found["methods"]} == {
        "textDocument/didChange": 1,
        "textDocument/diagnostic": 1,
    }
    assert [(row["edits"], row["edits_reported"], row["opens"]) for row in found["freshness"]] == [(1, 1, 0)]
    assert [row["call"] for row in found["waiting"]] == ["call_1"]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30))))
def test_a_union_counts_every_moment_once(pairs: list[tuple[int, int]]) -> None:
    covered = {moment for start, end in pairs for moment in range(start, end)}
    assert measure_union(pairs) == len(covered)


@pytest.mark.parametrize("folder_exists", [True, False])
def test_no_recordings_is_said_in_one_line(
    tmp_path: Path, folder_exists: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    from lsp_tap.cli import main

    folder = tmp_path / "logs"
    if folder_exists:
        folder.mkdir()
    assert main(["stats", "--dir", str(folder)]) == 1
    assert capsys.readouterr().err == (
        f"lsp-tap: {folder}: no recordings: run `lsp-tap init` in the project, or name a capture\n"
    )
