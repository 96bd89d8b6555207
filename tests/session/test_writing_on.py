"""A writer that stays writes what one that starts anew would, whatever becomes of the journals meanwhile."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lsp_tap.journal.reader import JournalReader, Unreadable
from lsp_tap.journal.retention import Limits, compress_finished
from lsp_tap.session.attribution import Attribution
from lsp_tap.session.ownership import Ownership
from lsp_tap.session.recording import Recording
from lsp_tap.session.writer import SessionWriter, write_sessions
from lsp_tap.timeline.fold import ServerFold
from tests.session.growing import ALL, GOLDEN, grow, list_lines, read_files, write_all, write_each

STOPS = int(os.environ.get("LSP_TAP_STOPS", "3"))
CONTINUED = GOLDEN / "a-session-that-is-continued-by-another-client-has-one-history"
SHARED = GOLDEN / "two-sessions-that-share-a-server-are-each-credited-with-their-own"
RESTARTED = GOLDEN / "a-restarted-server-goes-on-where-it-was"
LONG_AGO_S = 946_684_800


@pytest.mark.parametrize("golden", ALL, ids=lambda folder: folder.name)
def test_a_recording_read_as_it_grows_gives_the_same_bytes_at_every_stop(golden: Path, tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path)
    for _ in grow(golden, tmp_path, STOPS):
        assert write_each(writer) == write_all(SessionWriter(tmp_path))


@pytest.mark.parametrize("golden", [CONTINUED, SHARED, RESTARTED], ids=lambda folder: folder.name)
def test_so_it_does_at_every_line_of_those_with_several_processes(golden: Path, tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path)
    for _ in grow(golden, tmp_path, len(list_lines(golden)) // 4):
        assert write_each(writer) == write_all(SessionWriter(tmp_path))


def test_only_what_is_new_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    read_new_lines = JournalReader.read_new_lines

    def count(reader: JournalReader) -> Iterator[bytes | Unreadable]:
        for line in read_new_lines(reader):
            assert isinstance(line, bytes)
            read.append(len(line))
            yield line

    monkeypatch.setattr(JournalReader, "read_new_lines", count)
    writer = SessionWriter(tmp_path)
    for _ in grow(RESTARTED, tmp_path, 12):
        write_all(writer)
    assert sum(read) == sum(len(line) for _, line in list_lines(RESTARTED))


@pytest.mark.parametrize("where", [ServerFold, Attribution, Ownership], ids=lambda owner: owner.__name__)
def test_after_a_failure_in_the_middle_nothing_is_missing(
    where: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = {ServerFold: "step", Attribution: "update", Ownership: "find_steps"}[where]
    work, fails = getattr(where, name), False

    def work_or_fail(*args: object) -> object:
        done = work(*args)
        if fails:
            raise MemoryError
        return done

    monkeypatch.setattr(where, name, work_or_fail)
    writer, failed = SessionWriter(tmp_path), 0
    for _ in grow(RESTARTED, tmp_path, 12):
        fails = True
        try:
            write_all(writer)
        except MemoryError:
            failed += 1
        fails = False
        assert write_each(writer) == write_all(SessionWriter(tmp_path))
    assert failed > 3


def compress(folder: Path) -> None:
    for path in (folder / "tap").glob("*.jsonl"):
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    assert compress_finished(folder / "tap")


def prune(folder: Path) -> None:
    for path in (folder / "tap").glob("*.jsonl"):
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    write_sessions(folder, limits=Limits(age_s=1e12, size_bytes=0))


def remove(folder: Path) -> None:
    next((folder / "tap").glob("server-*")).unlink()


def cut(folder: Path) -> None:
    """Another file with the beginning of the old one, as a copy that is put back."""
    path = next((folder / "tap").glob("server-*"))
    whole = path.read_bytes()
    path.rename(path.with_suffix(".old"))
    path.write_bytes(whole[: whole.index(b"\n", len(whole) // 2) + 1])


def cut_in_place(folder: Path) -> None:
    path = next((folder / "tap").glob("server-*"))
    os.truncate(path, path.stat().st_size // 2)


def put_another_before(folder: Path) -> None:
    """A journal that began before all others and comes to light now."""
    path = next((folder / "tap").glob("server-*"))
    (folder / "tap" / "server-0-20200101T000000Z-1.jsonl").write_bytes(
        path.read_bytes().replace(b'"time_us":17', b'"time_us":16')
    )


@pytest.mark.parametrize("happen", [compress, prune, remove, cut, cut_in_place, put_another_before])
def test_what_becomes_of_the_journals_is_noticed(happen: Callable[[Path], None], tmp_path: Path) -> None:
    shutil.copytree(RESTARTED / "tap", tmp_path / "tap")
    writer = SessionWriter(tmp_path)
    before = write_each(writer)
    happen(tmp_path)
    if happen is prune:
        for _ in writer.write():
            pass
        assert read_files(tmp_path) == before
        return
    assert write_each(writer) == write_all(SessionWriter(tmp_path))


def test_a_client_that_is_outlived_by_another_with_its_session_is_read_in_its_place(tmp_path: Path) -> None:
    """Both have the session open, and speak in turn."""
    lines = [(name, line) for name, line in list_lines(CONTINUED) if name.startswith("client-")]
    names = list(dict.fromkeys(name for name, _ in lines))
    assert len(names) == 2
    by_name = {name: [line for other, line in lines if other == name] for name in names}
    (tmp_path / "tap").mkdir()
    writer = SessionWriter(tmp_path)
    outdated = 0
    for number in range(max(map(len, by_name.values()))):
        for name in names:
            with (tmp_path / "tap" / name).open("ab") as file:
                file.writelines(by_name[name][number : number + 1])
            assert write_each(writer) == write_all(SessionWriter(tmp_path))
    recording = Recording(tmp_path)
    recording.read()
    with (tmp_path / "tap" / names[0]).open("ab") as file:
        file.write(by_name[names[0]][-2])
    recording.read()
    outdated += recording.is_outdated
    assert outdated
