"""The writer that stays, in a process of its own as the plugin starts it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from lsp_tap.session.following import follow_sessions
from lsp_tap.session.writer import SessionWriter
from tests.session.growing import GOLDEN, grow, read_files, write_all

SHARED = GOLDEN / "two-sessions-that-share-a-server-are-each-credited-with-their-own"
FIXED = GOLDEN / "a-fix-and-a-deletion-are-told-apart"


def start(folder: Path, *sessions: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lsp_tap", "write", "--follow", "--dir", str(folder), "--", *sessions]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1)


def pipe_of(file: IO[str] | None) -> IO[str]:
    assert file is not None
    return file


def write_anew(folder: Path, elsewhere: Path) -> dict[str, bytes]:
    shutil.copytree(folder / "tap", elsewhere / "tap")
    return write_all(SessionWriter(elsewhere))


def test_it_writes_each_session_it_is_told_of_and_ends_with_its_input(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    with start(logs) as writer:
        wanted = pipe_of(writer.stdin)
        for stop, _ in enumerate(grow(FIXED, logs, 3)):
            wanted.write("ses_1\n")
            assert Path(pipe_of(writer.stdout).readline().strip()) == logs / "session-ses_1.json"
            pipe_of(writer.stdout).readline()
            assert read_files(logs) == write_anew(logs, tmp_path / str(stop))
        wanted.close()
        assert writer.wait(30) == 0
        assert pipe_of(writer.stderr).read() == ""


def test_what_came_to_rest_is_written_though_nobody_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = tmp_path / "logs"
    shutil.copytree(SHARED / "tap", logs / "tap")
    written: list[str] = []
    for started_us, expected in ((1_767_225_600_000_000, ["ses_1", "ses_2"]), (4_000_000_000_000_000, [])):
        monkeypatch.setattr(time, "time_ns", lambda started_us=started_us: started_us * 1000)
        with (tmp_path / "nothing").open("wb+") as nothing:
            follow_sessions(logs, nothing.fileno(), [], lambda w: written.append(w.session.session_id), fail)
        assert written == expected
        written.clear()


def fail(message: str) -> None:
    raise AssertionError(message)


def test_a_session_nobody_recorded_is_told_of_and_stops_nobody(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    shutil.copytree(FIXED / "tap", logs / "tap")
    with start(logs, "ses_9", "ses_1") as writer:
        out, err = writer.communicate("ses_8\n../ses_1\n", timeout=60)
    assert writer.returncode == 1
    assert str(logs / "session-ses_1.json") in out
    assert [line.split(":")[0] for line in err.splitlines()] == ["lsp-tap"] * 4
    assert "'ses_9'" in err
    assert err.splitlines()[-1] == "lsp-tap: 3 sessions could not be written"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs"]


def test_without_a_recording_it_leaves_nothing_behind(tmp_path: Path) -> None:
    with start(tmp_path / "logs") as writer:
        _, err = writer.communicate("", timeout=60)
    assert (writer.returncode, err) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_several_at_once_and_one_that_is_killed_leave_whole_files(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    shutil.copytree(SHARED / "tap", logs / "tap")
    writers = [start(logs, "ses_1", "ses_2") for _ in range(3)]
    pipe_of(writers[0].stdout).readline()
    writers[0].kill()
    for writer in writers:
        with writer:
            writer.communicate("ses_2\nses_1\n" if writer is not writers[0] else None, timeout=60)
    assert [writer.returncode for writer in writers] == [-9, 0, 0]
    assert read_files(logs) == write_anew(logs, tmp_path / "anew")
    assert not list(logs.glob(".*.new"))
