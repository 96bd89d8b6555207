"""Replays against real processes: what is the same, what differs, and servers that crash, hang, or are odd."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.cli import main
from lsp_tap.journal.capture import open_capture
from lsp_tap.playback.replay import Options, Replayed, run_replay
from lsp_tap.wire.messages import Request
from tests.inspect.recorded import CLIENT, RecordedTap
from tests.playback.recorded import FIRST, SECOND, Talk, find_journal, read, record, toy
from tests.tap.tapped import is_alive, tap, wait_until


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replay")


@pytest.fixture(scope="module")
def recorded(place: Path) -> Path:
    """The usual conversation, in `place/project`."""
    return record(place / "logs", place / "project", toy())


def replay(journal: Path, *manners: str, **options: Any) -> Replayed:
    return run_replay(find_journal(journal), toy(*manners), Options(**options))


def test_the_same_server_gives_no_difference(recorded: Path, place: Path) -> None:
    kept = place / "kept.jsonl"
    replayed = replay(recorded, output=kept)
    assert replayed.played.failure is None
    assert replayed.played.notes == []
    assert not replayed.is_different
    assert replayed.comparison.compared == {
        "texts": 2,
        "reports": 2,
        "responses": 6,
        "responses_not_comparable": 0,
    }
    assert [s.method for s in read(kept).steps if s.is_client] == [
        s.method for s in read(recorded).steps if s.is_client
    ]


def test_what_is_said_otherwise_is_told_diagnostic_by_diagnostic(recorded: Path) -> None:
    replayed = replay(recorded, "strict")
    told = [
        (report.version, report.gone, [(new.line, new.code) for new in report.new], report.reworded)
        for report in replayed.comparison.reports
    ]
    assert told == [(1, (), [(2, "worse")], ()), (2, (), [(2, "worse")], ())]
    assert replayed.comparison.responses == []
    assert replayed.is_different


def test_order_has_no_meaning_where_the_protocol_gives_it_none(recorded: Path) -> None:
    assert not replay(recorded, "shuffled").is_different


def test_odd_framing_is_no_difference(recorded: Path) -> None:
    assert not replay(recorded, "lower").is_different


def test_what_a_server_gives_to_be_given_back_is_what_this_process_gave(recorded: Path) -> None:
    """The toy refuses items that it did not give itself; the recorded ones are another process's."""
    (resolved,) = [s for s in read(recorded).steps if s.is_client and s.method == "completionItem/resolve"]
    replayed = replay(recorded)
    assert resolved.params["data"]
    assert replayed.comparison.responses == []


def test_each_change_waits_for_the_report_on_the_text_before(recorded: Path, place: Path) -> None:
    kept = place / "ordered.jsonl"
    replay(recorded, output=kept)
    seen = [
        (step.method, step.params.get("version") or step.params["textDocument"].get("version"))
        for step in read(kept).steps
        if step.method in ("textDocument/didOpen", "textDocument/didChange", "textDocument/publishDiagnostics")
    ]
    publish = "textDocument/publishDiagnostics"
    assert seen == [("textDocument/didOpen", 1), (publish, 1), ("textDocument/didChange", 2), (publish, 2)]


def test_a_crash_is_told_with_what_the_server_said_last(recorded: Path) -> None:
    replayed = replay(recorded, "dying")
    assert replayed.played.failure is not None
    assert "exit code 7 after message 7 of 10, textDocument/didChange" in replayed.played.failure
    assert "out of memory" in replayed.played.stderr
    assert replayed.comparison.endings == ("ended", "crashed")
    assert replayed.is_different


def test_a_hang_is_told_and_waited_for_no_longer_than_was_said(recorded: Path) -> None:
    replayed = replay(recorded, "hanging", timeout_s=3)
    assert replayed.played.failure is not None
    assert replayed.played.failure.startswith("the server did not answer textDocument/hover within 3 s after message 4")
    (hover,) = replayed.comparison.responses
    assert (hover.method, hover.a_kind, hover.b_kind) == ("textDocument/hover", "result", "none")


def test_a_server_that_says_nothing_of_a_text_is_silent_not_clean(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsp_tap.playback.player.PATIENCE_S", 0.3)
    replayed = replay(recorded, "mute")
    assert replayed.played.failure is None
    assert [report.is_silent for report in replayed.comparison.reports] == [True, True]
    assert len(replayed.played.notes) == 2


def test_what_nobody_was_asked_before_is_answered_and_told(recorded: Path) -> None:
    replayed = replay(recorded, "asking")
    (note,) = replayed.played.notes
    assert "toy/unheardOf" in note
    assert replayed.comparison.only == ({}, {"toy/unheardOf": 1})


def test_the_servers_questions_get_the_recorded_answers(recorded: Path, place: Path) -> None:
    kept = place / "answered.jsonl"
    replay(recorded, output=kept)
    (asked,) = [s for s in read(kept).steps if not s.is_client and s.method == "workspace/configuration" and s.params]
    assert asked.answer is not None
    assert asked.answer.message[1] == [{"word": "bad"}]


def test_ids_and_the_clients_process_are_those_of_now(place: Path, tmp_path: Path) -> None:
    recording = RecordedTap(tmp_path / "recorded", root=str(place))
    params = {"processId": 1, "rootUri": place.as_uri()}
    recording.say(CLIENT, id="first", method="initialize", params=params)
    recording.answer("first", {"capabilities": {"hoverProvider": True}})
    about = {"textDocument": {"uri": "file:///a"}, "position": {"line": 0, "character": 0}}
    recording.say(CLIENT, id="x7", method="textDocument/hover", params=about)
    recording.say(CLIENT, method="$/cancelRequest", params={"id": "x7"})
    recording.answer("x7", error={"code": -32800, "message": "cancelled"})
    kept = tmp_path / "kept.jsonl"
    replayed = replay(recording.path, output=kept)
    assert not replayed.is_different
    assert replayed.comparison.compared["responses_not_comparable"] == 1
    initialize, hover, cancel = [s for s in read(kept).steps if s.is_client]
    assert initialize.params["processId"] == os.getpid()
    assert isinstance(hover.message, Request)
    assert cancel.params == {"id": hover.message.id}


def test_another_folder_is_what_the_server_hears_of(recorded: Path, place: Path) -> None:
    root = place / "an other place"
    root.mkdir()
    kept = place / "moved.jsonl"
    replayed = replay(recorded, root=root, output=kept)
    assert not replayed.is_different
    moved = read(kept)
    assert moved.root == str(root)
    assert {s.uri for s in moved.steps if s.method == "textDocument/didChange"} == {(root / "a.x").as_uri()}
    assert moved.started is not None
    assert moved.started.cwd == str(root)


def test_a_folder_that_is_gone_is_replaced_by_one_with_the_documents_as_they_were_opened(tmp_path: Path) -> None:
    journal = record(tmp_path / "logs", tmp_path / "project", toy())
    shutil.rmtree(tmp_path / "project")
    kept = tmp_path / "kept.jsonl"
    found = tmp_path / "found"
    server = ["sh", "-c", f'cp a.x {found}; exec "$@"', "sh", *toy()]
    replayed = run_replay(find_journal(journal), server, Options(output=kept))
    assert found.read_text() == FIRST
    assert not replayed.is_different
    assert not Path(replayed.root).exists()
    assert read(kept).root == replayed.root


def test_at_the_recorded_speed_it_takes_as_long(recorded: Path, place: Path, tmp_path: Path) -> None:
    slow = record(tmp_path / "logs", tmp_path / "project", toy("slow"))
    kept = tmp_path / "real.jsonl"
    assert not replay(slow, speed="real", output=kept).is_different
    spans = [
        [step.time_us for step in read(path).steps if step.is_client and step.method != "initialize"]
        for path in (slow, kept)
    ]
    lasted = [times[-1] - times[0] for times in spans]
    assert lasted[1] >= lasted[0] * 0.95


def test_a_refused_pull_is_asked_again_as_a_client_would(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    with tap(toy("pulled"), tmp_path / "logs", cwd=root) as tapped:
        talk = Talk(tapped, root)
        talk.start()
        talk.open(FIRST)
        talk.ask_about("textDocument/diagnostic")
        talk.stop()
        tapped.wait()
    replayed = replay(tapped.journal_path, "pulled", "busy")
    assert not replayed.is_different
    assert replayed.comparison.compared["reports"] == 1


def test_what_the_tap_asked_is_measured_again_and_not_sent_as_the_clients(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    with tap(toy("pulled"), tmp_path / "logs", cwd=root, options=()) as tapped:
        talk = Talk(tapped, root)
        talk.start()
        talk.open(FIRST)
        wait_until(lambda: count_probed(tapped.folder) == 1, "the tap's question answered")
        talk.change(2, SECOND)
        wait_until(lambda: count_probed(tapped.folder) == 2, "the tap's question answered")
        talk.stop()
        tapped.wait()
    kept = tmp_path / "kept.jsonl"
    replayed = replay(tapped.journal_path, "pulled", "strict", output=kept)
    assert replayed.played.notes == []
    assert [[new.code for new in report.new] for report in replayed.comparison.reports] == [["worse"], ["worse"]]
    assert count_probed(kept) == 2
    assert [s for s in read(kept).steps if s.is_client and not s.probe and s.method == "textDocument/diagnostic"] == []


def count_probed(place: Path) -> int:
    """Answers that the tap got for itself, as far as a journal, or the one in a folder, tells by now."""
    journals = [place] if place.is_file() else list(place.glob("tap/*.jsonl"))
    return sum(step.probe and not step.is_client for journal in journals for step in read(journal).steps)


def test_the_command_says_by_its_exit_code_whether_something_differs(
    recorded: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(recorded), "--", *toy()]) == 0
    assert capsys.readouterr().out.endswith("no difference\n")
    assert main(["replay", str(recorded), "--json", "--", *toy("strict")]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [[new["code"] for new in report["new"]] for report in told["diagnostics"]] == [["worse"], ["worse"]]
    assert main(["replay", str(recorded), "--", *toy("dying")]) == 1
    out = capsys.readouterr().out
    assert out.startswith("failed: the server ended with exit code 7")
    assert "stderr: toy: out of memory" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["replay", "JOURNAL", "--", "no-such-server"], "no-such-server: no such command"),
        (["replay", "JOURNAL", "--root", "/no/such/folder", "--", "cat"], "no such folder"),
        (["replay", "JOURNAL", "--server", "other", "--", "cat"], "no server 'other' in this capture"),
        (["replay", "JOURNAL", "-o", "/no/such/folder/new.jsonl", "--", "cat"], "/no/such/folder: no such folder"),
        (["replay", "JOURNAL"], "Missing argument"),
        (["serve", "/no/such.jsonl"], "no such file"),
    ],
)
def test_what_cannot_be_played_is_said_in_a_line(
    recorded: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(recorded) if word == "JOURNAL" else word for word in words]) in (1, 2)
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert len(err.splitlines()) == 1


def test_the_new_traffic_is_a_capture_like_any_other(recorded: Path, place: Path) -> None:
    kept = place / "capture.jsonl"
    replay(recorded, output=kept)
    assert len(open_capture([str(kept)], place).taps) == 1
    assert main(["stats", str(kept)]) == 0
    assert main(["diff", str(recorded), str(kept), "--responses"]) == 0


def test_an_interrupted_replay_leaves_no_server_behind(recorded: Path, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    server = ["sh", "-c", f'echo $$ > {pid_file}; exec "$@"', "sh", *toy("hanging", "stubborn")]
    command = [sys.executable, "-m", "lsp_tap", "replay", str(recorded), "--timeout", "60", "--", *server]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: pid_file.exists() and pid_file.read_text().strip() != "", "the server's start")
    server_pid = int(pid_file.read_text())
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.strip() == "lsp-tap: interrupted"
    wait_until(lambda: not is_alive(server_pid), "the server's end")
