"""Two captures: what counts as different, and what does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.cli import main
from lsp_tap.journal.capture import open_capture
from lsp_tap.playback.compare import Comparison, compare_conversations
from lsp_tap.playback.diff import compare_captures
from lsp_tap.playback.latencies import Slower
from tests.inspect.recorded import SERVER, RecordedTap
from tests.playback.recorded import read

A = "file:///p/a.py"
Side = Callable[[RecordedTap], None]


def compare(tmp_path: Path, a: Side, b: Side, **options: Any) -> Comparison:
    taps = RecordedTap(tmp_path / "a", root="/p"), RecordedTap(tmp_path / "b", root="/p")
    a(taps[0])
    b(taps[1])
    return compare_conversations(read(taps[0].path), read(taps[1].path), **options)


def talk(tap: RecordedTap) -> None:
    tap.open(A, 0, "x = 1\n")
    tap.publish(A, 1, 2, version=0)
    tap.change(A, 1, "x = 2\n")
    tap.publish(A, 1, version=1)


def test_the_same_said_later_and_in_pieces_is_the_same(tmp_path: Path) -> None:
    def other(tap: RecordedTap) -> None:
        tap.open(A, 5, "x = 1\n")
        tap.publish(A, version=5)
        tap.publish(A, 1, 2, version=5)
        tap.wait(5000)
        tap.change(A, 9, "x = 2\n")
        tap.publish(A, 1, version=9)
        tap.say(SERVER, method="window/logMessage", params={"type": 3, "message": "m"})

    comparison = compare(tmp_path, talk, other)
    assert not comparison.is_different
    assert comparison.compared["reports"] == 2


def test_diagnostics_are_gone_new_or_reworded_by_their_identity(tmp_path: Path) -> None:
    def say(tap: RecordedTap, *found: tuple[int, int, str]) -> None:
        tap.open(A, 0, "x = 1\n" * 9)
        diagnostics = [
            {
                "range": {"start": {"line": line, "character": 0}, "end": {"line": line, "character": end}},
                "message": text,
            }
            for line, end, text in found
        ]
        tap.say(SERVER, method="textDocument/publishDiagnostics", params={"uri": A, "diagnostics": diagnostics})

    comparison = compare(
        tmp_path,
        lambda tap: say(tap, (0, 1, "stays"), (1, 1, "goes"), (2, 1, "takes 3 ms"), (4, 1, "moves")),
        lambda tap: say(tap, (5, 1, "moves"), (2, 4, "takes 8 ms"), (0, 1, "stays"), (3, 1, "comes")),
    )
    (report,) = comparison.reports
    assert [one.message for one in report.gone] == ["goes", "moves"]
    assert [one.message for one in report.new] == ["comes", "moves"]
    assert [(old.message, new.message) for old, new in report.reworded] == [("takes 3 ms", "takes 8 ms")]


def test_more_reports_are_no_difference_and_fewer_are(tmp_path: Path) -> None:
    def silent(tap: RecordedTap) -> None:
        tap.open(A, 0, "x = 1\n")
        tap.change(A, 1, "x = 2\n")
        tap.publish(A, 1, version=1)

    assert not compare(tmp_path / "1", silent, talk).is_different
    (report,) = compare(tmp_path / "2", talk, silent).reports
    assert (report.version, report.is_silent) == (0, True)


def test_texts_that_only_one_was_sent_are_counted_and_the_others_compared(tmp_path: Path) -> None:
    def other(tap: RecordedTap) -> None:
        tap.open(A, 0, "x = 1\n")
        tap.publish(A, 1, 2, version=0)
        tap.change(A, 1, "x = 77\n")
        tap.change(A, 2, "x = 2\n")
        tap.publish(A, version=2)

    comparison = compare(tmp_path, talk, other)
    assert comparison.texts_only == ({}, {A: 1})
    assert [(report.version, len(report.gone)) for report in comparison.reports] == [(2, 1)]


def test_projects_in_two_places_are_the_same_project(tmp_path: Path) -> None:
    a, b = RecordedTap(tmp_path / "a", root="/p"), RecordedTap(tmp_path / "b", root="/q/r")
    for tap, uri in ((a, "file:///p/a.py"), (b, "file:///q/r/%61.py")):
        tap.open(uri)
        tap.publish(uri, 1)
    comparison = compare_conversations(read(a.path), read(b.path))
    assert not comparison.is_different
    assert comparison.compared["reports"] == 1


def answered(*results: Any, errors: tuple[Any, ...] = ()) -> Side:
    def say(tap: RecordedTap) -> None:
        for result in results:
            tap.answer(tap.ask("textDocument/hover", A), result)
        for error in errors:
            tap.answer(tap.ask("textDocument/hover", A), error=error)

    return say


REFUSED = {"code": -32603, "message": "one"}


@pytest.mark.parametrize(
    ("a", "b", "differing"),
    [
        (answered("x", "y"), answered("x", "y"), 0),
        (answered("x", "y"), answered("y", "x"), 2),
        (answered("x"), answered(errors=(REFUSED,)), 1),
        (answered(errors=(REFUSED,)), answered(errors=({**REFUSED, "message": "two"},)), 0),
        (answered(errors=(REFUSED,)), answered(errors=({**REFUSED, "code": 1},)), 1),
        (answered("x"), answered(errors=({"code": -32801, "message": "modified"},)), 0),
        (answered("x"), lambda tap: tap.ask("textDocument/hover", A), 1),
        (lambda tap: tap.ask("textDocument/hover", A), answered("x"), 0),
    ],
)
def test_answers_are_compared_request_by_request(tmp_path: Path, a: Side, b: Side, differing: int) -> None:
    assert len(compare(tmp_path / "with", a, b).responses) == differing
    assert compare(tmp_path / "without", a, b, responses=False).responses == []


def test_messages_that_only_one_server_has_are_a_difference_but_for_chatter(tmp_path: Path) -> None:
    def say(*methods: str) -> Side:
        def say_to(tap: RecordedTap) -> None:
            for method in methods:
                tap.say(SERVER, method=method, params={})

        return say_to

    comparison = compare(tmp_path, say("toy/a", "window/logMessage"), say("toy/b", "toy/b", "$/progress"))
    assert comparison.only == ({"toy/a": 1}, {"toy/b": 2})


def timed(*latencies_ms: float) -> Side:
    def say(tap: RecordedTap) -> None:
        for latency_ms in latencies_ms:
            id = tap.ask("textDocument/hover", A)
            tap.wait(latency_ms - 1)
            tap.answer(id, None)

    return say


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        (timed(*[100] * 20), timed(*[160] * 20), "slower"),
        (timed(*[100] * 20), timed(*[140] * 20), "same"),
        (timed(*[10] * 20), timed(*[25] * 20), "same"),  # below the floor
        (timed(*[100] * 20), timed(*[160] * 19), "unknown"),
        (timed(*[160] * 20), timed(*[100] * 20), "faster"),
        (timed(*[100] * 20), timed(*[100] * 19, 500), "same"),  # one of twenty is beyond the 95th percentile
        (timed(*[100] * 20), timed(*[100] * 18, 500, 500), "slower"),
    ],
)
def test_slower_is_a_larger_percentile_of_enough_answers(tmp_path: Path, a: Side, b: Side, verdict: str) -> None:
    judged = compare(tmp_path / "judged", a, b, slower=Slower())
    (latency,) = judged.latencies
    assert latency.verdict == verdict
    assert judged.is_different == (verdict == "slower")
    assert not compare(tmp_path / "shown", a, b).is_different


def test_a_crash_is_a_difference(tmp_path: Path) -> None:
    comparison = compare(
        tmp_path, lambda tap: tap.stop(), lambda tap: tap.add("tap_stopped", reason="server exited", exit_code=3)
    )
    assert comparison.endings == ("ended", "crashed")
    assert comparison.is_different


def test_connections_are_paired_by_server_and_order(tmp_path: Path) -> None:
    for side, names in (("a", ("alpha", "beta", "alpha")), ("b", ("beta", "alpha"))):
        for pid, name in enumerate(names):
            talk(RecordedTap(tmp_path / side, name, pid=pid, at_ms=pid * 1000))
    captures = [open_capture([str(tmp_path / side)], tmp_path) for side in ("a", "b")]
    difference = compare_captures(*captures, responses=True, slower=None)
    assert [comparison.name for comparison in difference.comparisons] == ["alpha", "beta"]
    assert len(difference.only[0]) == 1
    assert difference.is_different


def test_the_command_tells_people_programs_and_shells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    talk(a := RecordedTap(tmp_path / "a"))
    talk(b := RecordedTap(tmp_path / "b"))
    b.change(A, 2, "x = 3\n")
    b.publish(A, 1, 1, version=2)
    assert main(["diff", str(a.path), str(a.path)]) == 0
    assert capsys.readouterr().out.endswith("no difference\n")
    assert main(["diff", str(a.path), str(b.path)]) == 1
    assert "a.py: 1 text only in B" in capsys.readouterr().out
    assert main(["diff", str(a.path), str(b.path), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["different"]
    assert told["connections"][0]["b"]["texts_only"] == {A: 1}
