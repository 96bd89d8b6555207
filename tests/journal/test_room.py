"""A running journal leaves room on the disk, and does not outgrow what all journals may take."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from lsp_tap.config import Settings
from lsp_tap.journal import room
from lsp_tap.journal.room import KEEP_MB, RESERVE_BYTES, Room, read_room
from lsp_tap.journal.writer import RETRY_AFTER_US, JournalWriter
from tests.journal.test_writer import read_records, write_batch

MB = 1 << 20


def find_limit_mb(of: Room) -> int:
    """The first size, in MB, that a file may not have."""
    low, high = 0, 1 << 20
    while low < high:
        middle = (low + high) // 2
        try:
            of.check(0, middle * MB, 1)
            low = middle + 1
        except OSError:
            high = middle
    return low


def set_disk(monkeypatch: pytest.MonkeyPatch, *, size_bytes: int, free_bytes: int) -> None:
    found = SimpleNamespace(f_blocks=size_bytes // 512, f_frsize=512, f_bavail=free_bytes // 512)
    monkeypatch.setattr(os, "fstatvfs", lambda _: found)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    set_disk(monkeypatch, size_bytes=1 << 50, free_bytes=1 << 50)
    return tmp_path / "journal"


def open_writer(path: Path, room: Room) -> JournalWriter:
    return JournalWriter(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), None, room)


@pytest.mark.usefixtures("path")
def test_the_limit_is_that_of_all_journals_and_the_writer_and_the_tap_agree_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(tmp_path)
    assert Settings().keep_mb == KEEP_MB
    assert find_limit_mb(read_room(folder)) == KEEP_MB
    (tmp_path / "lsp-tap.toml").write_text("plain_days = 0\nkeep_mb = 7 # MB\n")
    assert find_limit_mb(read_room(folder)) == 7
    monkeypatch.setenv("LSP_TAP_KEEP_MB", "9")
    assert find_limit_mb(read_room(folder)) == 9


@pytest.mark.parametrize("text", ["keep_mb = 'x'", "keep_mb = -1", "[keep_mb", "keep_days = 3", "\ud800"])
@pytest.mark.usefixtures("path")
def test_a_setting_that_makes_no_sense_is_not_the_taps_to_judge(text: str, tmp_path: Path) -> None:
    (tmp_path / "lsp-tap.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert find_limit_mb(read_room(str(tmp_path))) == KEEP_MB


def test_what_would_outgrow_the_limit_is_lost_and_counted_at_the_end(path: Path) -> None:
    writer = open_writer(path, Room(300))
    write_batch(writer, 1, "a", "b")
    write_batch(writer, 2, "c" * 300, "d")
    write_batch(writer, 3 + RETRY_AFTER_US, "e" * 300)
    writer.close(9, 9)
    assert (writer.lost_count, "it has grown to the limit" in writer.lost_reason) == (3, True)
    *kept, dropped = read_records(path)
    assert [record["text"] for record in kept] == ["a", "b"]
    assert (dropped["kind"], dropped["count"]) == ("dropped", 3)


def test_all_journals_together_grow_to_twice_the_limit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several servers run at once; what they have finished is pruned, and then there is room again."""
    monkeypatch.setattr(room, "LOOK_BYTES", 200)
    (path.parent / "others").write_bytes(b"x" * 2000)
    writer = open_writer(path, Room(1000, str(path.parent)))
    write_batch(writer, 1, "a")
    write_batch(writer, 2, "b" * 200)
    write_batch(writer, 3, "c")
    assert (writer.lost_count, "all journals have grown" in (writer.failure or "")) == (1, True)
    (path.parent / "others").write_bytes(b"x" * 100)
    write_batch(writer, 4 + RETRY_AFTER_US, "d")
    writer.close(9, 9)
    assert [record.get("text", record["kind"]) for record in read_records(path)] == ["a", "b" * 200, "dropped", "d"]


@pytest.mark.parametrize("size_bytes", [1 << 40, 1 << 30], ids=["large disk", "small disk"])
def test_the_last_room_on_the_disk_is_not_ours(path: Path, monkeypatch: pytest.MonkeyPatch, size_bytes: int) -> None:
    reserve_bytes = min(RESERVE_BYTES, size_bytes // 20)
    writer = open_writer(path, Room())
    set_disk(monkeypatch, size_bytes=size_bytes, free_bytes=reserve_bytes + 4096)
    write_batch(writer, 1, "a")
    set_disk(monkeypatch, size_bytes=size_bytes, free_bytes=reserve_bytes)
    write_batch(writer, 2, "b")
    assert (writer.lost_count, writer.failure) == (1, f"only {(reserve_bytes - 1) // MB} MB are left on the disk")
    set_disk(monkeypatch, size_bytes=size_bytes, free_bytes=reserve_bytes + 4096)
    write_batch(writer, 3 + RETRY_AFTER_US, "c")
    writer.close(9, 9)
    assert [record.get("text", record["kind"]) for record in read_records(path)] == ["a", "dropped", "c"]


def test_the_error_numbers_are_those_of_a_full_disk_and_a_file_too_large(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.touch()
    with path.open() as file:
        with pytest.raises(OSError, match="keep_mb") as too_large:
            Room(5).check(file.fileno(), 5, 1)
        set_disk(monkeypatch, size_bytes=1 << 40, free_bytes=0)
        with pytest.raises(OSError, match="only 0 MB") as full:
            Room().check(file.fileno(), 5, 1)
    assert (too_large.value.errno, full.value.errno) == (errno.EFBIG, errno.ENOSPC)
