"""The plugin inside the real OpenCode: what it journals of a session, and that nobody notices."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.journal import records
from lsp_tap.wiring.scripted_model import Failure, Hang, Reply, ScriptedModel, ToolCall, call, say
from tests.e2e.opencode import OpenCode, Run, python_peer, wait_until

pytestmark = pytest.mark.live

Json = dict[str, Any]

RECORDER = """
import json, os, pathlib, sys
logs = pathlib.Path(sys.argv[sys.argv.index("--dir") + 1])
def tell(**line):
    line["kinds"] = [json.loads(l)["kind"] for f in sorted(logs.glob("tap/client-*")) for l in f.open()]
    with open(__file__ + ".said", "a") as said:
        said.write(json.dumps(line) + "\\n")
tell(arguments=sys.argv[1:], cwd=os.getcwd(), leads_group=os.getpgid(0) == os.getpid())
if "--follow" in sys.argv:
    for line in sys.stdin:
        tell(told=line.strip())
    tell(told=None)
"""


@pytest.fixture
def recorder(tmp_path: Path, opencode: OpenCode) -> Callable[[], list[Json]]:
    """Installs the plugin with a command that only writes down how it was started; answers what it wrote."""
    script = tmp_path / "recorder.py"
    script.write_text(RECORDER)
    said = tmp_path / "recorder.py.said"
    opencode.install_plugin(command=[sys.executable, str(script)])

    def read() -> list[Json]:
        return [json.loads(line) for line in said.read_text().splitlines()] if said.exists() else []

    return read


def of(kind: str, all_records: list[Json], **fields: Any) -> list[Json]:
    return [r for r in all_records if r["kind"] == kind and fields.items() <= r.items()]


def statuses(all_records: list[Json], tool: str) -> list[str]:
    return [r["status"] for r in of("tool_updated", all_records, tool=tool)]


def texts_of(all_records: list[Json], record: Json) -> dict[str, str | None]:
    """File name -> text of the FILES of a record; None where there was no file."""
    stored = {r["sha256"]: r["text"] for r in of("text_stored", all_records)}
    return {Path(f["path"]).name: stored[f["sha256"]] if f["existed"] else None for f in record["files"]}


def read_checked(opencode: OpenCode, run: Run) -> list[Json]:
    """The one client journal's records, which must be as the format has them and of this session.

    Also holds what is true of every run: OpenCode's own JSON lines are all there is on stdout.
    """
    all(json.loads(line)["type"] for line in run.stdout_lines)
    assert len(opencode.journals("client-")) == 1
    found = opencode.client_records()
    assert [r["seq"] for r in found] == list(range(len(found)))
    for record in found:
        model = records.RECORD_BY_KIND[record["kind"]].model_validate(record)
        assert set(model.model_extra or {}) <= {"truncated"}
    assert (found[0]["kind"], found[-1]["kind"]) == ("client_started", "client_stopped")
    assert not of("dropped", found)
    assert {r["session_id"] for r in found if "session_id" in r} == {run.session_id}
    return found


def test_a_turn_that_reads_fails_an_edit_and_then_makes_it(
    opencode: OpenCode, model: ScriptedModel, recorder: Callable[[], list[Json]]
) -> None:
    before, after = "count: int = ''\n", "count: int = 1\n"
    file = opencode.write_file("cart.py", before)
    opencode.use_server("basedpyright", [python_peer("basedpyright-langserver"), "--stdio"], extensions=[".py", ".pyi"])
    model.add(
        Reply(text="Looking.", reasoning="Which file?", calls=[ToolCall("read", {"filePath": str(file)})]),
        call("edit", filePath=str(file), oldString="nowhere", newString="1"),
        call("edit", filePath="cart.py", oldString="''", newString="1"),
        say("Done."),
    )

    run = opencode.run("mend the cart")

    assert (run.exit_code, run.stderr, model.remaining, model.overruns) == (0, "", 0, 0)
    assert file.read_text() == after
    found = read_checked(opencode, run)
    [session] = {r["directory"] for r in of("session_updated", found)}
    assert session == str(opencode.project)
    assert of("session_updated", found)[-1]["title"] == "A scripted session"

    [user] = of("message_updated", found, role="user")
    assert user["model"] == "scripted/m"
    [words] = of("text_updated", found, message_id=user["message_id"])
    assert words["text"] == '"mend the cart"'
    completed = [r for r in of("message_updated", found, role="assistant") if "completed_ms" in r]
    assert [r["finish"] for r in completed] == ["tool-calls", "tool-calls", "tool-calls", "stop"]
    assert {r["parent_id"] for r in completed} == {user["message_id"]}
    assert {(r["tokens"]["input"], r["tokens"]["output"]) for r in completed} == {(100, 20)}
    said = [(r["text_kind"], r["text"]) for r in of("text_updated", found) if r is not words]
    assert said == [("reasoning", "Which file?"), ("text", "Looking."), ("text", "Done.")]
    assert len(of("parameters_chosen", found)) == 1

    failed_id, edit_id = (r["call_id"] for r in of("tool_starting", found, tool="edit"))
    assert statuses(found, "read") == ["pending", "running", "completed"]
    assert statuses(found, "edit") == ["pending", "running", "error", "pending", "running", "completed"]
    [failed] = of("tool_updated", found, call_id=failed_id, status="error")
    assert "oldString" in failed["error"]
    assert not of("tool_finished", found, call_id=failed_id)
    for call_id in (failed_id, edit_id):
        [starting] = of("tool_starting", found, call_id=call_id)
        assert texts_of(found, starting) == {"cart.py": before}
    [finished] = of("tool_finished", found, call_id=edit_id)
    assert texts_of(found, finished) == {"cart.py": after}
    assert [f["path"] for f in finished["files"]] == [str(file)]
    assert of("tool_finished", found, tool="read")[0]["files"] == []
    [edited] = of("tool_updated", found, call_id=edit_id, status="completed")
    assert edited["metadata"]["filediff"]["additions"] == 1
    assert "diagnostics" not in edited["metadata"]
    assert of("step_updated", found, step="patch")[0]["files"] == [str(file)]
    assert of("files_changed", found)[-1]["files"] == [{"file": str(file), "additions": 1, "deletions": 1}]

    kinds = [r["kind"] for r in found]
    assert kinds.index("session_idle") > kinds.index("tool_finished")
    wait_until(lambda: {"told": None} in [{"told": line.get("told", "")} for line in recorder()], what="its end")
    launched = [line for line in recorder() if "arguments" in line]
    told = [line for line in recorder() if "told" in line]
    logs = str(opencode.logs)
    assert sorted(line["arguments"] for line in launched) == [
        ["observe", "--session", run.session_id, "--message", user["message_id"], "--dir", logs],
        ["write", "--follow", "--dir", logs, "--"],
    ]
    for line in launched:
        assert line["leads_group"]
        assert line["cwd"] == str(opencode.project)
    assert [line["told"] for line in told] == [run.session_id, None]
    assert all("session_idle" in line["kinds"] for line in told)
    greeting, *rest = (opencode.logs / "plugin.log").read_text().splitlines()
    assert greeting.endswith("Z 📊 SessionLogger: Initialized (DSPy training data format)")
    assert rest == []
    assert len(opencode.journals("server-basedpyright-")) == 1


@pytest.mark.usefixtures("recorder")
def test_new_files_and_commands(opencode: OpenCode, model: ScriptedModel) -> None:
    script = "printf 'b\\n' > made-by-command.txt; echo out; exit 3"
    model.add(
        Reply(
            calls=[
                ToolCall("write", {"filePath": "sub/new.py", "content": "a\n"}),
                ToolCall("bash", {"command": script, "description": "make a file"}),
            ]
        ),
        call("no_such_tool", some="argument"),
        say("Done."),
    )

    run = opencode.run("make files")

    assert (run.exit_code, run.stderr) == (0, "")
    found = read_checked(opencode, run)
    [starting] = of("tool_starting", found, tool="write")
    [finished] = of("tool_finished", found, tool="write")
    assert texts_of(found, starting) == {"new.py": None}
    assert texts_of(found, finished) == {"new.py": "a\n"}
    [command] = of("tool_updated", found, tool="bash", status="completed")
    assert (command["exit_code"], command["output"]) == (3, "out\n")
    assert command["args"] == {"command": script, "description": "make a file"}
    [patch] = of("step_updated", found, step="patch")
    assert {Path(f).name for f in patch["files"]} == {"new.py", "made-by-command.txt"}
    [unknown] = of("tool_updated", found, tool="invalid", status="completed")
    assert unknown["args"]["tool"] == "no_such_tool"


@pytest.mark.usefixtures("recorder")
def test_a_patch_of_a_gpt_model(opencode: OpenCode, model: ScriptedModel) -> None:
    for name in ("update.py", "delete.py", "move.py"):
        opencode.write_file(name, f"{name}\n")
    patch = (
        "*** Begin Patch\n"
        "*** Update File: update.py\n@@\n-update.py\n+updated\n"
        "*** Delete File: delete.py\n"
        "*** Add File: add.py\n+added\n"
        "*** Update File: move.py\n*** Move to: sub/moved.py\n@@\n-move.py\n+moved\n"
        "*** End Patch"
    )
    model.add(call("apply_patch", patchText=patch), say("Done."))

    run = opencode.run("patch it", model_id="gpt-5")

    assert (run.exit_code, run.stderr) == (0, "")
    assert "apply_patch" in model.agent_requests[0].tool_names
    found = read_checked(opencode, run)
    [starting] = of("tool_starting", found, tool="apply_patch")
    [finished] = of("tool_finished", found, tool="apply_patch")
    names = ("update.py", "delete.py", "add.py", "move.py", "moved.py")
    assert tuple(texts_of(found, starting)) == names
    assert tuple(texts_of(found, starting).values()) == ("update.py\n", "delete.py\n", None, "move.py\n", None)
    assert tuple(texts_of(found, finished).values()) == ("updated\n", None, "added\n", None, "moved\n")
    assert of("message_updated", found, role="assistant")[-1]["model"] == "scripted/gpt-5"


def test_a_model_that_refuses(opencode: OpenCode, model: ScriptedModel, recorder: Callable[[], list[Json]]) -> None:
    model.add(Failure(400, "not today"))

    run = opencode.run("do it")

    assert run.exit_code == 1
    found = read_checked(opencode, run)
    error = {"name": "APIError", "message": "not today"}
    assert [r["error"] for r in of("session_error", found)] == [error]
    assert of("message_updated", found, role="assistant")[-1]["error"] == error
    assert len(of("session_idle", found)) == 2
    writes = wait_until(lambda: [r for r in recorder() if r.get("told")][1:], what="writes")
    assert writes[-1]["kinds"].count("session_error") == 1


@pytest.mark.usefixtures("recorder")
def test_a_subagent_has_a_session_of_its_own(opencode: OpenCode) -> None:
    scripts = {
        "COUNT": [call("write", filePath="count.txt", content="3\n"), say("Counted.")],
        "": [
            call("task", description="count", prompt="COUNT them", subagent_type="general"),
            say("Done."),
        ],
    }
    with ScriptedModel(scripts=scripts) as model:
        opencode.model = model
        opencode.write_config()
        run = opencode.run("ask somebody to count")
        assert (run.exit_code, model.remaining) == (0, 0)

    found = opencode.client_records()
    [task] = of("tool_updated", found, tool="task", status="completed")
    child = task["metadata"]["sessionId"]
    assert of("session_updated", found, session_id=child)[-1]["parent_id"] == run.session_id
    assert [r["session_id"] for r in of("session_idle", found)] == [child, run.session_id]
    [starting] = of("tool_starting", found, tool="write")
    assert starting["session_id"] == child


@pytest.mark.usefixtures("recorder")
def test_a_client_that_is_killed_leaves_all_it_journalled(opencode: OpenCode, model: ScriptedModel) -> None:
    file = opencode.write_file("cart.py", "a\n")
    model.add(call("edit", filePath=str(file), oldString="a", newString="b"), Hang("Thinking"))
    process = opencode.start("edit")
    wait_until(lambda: len(model.agent_requests) == 2, what="second model call")
    wait_until(lambda: of("step_updated", opencode.client_records(), step="patch"), what="patch")
    process.kill()
    process.communicate()

    found = opencode.client_records()
    assert [r["seq"] for r in found] == list(range(len(found)))
    [finished] = of("tool_finished", found)
    assert texts_of(found, finished) == {"cart.py": "b\n"}
    assert not of("session_idle", found)


def test_the_plugin_changes_nothing_that_can_be_seen(opencode: OpenCode, model: ScriptedModel) -> None:
    """Without and with the plugin: the same output but for ids and times, also where it can write nothing."""
    file = opencode.write_file("cart.py", "a\n")

    def play() -> tuple[list[str], str]:
        file.write_text("a\n")
        model.add(call("edit", filePath=str(file), oldString="a", newString="b"), say("Done."))
        run = opencode.run("edit")
        return [event["type"] for event in run.events], run.stderr

    without = play()
    opencode.install_plugin(command=["/no/such/program"])
    assert play() == without
    log = (opencode.logs / "plugin.log").read_text()
    assert "cannot start lsp-tap observe" in log
    kept = len(opencode.client_records())

    moved = opencode.logs.rename(opencode.project / "kept")
    opencode.logs.symlink_to(moved)
    assert play() == without
    assert (moved / "plugin.log").read_text() == log
    assert len(opencode.client_records()) == kept
