"""A session is written from the journals it needs, as it would be from all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.journal.reader import JournalReader, Unreadable, read_folder
from lsp_tap.journal.retention import Limits
from lsp_tap.journal.stored import plain_path
from lsp_tap.session.recording import read_recording
from lsp_tap.session.scope import INDEX_NAME, Index, Scope, find_scope, read_index, write_index
from lsp_tap.session.writer import SessionNotRecorded, SessionWriter
from tests.session.growing import ALL, GOLDEN, put_on_day, read_files, write_all

KEEP_ALL = Limits(age_s=1e12, size_bytes=1 << 60, plain_s=1e12, plain_bytes=1 << 60)
KEEP_NONE = Limits(age_s=1e12, size_bytes=0)
CONTINUED = "a-session-that-is-continued-by-another-client-has-one-history"
DAYS = [*[golden for golden in ALL if golden.name != CONTINUED][::4], GOLDEN / CONTINUED]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some days of recordings, all written and in the index."""
    folder = tmp_path_factory.mktemp("past")
    for day, golden in enumerate(DAYS):
        put_on_day(golden, folder, day, chr(ord("a") + day))
    for _ in SessionWriter(folder).write(limits=KEEP_ALL):
        pass
    return folder


@pytest.fixture
def project(past: Path, tmp_path: Path) -> Path:
    return shutil.copytree(past, tmp_path / "project", copy_function=shutil.copy2)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the journals of which more than the first line was read."""
    names: set[str] = set()
    read_new_lines = JournalReader.read_new_lines

    def note(reader: JournalReader) -> Iterator[bytes | Unreadable]:
        names.add(reader.path.name)
        yield from read_new_lines(reader)

    monkeypatch.setattr(JournalReader, "read_new_lines", note)
    return names


def write(folder: Path, session_id: str, **options: Any) -> dict[str, bytes]:
    """What is written for that session alone."""
    for path in (*folder.glob("session-*.json"), *folder.glob("dspy-*.json")):
        path.unlink()
    for _ in SessionWriter(folder, scope=Scope()).write([session_id], **options):
        pass
    return read_files(folder)


def list_names(folder: Path, day: int) -> set[str]:
    return {plain_path(path).name for path in (folder / "tap").iterdir() if f"-202601{1 + day:02}T" in path.name}


@pytest.mark.parametrize("day", range(len(DAYS)), ids=lambda day: DAYS[day].name)
def test_each_session_is_written_as_from_all_journals(day: int, project: Path, read: set[str]) -> None:
    whole = write_all(SessionWriter(project))
    read.clear()
    index = read_index(project / "tap")
    mine = [client for name, client in index.clients.items() if name in list_names(project, day)]
    for session_id in frozenset().union(*(client.sessions for client in mine)):
        files = write(project, session_id)
        assert files == {name: whole[name] for name in files}
        assert f"session-{session_id}.json" in files
    assert read <= list_names(project, day)
    assert read


def test_a_session_that_goes_on_needs_the_journals_it_began_in(project: Path, read: set[str]) -> None:
    old, new = sorted(
        name for name in read_index(project / "tap").clients if name in list_names(project, len(DAYS) - 1)
    )
    clients = dict(read_index(project / "tap").clients)
    del clients[new]  # as if it were still being written
    write_index(project / "tap", Index(clients))
    whole = write_all(SessionWriter(project))
    read.clear()
    files = write(project, f"ses_1{chr(ord('a') + len(DAYS) - 1)}")
    assert files == {name: whole[name] for name in files}
    assert {old, new} <= read <= list_names(project, len(DAYS) - 1)


@pytest.mark.parametrize(
    "content", [None, b"", b"{", b'{"format":2}', b'{"clients":{"x":{"bytes":"","sessions":[1]}}}', b"[]", b"\xff"]
)
def test_an_index_that_is_not_there_or_cannot_be_read_is_made_anew(
    content: bytes | None, project: Path, read: set[str]
) -> None:
    path = project / "tap" / INDEX_NAME
    before = path.read_bytes()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    assert write(project, "ses_1a", limits=KEEP_ALL)
    assert {journal.path.name for journal in read_folder(project / "tap")} == read
    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_index_is_no_link_that_somebody_put_there(project: Path, tmp_path: Path) -> None:
    path, elsewhere = project / "tap" / INDEX_NAME, tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    assert read_index(project / "tap") == Index()
    assert write(project, "ses_1a", limits=KEEP_ALL)
    assert not path.is_symlink()
    assert elsewhere.read_bytes() == before


def test_it_knows_of_a_journal_only_when_that_is_finished(project: Path) -> None:
    index = read_index(project / "tap")
    assert set(index.clients) == {j.path.name for j in read_folder(project / "tap") if j.kind == "client"}
    growing = project / "tap" / sorted(index.clients)[0]
    lines = growing.read_bytes().splitlines(keepends=True)
    started = json.loads(lines[0]) | {"pid": os.getpid()}
    growing.write_bytes(json.dumps(started).encode() + b"\n" + b"".join(lines[1:-1]))
    (project / "tap" / INDEX_NAME).unlink()
    for _ in SessionWriter(project).write(limits=KEEP_ALL):
        pass
    assert read_index(project / "tap").clients.keys() == index.clients.keys() - {growing.name}


@pytest.mark.parametrize("wanted", ["ses_1b", "ses_1", "last"])
def test_who_names_a_session_reads_what_is_needed_to_find_it(wanted: str, project: Path, read: set[str]) -> None:
    whole = [*read_recording(project).history.sessions]
    read.clear()
    recording = read_recording(project, find_scope(project / "tap", [wanted]))
    heard_us = {session_id: session.last_us for session_id, session in recording.history.sessions.items()}
    if wanted == "last":
        assert max(heard_us, key=lambda session_id: heard_us[session_id]) == whole[-1]
        assert read <= list_names(project, len(DAYS) - 1)
    else:
        assert set(heard_us) >= {session_id for session_id in whole if session_id.startswith(wanted)}


def test_a_client_that_was_taken_for_finished_and_goes_on_is_read_again(project: Path) -> None:
    """One in a container, say: seen from outside, no process has its id."""
    path = project / "tap" / sorted(read_index(project / "tap").clients)[0]
    started, *rest = (json.loads(line) for line in path.read_bytes().splitlines())
    more = json.dumps([record for record in rest if "session_id" in record]).replace("ses_1a", "ses_new")
    with path.open("a") as file:
        file.writelines(json.dumps(record | {"seq": 10_000 + n}) + "\n" for n, record in enumerate(json.loads(more)))
    assert started["kind"] == "client_started"
    assert "session-ses_new.json" in write(project, "ses_new")


def test_a_session_that_nobody_recorded_is_told_of(project: Path) -> None:
    with pytest.raises(SessionNotRecorded):
        write(project, "ses_nobody")


def test_the_past_is_pruned_without_being_read(project: Path, read: set[str]) -> None:
    """Where its files are there; else it is read, written, and pruned."""
    before = read_files(project)
    missing = project / "session-ses_1b.json"
    missing.unlink()
    for _ in SessionWriter(project, scope=Scope()).write(["ses_1a"], limits=KEEP_NONE):
        pass
    assert read_files(project) == before
    assert read <= list_names(project, 0) | list_names(project, 1)
    index = read_index(project / "tap")
    assert index.pruned == {plain_path(journal.path).name for journal in read_folder(project / "tap")}
    heads = {path.name: path.read_bytes() for path in (project / "tap").glob("*.zst")}
    assert len(heads) == len(index.pruned)
    for _ in SessionWriter(project, scope=Scope()).write([], limits=KEEP_NONE):
        pass
    assert {path.name: path.read_bytes() for path in (project / "tap").glob("*.zst")} == heads
