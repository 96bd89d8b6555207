"""One process, several, a cluster of several machines: the same files, byte for byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lsp_tap.dataset import build_dataset
from lsp_tap.dataset.engines import open_engine
from lsp_tap.dataset.storage import list_groups
from lsp_tap.errors import LspTapError
from tests.dataset.generated import vary
from tests.dataset.reading import ALL, build, read_files
from tests.dataset.test_build import copy_with, write_sessions

CLUSTER = Path(__file__).parent / "on_a_cluster.py"
PART_BYTES = 200_000


@pytest.fixture(scope="module")
def sources(projects: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """With equal and nearly equal turns in different parts."""
    session = vary(1, 0, text_bytes=2000)
    more = tmp_path_factory.mktemp("more")
    for n in range(6):
        write_sessions(more / f"{n}", [copy_with(session, n, lambda text, n=n: f"{text} {n // 2}")])
    return [projects, more]


@pytest.fixture(scope="module")
def expected(sources: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("expected") / "out"
    build(sources, folder, part_bytes=PART_BYTES)
    files = read_files(folder)
    assert len(files) > 5
    left_out = json.loads(files["dataset.json"])["leftOut"]
    assert left_out["equal to another"]
    assert left_out["much like another"]
    return files


def test_several_processes(sources: list[Path], expected: dict[str, bytes], tmp_path: Path) -> None:
    build(sources, tmp_path / "out", part_bytes=PART_BYTES, workers=2)
    assert read_files(tmp_path / "out") == expected


@pytest.mark.timeout(600)  # two nodes start slowly on a busy machine
def test_a_ray_cluster_of_several_machines(sources: list[Path], expected: dict[str, bytes], tmp_path: Path) -> None:
    """Two of Ray's nodes, on this machine, with a processor each; input and output by URI."""
    job = {
        "sources": [f"file://{path}" for path in sources],
        "output": f"file://{tmp_path}/out",
        "part_bytes": PART_BYTES,
    }
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-m", "tests.dataset.on_a_cluster", json.dumps(job)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=590, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["nodes"] == 2
    assert len(told["workers"]) > 1
    assert read_files(tmp_path / "out") == expected


def test_a_uri_of_fsspec(sources: list[Path], expected: dict[str, bytes], tmp_path: Path) -> None:
    uris = [f"fsspec+file://{path}" for path in sources]
    (tmp_path / "out").mkdir()
    build_dataset(uris, f"fsspec+file://{tmp_path}/out", ALL)
    found = json.loads((tmp_path / "out" / "dataset.json").read_text())
    wanted = json.loads(expected["dataset.json"])
    assert {name: found[name] for name in found if name != "files"} == {
        name: wanted[name] for name in wanted if name != "files"
    }


def test_listing_a_uri_is_listing_the_folder(sources: list[Path]) -> None:
    here = list_groups([str(sources[0])])
    there = list_groups([f"file://{sources[0]}"])
    assert sorted(group.files for group in here.groups) == sorted(group.files for group in there.groups)
    assert not there.unread
    assert list_groups([f"file://{sources[0]}/none"]).unread


def test_a_process_that_dies_is_said() -> None:
    with open_engine("local", 2, 2) as engine, pytest.raises(LspTapError, match="a process ended"):
        list(engine.run(os._exit, [1, 1]))


def test_results_are_in_the_order_of_the_tasks() -> None:
    for workers in (1, 3):
        with open_engine("local", workers, 10) as engine:
            assert list(engine.run(str, range(10))) == list(map(str, range(10)))
