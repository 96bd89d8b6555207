"""What an agent can do to files within a turn, in the real OpenCode, and what each call is then said to have done."""

from __future__ import annotations

from typing import Any

import pytest

from lsp_tap.session.recording import read_recording
from lsp_tap.wiring.scripted_model import Failure, Hang, Reply, ScriptedModel, Step, ToolCall, call, say
from tests.e2e.measured import describe_calls, describe_outcome, describe_turns, read_session
from tests.e2e.opencode import OpenCode, python_peer, tapped, wait_until
from tests.e2e.served import Conversation
from tests.e2e.waiting import once_reported

pytestmark = pytest.mark.live

Json = dict[str, Any]

ONE_ERROR = "first: int = 'x'\n"
TWO_ERRORS = "first: int = 'x'\nsecond: int = 'y'\n"
MEND_FIRST = ("int = 'x'", "int = 1")
MEND_SECOND = ("int = 'y'", "int = 2")
BY_A_PERSON = "first: int = 1\nprint(nothing)\nprint(nobody.name)\n"
MEND_BY_A_PERSON = ("nothing", "first")


# A person mended the second error in between and made two of another kind, of which the agent mended one.
CALLS_AROUND_A_PERSON = [
    "read",
    "edit cart.py: 2 -> 1 (-1 +0 =1) observed fresh",
    "read",
    "edit cart.py: 2 -> 1 (-1 +0 =1) observed fresh",
]
TURNS_AROUND_A_PERSON = [
    "success: 2 -> 1 (-1 +0 =1) observed fresh",
    "success: 1 -> 1 (-0 +0 =0) observed fresh others -1 +1",
]
SESSION_AROUND_A_PERSON = "2 -> 1 (-1 +0 =0) observed fresh others -1 +1"


def prepare(opencode: OpenCode, files: dict[str, str], **config: Any) -> None:
    """A project with these files, basedpyright behind the tap, and the plugin."""
    for name, text in files.items():
        opencode.write_file(name, text)
    command = tapped((python_peer("basedpyright-langserver"), "--stdio"), name="basedpyright")
    entry = {"command": command, "extensions": [".py"]}
    opencode.write_config(
        lsp={"pyright": {"disabled": True}, "ty": {"disabled": True}, "basedpyright": entry}, **config
    )
    opencode.install_plugin()
    opencode.commit()


def play(opencode: OpenCode, *steps: Any, task: str = "Mend it", **options: Any) -> str:
    """Runs a turn in which each reply waits until the servers have had their say; the session's id."""
    opencode.model.add(*(once_reported(opencode, step) if isinstance(step, Reply) else step for step in steps))
    run = opencode.run(task, **options)
    assert (run.exit_code, opencode.model.remaining, opencode.model.overruns) == (0, 0, 0), run.stderr
    return run.session_id


def read(file: str) -> ToolCall:
    return ToolCall("read", {"filePath": file})


def edit(file: str, old: str, new: str) -> ToolCall:
    return ToolCall("edit", {"filePath": file, "oldString": old, "newString": new})


def write(file: str, content: str) -> ToolCall:
    return ToolCall("write", {"filePath": file, "content": content})


def calls(*made: ToolCall) -> Reply:
    """One answer of the model; several calls are parallel ones."""
    return Reply(calls=made)


def test_edits_of_a_read_file_and_of_a_new_one(opencode: OpenCode) -> None:
    prepare(opencode, {"cart.py": TWO_ERRORS})
    opencode.model.add(call("read", filePath="cart.py"))
    session = read_session(
        opencode,
        play(
            opencode,
            calls(edit("cart.py", *MEND_FIRST)),
            calls(write("new.py", TWO_ERRORS)),
            calls(edit("new.py", *MEND_FIRST)),
            calls(edit("cart.py", "no such text", "")),
            calls(edit("cart.py", *MEND_SECOND)),
            say("Done."),
        ),
    )
    assert describe_calls(session) == [
        "read",
        "edit cart.py: 2 -> 1 (-1 +0 =1) observed fresh",
        "write new.py: 0 -> 2 (-0 +2 =0) observed fresh",
        "edit new.py: 2 -> 1 (-1 +0 =1) observed fresh",
        "edit cart.py failed",
        "edit cart.py: 1 -> 0 (-1 +0 =0) observed fresh",
    ]
    assert describe_turns(session) == ["success: 2 -> 1 (-2 +1 =0) observed fresh"]
    assert session["turns"][0]["outcome"]["reasons"] == [
        "finish reason is stop",
        "6 tool calls",
        "LSP errors 2 -> 1 (2 cleared, 1 introduced)",
        "the task is to mend, and 2 errors were fixed",
    ]


def test_a_file_written_over_unread_has_no_before(opencode: OpenCode) -> None:
    prepare(opencode, {"cart.py": TWO_ERRORS})
    opencode.model.add(call("write", filePath="cart.py", content=ONE_ERROR))
    session = read_session(opencode, play(opencode, calls(edit("cart.py", *MEND_FIRST)), say("Done.")))
    assert describe_calls(session) == [
        "write cart.py: unknown fresh",
        "edit cart.py: 1 -> 0 (-1 +0 =0) observed fresh",
    ]
    assert describe_turns(session) == ["success: None -> None (-None +None =None) none fresh"]
    assert session["turns"][0]["outcome"]["reasons"][-1] == "LSP errors unknown (fresh)"


def test_a_patch_of_two_files_and_one_of_an_unread_and_a_new_one(opencode: OpenCode) -> None:
    prepare(opencode, {"cart.py": TWO_ERRORS, "shop.py": ONE_ERROR, "unread.py": TWO_ERRORS})
    of_two = (
        "*** Begin Patch\n"
        "*** Update File: cart.py\n@@\n-first: int = 'x'\n+first: int = 1\n"
        "*** Update File: shop.py\n@@\n first: int = 'x'\n+worse: int = 'z'\n"
        "*** End Patch"
    )
    of_strange_ones = (
        "*** Begin Patch\n"
        "*** Update File: unread.py\n@@\n-first: int = 'x'\n+first: int = 1\n"
        "*** Add File: new.py\n+new: int = 'n'\n"
        "*** End Patch"
    )
    opencode.model.add(calls(read("cart.py"), read("shop.py")))
    session = read_session(
        opencode,
        play(
            opencode,
            call("apply_patch", patchText=of_two),
            call("apply_patch", patchText=of_strange_ones),
            say("Done."),
            model_id="gpt-5",
        ),
    )
    assert describe_calls(session) == [
        "read",
        "read",
        "apply_patch cart.py shop.py: 3 -> 3 (-1 +1 =2) observed fresh",
        "apply_patch unread.py new.py: 0 -> 1 (-0 +1 =0) partial fresh",
    ]
    assert describe_turns(session) == ["failure: 3 -> 4 (-1 +2 =2) partial fresh"]
    assert session["turns"][0]["outcome"]["reasons"] == ["1 net new LSP error"]


def test_parallel_edits(opencode: OpenCode) -> None:
    prepare(opencode, {"cart.py": TWO_ERRORS, "shop.py": ONE_ERROR})
    opencode.model.add(calls(read("cart.py"), read("shop.py")))
    session = read_session(
        opencode,
        play(
            opencode,
            calls(edit("cart.py", "x", "xx"), edit("shop.py", *MEND_FIRST)),
            calls(edit("cart.py", "int = 'xx'", "int = 1"), edit("cart.py", *MEND_SECOND)),
            say("Done."),
        ),
    )
    # Which of two parallel calls comes first is OpenCode's business.
    lines = describe_calls(session)
    assert lines[:2] == ["read", "read"]
    assert sorted(lines[2:4]) == [
        "edit cart.py: 2 -> 2 (-0 +0 =2) observed fresh",
        "edit shop.py: 1 -> 0 (-1 +0 =0) observed fresh",
    ]
    assert sorted(lines[4:]) == [
        "edit cart.py: 1 -> 0 (-1 +0 =0) observed fresh",
        "edit cart.py: 2 -> 1 (-1 +0 =1) observed fresh",
    ]
    for action in session["toolCalls"][4:]:
        (cleared,) = action["lspDelta"]["cleared"]
        assert action["args"]["oldString"].removeprefix("int = ") in cleared["message"]
    assert describe_turns(session) == ["success: 3 -> 0 (-3 +0 =0) observed fresh"]


def test_what_a_command_wrote_belongs_to_the_command(opencode: OpenCode) -> None:
    prepare(opencode, {"cart.py": TWO_ERRORS})
    opencode.model.add(call("read", filePath="cart.py"))
    session = read_session(
        opencode,
        play(
            opencode,
            call("bash", command="sed -i s/\\'x\\'/1/ cart.py", description="mend"),
            calls(read("cart.py")),
            say("Done."),
        ),
    )
    assert describe_calls(session) == ["read", "bash: 2 -> 1 (-1 +0 =1) observed fresh", "read"]
    assert describe_turns(session) == ["success: 2 -> 1 (-1 +0 =1) observed fresh"]


def test_what_a_sub_agent_edits_belongs_to_the_call_that_started_it(opencode: OpenCode) -> None:
    scripts: dict[str, list[Step]] = {
        "MEND": [
            call("read", filePath="cart.py"),
            once_reported(opencode, calls(edit("cart.py", *MEND_FIRST))),
            say("Mended."),
        ],
        "": [
            call("task", description="mend", prompt="MEND the first", subagent_type="general"),
            once_reported(opencode, calls(edit("cart.py", *MEND_SECOND))),
            once_reported(opencode, say("Done.")),
        ],
    }
    with ScriptedModel(scripts=scripts) as model:
        opencode.model = model
        prepare(opencode, {"cart.py": TWO_ERRORS})
        parent = read_session(opencode, play(opencode, task="have it mended"))
    (child_id,) = parent["children"]
    child = read_session(opencode, child_id)
    assert child["parentId"] == parent["sessionId"]
    assert describe_calls(child) == ["read", "edit cart.py: 2 -> 1 (-1 +0 =1) observed fresh"]
    assert describe_turns(child) == ["success: 2 -> 1 (-1 +0 =1) observed fresh"]
    assert describe_calls(parent) == [
        "task: 2 -> 1 (-1 +0 =1) observed fresh",
        "edit cart.py: 1 -> 0 (-1 +0 =0) observed fresh",
    ]
    assert describe_turns(parent) == ["success: 2 -> 0 (-2 +0 =0) observed fresh"]


def test_a_rejected_permission_changes_nothing_and_is_no_success(opencode: OpenCode) -> None:
    prepare(opencode, {"cart.py": TWO_ERRORS}, permission={"edit": "ask"})
    opencode.model.add(call("read", filePath="cart.py"))
    session = read_session(opencode, play(opencode, calls(edit("cart.py", *MEND_FIRST))))
    assert describe_calls(session) == ["read", "edit cart.py failed"]
    assert describe_turns(session) == ["failure: 2 -> 2 (-0 +0 =2) observed fresh"]
    assert session["turns"][0]["outcome"]["reasons"] == [
        "finish reason is tool-calls, not stop",
        "edit failed and was not repaired: The user rejected permission to use this specific tool call.",
        "the task is to mend, and no error was fixed",
    ]


def test_a_refusing_model_ends_the_turn_and_a_failing_one_is_asked_again(opencode: OpenCode) -> None:
    prepare(opencode, {"cart.py": TWO_ERRORS})
    opencode.model.add(
        call("read", filePath="cart.py"),
        Failure(500, "out of order"),
        once_reported(opencode, calls(edit("cart.py", *MEND_FIRST))),
        once_reported(opencode, say("Done.")),
        calls(edit("cart.py", *MEND_SECOND)),
        Failure(400, "no more words"),
    )
    with opencode.serve() as (url, _):
        conversation = Conversation(url)
        conversation.ask("Mend the first")
        conversation.ask("Mend the second")
        session = read_session(opencode, conversation.session_id)
    assert describe_calls(session) == [
        "read",
        "edit cart.py: 2 -> 1 (-1 +0 =1) observed fresh",
        "edit cart.py: 1 -> 0 (-1 +0 =0) observed fresh",
    ]
    assert describe_turns(session) == [
        "success: 2 -> 1 (-1 +0 =1) observed fresh",
        "failure: 1 -> 0 (-1 +0 =0) observed fresh",
    ]
    assert session["turns"][1]["outcome"]["reasons"] == [
        "model error APIError: no more words",
        "session error APIError: no more words",
        "finish reason is missing, not stop",
    ]
    assert [
        retry.message for retry in read_recording(opencode.logs).history.sessions[session["sessionId"]].retries
    ] == ["out of order"]


def test_an_aborted_command_and_an_aborted_answer(opencode: OpenCode) -> None:
    prepare(opencode, {"cart.py": TWO_ERRORS})
    opencode.model.add(
        call("read", filePath="cart.py"),
        once_reported(opencode, calls(edit("cart.py", *MEND_FIRST))),
        once_reported(opencode, call("bash", command="echo begun > begun; sleep 60", description="wait")),
        calls(edit("cart.py", *MEND_SECOND)),
        Hang("Thinking"),
    )
    with opencode.serve() as (url, _):
        conversation = Conversation(url)
        turn = conversation.start("Mend the first")
        wait_until((opencode.project / "begun").exists, what="running command")
        conversation.abort()
        turn.result(20)
        turn = conversation.start("Mend the second")
        wait_until(lambda: len(opencode.model.agent_requests) == 5, what="last model call")
        conversation.abort()
        turn.result(20)
        session = read_session(opencode, conversation.session_id)
    assert describe_calls(session) == [
        "read",
        "edit cart.py: 2 -> 1 (-1 +0 =1) observed fresh",
        "bash failed",
        "edit cart.py: 1 -> 0 (-1 +0 =0) observed fresh",
    ]
    assert describe_turns(session) == [
        "failure: 2 -> 1 (-1 +0 =1) observed fresh",
        "failure: 1 -> 0 (-1 +0 =0) observed fresh",
    ]
    for turn in session["turns"]:
        assert turn["outcome"]["reasons"] == [
            "model error MessageAbortedError: Aborted",
            "session error MessageAbortedError: Aborted",
            "finish reason is missing, not stop",
        ]
    assert not list(opencode.logs.glob("dspy-*"))


def test_what_a_person_edits_between_two_turns_is_nobodys_merit(opencode: OpenCode) -> None:
    prepare(opencode, {"cart.py": TWO_ERRORS})
    opencode.model.add(
        call("read", filePath="cart.py"),
        once_reported(opencode, calls(edit("cart.py", *MEND_FIRST))),
        once_reported(opencode, say("Done.")),
    )
    with opencode.serve() as (url, _):
        conversation = Conversation(url)
        conversation.ask("Mend the first")
        opencode.write_file("cart.py", BY_A_PERSON)
        opencode.model.add(
            call("read", filePath="cart.py"),
            once_reported(opencode, calls(edit("cart.py", *MEND_BY_A_PERSON))),
            once_reported(opencode, say("Done.")),
        )
        conversation.ask("Mend the third")
        session = read_session(opencode, conversation.session_id, is_alone=False)
    assert describe_calls(session) == CALLS_AROUND_A_PERSON
    assert describe_turns(session) == TURNS_AROUND_A_PERSON
    assert describe_outcome(session["outcome"]) == SESSION_AROUND_A_PERSON


def test_an_edit_that_breaks_another_open_file(opencode: OpenCode) -> None:
    prepare(
        opencode,
        {
            "prices.py": "def total() -> int:\n    return 1\n",
            "cart.py": "from prices import total\n\nsum: int = total()\n",
        },
    )
    opencode.model.add(calls(read("prices.py"), read("cart.py")))
    session = read_session(
        opencode,
        play(
            opencode,
            calls(edit("prices.py", "-> int:\n    return 1", "-> str:\n    return ''")),
            calls(edit("cart.py", "sum: int", "sum: str")),
            calls(edit("prices.py", "def total", "def totals")),
            say("Done."),
        ),
    )
    assert describe_calls(session) == [
        "read",
        "read",
        "edit prices.py: 0 -> 1 (-0 +1 =0) observed fresh",
        "edit cart.py: 1 -> 0 (-1 +0 =0) observed fresh",
        "edit prices.py: 0 -> 1 (-0 +1 =0) observed fresh",
    ]
    assert describe_turns(session) == ["failure: 0 -> 1 (-0 +1 =0) observed fresh"]
    assert session["turns"][0]["outcome"]["reasons"] == ["1 net new LSP error"]


def test_a_session_goes_on_in_another_process(opencode: OpenCode) -> None:
    prepare(opencode, {"cart.py": TWO_ERRORS})
    opencode.model.add(call("read", filePath="cart.py"))
    session_id = play(opencode, calls(edit("cart.py", *MEND_FIRST)), say("Done."))
    opencode.write_file("cart.py", BY_A_PERSON)
    opencode.model.add(call("read", filePath="cart.py"))
    play(opencode, calls(edit("cart.py", *MEND_BY_A_PERSON)), say("Done."), session=session_id)
    session = read_session(opencode, session_id, is_alone=False)
    assert describe_calls(session) == CALLS_AROUND_A_PERSON
    assert describe_turns(session) == TURNS_AROUND_A_PERSON
    assert describe_outcome(session["outcome"]) == SESSION_AROUND_A_PERSON
