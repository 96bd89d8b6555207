"""Two calls that edit one file at the same time: each is credited with its own lines, however they interleave."""

from __future__ import annotations

import pytest

from lsp_tap.session.models import SessionFile
from tests.session.recorded import PROJECT
from tests.session.test_sessions import A, begin, deltas
from tests.timeline.conversation import lsp_diagnostic

BOTH_BAD, FIRST_GOOD, BOTH_GOOD = "bad\nworse\n", "good\nworse\n", "good\nbetter\n"
OF_FIRST = {"filePath": f"{PROJECT}/a.py", "oldString": "bad", "newString": "good"}
OF_SECOND = {"filePath": f"{PROJECT}/a.py", "oldString": "worse", "newString": "better"}


def edit_in_parallel(*versions: str) -> SessionFile:
    """Both calls run before and after the server is told of `versions`, of the last of which it then speaks."""
    recorded, talk, reply = begin(BOTH_BAD, 0, 1)
    recorded.start_call(reply, "e1", "edit", OF_FIRST, before={"a.py": BOTH_BAD})
    recorded.start_call(reply, "e2", "edit", OF_SECOND, before={"a.py": BOTH_BAD})
    for text in versions:
        talk.change(A, text)
    talk.push(A)
    recorded.end_call(reply, "e1", "edit", after={"a.py": BOTH_GOOD})
    recorded.end_call(reply, "e2", "edit", after={"a.py": BOTH_GOOD})
    recorded.finish(reply)
    return recorded.build()[0]


@pytest.mark.parametrize(
    "versions",
    [(BOTH_GOOD,), (FIRST_GOOD, BOTH_GOOD)],
    ids=["both wrote before the server was told", "the server spoke of both at once"],
)
def test_each_is_credited_with_its_own_lines(versions: tuple[str, ...]) -> None:
    session = edit_in_parallel(*versions)
    assert deltas(session.tool_calls) == [None, (1, 0, 1), (1, 0, 0)]
    assert [action.lsp_delta.cleared[0].line for action in session.tool_calls[1:]] == [1, 2]
    assert [len(action.lsp_diagnostics_before.errors) for action in session.tool_calls[1:]] == [2, 1]
    assert [len(action.lsp_diagnostics_after.errors) for action in session.tool_calls[1:]] == [1, 0]
    assert session.turns[0].outcome.metrics.lsp.errors_cleared == 2


def test_an_error_one_of_them_makes_is_not_the_others() -> None:
    recorded, talk, reply = begin("ok\nfine\n")
    first = {"filePath": f"{PROJECT}/a.py", "oldString": "ok", "newString": "bad"}
    second = {"filePath": f"{PROJECT}/a.py", "oldString": "fine", "newString": "good"}
    recorded.start_call(reply, "e1", "edit", first, before={"a.py": "ok\nfine\n"})
    recorded.start_call(reply, "e2", "edit", second, before={"a.py": "ok\nfine\n"})
    talk.change(A, "bad\ngood\n")
    talk.push(A, lsp_diagnostic(0, "error bad"))
    recorded.end_call(reply, "e1", "edit", after={"a.py": "bad\ngood\n"})
    recorded.end_call(reply, "e2", "edit", after={"a.py": "bad\ngood\n"})
    recorded.finish(reply)
    session, _ = recorded.build()
    assert deltas(session.tool_calls) == [None, (0, 1, 0), (0, 0, 1)]


def test_a_command_that_was_cut_off_is_no_success() -> None:
    recorded, _, reply = begin("ok\n")
    recorded.start_call(reply, "b1", "bash", {"command": "sleep 60"})
    recorded.end_call(reply, "b1", "bash", metadata={"output": "", "exit": None})
    recorded.finish(reply)
    session, _ = recorded.build()
    assert [action.success for action in session.tool_calls] == [True, False]
