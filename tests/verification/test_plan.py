from __future__ import annotations

import pytest

from lsp_tap.verification.plan import Plan, plan_replay
from tests.session.recorded import PROJECT, SESSION
from tests.timeline.conversation import lsp_diagnostic
from tests.verification.sessions import Session, uri


def plan(session: Session) -> Plan:
    session.finish()
    history = session.history
    return plan_replay(history.sessions[SESSION], history, [session.talk.timeline()])


def texts(planned: Plan) -> dict[str, str]:
    return {opening.uri.rpartition("/")[2]: opening.text for opening in planned.openings.values()}


def moves(planned: Plan) -> list[tuple[str, str | None, str | None, str]]:
    return [
        (m.uri.rpartition("/")[2], m.text, m.owner.call_id if m.owner else None, m.sight.kind) for m in planned.moves
    ]


def test_a_read_file_is_opened_and_its_edits_follow() -> None:
    session = Session()
    session.read("a.py", "bad\n")
    session.write("a.py", "bad\n", "good\n")
    session.read("a.py", "good\n")
    session.write("a.py", "good\n", "bad\nbad\n")
    planned = plan(session)
    assert texts(planned) == {"a.py": "bad\n"}
    assert moves(planned) == [("a.py", "good\n", "call2", "read"), ("a.py", "bad\nbad\n", "call4", "read")]
    assert planned.unrepeatable == []
    assert (planned.name, planned.root, planned.session_id) == ("words", PROJECT, SESSION)


def test_a_file_written_over_unread_is_opened_with_the_text_the_plugin_read() -> None:
    session = Session()
    session.write("a.py", "bad\n", "good\n")
    planned = plan(session)
    assert texts(planned) == {"a.py": "bad\n"}
    assert moves(planned) == [("a.py", "good\n", "call1", "read")]


def test_without_that_text_its_before_stays_unknown() -> None:
    session = Session()
    session.write("a.py", "bad\n", "good\n", is_known=False)
    planned = plan(session)
    assert texts(planned) == {}
    assert moves(planned) == [("a.py", "good\n", "call1", "written")]


def test_a_new_file_is_opened_when_it_was_created() -> None:
    session = Session()
    session.read("a.py", "bad\n")
    session.write("new.py", None, "bad\n")
    session.write("new.py", "bad\n", "good\n")
    planned = plan(session)
    assert texts(planned) == {"a.py": "bad\n"}
    assert moves(planned) == [("new.py", "bad\n", "call2", "created"), ("new.py", "good\n", "call3", "read")]


def test_what_the_server_knew_before_the_session_is_opened_with_the_text_it_had_then() -> None:
    session = Session()
    now_us = session.talk.time_us
    session.talk.time_us -= 3_600_000_000
    session.tell("a.py", "bad\n")
    session.tell("a.py", "bad\nbad\n")
    session.talk.time_us = now_us
    session.write("a.py", "bad\nbad\n", "good\n")
    planned = plan(session)
    assert texts(planned) == {"a.py": "bad\nbad\n"}
    assert moves(planned) == [("a.py", "good\n", "call1", "read")]


def test_what_a_person_wrote_is_nobodys_call() -> None:
    session = Session()
    session.read("a.py", "bad\n")
    session.recorded.wait(5000)
    session.read("a.py", "bad\nbad\n")
    session.write("a.py", "bad\nbad\n", "bad\n")
    assert moves(plan(session)) == [("a.py", "bad\nbad\n", None, "read"), ("a.py", "bad\n", "call3", "read")]


def test_a_text_that_a_call_found_on_the_disk_comes_before_its_own() -> None:
    session = Session()
    session.read("a.py", "bad\n")
    session.recorded.wait(5000)
    session.write("a.py", "bad\nbad\n", "good\n")  # the server never saw the second line
    assert moves(plan(session)) == [("a.py", "bad\nbad\n", None, "read"), ("a.py", "good\n", "call2", "read")]


def test_edits_that_a_dead_server_was_not_told_of_are_replayed() -> None:
    session = Session()
    session.read("a.py", "bad\n")
    session.talk.stop("server exited")
    session.write("a.py", "bad\n", "good\n", is_told=False)
    session.write("b.py", "bad\n", "bad\nbad\n", is_told=False)
    session.write("notes.txt", "bad\n", "good\n", is_told=False)  # of a kind that this server never saw
    planned = plan(session)
    assert texts(planned) == {"a.py": "bad\n", "b.py": "bad\n"}
    assert moves(planned) == [("a.py", "good\n", "call2", "read"), ("b.py", "bad\nbad\n", "call3", "read")]


def test_a_deleted_file_is_closed() -> None:
    session = Session()
    session.read("a.py", "bad\n")
    session.recorded.start_call(session.reply, "rm", "apply_patch", {}, before={"a.py": "bad\n"})
    session.recorded.end_call(session.reply, "rm", "apply_patch", after={"a.py": None})
    assert moves(plan(session)) == [("a.py", None, "rm", "read")]


def test_two_processes_of_one_session_make_one_replay() -> None:
    session = Session()
    session.read("a.py", "bad\n")
    session.write("a.py", "bad\n", "bad\nbad\n")
    first = session.talk.timeline()
    session.talk.records.clear()
    session.talk.start()
    session._open.clear()
    session.finish()
    session.ask()
    session.read("a.py", "bad\nbad\n")
    session.write("a.py", "bad\nbad\n", "good\n")
    session.finish()
    history = session.history
    planned = plan_replay(history.sessions[SESSION], history, [first, session.talk.timeline()])
    assert texts(planned) == {"a.py": "bad\n"}
    assert moves(planned) == [("a.py", "bad\nbad\n", "call2", "read"), ("a.py", "good\n", "call4", "read")]


@pytest.mark.parametrize("is_mended", [True, False])
def test_what_a_command_did_through_the_disk_is_unrepeatable(is_mended: bool) -> None:
    session = Session()
    session.read("a.py", "bad\n")
    session.recorded.start_call(session.reply, "sh", "bash", {"command": "pip install good"})
    session.recorded.end_call(session.reply, "sh", "bash", exit_code=0)
    session.talk.push(uri("a.py"), *([] if is_mended else [lsp_diagnostic(0, "bad is not good", columns=(0, 3))]))
    planned = plan(session)
    assert bool(planned.unrepeatable) is is_mended
    if is_mended:
        assert planned.unrepeatable == [
            f"bash changed what was said of {PROJECT}/a.py by what it did on the disk, which is there already"
        ]


def test_a_new_file_that_mended_another_is_unrepeatable() -> None:
    session = Session()
    session.read("a.py", "import bad\n")
    session.write("bad.py", None, "good\n", is_heard=False)
    session.report("bad.py", "good\n")
    session.report("a.py", "")
    assert "a.py" in plan(session).unrepeatable[0]


def test_what_a_sub_agent_wrote_is_replayed_for_the_session_that_started_it() -> None:
    session = Session()
    recorded, child = session.recorded, "ses_child"
    session.read("a.py", "bad\n")
    recorded.start_call(session.reply, "task1", "task", {"prompt": "mend"})
    recorded.session(child, SESSION)
    reply = recorded.ask("mend", child)
    recorded.start_call(
        reply, "inner", "write", {"filePath": f"{PROJECT}/a.py"}, session=child, before={"a.py": "bad\n"}
    )
    session.tell("a.py", "good\n")
    recorded.end_call(reply, "inner", "write", session=child, after={"a.py": "good\n"})
    recorded.end_call(session.reply, "task1", "task", metadata={"sessionId": child})
    assert moves(plan(session)) == [("a.py", "good\n", "inner", "read")]
