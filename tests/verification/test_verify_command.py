from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lsp_tap.cli import main
from tests.e2e.opencode import wait_until
from tests.session.recorded import SESSION
from tests.verification.filed import file_recording
from tests.verification.sessions import Session


def recorded(tmp_path: Path, manner: str) -> Path:
    session = Session()
    session.read("a.py", "bad\nbad one\n")
    session.write("a.py", "bad\nbad one\n", "good\nbad one\n")
    session.write("b.py", "bad\n", "good\n")
    return file_recording(tmp_path, session.finish(), manner)


def test_it_says_what_it_runs_and_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs = recorded(tmp_path, "pull")
    assert main(["verify", "last", "--dir", str(logs)]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("verify runs: ")
    assert lines[0].endswith(f"word_server.py pull  (in {tmp_path / 'project'})")
    assert lines[1].startswith("words: 2 documents opened, 2 changes replayed in ")
    assert lines[3:9] == [
        "Turn 1  filled",
        "    recorded  errors 2 → 1: 1 cleared, 0 introduced; baseline partial, fresh",
        "    verified  errors 3 → 1: 2 cleared, 0 introduced; baseline verified, fresh",
        "  write a.py  same  errors 2 → 1: 1 cleared, 0 introduced; baseline verified, fresh",
        "  write b.py  filled",
        "    recorded  before unknown; fresh",
    ]
    assert err == ""
    assert main(["show", "last", "--dir", str(logs)]) == 0
    assert "baseline verified" in capsys.readouterr().out


def test_json_is_alone_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs = recorded(tmp_path, "push")
    assert main(["verify", SESSION, "--json", "--dir", str(logs)]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["session"], found["measured"]) == (SESSION, True)
    assert [turn["agreement"] for turn in found["turns"]] == ["filled"]
    assert found["turns"][0]["verified"]["before"] == 3
    assert err.startswith("verify runs: ")


def test_a_server_that_cannot_be_measured_is_a_failure_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = recorded(tmp_path, "dying")
    assert main(["verify", "last", "--dir", str(logs)]) == 1
    out, err = capsys.readouterr()
    reason = "it ended with exit code 3: words: out of memory"
    assert f"words: not measured: {reason}" in out
    assert err == f"lsp-tap: could not be measured: words: {reason}\n"


def test_a_session_without_servers_and_one_that_is_not_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = file_recording(tmp_path, Session().finish(), "pull")
    assert main(["verify", "last", "--dir", str(logs)]) == 1
    assert "nothing to measure" in capsys.readouterr().err
    assert main(["verify", "ses_other", "--dir", str(logs)]) == 1
    assert "no session 'ses_other'" in capsys.readouterr().err


def test_an_interrupt_ends_the_server_and_leaves_nothing(tmp_path: Path) -> None:
    logs = recorded(tmp_path, "silent")
    command = [sys.executable, "-m", "lsp_tap", "verify", "last", "--dir", str(logs)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def find_server() -> int | None:
        lines = [line for path in logs.glob(".verifying-*/tap/*.jsonl") for line in path.read_text().splitlines()]
        records = [json.loads(line) for line in lines if '"didOpen"' in line or '"server_started"' in line]
        return next((r["pid"] for r in records if r["kind"] == "server_started"), None)

    pid = wait_until(find_server, what="server")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err.strip()) == (130, "lsp-tap: interrupted")
    wait_until(lambda: not _is_running(pid or 0), timeout_s=5, what="end of the server")
    assert list(logs.glob(".verifying-*")) == []
    assert list(logs.glob("tap/verified-*")) == []


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
