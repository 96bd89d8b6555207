"""A wall clock that is set back while client and servers run changes nothing in the files of their sessions."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.session.recording import read_recording
from lsp_tap.session.writer import SessionWriter
from tests.session.growing import ALL, GOLDEN, grow, list_lines, write_all

RESTARTED = GOLDEN / "a-restarted-server-goes-on-where-it-was"
MINUTE_US, DAY_US = 60_000_000, 86_400_000_000
BOOT_US = 1_767_000_000_000_000
"""When the steady clock of the machine was zero."""


def set_back(golden: Path, folder: Path, steps: dict[int, int]) -> Path:
    """The recording as it would be, had the clock been set back at those times, by so many microseconds each."""
    tap = folder / "tap"
    tap.mkdir(parents=True)

    def show(time_us: float) -> float:
        return time_us - sum(by_us for at_us, by_us in steps.items() if time_us >= at_us)

    for path in sorted((golden / "tap").iterdir()):
        with (tap / path.name).open("w") as file:
            for line in path.read_text("utf-8").splitlines():
                record: dict[str, Any] = json.loads(line)
                record["monotonic_us"] = running_us = record["time_us"] - BOOT_US
                if record["kind"] == "tap_started":
                    record["uptime_us"] = running_us
                elif record["kind"] == "client_started":
                    record["uptime_us"] = running_us // 1_000_000 * 1_000_000
                record["time_us"] = show(record["time_us"])
                for name in [name for name in record if name.endswith("_ms")]:
                    record[name] = show(record[name] * 1000) / 1000
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return folder


def read_times_us(golden: Path) -> list[int]:
    return sorted(json.loads(line)["time_us"] for _, line in list_lines(golden))


@pytest.mark.parametrize("golden", ALL, ids=lambda folder: folder.name)
def test_a_session_in_which_the_clock_is_set_back_is_like_one_in_which_it_is_not(golden: Path, tmp_path: Path) -> None:
    chance = random.Random(golden.name)
    records = [json.loads(line) for _, line in list_lines(golden)]
    # A client that starts later cannot know what the clock was before.
    started_us = max(record["time_us"] for record in records if record["kind"] == "client_started")
    at_us = chance.choice([record["time_us"] for record in records if record["time_us"] > started_us])
    steps = {at_us: chance.randrange(MINUTE_US, DAY_US)}
    same = write_all(SessionWriter(set_back(golden, tmp_path / "same", {})))
    assert same
    assert write_all(SessionWriter(set_back(golden, tmp_path / "back", steps))) == same


def test_it_may_be_set_back_more_than_once(tmp_path: Path) -> None:
    times_us = read_times_us(RESTARTED)
    steps = {times_us[len(times_us) * part // 4]: part * MINUTE_US for part in (1, 2, 3)}
    same = write_all(SessionWriter(set_back(RESTARTED, tmp_path / "same", {})))
    assert write_all(SessionWriter(set_back(RESTARTED, tmp_path / "back", steps))) == same


def test_a_server_that_is_started_when_it_was_set_back_goes_on_where_it_was(tmp_path: Path) -> None:
    *_, restarted = sorted((RESTARTED / "tap").glob("server-*"))
    at_us = json.loads(restarted.read_bytes().splitlines()[0])["time_us"]
    recording = read_recording(set_back(RESTARTED, tmp_path, {at_us: DAY_US}))
    (timeline,) = recording.timelines
    assert list(timeline.times_us) == sorted(timeline.times_us)


def test_so_it_is_when_the_journals_are_read_as_they_grow(tmp_path: Path) -> None:
    times_us = read_times_us(RESTARTED)
    back = set_back(RESTARTED, tmp_path / "back", {times_us[len(times_us) // 2]: DAY_US})
    writer = SessionWriter(tmp_path / "grown")
    for _ in grow(back, tmp_path / "grown", 12):
        assert write_all(writer) == write_all(SessionWriter(tmp_path / "grown"))


@pytest.mark.parametrize("by_us", [-DAY_US, 900_000], ids=["ahead", "corrected"])
def test_a_clock_that_is_set_ahead_or_only_corrected_is_believed(by_us: int, tmp_path: Path) -> None:
    times_us = read_times_us(RESTARTED)
    folder = set_back(RESTARTED, tmp_path, {times_us[len(times_us) // 2]: by_us})
    shown_us = {json.loads(line)["time_us"] for _, line in list_lines(folder)}
    timelines = read_recording(folder).timelines
    assert timelines
    assert all(shown_us.issuperset(timeline.times_us) for timeline in timelines)
