from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.journal import records
from lsp_tap.session.models import Lsp, SessionFile
from lsp_tap.session.writer import write_sessions
from lsp_tap.verification.verify import Verified, plan_verification, run_verification
from tests.session.recorded import SESSION
from tests.timeline.conversation import Conversation, lsp_diagnostic
from tests.verification.filed import file_recording
from tests.verification.sessions import Session, uri


def verify(logs: Path, *, limit_s: float = 20.0) -> Verified:
    verified = plan_verification(logs, SESSION)
    run_verification(logs, verified, limit_s=limit_s)
    return verified


def write(logs: Path) -> SessionFile:
    (written,) = write_sessions(logs, [SESSION])
    return written.session


def lsp_of(logs: Path) -> tuple[Any, ...]:
    return sums(write(logs).turns[0].outcome.metrics.lsp)


def sums(lsp: Lsp) -> tuple[Any, ...]:
    return lsp.errors_before, lsp.errors_after, lsp.errors_cleared, lsp.errors_introduced, lsp.baseline, lsp.freshness


def journals(logs: Path) -> list[Path]:
    return sorted(logs.glob("tap/verified-*"))


def begin() -> Session:
    """Read, mended in part, and broken anew."""
    session = Session()
    session.read("a.py", "bad\nbad one\n")
    session.write("a.py", "bad\nbad one\n", "good\nbad one\n")
    session.write("a.py", "good\nbad one\n", "# first\ngood\nbad one\nbad two\n")
    return session


@pytest.mark.parametrize("manner", ["pull", "registering", "busy", "push", "plain"])
def test_a_replay_measures_what_was_recorded(tmp_path: Path, manner: str) -> None:
    logs = file_recording(tmp_path, begin().finish(), manner)
    assert lsp_of(logs) == (2, 2, 1, 1, "observed", "fresh")
    verified = verify(logs)
    assert verified.is_measured
    (turn,) = verified.turns
    assert (turn.turn.agreement, [edit.agreement for edit in turn.edits]) == ("same", ["same", "same"])
    assert lsp_of(logs) == (2, 2, 1, 1, "verified", "fresh")
    assert [action.lsp_delta.baseline for action in write(logs).tool_calls[1:]] == ["verified", "verified"]


def test_files_written_over_unread_get_the_before_that_nobody_saw(tmp_path: Path) -> None:
    session = Session()
    session.write("a.py", "bad\nbad one\n", "good\nbad one\n")
    session.write("new.py", None, "bad\n")
    session.write("a.py", "good\nbad one\n", "good\n")
    logs = file_recording(tmp_path, session.finish(), "pull")
    assert lsp_of(logs) == (0, 1, 0, 1, "partial", "fresh")
    (turn,) = verify(logs).turns
    assert [edit.agreement for edit in turn.edits] == ["filled", "same", "same"]
    assert lsp_of(logs) == (2, 1, 2, 1, "verified", "fresh")


def test_a_wrong_recording_differs_and_says_in_which_errors(tmp_path: Path) -> None:
    session = Session()
    session.read("a.py", "bad\nbad one\n")
    session.write("a.py", "bad\nbad one\n", "good\nbad one\n", is_heard=False)
    session.talk.push(uri("a.py"))  # a server that forgot an error
    logs = file_recording(tmp_path, session.finish(), "pull")
    assert lsp_of(logs) == (2, 0, 2, 0, "observed", "fresh")
    verified = verify(logs)
    (turn,) = verified.turns
    assert verified.is_measured
    assert (turn.turn.agreement, turn.edits[0].agreement) == ("differs", "differs")
    assert [(at, f.line) for at, f in turn.edits[0].only_verified] == [("after", 2)]
    assert lsp_of(logs) == (2, 1, 1, 0, "verified", "fresh")


def test_edits_after_the_servers_death_are_measured(tmp_path: Path) -> None:
    session = Session()
    session.read("a.py", "bad\nbad one\n")
    session.talk.stop("server exited")
    session.write("a.py", "bad\nbad one\n", "bad\n", is_told=False)
    logs = file_recording(tmp_path, session.finish(), "push")
    assert lsp_of(logs) == (2, 2, 0, 0, "observed", "server-dead")
    assert verify(logs).is_measured
    assert lsp_of(logs) == (2, 1, 1, 0, "verified", "fresh")


def test_what_a_person_did_stays_apart(tmp_path: Path) -> None:
    session = Session()
    session.read("a.py", "bad\nbad one\nbad two\n")
    session.recorded.wait(5000)
    session.read("a.py", "bad\nbad one\n")
    session.write("a.py", "bad\nbad one\n", "bad\n")
    logs = file_recording(tmp_path, session.finish(), "pull")
    verify(logs)
    lsp = write(logs).turns[0].outcome.metrics.lsp
    assert sums(lsp) == (3, 1, 1, 0, "verified", "fresh")
    assert lsp.external_cleared == 1


def test_a_deleted_file_takes_its_errors_along(tmp_path: Path) -> None:
    session = Session()
    session.read("a.py", "bad\n")
    session.read("b.py", "bad\nbad one\n")
    session.recorded.start_call(session.reply, "rm", "apply_patch", {}, before={"b.py": "bad\nbad one\n"})
    session.recorded.end_call(session.reply, "rm", "apply_patch", after={"b.py": None})
    logs = file_recording(tmp_path, session.finish(), "pull")
    recorded = lsp_of(logs)
    assert recorded[:4] == (3, 1, 2, 0)
    assert verify(logs).is_measured
    assert lsp_of(logs)[:5] == (3, 1, 2, 0, "verified")


def test_turns_are_measured_apart_and_a_later_one_is_not_yet_verified(tmp_path: Path) -> None:
    session = Session()
    session.read("a.py", "bad\nbad one\n")
    session.write("a.py", "bad\nbad one\n", "bad\n")
    session.finish()
    session.ask()
    session.read("b.py", "bad\n")
    session.write("b.py", "bad\n", "good\n")
    logs = file_recording(tmp_path, session.finish(), "pull")
    before = [sums(turn.outcome.metrics.lsp)[:4] for turn in write(logs).turns]
    assert before == [(2, 1, 1, 0), (2, 1, 1, 0)]
    verify(logs)
    assert [sums(turn.outcome.metrics.lsp) for turn in write(logs).turns] == [
        (2, 1, 1, 0, "verified", "fresh"),
        (2, 1, 1, 0, "verified", "fresh"),
    ]
    session.ask()
    session.write("a.py", "bad\n", "good\n")
    file_recording(tmp_path, session.finish(), "pull")
    after = write(logs)
    assert [turn.outcome.metrics.lsp.baseline for turn in after.turns] == ["verified", "verified", "observed"]
    assert sums(after.turns[2].outcome.metrics.lsp)[:4] == (1, 0, 1, 0)
    verify(logs)
    assert [turn.outcome.metrics.lsp.baseline for turn in write(logs).turns] == ["verified"] * 3


def test_a_new_verification_replaces_the_old_one_and_the_same_journals_give_the_same_bytes(tmp_path: Path) -> None:
    logs = file_recording(tmp_path, begin().finish(), "pull")
    verify(logs)
    (first,) = journals(logs)
    write(logs)
    session_file = logs / f"session-{SESSION}.json"
    bytes_out = session_file.read_bytes()
    write(logs)
    assert session_file.read_bytes() == bytes_out
    inode = first.stat().st_ino
    verify(logs)
    assert [path.name for path in journals(logs)] == [first.name]
    assert first.stat().st_ino != inode
    assert first.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in first.read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    assert (lines[0]["kind"], lines[-1]["kind"]) == ("tap_started", "verification_finished")


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("silent", "it did not report on a.py within 1 s"),
        ("dying", "it ended with exit code 3: words: out of memory"),
        ("refusing", "it refused initialize: no licence"),
    ],
)
def test_what_cannot_be_measured_is_said_and_changes_nothing(tmp_path: Path, manner: str, reason: str) -> None:
    logs = file_recording(tmp_path, begin().finish(), manner)
    before = lsp_of(logs)
    verified = verify(logs, limit_s=1.0)
    assert not verified.is_measured
    assert [server.failure for server in verified.servers] == [reason]
    assert journals(logs) == []
    assert [path.name for path in logs.glob(".verifying-*")] == []
    assert lsp_of(logs) == before


def test_a_server_that_is_not_installed_any_more(tmp_path: Path) -> None:
    logs = file_recording(tmp_path, begin().finish(), "pull")
    journal = logs / "tap" / "server-0.jsonl"
    first, _, rest = journal.read_text().partition("\n")
    started = {**json.loads(first), "command": ["no-such-server-anywhere"]}
    journal.write_text(f"{json.dumps(started)}\n{rest}")
    (server,) = verify(logs).servers
    assert server.failure is not None
    assert "no-such-server-anywhere" in server.failure


def test_a_project_that_is_gone(tmp_path: Path) -> None:
    logs = file_recording(tmp_path, begin().finish(), "pull")
    moved = tmp_path / "logs"
    os.rename(logs, moved)
    os.rmdir(tmp_path / "project")
    (server,) = verify(moved).servers
    assert server.failure == f"its project folder {tmp_path / 'project'} is gone"


def test_a_document_nobody_changed_and_nothing_is_said_of_is_named(tmp_path: Path) -> None:
    session = begin()
    session.read("b.py", "good\n")
    logs = file_recording(tmp_path, session.finish(), "mute")
    (server,) = verify(logs).servers
    assert server.replayed is not None
    assert [name.rpartition("/")[2] for name in server.replayed.silent] == ["b.py"]


def test_the_recorded_configuration_is_given_again(tmp_path: Path) -> None:
    session = begin()
    asked = {"id": 7, "method": "workspace/configuration", "params": {"items": [{"section": "words"}]}}
    session.talk.frame("server_to_client", asked)
    session.talk.frame("client_to_server", {"id": 7, "result": [{"word": "good"}]})
    logs = file_recording(tmp_path, session.finish(), "configured")
    verify(logs)
    assert lsp_of(logs) == (0, 1, 0, 1, "verified", "fresh")


def test_what_cannot_be_had_again_leaves_the_recorded_numbers(tmp_path: Path) -> None:
    session = Session()
    session.read("a.py", "bad\nbad one\n")
    session.recorded.start_call(session.reply, "sh", "bash", {"command": "pip install it"})
    session.recorded.end_call(session.reply, "sh", "bash", exit_code=0)
    session.talk.push(uri("a.py"), lsp_diagnostic(0, "bad is not good", columns=(0, 3)))
    logs = file_recording(tmp_path, session.finish(), "pull")
    before = lsp_of(logs)
    verified = verify(logs)
    assert verified.is_measured
    assert verified.servers[0].plan.unrepeatable
    assert verified.turns[0].turn.agreement == "differs"
    assert lsp_of(logs) == before == (2, 1, 1, 0, "observed", "fresh")


def test_two_servers_on_one_file_are_measured_side_by_side(tmp_path: Path) -> None:
    session = begin()
    other = Conversation("style")
    other.records += [r for r in session.talk.records if isinstance(r, records.Frame)]
    session.recorded.servers = (session.talk, other)
    logs = file_recording(tmp_path, session.finish(), "pull")
    assert lsp_of(logs)[:5] == (4, 4, 2, 2, "observed")
    verified = verify(logs)
    assert [server.plan.name for server in verified.servers] == ["words", "style"]
    assert verified.turns[0].turn.agreement == "same"
    assert len(journals(logs)) == 2
    assert lsp_of(logs)[:5] == (4, 4, 2, 2, "verified")


def test_nothing_of_the_project_is_run_but_the_server(tmp_path: Path) -> None:
    logs = file_recording(tmp_path, begin().finish(), "pull")
    for name in ("lsp_tap", "json", "os", "sitecustomize"):
        (tmp_path / "project" / f"{name}.py").write_text("open('was-run', 'w').close()\n")
    assert verify(logs).is_measured
    assert not (tmp_path / "project" / "was-run").exists()
