"""kill -9 of the session writer at random points, over journals that end at random points."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lsp_tap.session.models import SessionFile, TrainingFile
from lsp_tap.session.writer import write_sessions
from tests.faults.seeds import list_rounds, told_of
from tests.soak.load import pause
from tests.tap.tapped import wait_until

GOLDEN = Path(__file__).parents[1] / "golden"
SCENARIOS = sorted(path.parent for path in GOLDEN.glob("*/expected.json"))
USUAL_S = 1.5
"""About how long the writer runs."""


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(5, id="short"),
        pytest.param(170, id="full", marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
def test_a_killed_writer_leaves_whole_files_and_the_next_one_writes_them_all(count: int, tmp_path: Path) -> None:
    written = killed = 0
    for name, randomness in list_rounds(count):
        folder = tmp_path / name.replace("/", "-")
        with told_of(name):
            found, was_killed = write_and_kill(folder, randomness)
        written, killed = written + found, killed + was_killed
        shutil.rmtree(folder)
    sys.stdout.write(f"{killed} writers killed, {written} files left whole by them\n")
    assert killed > count / 3


def write_and_kill(folder: Path, randomness: random.Random) -> tuple[int, bool]:
    """Two writers killed, the second one on longer journals than the first; then one that is left alone.
    How many files they left, and whether any was still at work when it was killed.
    """
    scenarios = randomness.sample(SCENARIOS, 4)
    logs, apart = folder / "logs", folder / "apart"
    put_journals(scenarios, logs, randomness)
    first_killed = kill_writer(logs, randomness)
    found = check_files(logs)
    put_journals(scenarios, logs, None)
    second_killed = kill_writer(logs, randomness)
    found += check_files(logs)
    put_journals(scenarios, apart, None)
    write_sessions(apart)
    write_sessions(logs)
    assert read_files(logs) == read_files(apart)
    assert sorted(path.name for path in logs.iterdir()) == sorted(path.name for path in apart.iterdir())
    return found, first_killed or second_killed


def put_journals(scenarios: list[Path], logs: Path, cut: random.Random | None) -> None:
    """The journals of some recordings in one folder, whole or each up to any byte."""
    (logs / "tap").mkdir(parents=True, exist_ok=True)
    for number, scenario in enumerate(scenarios):
        for journal in sorted((scenario / "tap").iterdir()):
            data = journal.read_bytes()
            # The recordings' sessions have one name; here each is a project's own.
            data = data.replace(b'"session_id":"ses_', b'"session_id":"ses_%d_' % number)
            end = len(data) if cut is None else cut.randint(0, len(data))
            (logs / "tap" / journal.name.replace("Z-", f"Z-{number}")).write_bytes(data[:end])


def kill_writer(logs: Path, randomness: random.Random) -> bool:
    """Starts one and kills it, at some time or when its first files appear. Whether it was still running."""
    before = {path.name for path in logs.iterdir()}
    command = [sys.executable, "-m", "lsp_tap", "write", "--all", "--dir", str(logs)]
    writer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if randomness.random() < 0.3:
        pause(randomness.random() * USUAL_S)
    else:
        wait_until(lambda: writer.poll() is not None or {path.name for path in logs.iterdir()} != before, "a file", 60)
        pause(randomness.random() * 0.05)
    writer.kill()
    return writer.wait() != 0


def check_files(logs: Path) -> int:
    """Every file is whole. How many there are."""
    files = read_files(logs)
    for name, content in files.items():
        model = SessionFile if name.startswith("session-") else TrainingFile
        model.model_validate_json(content)
    return len(files)


def read_files(logs: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in logs.iterdir() if path.name.startswith(("session-", "dspy-"))}
