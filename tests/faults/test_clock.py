"""The wall clock is set back, or far ahead, in the middle of a session."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from lsp_tap.session.recording import read_recording
from lsp_tap.wiring.doctor import check_journals
from tests.faults.journals import read_valid_prefix
from tests.faults.test_disk import INJECTED
from tests.tap.tapped import Tapped, peer, tap, wait_until

URI = "file:///a.py"
HOUR_S = 3600


def change(tapped: Tapped, version: int) -> None:
    document = {"uri": URI, "version": version}
    text = f"text {version}"
    if version == 0:
        full = {**document, "languageId": "python", "text": text}
        tapped.send_message({"method": "textDocument/didOpen", "params": {"textDocument": full}})
    else:
        changes = {"textDocument": document, "contentChanges": [{"text": text}]}
        tapped.send_message({"method": "textDocument/didChange", "params": changes})


@pytest.mark.parametrize("step_s", [-HOUR_S, HOUR_S], ids=["back", "ahead"])
def test_a_clock_that_is_set_changes_nothing_but_the_times(step_s: int, tmp_path: Path) -> None:
    """The probe goes on asking, the journal keeps its order, and the fold says the same of every version."""
    clock = tmp_path / "clock"
    environment = {"PYTHONPATH": str(INJECTED), "LSP_TAP_TEST_CLOCK": str(clock)}
    server = peer("pull_server", str(tmp_path / "received"), "static")
    with tap(server, tmp_path / "logs", environment=environment, options=()) as tapped:
        tapped.send_message({"id": 0, "method": "initialize", "params": {}})
        tapped.read_message()
        tapped.send_message({"method": "initialized", "params": {}})
        for version in range(4):
            if version == 2:
                clock.write_text(str(step_s))
            change(tapped, version)
            wait_until(lambda: count_answers(tapped) > version, "the probe's question and its answer")  # noqa: B023
        assert tapped.finish() == (b"", b"")
        assert tapped.wait() == 0
        records = read_valid_prefix(tapped.journal_path)
    times_us = [record["time_us"] for record in records]
    steps_us = [after - before for before, after in pairwise(times_us)]
    assert max(steps_us, key=abs) == pytest.approx(step_s * 1_000_000, rel=0.01)
    monotonic_us = [record["monotonic_us"] for record in records]
    assert monotonic_us == sorted(monotonic_us)
    assert not any(record["kind"] == "dropped" for record in records)
    (timeline,) = read_recording(tmp_path / "logs").timelines
    assert [change.text for change in timeline.changes] == [f"text {version}" for version in range(4)]
    assert [report.change for report in timeline.reports if report.asked_by == "tap"] == timeline.changes

    check = check_journals(tmp_path / "logs" / "tap")
    assert (check.status, "the clock was set back 1 times" in check.detail) == ("ok", step_s < 0)


def count_answers(tapped: Tapped) -> int:
    return sum(frame.probe for frame in tapped.read_frames("server_to_client"))
