"""The acceptance: real OpenCode, real servers, and numbers that are exactly right."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.session.writer import write_sessions
from lsp_tap.wiring.scripted_model import Failure, ScriptedModel, call, say
from tests.e2e.opencode import OpenCode, Run, tapped, wait_until
from tests.e2e.servers import Server, list_servers
from tests.e2e.waiting import once_reported

pytestmark = pytest.mark.live

Json = dict[str, Any]


@pytest.fixture(params=list_servers(), ids=lambda server: server.id)
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.param
    return found


@pytest.fixture
def opencode(tmp_path: Path) -> Iterator[OpenCode]:
    with ScriptedModel() as model:
        yield OpenCode(tmp_path, model)


def prepare(opencode: OpenCode, server: Server, *, tap: bool = True) -> str:
    """The project with its broken file, the server behind the tap, the plugin; returns the file's path."""
    for name, text in server.files.items():
        opencode.write_file(name, text)
    path = opencode.write_file(server.file, server.broken)
    command = tapped(server.command, name=server.id) if tap else list(server.command)
    opencode.write_config(lsp=server.lsp(command))
    opencode.install_plugin()
    opencode.commit()
    return str(path)


def edit(path: str, old: str, new: str) -> Any:
    return call("edit", filePath=path, oldString=old, newString=new)


def write(opencode: OpenCode, run: Run) -> tuple[Json, Json | None]:
    """The session and training files, as they are on disk after the plugin's own writer and one more."""
    (written,) = write_sessions(opencode.logs, [run.session_id], settle_limit_s=10)
    training = json.loads(written.training_path.read_text()) if written.training_path else None
    return json.loads(written.session_path.read_text()), training


def lsp_of(outcome: Json) -> list[int | None]:
    lsp = outcome["metrics"]["lsp"]
    assert lsp["errorsAfter"] == lsp["errorsBefore"] - lsp["errorsCleared"] + lsp["errorsIntroduced"]
    return [lsp[f"errors{name}"] for name in ("Before", "After", "Cleared", "Introduced", "Persisted")]


def deltas(actions: list[Json]) -> list[tuple[int, int, int] | None]:
    found = [action.get("lspDelta") for action in actions]
    return [(len(d["cleared"]), len(d["introduced"]), d["persisted"]) if d else None for d in found]


def test_a_session_of_edits_has_exactly_the_numbers_the_server_saw(opencode: OpenCode, server: Server) -> None:
    path = prepare(opencode, server)
    first = server.broken.splitlines(keepends=True)[0]
    opencode.model.add(
        call("read", filePath=path),
        once_reported(opencode, edit(path, *server.mend)),
        once_reported(opencode, edit(path, first, server.comment * 3 + first)),
        once_reported(opencode, edit(path, first, server.breaks + first)),
        once_reported(opencode, edit(path, "no such text anywhere", "")),
        once_reported(opencode, edit(path, server.breaks, "")),
        once_reported(opencode, say("Mended.")),
    )
    run = opencode.run(f"Mend the error in {server.file}")
    assert run.exit_code == 0, run.stderr
    session, training = write(opencode, run)
    (turn,) = session["turns"]
    assert lsp_of(turn["outcome"]) == [2, 1, 1, 0, 1]
    assert deltas(session["toolCalls"]) == [None, (1, 0, 1), (0, 0, 1), (0, 1, 1), None, (1, 0, 1)]
    assert turn["outcome"]["metrics"]["lsp"]["baseline"] == "observed"
    assert turn["outcome"]["metrics"]["lsp"]["freshness"] == "fresh"
    assert turn["outcome"]["metrics"]["lsp"]["servers"] == [server.id]
    assert [action["success"] for action in session["toolCalls"]] == [True, True, True, True, False, True]
    assert turn["outcome"]["success"], turn["outcome"]["reasons"]
    assert training is not None
    example = training["examples"][0]
    assert example["input"]["task"] == f"Mend the error in {server.file}"
    assert example["outcome"]["metrics"]["lspErrorsCleared"] is True
    errors = example["input"]["context"]["lspDiagnostics"]["errors"]
    assert [error["file"] for error in errors] == [server.file] * 2
    assert example["input"]["context"]["gitStatus"]["branch"] == "main"
    assert example["agent"]["model"] == "scripted/m"
    assert example["output"]["response"] == "Mended."
    assert session["parentId"] is None


def test_a_failed_model_call_leaves_a_session_that_says_why_and_no_training_file(
    opencode: OpenCode, server: Server
) -> None:
    path = prepare(opencode, server)
    opencode.model.add(
        call("read", filePath=path), once_reported(opencode, edit(path, *server.mend)), Failure(400, "no more words")
    )
    run = opencode.run("Mend it")
    session, training = write(opencode, run)
    (turn,) = session["turns"]
    assert training is None
    assert not list(opencode.logs.glob("dspy-*"))
    assert turn["outcome"]["success"] is False
    assert any("no more words" in reason for reason in turn["outcome"]["reasons"])
    assert lsp_of(turn["outcome"]) == [2, 1, 1, 0, 1]
    assert "SUCCESS=false" in (opencode.logs / "plugin.log").read_text()


def test_the_plugin_itself_starts_the_writer_when_the_session_is_idle(opencode: OpenCode) -> None:
    server = list_servers()[0]
    path = prepare(opencode, server)
    opencode.model.add(call("read", filePath=path), once_reported(opencode, edit(path, *server.mend)), say("Mended."))
    run = opencode.run("Mend it")
    wait_until(lambda: list(opencode.logs.glob("dspy-*.json")), timeout_s=30, what="dspy file")
    wait_until(lambda: "SUCCESS=true" in (opencode.logs / "plugin.log").read_text(), timeout_s=30, what="log line")
    assert (opencode.logs / f"session-{run.session_id}.json").is_file()
    first = (opencode.logs / f"dspy-{run.session_id}.json").read_bytes()
    write(opencode, run)
    assert (opencode.logs / f"dspy-{run.session_id}.json").read_bytes() == first


def test_opencodes_own_diagnostics_are_the_same_through_the_tap(opencode: OpenCode, server: Server) -> None:
    path = prepare(opencode, server, tap=False)
    without = opencode.debug_diagnostics(server.file)[path]
    opencode.write_config(lsp=server.lsp(tapped(server.command, name=server.id)))
    assert opencode.debug_diagnostics(server.file)[path] == without
    assert len(without) >= 2
    assert opencode.journals("server-")


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT, None], ids=str)
def test_no_tap_and_no_server_outlives_opencode(
    opencode: OpenCode, server: Server, ending: signal.Signals | None
) -> None:
    path = prepare(opencode, server)
    if ending is None:
        opencode.model.add(call("read", filePath=path), once_reported(opencode, say("Read.")))
        opencode.run("Read it")
    else:
        opencode.model.add(
            call("read", filePath=path), once_reported(opencode, call("bash", command="sleep 60", description="wait"))
        )
        process = opencode.start("Read it")
        wait_until(lambda: _processes_in(opencode.project, "sleep 60"), timeout_s=60, what="bash call")
        assert _processes_in(opencode.project, "lsp_tap run")
        process.send_signal(ending)
        process.communicate(timeout=20)
    ours = "lsp_tap run", server.command[0]
    wait_until(
        lambda: not any(_processes_in(opencode.project, words) for words in ours),
        timeout_s=5,
        what="end of tap and server",
    )


def _processes_in(project: Path, words: str) -> list[str]:
    """Command lines that hold `words` of processes working in `project`."""
    found = []
    listed = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        pid, _, arguments = line.strip().partition(" ")
        if words not in arguments:
            continue
        try:
            if os.readlink(f"/proc/{pid}/cwd").startswith(str(project)):
                found.append(arguments)
        except OSError:
            continue
    return found
