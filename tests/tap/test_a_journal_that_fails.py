"""Recording must not harm the recorded: whatever happens to the journal, the bytes flow."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from lsp_tap.journal.records import Dropped, Frame
from tests.tap.tapped import peer, tap, wait_until

MESSAGE = {"id": 1, "method": "m", "params": {"text": "x" * 2000}}


# Writes past the limit fail with EFBIG, as they do with ENOSPC on a full disk (Python ignores SIGXFSZ).
NO_ROOM = "ulimit -S -f 40"
ROOM_BYTES = 40 * 512


def test_a_full_disk_stops_the_journal_not_the_session(tmp_path: Path) -> None:
    with tap(peer("echo"), tmp_path, prepare=NO_ROOM) as tapped:
        for _ in range(50):
            tapped.send_message(MESSAGE)
            assert tapped.read_message()["id"] == 1
        out, err = tapped.finish()
        assert out == b""
        assert tapped.wait() == 0
        assert err.decode().count("\n") == 1
        assert "cannot write all of" in err.decode()
        data = tapped.journal_path.read_bytes()
        assert data.endswith(b"}\n")
        assert 0 < len(data) <= ROOM_BYTES


def test_when_there_is_room_again_the_journal_says_what_it_missed(tmp_path: Path) -> None:
    with tap(peer("echo"), tmp_path, prepare=NO_ROOM) as tapped:
        sent = 0

        def talk() -> bool:
            nonlocal sent
            tapped.send_message(MESSAGE)
            sent += 1
            return bool(tapped.read_message())

        wait_until(lambda: talk() and sent > 20, "the limit")
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(tapped.process.pid, resource.RLIMIT_FSIZE, unlimited)
        wait_until(lambda: talk() and "dropped" in tapped.read_kinds(), "the journal to go on")
        tapped.finish()
        entries = tapped.read_journal()
        (dropped,) = [entry for entry in entries if isinstance(entry, Dropped)]
        frames = [entry for entry in entries if isinstance(entry, Frame)]
        assert dropped.reason == "File too large"
        assert len(frames) + dropped.count == 2 * sent


def test_no_text_builds_on_one_that_was_lost(tmp_path: Path) -> None:
    text = "".join(f"line {number} of it\n" for number in range(60))
    with tap(peer("echo"), tmp_path, prepare=NO_ROOM) as tapped:
        sent = 0

        def talk() -> bool:
            nonlocal sent
            sent += 1
            document, changes = {"uri": f"file:///{sent % 3}", "version": sent}, [{"text": f"{text}{sent // 3}"}]
            params = {"textDocument": document, "contentChanges": changes}
            tapped.send_message({"method": "textDocument/didChange", "params": params})
            return bool(tapped.read_message())

        wait_until(lambda: talk() and sent > 60, "the limit")
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(tapped.process.pid, resource.RLIMIT_FSIZE, unlimited)
        limited_bytes = tapped.journal_path.stat().st_size
        wait_until(
            lambda: talk() and b'"base"' in tapped.journal_path.read_bytes()[limited_bytes:], "the journal to go on"
        )
        tapped.finish()
        frames = [entry for entry in tapped.read_journal() if isinstance(entry, Frame)]
        assert all(frame.has_message for frame in frames)
        for frame in frames:
            version = frame.message["params"]["textDocument"]["version"]
            assert frame.message["params"]["contentChanges"] == [{"text": f"{text}{version // 3}"}]


def unusable(how: str, folder: Path) -> str:
    if how == "file":
        folder.write_text("")
        return "it is not a folder"
    if how == "link":
        (folder.parent / "elsewhere").mkdir()
        folder.symlink_to(folder.parent / "elsewhere")
        return "it is a symbolic link"
    if how == "link in it":
        (folder.parent / "elsewhere").mkdir()
        folder.mkdir()
        (folder / "tap").symlink_to(folder.parent / "elsewhere")
        return "it is a symbolic link"
    assert how == "read-only"
    return "cannot write to /proc"


@pytest.mark.parametrize("how", ["file", "link", "link in it", "read-only"])
def test_without_a_journal_the_session_goes_on(how: str, tmp_path: Path) -> None:
    folder = Path("/proc/logs") if how == "read-only" else tmp_path / "logs"
    reason = unusable(how, folder)
    with tap(peer("echo"), folder, options=()) as tapped:
        tapped.send_message(MESSAGE)
        assert tapped.read_message()["id"] == 1
        out, err = tapped.finish()
        assert (out, tapped.wait()) == (b"", 0)
        assert err.decode().count("\n") == 1
        assert reason in err.decode()
        assert "unrecorded" in err.decode()
    if "link" in how:
        assert list((tmp_path / "elsewhere").iterdir()) == []
