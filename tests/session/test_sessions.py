from __future__ import annotations

import json

import pytest

from lsp_tap.journal import records
from lsp_tap.session.models import Action, Lsp
from lsp_tap.session.turns import parse_task
from lsp_tap.session.writer import encode_file_name, encode_json
from tests.session.recorded import PROJECT, SESSION, Recorded
from tests.timeline.conversation import Conversation, lsp_diagnostic

A = f"file://{PROJECT}/a.py"
B = f"file://{PROJECT}/b.py"


def sums(lsp: Lsp) -> tuple[int | None, ...]:
    return lsp.errors_before, lsp.errors_after, lsp.errors_cleared, lsp.errors_introduced, lsp.errors_persisted


def deltas(actions: tuple[Action, ...]) -> list[tuple[int, int, int] | None]:
    found = [getattr(action, "lsp_delta", None) for action in actions]
    return [(len(d.cleared), len(d.introduced), d.persisted) if d else None for d in found]


def edit(recorded: Recorded, reply: str, call: str, old: str, new: str, *errors: int, uri: str = A) -> None:
    """An edit call of a.py: hook, didChange, the server's push of an error on each line named, hook."""
    talk = recorded.servers[0]
    name = uri.rpartition("/")[2]
    recorded.start_call(reply, call, "edit", {"filePath": f"{PROJECT}/a.py"}, before={name: old})
    talk.change(uri, new)
    talk.push(uri, *(lsp_diagnostic(line, f"error {new.splitlines()[line]}") for line in errors))
    recorded.end_call(reply, call, "edit", after={name: new})


def begin(text: str, *errors: int) -> tuple[Recorded, Conversation, str]:
    """A session whose first turn has read a.py, with an error on each line named."""
    talk = Conversation()
    recorded = Recorded(talk)
    reply = recorded.ask('"Mend a.py"')
    recorded.start_call(reply, "read1", "read", {"filePath": f"{PROJECT}/a.py"})
    talk.open(A, text)
    talk.push(A, *(lsp_diagnostic(line, f"error {text.splitlines()[line]}") for line in errors))
    recorded.end_call(reply, "read1", "read")
    return recorded, talk, reply


def test_a_turn_that_reads_and_mends_has_its_numbers_and_an_example() -> None:
    recorded, _, reply = begin("bad\nworse\nok\n", 0, 1)
    edit(recorded, reply, "e1", "bad\nworse\nok\n", "good\nworse\nok\n", 1)
    edit(recorded, reply, "e2", "good\nworse\nok\n", "# new\n# lines\ngood\nworse\nok\n", 3)
    recorded.finish(reply)
    session, training = recorded.build()
    (turn,) = session.turns
    assert sums(turn.outcome.metrics.lsp) == (2, 1, 1, 0, 1)
    assert turn.outcome.metrics.lsp.baseline == "observed"
    assert turn.outcome.metrics.lsp.freshness == "fresh"
    assert deltas(session.tool_calls) == [None, (1, 0, 1), (0, 0, 1)]
    assert turn.outcome.success
    assert turn.outcome.metrics.lsp_errors_cleared is True
    assert turn.outcome.metrics.lines_changed == 4
    assert training is not None
    example = training.examples[0]
    assert example.input.task == "Mend a.py"
    assert [finding.line for finding in example.input.context.lsp_diagnostics.errors] == [1, 2]
    assert example.input.context.relevant_files == ("a.py",)


def test_an_error_introduced_and_removed_again_is_in_the_edits_and_not_in_the_turn() -> None:
    recorded, _, reply = begin("bad\nok\n", 0)
    edit(recorded, reply, "e1", "bad\nok\n", "bad\noops\n", 0, 1)
    edit(recorded, reply, "e2", "bad\noops\n", "good\nok\n")
    recorded.finish(reply)
    session, _ = recorded.build()
    assert deltas(session.tool_calls) == [None, (0, 1, 1), (2, 0, 0)]
    assert sums(session.turns[0].outcome.metrics.lsp) == (1, 0, 1, 0, 0)


def test_a_failed_call_is_repaired_by_a_later_one_on_the_same_file() -> None:
    recorded, _, reply = begin("bad\n", 0)
    recorded.start_call(reply, "e1", "edit", {"filePath": f"{PROJECT}/a.py"}, before={"a.py": "bad\n"})
    recorded.fail_call(reply, "e1", "edit")
    edit(recorded, reply, "e2", "bad\n", "good\n")
    recorded.finish(reply)
    session, _ = recorded.build()
    assert session.turns[0].outcome.success
    assert [action.success for action in session.tool_calls] == [True, False, True]
    assert session.tool_calls[1].error == "oldString not found"


def test_a_failed_call_that_nobody_repaired_makes_the_turn_no_success() -> None:
    recorded, _, reply = begin("bad\n", 0)
    edit(recorded, reply, "e1", "bad\n", "good\n")
    recorded.start_call(reply, "e2", "edit", {"filePath": f"{PROJECT}/a.py"}, before={"a.py": "good\n"})
    recorded.fail_call(reply, "e2", "edit")
    recorded.finish(reply)
    session, training = recorded.build()
    assert session.turns[0].outcome.reasons == ("edit failed and was not repaired: oldString not found",)
    assert training is None


def test_words_like_error_and_done_decide_nothing() -> None:
    recorded, _, reply = begin("bad\n", 0)
    edit(recorded, reply, "e1", "bad\n", "good\n")
    recorded.finish(reply, text="error: I failed, there was an exception")
    assert recorded.build()[0].turns[0].outcome.success
    recorded, _, reply = begin("bad\n", 0)
    edit(recorded, reply, "e1", "bad\n", "good\n")
    recorded.finish(reply, finish="tool-calls", text="Done. Successfully completed.")
    assert recorded.build()[0].turns[0].outcome.reasons == ("finish reason is tool-calls, not stop",)


def test_a_failed_model_call_leaves_a_reason_and_no_training_file() -> None:
    recorded, _, reply = begin("bad\n", 0)
    edit(recorded, reply, "e1", "bad\n", "good\n")
    recorded.add(records.SessionErrored, "session_error", error={"name": "APIError", "message": "Bad Request"})
    recorded.finish(reply, finish=None, error={"name": "APIError", "message": "Bad Request"})
    session, training = recorded.build()
    assert "model error APIError: Bad Request" in session.turns[0].outcome.reasons
    assert training is None


def test_net_new_errors_make_the_turn_no_success() -> None:
    recorded, _, reply = begin("ok\n")
    edit(recorded, reply, "e1", "ok\n", "bad\n", 0)
    recorded.finish(reply)
    assert recorded.build()[0].turns[0].outcome.reasons == ("1 net new LSP error",)


def test_a_file_written_over_unread_counts_on_neither_side_and_says_so() -> None:
    talk = Conversation()
    recorded = Recorded(talk)
    reply = recorded.ask("write it")
    recorded.start_call(reply, "w1", "write", {"filePath": f"{PROJECT}/a.py"}, before={"a.py": "old\n"})
    talk.open(A, "bad\n")
    talk.push(A, lsp_diagnostic(0, "bad"))
    recorded.end_call(reply, "w1", "write", after={"a.py": "bad\n"})
    recorded.finish(reply)
    session, _ = recorded.build()
    lsp = session.turns[0].outcome.metrics.lsp
    assert lsp.baseline == "none"
    assert sums(lsp) == (None,) * 5
    assert session.turns[0].outcome.metrics.lsp_errors_cleared is False
    assert session.tool_calls[0].lsp_delta.baseline == "none"


def test_a_created_file_has_a_known_empty_before() -> None:
    talk = Conversation()
    recorded = Recorded(talk)
    reply = recorded.ask("write it")
    recorded.start_call(reply, "w1", "write", {"filePath": f"{PROJECT}/a.py"}, before={"a.py": None})
    talk.open(A, "bad\n")
    talk.push(A, lsp_diagnostic(0, "bad"))
    recorded.end_call(reply, "w1", "write", after={"a.py": "bad\n"})
    recorded.finish(reply)
    lsp = recorded.build()[0].turns[0].outcome.metrics.lsp
    assert (lsp.baseline, *sums(lsp)) == ("observed", 0, 1, 0, 1, 0)


def test_no_server_is_unknown_and_not_zero() -> None:
    recorded = Recorded(Conversation())
    reply = recorded.ask("write it")
    recorded.start_call(reply, "w1", "write", {"filePath": f"{PROJECT}/notes.md"}, before={"notes.md": None})
    recorded.end_call(reply, "w1", "write", after={"notes.md": "hello\n"})
    recorded.finish(reply)
    session, _ = recorded.build()
    lsp = session.turns[0].outcome.metrics.lsp
    assert (lsp.baseline, lsp.freshness, lsp.errors_before) == ("none", "no-server", None)
    assert session.tool_calls[0].lsp_delta.freshness == "no-server"
    assert session.turns[0].outcome.success


def test_what_nobody_wrote_is_external_and_the_law_holds() -> None:
    recorded, talk, reply = begin("bad\nworse\n", 0, 1)
    talk.change(A, "good\nworse\n")
    talk.push(A, lsp_diagnostic(1, "error worse"))
    edit(recorded, reply, "e1", "good\nworse\n", "good\nbetter\n")
    recorded.finish(reply)
    session, _ = recorded.build()
    lsp = session.turns[0].outcome.metrics.lsp
    assert (lsp.external_cleared, lsp.external_introduced) == (1, 0)
    assert sums(lsp) == (2, 0, 1, 0, 0)


def test_what_a_command_wrote_belongs_to_it_though_the_server_learns_of_it_later() -> None:
    recorded, talk, reply = begin("bad\n", 0)
    recorded.start_call(reply, "b1", "bash", {"command": "sed -i s/bad/good/ a.py"})
    recorded.end_call(reply, "b1", "bash", exit_code=0)
    recorded.add(
        records.StepUpdated, "step_updated", message_id=reply, part_id="patch", step="patch", files=(f"{PROJECT}/a.py",)
    )
    recorded.start_call(reply, "r2", "read", {"filePath": f"{PROJECT}/a.py"})
    talk.change(A, "good\n")
    talk.push(A)
    recorded.end_call(reply, "r2", "read")
    recorded.finish(reply)
    session, _ = recorded.build()
    assert deltas(session.tool_calls) == [None, (1, 0, 0), None]
    assert sums(session.turns[0].outcome.metrics.lsp) == (1, 0, 1, 0, 0)


def test_parallel_edits_of_one_file_are_told_apart_by_their_texts() -> None:
    recorded, talk, reply = begin("one\ntwo\n", 0, 1)
    recorded.start_call(
        reply,
        "e1",
        "edit",
        {"filePath": f"{PROJECT}/a.py", "oldString": "two", "newString": "2"},
        before={"a.py": "one\ntwo\n"},
    )
    recorded.start_call(
        reply,
        "e2",
        "edit",
        {"filePath": f"{PROJECT}/a.py", "oldString": "one", "newString": "1"},
        before={"a.py": "one\ntwo\n"},
    )
    talk.change(A, "1\ntwo\n")
    talk.push(A, lsp_diagnostic(1, "error two"))
    talk.change(A, "1\n2\n")
    talk.push(A)
    recorded.end_call(reply, "e1", "edit", after={"a.py": "1\n2\n"})
    recorded.end_call(reply, "e2", "edit", after={"a.py": "1\n2\n"})
    recorded.finish(reply)
    session, _ = recorded.build()
    by_call = {action.call_id: action.lsp_delta.cleared[0].message for action in session.tool_calls[1:]}
    assert by_call == {"e1": "error two", "e2": "error one"}


def test_a_sub_agents_edit_counts_for_the_call_that_started_it() -> None:
    recorded, talk, reply = begin("bad\n", 0)
    recorded.start_call(reply, "t1", "task", {"prompt": "mend"})
    recorded.session("ses_child", parent=SESSION)
    child = recorded.ask("mend", session="ses_child")
    recorded.start_call(
        child, "c1", "edit", {"filePath": f"{PROJECT}/a.py"}, session="ses_child", before={"a.py": "bad\n"}
    )
    talk.change(A, "good\n")
    talk.push(A)
    recorded.end_call(child, "c1", "edit", session="ses_child", after={"a.py": "good\n"})
    recorded.finish(child, session="ses_child")
    recorded.end_call(reply, "t1", "task", metadata={"sessionId": "ses_child"})
    recorded.finish(reply)
    parent, _ = recorded.build()
    assert deltas(parent.tool_calls) == [None, (1, 0, 0)]
    assert parent.children == ("ses_child",)
    assert sums(parent.turns[0].outcome.metrics.lsp) == (1, 0, 1, 0, 0)
    built, _ = recorded.build("ses_child")
    assert built.parent_id == SESSION
    assert sums(built.turns[0].outcome.metrics.lsp) == (1, 0, 1, 0, 0)


def test_a_server_that_died_before_an_edit_gives_it_no_clean_state() -> None:
    recorded, talk, reply = begin("bad\n", 0)
    talk.stop("server exited")
    recorded.start_call(reply, "e1", "edit", {"filePath": f"{PROJECT}/a.py"}, before={"a.py": "bad\n"})
    recorded.end_call(reply, "e1", "edit", after={"a.py": "good\n"})
    recorded.finish(reply)
    session, _ = recorded.build()
    assert session.tool_calls[1].lsp_delta.freshness == "server-dead"
    assert session.turns[0].outcome.metrics.lsp.freshness == "server-dead"


def test_two_servers_findings_are_two() -> None:
    first, second = Conversation("pyright"), Conversation("ruff")
    recorded = Recorded(first, second)
    reply = recorded.ask("mend")
    recorded.start_call(reply, "r", "read", {"filePath": f"{PROJECT}/a.py"})
    for talk in (first, second):
        talk.open(A, "bad\n")
        talk.push(A, lsp_diagnostic(0, "bad"))
    recorded.end_call(reply, "r", "read")
    recorded.start_call(reply, "e", "edit", {"filePath": f"{PROJECT}/a.py"}, before={"a.py": "bad\n"})
    for talk in (first, second):
        talk.change(A, "good\n")
        talk.push(A)
    recorded.end_call(reply, "e", "edit", after={"a.py": "good\n"})
    recorded.finish(reply)
    lsp = recorded.build()[0].turns[0].outcome.metrics.lsp
    assert lsp.servers == ("pyright", "ruff")
    assert sums(lsp) == (2, 0, 2, 0, 0)


def test_a_later_turn_starts_from_what_the_earlier_left() -> None:
    recorded, _, reply = begin("bad\nworse\n", 0, 1)
    edit(recorded, reply, "e1", "bad\nworse\n", "good\nworse\n", 1)
    recorded.finish(reply)
    recorded.wait(5)
    reply = recorded.ask("and the other")
    edit(recorded, reply, "e2", "good\nworse\n", "good\nbetter\n")
    recorded.finish(reply)
    session, training = recorded.build()
    assert [sums(turn.outcome.metrics.lsp) for turn in session.turns] == [(2, 1, 1, 0, 1), (1, 0, 1, 0, 0)]
    assert sums(session.outcome.metrics.lsp) == (2, 0, 2, 0, 0)
    assert training is not None
    assert [m.content for m in training.examples[1].input.conversation_history] == ["Mend a.py", "Done."]


def test_optional_fields_are_absent_and_unknown_ones_null() -> None:
    recorded, _, reply = begin("ok\n")
    recorded.finish(reply)
    written = json.loads(encode_json(recorded.build()[0]))
    action = written["toolCalls"][0]
    assert "lspDelta" not in action
    assert "error" not in action
    assert action["callID"] == "read1"
    assert written["turns"][0]["context"]["gitStatus"] is None


def test_the_quotes_of_opencode_run_and_attached_files_are_not_the_users_words() -> None:
    assert parse_task('"Fix the bug"\n') == "Fix the bug"
    assert parse_task('"Say \\"hi\\" to me"') == 'Say "hi" to me'
    assert parse_task('"quoted"') == '"quoted"'
    assert parse_task('say "a b" now') == 'say "a b" now'
    assert parse_task("Fix <file path='a'>\ntext\n</file> it") == "Fix  it"


def test_a_session_id_never_leaves_the_folder() -> None:
    for hostile in ("../../etc/passwd", "a/b", "", ".", "..", "x" * 300, "\0", "con\n"):
        name = f"session-{encode_file_name(hostile)}.json"
        assert "/" not in name
        assert len(name) < 160
        assert name.isprintable()
    assert encode_file_name("ses_1aB-2") == "ses_1aB-2"
    assert encode_file_name("a/b") != encode_file_name("a_b")


def test_a_persons_edit_that_the_agents_edit_brought_to_light_is_told_apart_line_by_line() -> None:
    recorded, talk, reply = begin("bad\nworse\nok\nok\n", 0, 1)
    found = "good\nworse\nok\noops\n"  # what a person made of it, unseen by any server
    recorded.start_call(reply, "e1", "edit", {"filePath": f"{PROJECT}/a.py"}, before={"a.py": found})
    talk.change(A, "good\nbetter\nno\noops\n")
    talk.push(A, lsp_diagnostic(2, "error no"), lsp_diagnostic(3, "error oops"))
    recorded.end_call(reply, "e1", "edit", after={"a.py": "good\nbetter\nno\noops\n"})
    recorded.finish(reply)
    session, _ = recorded.build()
    lsp = session.turns[0].outcome.metrics.lsp
    assert (lsp.external_cleared, lsp.external_introduced) == (1, 1)
    assert sums(lsp) == (2, 2, 1, 1, 0)
    delta = session.tool_calls[1].lsp_delta
    assert [finding.line for finding in delta.cleared] == [2]
    assert [finding.line for finding in delta.introduced] == [3]


def test_a_loosened_checker_clears_by_suppression() -> None:
    recorded, talk, reply = begin("bad\n", 0)
    recorded.wait(5)
    name = "pyrightconfig.json"
    recorded.start_call(reply, "c1", "write", {"filePath": f"{PROJECT}/{name}"}, before={name: None})
    recorded.end_call(reply, "c1", "write", after={name: '{"reportUndefinedVariable": "none"}'})
    talk.push(A)
    recorded.finish(reply)
    session, _ = recorded.build()
    assert deltas(session.tool_calls) == [None, (1, 0, 0)]
    assert session.turns[0].outcome.metrics.lsp.cleared_by.suppression == 1


def test_a_deleted_file_is_cleared_by_deletion() -> None:
    recorded, _, reply = begin("bad\n", 0)
    recorded.wait(5)
    recorded.start_call(reply, "p1", "apply_patch", {"patchText": "..."}, before={"a.py": "bad\n"})
    recorded.end_call(reply, "p1", "apply_patch", after={"a.py": None})
    recorded.finish(reply)
    session, _ = recorded.build()
    lsp = session.turns[0].outcome.metrics.lsp
    assert sums(lsp) == (1, 0, 1, 0, 0)
    assert lsp.cleared_by.deletion == 1


def test_every_edits_net_sums_to_the_turns() -> None:
    recorded, _, reply = begin("bad\nok\n", 0)
    edit(recorded, reply, "e1", "bad\nok\n", "bad\noops\n", 0, 1)
    edit(recorded, reply, "e2", "bad\noops\n", "bad\nworse\n", 0, 1)
    edit(recorded, reply, "e3", "bad\nworse\n", "good\nworse\n", 1)
    recorded.finish(reply)
    session, _ = recorded.build()
    lsp = session.turns[0].outcome.metrics.lsp
    nets = [introduced - cleared for found in deltas(session.tool_calls) if found for cleared, introduced, _ in [found]]
    assert lsp.errors_after is not None
    assert lsp.errors_before is not None
    assert sum(nets) == lsp.errors_after - lsp.errors_before


def test_a_blind_edits_baseline_is_none_though_another_document_is_known() -> None:
    recorded, talk, reply = begin("ok\n")
    recorded.start_call(reply, "w1", "write", {"filePath": f"{PROJECT}/b.py"}, before={"b.py": "old\n"})
    talk.open(B, "bad\n")
    talk.push(B, lsp_diagnostic(0, "bad"))
    recorded.end_call(reply, "w1", "write", after={"b.py": "bad\n"})
    recorded.finish(reply)
    session, _ = recorded.build()
    assert session.tool_calls[1].lsp_delta.baseline == "none"
    assert session.turns[0].outcome.metrics.lsp.baseline == "partial"


def test_writing_what_is_there_already_leaves_the_numbers_fresh() -> None:
    recorded, _, reply = begin("bad\n", 0)
    recorded.start_call(reply, "w1", "write", {"filePath": f"{PROJECT}/a.py"}, before={"a.py": "bad\n"})
    recorded.end_call(reply, "w1", "write", after={"a.py": "bad\n"})
    recorded.finish(reply)
    lsp = recorded.build()[0].turns[0].outcome.metrics.lsp
    assert (lsp.freshness, lsp.baseline, lsp.errors_before) == ("fresh", "observed", 1)


def test_what_nobody_observed_is_null_or_absent_and_never_zero() -> None:
    talk = Conversation()
    recorded = Recorded(talk)
    reply = recorded.ask("write it")
    recorded.start_call(reply, "w1", "write", {"filePath": f"{PROJECT}/a.py"}, before={"a.py": "old\n"})
    talk.open(A, "bad\n")
    talk.push(A, lsp_diagnostic(0, "bad"))
    recorded.end_call(reply, "w1", "write", after={"a.py": "bad\n"})
    recorded.finish(reply)
    written = json.loads(encode_json(recorded.build()[0]))
    (action,) = written["toolCalls"]
    assert "lspDiagnosticsBefore" not in action
    assert "lspDiagnosticsAfter" not in action
    assert action["lspDelta"]["persisted"] is None
    metrics = written["turns"][0]["outcome"]["metrics"]
    assert metrics["lsp"]["clearedBy"] == {"fix": None, "suppression": None, "deletion": None}
    assert metrics["tokenCost"] == {"input": None, "output": None, "cache": {"read": None, "write": None}}


def test_numbers_that_json_has_no_word_for_are_null() -> None:
    recorded, _, reply = begin("ok\n")
    recorded.start_call(reply, "c1", "sum", {"of": [1.5, float("inf"), {"and": float("nan")}], "to": float("-inf")})
    recorded.end_call(reply, "c1", "sum")
    recorded.finish(reply)
    written = json.loads(encode_json(recorded.build()[0]))
    assert written["toolCalls"][1]["args"] == {"of": [1.5, None, {"and": None}], "to": None}


@pytest.mark.parametrize("count", [-1, 10**400])
def test_tokens_that_nobody_can_have_counted_are_unknown(count: int) -> None:
    recorded, _, reply = begin("ok\n")
    recorded.finish(reply, tokens={"input": 1 - count, "output": count, "cache": {"read": count, "write": 7}})
    metrics = json.loads(encode_json(recorded.build()[0]))["turns"][0]["outcome"]["metrics"]
    assert (metrics["tokenCost"]["output"], metrics["tokenCost"]["cache"]) == (None, {"read": None, "write": 7})
    assert metrics["cacheHitRate"] in (None, 0)


@pytest.mark.parametrize("depth", [99, 100, 300, 50_000])
def test_arguments_that_are_nested_too_deeply_are_cut(depth: int) -> None:
    nested: list[object] = []
    for _ in range(depth - 1):
        nested = [nested]
    recorded, _, reply = begin("ok\n")
    recorded.start_call(reply, "c1", "sum", {"of": nested})
    recorded.end_call(reply, "c1", "sum")
    recorded.finish(reply)
    session, training = recorded.build()
    for built in (session, training):
        assert built is None or ("nested too deeply" in encode_json(built).decode()) == (depth > 99)
    assert json.loads(encode_json(session))["toolCalls"][1]["callID"] == "c1"
