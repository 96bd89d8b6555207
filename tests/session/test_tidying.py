"""What becomes of journals once their sessions are written: the files stay what they were."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from lsp_tap.journal.reader import read_folder
from lsp_tap.journal.retention import Limits
from lsp_tap.journal.stored import open_journal
from lsp_tap.session.build import Builder
from lsp_tap.session.models import SessionFile
from lsp_tap.session.recording import Recording, read_recording
from lsp_tap.session.writer import SessionPruned, encode_json, read_session, write_sessions

GOLDEN = Path(__file__).parents[1] / "golden"
FOLDERS = [
    GOLDEN / name
    for name in (
        "a-server-that-dies-in-the-middle-of-a-turn-knows-nothing-of-what-follows",
        "a-session-that-is-continued-by-another-client-has-one-history",
        "an-edit-that-mends-another-file-counts-with-a-server-that-is-asked-in-two-ways",
        "two-servers-on-one-file-have-two-findings",
        "what-a-sub-agent-mended-counts-for-the-task-and-for-itself",
    )
]
SHARED = GOLDEN / "what-a-sub-agent-mended-counts-for-the-task-and-for-itself"
CONTINUED = GOLDEN / "a-session-that-is-continued-by-another-client-has-one-history"
LONG_AGO_S = 946_684_800
KEEP_ALL = Limits(age_s=1e12, size_bytes=1 << 60)
KEEP_NONE = Limits(age_s=1e12, size_bytes=0)


def copy(golden: Path, folder: Path) -> Path:
    shutil.copytree(golden / "tap", folder / "tap")
    for path in (folder / "tap").iterdir():
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    return folder


def read_written(folder: Path) -> dict[str, bytes]:
    paths = [*folder.glob("session-*.json"), *folder.glob("dspy-*.json")]
    return {path.name: path.read_bytes() for path in paths}


def read_journals(folder: Path) -> dict[str, bytes]:
    contents = {}
    for journal in read_folder(folder / "tap"):
        file, _ = open_journal(journal.path)
        with file:
            contents[journal.path.name.removesuffix(".zst")] = file.read()
    return contents


@pytest.mark.parametrize("golden", FOLDERS, ids=lambda folder: folder.name)
def test_the_same_bytes_come_out_before_and_after_compression(golden: Path, tmp_path: Path) -> None:
    folder = copy(golden, tmp_path)
    write_sessions(folder)
    before, journals = read_written(folder), read_journals(folder)
    assert before
    write_sessions(folder, limits=KEEP_ALL)
    assert all(path.name.endswith(".jsonl.zst") for path in (folder / "tap").glob("[a-z]*"))
    assert read_journals(folder) == journals
    for path in folder.glob("*.json"):
        path.unlink()
    write_sessions(folder, limits=KEEP_ALL)
    assert read_written(folder) == before


@pytest.mark.parametrize("golden", FOLDERS, ids=lambda folder: folder.name)
def test_after_pruning_the_files_are_kept_and_read(golden: Path, tmp_path: Path) -> None:
    folder = copy(golden, tmp_path)
    built = {item.session.session_id: item for item in write_sessions(folder, limits=KEEP_NONE)}
    before, journals = read_written(folder), read_journals(folder)
    assert sum(map(len, journals.values())) < sum(path.stat().st_size for path in (golden / "tap").iterdir())
    for asked in (None, list(built)):
        kept = write_sessions(folder, asked, limits=KEEP_NONE)
        assert {item.session.session_id for item in kept} == set(built)
        assert all(item.is_kept for item in kept)
        assert [item.training_path for item in kept] == [built[k.session.session_id].training_path for k in kept]
    assert read_written(folder) == before
    assert read_journals(folder) == journals, "a head is not cut again"
    recording = read_recording(folder)
    assert recording.problems == []
    builder = Builder(recording.history, recording.timelines)
    assert set(recording.history.sessions) == set(built)
    for session_id, item in built.items():
        again = read_session(folder, builder, session_id)
        assert isinstance(again, SessionFile)
        assert encode_json(again) == encode_json(item.session) == item.session_path.read_bytes()
        item.session_path.unlink()
        with pytest.raises(SessionPruned):
            read_session(folder, builder, session_id)
        with pytest.raises(SessionPruned):
            write_sessions(folder, [session_id])
    assert write_sessions(folder) == []


def test_a_session_that_was_not_written_yet_is_written_before_its_journal_goes(tmp_path: Path) -> None:
    folder = copy(SHARED, tmp_path / "a")
    everything = copy(SHARED, tmp_path / "b")
    write_sessions(everything)
    first, *others = sorted(read_recording(folder).history.sessions)
    assert others
    written = write_sessions(folder, [first], limits=KEEP_NONE)
    assert [item.session.session_id for item in written] == [first]
    assert read_written(folder) == read_written(everything)


def test_a_session_that_goes_on_keeps_its_old_journals(tmp_path: Path) -> None:
    """What counts is when the session was last heard of, by whichever client, not how old a file is."""
    folder = copy(CONTINUED, tmp_path)
    journals = read_journals(folder)
    (session,) = read_recording(folder).history.sessions.values()
    assert len(session.clients) == 2
    since_s = time.time() - session.last_us / 1e6
    write_sessions(folder, limits=Limits(since_s + 3600, 1 << 60))
    assert read_journals(folder) == journals
    write_sessions(folder, limits=Limits(since_s - 3600, 1 << 60))
    assert read_recording(folder).history.pruned == {session.session_id}
    assert all(b'"pruned"' in content for content in read_journals(folder).values())


def test_a_recording_that_is_followed_does_not_mind(tmp_path: Path) -> None:
    folder = copy(SHARED, tmp_path)
    followed = Recording(folder)
    assert followed.read()
    before = [
        encode_json(Builder(followed.history, followed.timelines).build_session(s)) for s in followed.history.sessions
    ]
    write_sessions(folder, limits=KEEP_ALL)
    assert not followed.read()
    write_sessions(folder, limits=KEEP_NONE)
    assert not followed.read()
    assert followed.problems == []
    again = [
        encode_json(Builder(followed.history, followed.timelines).build_session(s)) for s in followed.history.sessions
    ]
    assert again == before
