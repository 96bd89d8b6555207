from __future__ import annotations

import json
from pathlib import Path

from lsp_tap.session.recording import Recording


def write(path: Path, *records: dict[str, object], torn: str = "") -> None:
    lines = [json.dumps({"seq": n, "time_us": n, "monotonic_us": n, **record}) for n, record in enumerate(records)]
    path.write_text("".join(f"{line}\n" for line in lines) + torn, encoding="utf-8")


STARTED: dict[str, object] = {
    "kind": "tap_started", "format": 1, "recorder": "t", "name": "s", "command": ["s"], "cwd": "/p", "pid": 1,
}  # fmt: skip


def test_a_journal_that_was_seen_before_its_first_line_is_followed_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "tap").mkdir()
    path = tmp_path / "tap" / "server-s-1.jsonl"
    recording = Recording(tmp_path)
    for torn in ("", '{"seq":0,"kind":"tap_st'):
        write(path, torn=torn)
        recording.read()
        assert recording.timelines == []
    write(path, STARTED)
    recording.read()
    assert [timeline.name for timeline in recording.timelines] == ["s"]


def test_a_journal_whose_first_line_is_broken_is_reported(tmp_path: Path) -> None:
    (tmp_path / "tap").mkdir()
    (tmp_path / "tap" / "server-s-1.jsonl").write_text("garbage\n")
    recording = Recording(tmp_path)
    recording.read()
    assert [problem.reason for _, problem in recording.problems] == ["not JSON"]
