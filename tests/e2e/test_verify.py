"""`lsp-tap verify` on real OpenCode sessions with real servers: the before nobody saw, and no other number changed."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from lsp_tap.wiring.scripted_model import call, say
from tests.e2e.measured import describe_calls, describe_turns, read_session
from tests.e2e.opencode import TAP, OpenCode
from tests.e2e.servers import list_servers
from tests.e2e.test_sessions_on_real_servers import prepare as prepare_server
from tests.e2e.test_turns_in_opencode import MEND_FIRST, ONE_ERROR, TWO_ERRORS, calls, edit, play, prepare, read, write

pytestmark = pytest.mark.live

Json = dict[str, Any]


def verify(opencode: OpenCode, session: str) -> Json:
    """The JSON of the command, which must succeed; what it says on stderr is that it starts the server."""
    command = [*TAP, "verify", session, "--json", "--dir", str(opencode.logs)]
    done = subprocess.run(command, cwd=opencode.home, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("verify runs: "), done.stderr
    found: Json = json.loads(done.stdout)
    assert found["measured"] is True
    return found


def agreements(verified: Json) -> list[list[str]]:
    """Each turn's, then that of its edits."""
    return [[turn["agreement"], *(edit["agreement"] for edit in turn["edits"])] for turn in verified["turns"]]


def test_a_file_written_over_unread_and_then_edited(opencode: OpenCode) -> None:
    prepare(opencode, {"cart.py": TWO_ERRORS})
    opencode.model.add(call("write", filePath="cart.py", content=ONE_ERROR))
    session = play(opencode, calls(edit("cart.py", *MEND_FIRST)), say("Done."))
    recorded = read_session(opencode, session)
    assert describe_turns(recorded) == ["success: None -> None (-None +None =None) none fresh"]
    assert agreements(verify(opencode, session)) == [["filled", "filled", "same"]]
    verified = read_session(opencode, session)
    assert describe_calls(verified) == [
        "write cart.py: 2 -> 1 (-1 +0 =1) verified fresh",
        "edit cart.py: 1 -> 0 (-1 +0 =0) verified fresh",
    ]
    assert describe_turns(verified) == ["success: 2 -> 0 (-2 +0 =0) verified fresh"]
    errors = verified["turns"][0]["context"]["lspDiagnostics"]["errors"]
    assert [(error["file"], error["line"]) for error in errors] == [("cart.py", 1), ("cart.py", 2)]


def test_an_edit_without_a_read(opencode: OpenCode) -> None:
    prepare(opencode, {"cart.py": TWO_ERRORS})
    opencode.model.add(calls(edit("cart.py", *MEND_FIRST)))
    session = play(opencode, say("Done."))
    assert describe_turns(read_session(opencode, session)) == ["success: None -> None (-None +None =None) none fresh"]
    assert agreements(verify(opencode, session)) == [["filled", "filled"]]
    verified = read_session(opencode, session)
    assert describe_calls(verified) == ["edit cart.py: 2 -> 1 (-1 +0 =1) verified fresh"]
    assert describe_turns(verified) == ["success: 2 -> 1 (-1 +0 =1) verified fresh"]


def test_a_patch_of_two_unread_files_and_a_new_one(opencode: OpenCode) -> None:
    prepare(opencode, {"cart.py": TWO_ERRORS, "shop.py": ONE_ERROR})
    patch = (
        "*** Begin Patch\n"
        "*** Update File: cart.py\n@@\n-first: int = 'x'\n+first: int = 1\n"
        "*** Update File: shop.py\n@@\n first: int = 'x'\n+worse: int = 'z'\n"
        "*** Add File: new.py\n+third: int = 3\n"
        "*** End Patch"
    )
    opencode.model.add(call("apply_patch", patchText=patch))
    session = play(opencode, say("Done."), model_id="gpt-5")
    assert [turn["outcome"]["metrics"]["lsp"]["baseline"] for turn in read_session(opencode, session)["turns"]] == [
        "partial"
    ]
    assert agreements(verify(opencode, session)) == [["filled", "filled"]]
    verified = read_session(opencode, session)
    assert describe_calls(verified) == [
        "apply_patch cart.py shop.py new.py: 3 -> 3 (-1 +1 =2) verified fresh",
    ]
    assert describe_turns(verified) == ["success: 3 -> 3 (-1 +1 =2) verified fresh"]


def test_a_session_whose_numbers_are_known_agrees_and_a_second_verify_changes_nothing(opencode: OpenCode) -> None:
    prepare(opencode, {"cart.py": TWO_ERRORS, "shop.py": ONE_ERROR})
    opencode.model.add(calls(read("cart.py"), read("shop.py")))
    session = play(
        opencode,
        calls(edit("cart.py", "x", "xx"), edit("shop.py", *MEND_FIRST)),
        calls(edit("cart.py", "no such text", "")),
        calls(edit("cart.py", "first", "# above\nfirst")),
        calls(write("new.py", TWO_ERRORS)),
        say("Done."),
    )
    recorded = read_session(opencode, session)
    verified = verify(opencode, session)
    assert agreements(verified) == [["same"] * 5]
    again = read_session(opencode, session)
    assert [line.replace("verified", "observed") for line in describe_calls(again)] == describe_calls(recorded)
    assert describe_turns(again) == [line.replace("observed", "verified") for line in describe_turns(recorded)]
    assert agreements(verify(opencode, session)) == [["same"] * 5]
    assert len(opencode.journals("verified-")) == 1
    assert describe_calls(read_session(opencode, session)) == describe_calls(again)


@pytest.mark.parametrize("server", list_servers()[1:], ids=lambda server: server.id)
def test_push_servers(opencode: OpenCode, server: Any) -> None:
    prepare_server(opencode, server)
    first = server.broken.splitlines(keepends=True)[0]
    opencode.model.add(calls(edit(server.file, *server.mend)))
    session = play(opencode, calls(edit(server.file, first, server.breaks + first)), say("Done."))
    assert agreements(verify(opencode, session)) == [["filled", "filled", "same"]]
    verified = read_session(opencode, session)
    assert describe_calls(verified) == [
        f"edit {server.file}: 2 -> 1 (-1 +0 =1) verified fresh",
        f"edit {server.file}: 1 -> 2 (-0 +1 =1) verified fresh",
    ]
    assert describe_turns(verified) == ["success: 2 -> 2 (-1 +1 =1) verified fresh"]
