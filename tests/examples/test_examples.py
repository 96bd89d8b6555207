"""Every example is run as a reader would run it, with a student and a teacher on the loopback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.models import teacher_and_student
from tests.training.recordings import answer, write_recordings, write_session

HERE = Path(__file__).parent
OPTIMISERS = [f"with_{name}" for name in ("bootstrap_few_shot", "gepa", "labeled_few_shot", "miprov2", "simba")]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recordings(tmp_path_factory.mktemp("recordings"))


def run(name: str, folder: Path, *arguments: str, **environment: str) -> str:
    settings = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "TQDM_DISABLE": "1", "DSPY_CACHEDIR": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, str(HERE / f"{name}.py"), *arguments],
        cwd=folder,
        env={**os.environ, **settings, **environment, "PYTHONPATH": str(HERE.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()[-1]


def test_the_seeds_snippet_runs_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / ".opencode-logs").mkdir()
    write_session(tmp_path / ".opencode-logs", "ses_123", "/srv/shop", ["retunr", "heigth"], breaks=False)
    said = answer("heigth", "order.py")
    assert run("seed_snippet", tmp_path) == f"inputs ['context', 'task'], labels ['actions', 'response']: {said}"


def test_all_optimisers_are_shown() -> None:
    assert sorted(path.stem for path in HERE.glob("with_*.py")) == OPTIMISERS


@pytest.mark.parametrize("name", OPTIMISERS)
def test_an_optimiser_ends_in_a_program_that_scores_better_on_held_out_turns(
    name: str, recordings: Path, tmp_path: Path
) -> None:
    with teacher_and_student() as model:
        models = {"STUDENT": "openai/student", "TEACHER": "openai/teacher", "API_BASE": model.url}
        said = run(name, tmp_path, str(recordings), **models)
    measured = re.fullmatch(r"held out: ([\d.]+) before, ([\d.]+) with .+", said)
    assert measured, said
    before, after = map(float, measured.groups())
    assert 0 <= before < after <= 100
