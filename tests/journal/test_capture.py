"""What a capture's name means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lsp_tap.journal.capture import CaptureNotFound, is_capture_name, is_live, open_capture, read_merged, read_sessions
from lsp_tap.journal.reader import Unreadable
from tests.inspect.recorded import CLIENT_PID, RecordedClient, RecordedTap


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two client processes: one with the session ses_first and the tap alpha, then one with ses_second and beta."""
    logs = tmp_path / ".opencode-logs"
    RecordedTap(logs, "alpha", at_ms=10, pid=1)
    first, second = RecordedClient(logs), RecordedClient(logs, pid=CLIENT_PID + 1)
    first.session("ses_first", 0, 100)
    second.session("ses_second", 200, 300)
    beta = RecordedTap(logs, "beta", at_ms=210, pid=2)
    beta.path.write_text(beta.path.read_text().replace(str(CLIENT_PID), str(CLIENT_PID + 1)))
    return logs


def list_taps(names: list[str], folder: Path) -> list[str]:
    return [journal.path.name.split("-")[1] for journal in open_capture(names, folder).taps]


def test_a_file_a_tap_folder_and_a_logs_folder_are_captures(folder: Path) -> None:
    (path,) = (folder / "tap").glob("server-alpha*")
    assert list_taps([str(path)], Path("/nowhere")) == ["alpha"]
    assert list_taps([str(folder / "tap")], Path("/nowhere")) == ["alpha", "beta"]
    assert list_taps([str(folder)], Path("/nowhere")) == ["alpha", "beta"]
    assert list_taps([str(path), str(folder)], Path("/nowhere")) == ["alpha", "beta"]


def test_without_a_name_all_that_is_recorded_is_meant(folder: Path) -> None:
    assert list_taps([], folder) == ["alpha", "beta"]


def test_a_session_is_the_taps_that_ran_for_its_client(folder: Path) -> None:
    assert list_taps(["ses_first"], folder) == ["alpha"]
    assert open_capture(["ses_first"], folder).session_ids == ("ses_first",)
    assert list_taps(["ses_s"], folder) == ["beta"]
    assert list_taps(["last"], folder) == ["beta"]


def test_the_beginning_of_two_sessions_is_refused(folder: Path) -> None:
    with pytest.raises(CaptureNotFound, match="several sessions begin so"):
        open_capture(["ses_"], folder)


def test_without_sessions_the_last_capture_is_the_tap_that_started_last(tmp_path: Path) -> None:
    RecordedTap(tmp_path, "alpha", at_ms=5)
    RecordedTap(tmp_path, "beta", at_ms=1, pid=2)
    assert list_taps(["last"], tmp_path) == ["alpha"]


@pytest.mark.parametrize("name", ["last", "x.jsonl", "ses_other"])
def test_what_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CaptureNotFound):
        open_capture([name], tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("last", True), ("gone.jsonl", True), ("./gone", True), ("ses_first", True), ("ses_fi", True),
     ("hover", False), ("textDocument/hover", False), ("ses", False)],
)  # fmt: skip
def test_a_word_among_others_is_a_capture_only_if_it_can_be_nothing_else(
    folder: Path, name: str, expected: bool
) -> None:
    assert is_capture_name(name, folder) is expected


def test_entries_come_by_time_and_each_journal_in_its_own_order(folder: Path) -> None:
    capture = open_capture([], folder)
    entries = [entry for _, entry in read_merged([*capture.taps, *capture.clients])]
    times = [entry.time_us for entry in entries if not isinstance(entry, Unreadable)]
    assert times == sorted(times)
    assert len(times) == 8
    assert list(read_merged([])) == []


def test_sessions_are_listed_in_the_order_they_were_last_heard_of(folder: Path) -> None:
    heard = read_sessions(open_capture([], folder).clients)
    assert list(heard) == ["ses_first", "ses_second"]
    assert heard["ses_second"].client_pids == {CLIENT_PID + 1}


def test_a_tap_is_live_while_its_process_runs_and_it_has_not_said_its_end(tmp_path: Path) -> None:
    tap = RecordedTap(tmp_path, pid=os.getpid())
    (journal,) = open_capture([], tmp_path).taps
    assert is_live(journal)
    tap.stop()
    assert not is_live(journal)
