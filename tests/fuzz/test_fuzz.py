"""Every target from every seed; a short coverage-guided run of each, and in `make soak` ten million in all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.corpus import list_seeds
from tests.fuzz.targets import TARGETS, Choices, load, make_file

SHORT = {"framing": 10_000, "relay": 15_000, "reader": 2_000, "sessions": 800, "growing": 400, "loader": 2_000}
LONG = {
    "framing": 5_000_000,
    "relay": 4_000_000,
    "reader": 300_000,
    "sessions": 200_000,
    "growing": 60_000,
    "loader": 500_000,
}


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_recorded_holds(target: str) -> None:
    seeds = list_seeds(target)
    assert len(seeds) > 2
    for seed in seeds:
        TARGETS[target](seed)


@pytest.mark.parametrize("target", TARGETS)
def test_what_lies_near_it_holds(target: str, tmp_path: Path) -> None:
    fuzz(target, SHORT[target], tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("target", TARGETS)
def test_ten_million_inputs_hold(target: str, tmp_path: Path) -> None:
    assert sum(LONG.values()) >= 10_000_000
    fuzz(target, LONG[target], tmp_path)


def fuzz(target: str, runs: int, folder: Path) -> None:
    options = [f"-runs={runs}", "-seed=1", f"-artifact_prefix={folder}/", "-print_final_stats=1"]
    command = [sys.executable, "-m", "tests.fuzz.run", target, *options]
    ran = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    found = [path.read_bytes() for path in folder.iterdir()]
    assert ran.returncode == 0, f"{found!r}\n{ran.stderr[-3000:]}{ran.stdout[-3000:]}"
    executed = int(ran.stderr.rpartition("number_of_executed_units:")[2].split()[0])
    assert executed >= runs


def test_files_with_odd_values_are_mostly_loaded() -> None:
    """That the loader's law is about more than what is refused."""
    assert sum(load(make_file(Choices(seed))) for seed in list_seeds("loader")) > len(list_seeds("loader")) / 2


def test_a_broken_law_is_found(tmp_path: Path) -> None:
    """That the fuzzer would tell."""
    code = "from tests.fuzz import run, targets\ndef broken(data):\n    assert b'Content' not in data\n"
    code += "targets.TARGETS['framing'] = broken\nrun.main()"
    command = [sys.executable, "-c", code, "framing", "-runs=100", f"-artifact_prefix={tmp_path}/"]
    ran = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    (found,) = tmp_path.iterdir()
    assert b"Content" in found.read_bytes()
