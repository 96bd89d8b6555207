"""A disk that fails under the recorders: the bytes go on, what is missing is counted, and one line says so."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lsp_tap.journal.records import Dropped
from lsp_tap.journal.room import RESERVE_SHARE
from lsp_tap.session.writer import write_sessions
from lsp_tap.wiring.doctor import check_journals
from tests.faults.journals import read_valid_prefix
from tests.soak.load import pause
from tests.tap.tapped import Tapped, peer, tap, wait_until

INJECTED = Path(__file__).parent / "injected"
GOLDEN = Path(__file__).parents[1] / "golden"
MESSAGE = {"id": 1, "method": "m", "params": {"text": "x" * 2000}}
SMALL_BYTES = 64 << 10
ROOM_BYTES = 4 << 20
RESERVE_BYTES = ROOM_BYTES // RESERVE_SHARE
"""Of so small a disk the tap leaves that much free."""


def talk(tapped: Tapped, count: int) -> None:
    """Messages there and back: the bytes flow."""
    for _ in range(count):
        tapped.send_message(MESSAGE)
        assert tapped.read_message()["id"] == 1


def check_told_once(tapped: Tapped, words: str) -> None:
    """Ends the session: nothing else came out, it ended as its server did, and one line on standard error says why."""
    out, err = tapped.finish()
    assert (out, tapped.wait()) == (b"", 0)
    assert err.decode().count("\n") == 1
    assert words in err.decode()


def count_told(tap_folder: Path) -> tuple[int, int]:
    """Frames, and how many records are said to be missing; as often as `doctor` says it."""
    (path,) = tap_folder.glob("server-*.jsonl")
    records = read_valid_prefix(path)
    dropped = sum(record["count"] for record in records if record["kind"] == "dropped")
    check = check_journals(tap_folder)
    assert check.status == ("warn" if dropped else "ok")
    assert f"1 journals, {dropped} records dropped" in check.detail
    return sum(record["kind"] == "frame" for record in records), dropped


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS], ids=errno.errorcode.get)
def test_writing_that_fails_for_a_while(number: int, tmp_path: Path) -> None:
    fault = tmp_path / "fault"
    environment = {"PYTHONPATH": str(INJECTED), "LSP_TAP_TEST_DISK": str(fault)}
    with tap(peer("echo"), tmp_path / "logs", environment=environment) as tapped:
        talk(tapped, 10)
        wait_until(lambda: tapped.read_kinds().count("frame") == 20, "the journal")
        fault.write_text(str(number))
        for _ in range(30):
            talk(tapped, 1)
            pause(0.02)
        assert tapped.read_kinds().count("frame") == 20
        fault.unlink()
        sent = 40

        def talk_on() -> bool:
            nonlocal sent
            talk(tapped, 1)
            sent += 1
            return "dropped" in tapped.read_kinds()

        wait_until(talk_on, "the journal to go on")
        check_told_once(tapped, os.strerror(number))
    frames, dropped = count_told(tmp_path / "logs" / "tap")
    assert dropped > 0
    assert frames + dropped == 2 * sent


class SmallDisk:
    """A folder with little room, and a shell's words before which it is one. A file system of its own where that can
    be mounted, in a namespace that ends with the process; else a limit on the size of files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._unshare = next((words for words in (["unshare", "-m"], ["unshare", "-rm"]) if _can_run(words)), None)
        if self._unshare is None:
            self.reason = os.strerror(errno.EFBIG)
            self.prepare = f"ulimit -S -f {SMALL_BYTES // 512}"
            return
        self.reason = "only 0 MB are left on the disk"
        mount = f"mount -t tmpfs -o size={ROOM_BYTES} tmpfs"
        fill = f"head -c {ROOM_BYTES - RESERVE_BYTES - SMALL_BYTES} /dev/zero"
        inner = f'{mount} "$0" && {fill} >"$0/other" && exec "$@"'
        self.prepare = f"exec {' '.join(self._unshare)} sh -c '{inner}' '{folder}' \"$@\""

    def see(self, pid: int) -> Path:
        """The folder as a process in it has it."""
        return self.folder if self._unshare is None else Path(f"/proc/{pid}/root{self.folder}")

    def make_room(self, pid: int) -> None:
        if self._unshare is None:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        else:
            (self.see(pid) / "other").unlink()


def _can_run(words: list[str]) -> bool:
    mount = [*words, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return (
        shutil.which("unshare") is not None and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    )


def test_a_disk_that_is_full_until_there_is_room(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path / "disk")
    with tap(peer("echo"), disk.folder, prepare=disk.prepare) as tapped:
        sent = 0

        def talk_on(condition: Callable[[], bool]) -> Callable[[], bool]:
            def check() -> bool:
                nonlocal sent
                talk(tapped, 1)
                sent += 1
                return condition()

            return check

        tapped.folder = disk.see(tapped.process.pid)
        talk(tapped, 1)
        sent += 1
        wait_until(lambda: tapped.read_kinds().count("frame") == 2, "the journal")
        size = -1

        def is_full() -> bool:
            nonlocal size
            grown = size != (size := tapped.journal_path.stat().st_size)
            return not grown and sent > 100

        wait_until(talk_on(is_full), "the disk to be full")
        assert size <= SMALL_BYTES
        disk.make_room(tapped.process.pid)
        wait_until(talk_on(lambda: "dropped" in tapped.read_kinds()[:-1]), "a record of what was lost")
        wait_until(talk_on(lambda: tapped.read_kinds()[-1] == "frame"), "the journal to go on")
        kept = tmp_path / "kept" / "tap"
        shutil.copytree(tapped.folder / "tap", kept)
        check_told_once(tapped, disk.reason)
    frames, dropped = count_told(kept)
    assert dropped > 0
    assert frames + dropped <= 2 * sent


def test_a_folder_that_is_removed_while_it_is_recorded_to(tmp_path: Path) -> None:
    logs = tmp_path / "project" / "logs"
    with tap(peer("echo"), logs) as tapped:
        talk(tapped, 10)
        wait_until(lambda: tapped.read_kinds().count("frame") == 20, "the journal")
        shutil.rmtree(logs)
        talk(tapped, 10)
        wait_until(logs.exists, "a new folder")
        sent = 20

        def talk_on() -> bool:
            nonlocal sent
            talk(tapped, 1)
            sent += 1
            return "frame" in tapped.read_kinds()

        wait_until(talk_on, "the journal to go on")
        check_told_once(tapped, "the journal was removed")
        started, *_, stopped = tapped.read_kinds()
        assert (started, stopped) == ("tap_started", "tap_stopped")
        (lost,) = [entry for entry in tapped.read_journal() if isinstance(entry, Dropped)]
        assert lost.reason == "the journal was removed"
    frames, dropped = count_told(logs / "tap")
    # The two records that the first file began with are in the second one as well.
    assert frames + dropped == 2 * sent + 2


def test_a_folder_that_is_removed_and_cannot_be_made_again(tmp_path: Path) -> None:
    parent = tmp_path / "project"
    with tap(peer("echo"), parent / "logs") as tapped:
        talk(tapped, 10)
        wait_until(lambda: tapped.read_kinds().count("frame") == 20, "the journal")
        shutil.rmtree(parent)
        parent.write_text("a file")
        talk(tapped, 30)
        check_told_once(tapped, "cannot write all of")
    assert parent.read_text() == "a file"


OBEY = 'exec setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-all "$@"' if os.geteuid() == 0 else ":"
"""What a shell does first so that file modes bind, as they bind everybody but root."""


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    logs = tmp_path / ".opencode-logs"
    logs.mkdir(mode=0o500)
    with tap(peer("echo"), logs, prepare=OBEY, options=()) as tapped:
        talk(tapped, 10)
        check_told_once(tapped, f"cannot write to {logs}: Permission denied; the connection goes on, unrecorded")
    assert list(logs.iterdir()) == []
    ran = run_obeying([sys.executable, "-m", "lsp_tap", "doctor", "--json"], tmp_path)
    checks = {check["name"]: check for check in json.loads(ran.stdout)}
    assert (checks["recordings"]["status"], checks["recordings"]["remedy"]) == ("fail", f"run: chmod 700 {logs}")


def test_a_folder_that_becomes_read_only_while_it_is_recorded_to(tmp_path: Path) -> None:
    """The journal that is open goes on."""
    with tap(peer("echo"), tmp_path, prepare=OBEY) as tapped:
        talk(tapped, 10)
        wait_until(lambda: tapped.read_kinds().count("frame") == 20, "the journal")
        for folder in (tmp_path / "tap", tmp_path):
            folder.chmod(0o500)
        talk(tapped, 10)
        assert tapped.finish() == (b"", b"")
    assert count_told(tmp_path / "tap") == (40, 0)


def run_obeying(command: list[str], folder: Path, first: str = OBEY) -> subprocess.CompletedProcess[str]:
    shell = ["sh", "-c", f'{first}; exec "$@"', "sh", *command]
    environment = {**os.environ, "HOME": str(folder), "LSP_TAP_DIR": ""}
    return subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_session_files_that_cannot_be_written_stay_as_they_were(how: str, tmp_path: Path) -> None:
    """And nothing half written is left; when there is room they are written."""
    logs = tmp_path / ".opencode-logs"
    shutil.copytree(GOLDEN / "a-function-that-is-moved-takes-its-error-along" / "tap", logs / "tap")
    (written,) = write_sessions(logs)
    whole = {path.name: path.read_bytes() for path in logs.iterdir() if path.is_file()}
    assert len(whole[written.session_path.name]) > SMALL_BYTES // 16
    written.session_path.write_text("{}")
    names = sorted(path.name for path in logs.iterdir())
    if how == "read-only":
        logs.chmod(0o500)
    first = OBEY if how == "read-only" else f"ulimit -S -f {SMALL_BYTES // 16 // 512}"
    ran = run_obeying([sys.executable, "-m", "lsp_tap", "write", "--all", "--dir", str(logs)], tmp_path, first)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.count("\n") == 1
    assert {"full": "File too large", "read-only": "Permission denied"}[how] in ran.stderr
    assert sorted(path.name for path in logs.iterdir()) == names
    assert written.session_path.read_text() == "{}"
    logs.chmod(0o700)
    write_sessions(logs)
    assert {path.name: path.read_bytes() for path in logs.iterdir() if path.is_file()} == whole
