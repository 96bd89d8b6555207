"""The real OpenCode, killed at random points or run twice in one project: what was journalled is computed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lsp_tap.session.models import SessionFile, TrainingFile
from lsp_tap.wiring.scripted_model import ModelRequest, Reply, ScriptedModel, Step, call, say
from tests.e2e.measured import describe_calls, read_session
from tests.e2e.opencode import TAP, OpenCode, tapped, wait_until
from tests.e2e.servers import Server, list_servers
from tests.e2e.waiting import once_reported
from tests.faults.journals import read_valid_prefix
from tests.faults.processes import find_processes, wait_all_gone
from tests.faults.seeds import list_rounds, told_of
from tests.soak.load import pause

pytestmark = pytest.mark.live

END_S = 25.0
"""OpenCode's child ends its tap within five seconds; the writer waits up to ten for the recorders to be quiet."""


def find_clangd() -> Server:
    (server,) = [server for server in list_servers() if server.id == "clangd"]
    return server


def prepare(opencode: OpenCode, *files: str) -> None:
    """A project of broken files, clangd behind the tap, the plugin."""
    server = find_clangd()
    for name in (*server.files, *files):
        opencode.write_file(name, server.files.get(name, server.broken))
    opencode.write_config(lsp=server.lsp(tapped(server.command, name=server.id)))
    opencode.install_plugin()
    opencode.commit()


def edit(file: str, old: str, new: str) -> Reply:
    return call("edit", filePath=file, oldString=old, newString=new)


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(2, id="short"),
        pytest.param(20, id="full", marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
def test_a_kill_during_a_session_loses_nothing_that_was_journalled(count: int, tmp_path: Path) -> None:
    found = 0
    for name, randomness in list_rounds(count):
        with told_of(name):
            found += run_and_kill(tmp_path / name.replace("/", "-"), randomness)
    sys.stdout.write(f"{found} tool calls journalled and computed\n")


def run_and_kill(folder: Path, randomness: random.Random) -> int:
    """One session with a kill in it; how many tool calls are in its file."""
    victims = randomness.choice((("opencode",), ("tap",), ("server",), ("opencode", "tap"), ("tap", "server")))
    at = randomness.choice(("", "client-", "server-"))
    server = find_clangd()
    steps = [
        call("read", filePath=server.file),
        edit(server.file, *server.mend),
        edit(server.file, "int other", server.breaks + "int other"),
        edit(server.file, server.breaks, ""),
        say("Mended."),
    ]
    with ScriptedModel([delay(step, randomness.random() / 2) for step in steps]) as model:
        opencode = OpenCode(folder, model)
        prepare(opencode, server.file)
        process = opencode.start("Mend it")
        wait_until(lambda: not at or opencode.journals(at), timeout_s=60, what=f"journal {at}")
        pause(randomness.random() * 3)
        for victim in victims:
            kill(victim, process, folder)
        process.communicate(timeout=90)
        wait_all_gone(folder, END_S)
        return check_all_is_computed(opencode)


def delay(reply: Reply, seconds: float) -> Reply:
    return Reply(text=reply.text, calls=reply.calls, delay_s=seconds)


def kill(victim: str, process: subprocess.Popen[str], folder: Path) -> None:
    """One that has not started yet, or has ended, is let be."""
    if victim == "opencode":
        process.kill()
        return
    for pid, command in find_processes(folder).items():
        is_tap = "lsp_tap run" in command
        is_server = "background-index" in command and not is_tap
        if (victim, True) in (("tap", is_tap), ("server", is_server)):
            os.kill(pid, signal.SIGKILL)


def check_all_is_computed(opencode: OpenCode) -> int:
    """The command line's writer, with nobody else left: every journalled session has its file, with its calls."""
    for path in opencode.journals():
        read_valid_prefix(path)
    records = opencode.client_records()
    sessions = {record["session_id"] for record in records if "session_id" in record}
    calls = {record["call_id"] for record in records if record["kind"] == "tool_updated"}
    writing = [*TAP, "write", "--all", "--dir", str(opencode.logs)]
    written = subprocess.run(writing, capture_output=True, text=True, check=False, timeout=60)
    if not sessions:
        assert written.stderr.count("\n") <= 1
        return 0
    assert (written.returncode, written.stderr) == (0, "")
    assert {path.name for path in opencode.logs.glob("session-*")} == {f"session-{id}.json" for id in sessions}
    for path in opencode.logs.glob("dspy-*"):
        TrainingFile.model_validate_json(path.read_bytes())
    files = [json.loads(path.read_bytes()) for path in opencode.logs.glob("session-*")]
    assert {action["callID"] for file in files for action in file["toolCalls"]} == calls
    for path in opencode.logs.glob("session-*"):
        SessionFile.model_validate_json(path.read_bytes())
    return len(calls)


def test_two_opencodes_in_one_project_keep_their_sessions_apart(tmp_path: Path) -> None:
    """Each has a tap and a server of its own, and they record into one folder at the same time.

    The second starts when the first has its session: OpenCodes that make or open their own database at once may fail
    ("database is locked").
    """
    server = find_clangd()
    files = ("left.cpp", "right.cpp")

    def once(reply: Reply) -> Step:
        return lambda request: once_reported(opencode, reply)(request)

    def have_begun(count: int) -> None:
        def count_sessions() -> int:
            records = (record for path in opencode.journals("client-") for record in read_valid_prefix(path))
            return len({record["session_id"] for record in records if "session_id" in record})

        wait_until(lambda: count_sessions() == count, timeout_s=60, what=f"{count} sessions")

    def end_together(request: ModelRequest) -> Reply:
        have_begun(len(files))
        return once_reported(opencode, say("Mended."))(request)

    def script(file: str) -> list[Step]:
        breaking = edit(file, "int other", server.breaks + "int other")
        return [call("read", filePath=file), once(edit(file, *server.mend)), once(breaking), end_together]

    with ScriptedModel(scripts={file: script(file) for file in files}) as model:
        opencode = OpenCode(tmp_path, model)
        prepare(opencode, *files)
        started = {}
        for file in files:
            started[file] = opencode.start(f"Mend {file}")
            have_begun(len(started))
        ids = {}
        for file, process in started.items():
            out, err = process.communicate(timeout=90)
            assert process.returncode == 0, err
            ids[file] = json.loads(out.splitlines()[0])["sessionID"]
    wait_all_gone(tmp_path, END_S)
    assert len(opencode.journals("server-")) == len(opencode.journals("client-")) == 2
    for file, session_id in ids.items():
        assert describe_calls(read_session(opencode, session_id)) == [
            "read",
            f"edit {file}: 2 -> 1 (-1 +0 =1) observed fresh",
            f"edit {file}: 1 -> 2 (-0 +1 =1) observed fresh",
        ]
        assert (opencode.logs / f"session-{session_id}.json").is_file()
