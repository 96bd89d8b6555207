"""A journal that cannot be written loses records, counts them, and says so as soon as it can."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.errors import JournalUnavailable
from lsp_tap.journal.writer import RETRY_AFTER_US, JournalWriter, create_file, create_folder, name_server_journal


def read_records(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    assert not data or data.endswith(b"\n")
    records = [json.loads(line) for line in data.splitlines()]
    assert [record["seq"] for record in records] == list(range(len(records)))
    return records


class Disk:
    """A file that takes `room` bytes more and then fails, as a full disk does: part of a write may still succeed."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.room = 1 << 30
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, fd: int, data: bytes) -> int:
        if fd != self.fd:
            return self._write(fd, data)
        if not self.room:
            raise OSError(28, "No space left on device")
        count = self._write(fd, bytes(data[: self.room]))
        self.room -= count
        return count


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(tmp_path / "journal", monkeypatch)


def write_batch(writer: JournalWriter, now_us: int, *texts: str) -> None:
    for text in texts:
        writer.write("stderr", b'"text":"%s"' % text.encode(), now_us, now_us)
    writer.flush(now_us)


def test_records_are_numbered_without_gaps(disk: Disk) -> None:
    writer = JournalWriter(disk.fd)
    write_batch(writer, 1, "a", "b")
    write_batch(writer, 2, "c")
    writer.close(3, 3)
    assert [record["text"] for record in read_records(disk.path)] == ["a", "b", "c"]


@pytest.mark.parametrize("room", range(0, 140, 7))
def test_a_full_disk_leaves_whole_lines_and_a_count_of_what_is_missing(disk: Disk, room: int) -> None:
    writer = JournalWriter(disk.fd)
    write_batch(writer, 1, "a")
    disk.room = room
    write_batch(writer, 2, "b", "c", "d")
    kept = [record["text"] for record in read_records(disk.path)]
    assert kept == ["a", "b", "c", "d"][: len(kept)]
    missing = 4 - len(kept)
    assert writer.lost_count == missing
    assert writer.failure == "No space left on device"
    disk.room = 1 << 30
    write_batch(writer, 3, "too soon")
    write_batch(writer, 2 + RETRY_AFTER_US, "e")
    writer.close(9, 9)
    records = read_records(disk.path)
    assert [record.get("text") for record in records[len(kept) :]] == [None, "e"]
    dropped = records[len(kept)]
    assert (dropped["kind"], dropped["count"], dropped["reason"]) == ("dropped", missing + 1, "No space left on device")
    assert writer.failure is None


def test_what_is_owed_when_the_account_itself_is_lost_is_owed_still(disk: Disk) -> None:
    writer = JournalWriter(disk.fd)
    disk.room = 0
    write_batch(writer, 1, "a", "b")
    write_batch(writer, 1 + RETRY_AFTER_US, "c")
    write_batch(writer, 1 + 2 * RETRY_AFTER_US, "d")
    assert read_records(disk.path) == []
    disk.room = 1 << 30
    writer.close(9, 9)
    (dropped,) = read_records(disk.path)
    assert (dropped["count"], writer.lost_count) == (4, 4)


def test_where_a_torn_line_cannot_be_cut_off_the_next_one_begins_anew(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int, length: int) -> None:
        raise OSError(1, "append only")

    monkeypatch.setattr(os, "ftruncate", refuse)
    writer = JournalWriter(disk.fd)
    disk.room = 20
    write_batch(writer, 1, "a")
    disk.room = 1 << 30
    write_batch(writer, 1 + RETRY_AFTER_US, "b")
    writer.close(9, 9)
    torn, *lines = disk.path.read_bytes().splitlines()
    assert len(torn) == 20
    assert [json.loads(line)["kind"] for line in lines] == ["dropped", "stderr"]


def test_folders_and_files_are_for_their_owner_only(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        inner = create_folder(str(tmp_path / "a" / ".opencode-logs"))
        fd, path = create_file(inner, "server-x")
    finally:
        os.umask(old)
    os.close(fd)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    for folder in (inner, os.path.dirname(inner)):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700


def test_a_tap_folder_that_others_could_read_is_closed(tmp_path: Path) -> None:
    (tmp_path / "tap").mkdir(mode=0o755)
    inner = create_folder(str(tmp_path))
    assert stat.S_IMODE(os.stat(inner).st_mode) == 0o700


@pytest.mark.parametrize("link", [".opencode-logs", ".opencode-logs/tap"])
def test_a_link_is_not_followed(tmp_path: Path, link: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalUnavailable, match="symbolic link"):
        create_folder(str(tmp_path / ".opencode-logs"))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tap").touch()
    with pytest.raises(JournalUnavailable, match="not a folder"):
        create_folder(str(tmp_path))


def test_an_existing_file_or_link_is_never_written_to(tmp_path: Path) -> None:
    (tmp_path / "server-x.jsonl").symlink_to(tmp_path / "target")
    (tmp_path / "server-x-2.jsonl").write_text("mine")
    fd, path = create_file(str(tmp_path), "server-x")
    os.close(fd)
    assert path == str(tmp_path / "server-x-3.jsonl")
    assert not (tmp_path / "target").exists()
    assert (tmp_path / "server-x-2.jsonl").read_text() == "mine"


def test_a_name_says_what_when_and_who() -> None:
    assert name_server_journal("../we ird/ü", 1764000000_000000, 42) == "server-.._we_ird__-20251124T160000Z-42"
