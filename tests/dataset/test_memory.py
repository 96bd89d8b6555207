"""Memory does not grow with the sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dataset.generated import write_projects
from tests.dataset.measured import measure_build

GROWN_MB = 40


def measure_peaks(tmp_path: Path, sessions: list[int]) -> list[tuple[float, float]]:
    """(megabytes of sources, megabytes of memory at most) for so many sessions in each of four projects."""
    found = []
    for count in sessions:
        source, output = tmp_path / f"source-{count}", tmp_path / f"output-{count}"
        write_projects(source, 4, count, text_bytes=2000)
        measured = measure_build(source, output, workers=1, part_bytes=1_000_000)
        assert measured["rows"] == 4 * count * 3
        found.append((measured["source_mb"], measured["peak_mb"]))
    return found


@pytest.mark.timeout(300)
def test_five_times_the_sources_take_no_more_memory(tmp_path: Path) -> None:
    (small_mb, small_peak), (large_mb, large_peak) = measure_peaks(tmp_path, [8, 40])
    assert large_mb > 4.9 * small_mb > 9
    assert large_peak < small_peak + GROWN_MB


@pytest.mark.soak
def test_two_hundred_megabytes_take_no_more_memory(tmp_path: Path) -> None:
    (_, small_peak), (large_mb, large_peak) = measure_peaks(tmp_path, [80, 800])
    assert large_mb > 200
    assert large_peak < small_peak + GROWN_MB
