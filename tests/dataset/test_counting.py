from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from lsp_tap.cli import main
from lsp_tap.dataset import build_dataset
from lsp_tap.dataset.counting import Counts, count_sources
from lsp_tap.dataset.picture import write_picture
from lsp_tap.errors import UsageError
from tests.dataset.generated import vary
from tests.dataset.reading import ALL, build, list_rows
from tests.dataset.test_build import write_sessions


def test_counts_are_the_sums_of_the_rows(projects: Path, tmp_path: Path) -> None:
    rows = list_rows(build(projects, tmp_path / "out"))
    counts = count_sources([str(projects)])
    assert (counts.total.turns, counts.total.successes, counts.total.failures) == (108, 72, 36)
    assert (len(counts.sessions), len(counts.repositories)) == (36, 12)
    assert counts.total.success_share == pytest.approx(2 / 3)
    for grouping in ("model", "agent", "language"):
        for name, sums in counts.list_group(grouping):
            alike = [row for row in rows if row[grouping] == name]
            assert sums.turns == len(alike)
            assert sums.successes == sum(row["success"] for row in alike)
            assert sums.read("errors_cleared") == sum(row["errors_cleared"] for row in alike)
    assert counts.cleared == {"basedpyright rule": 36, "basedpyright other": 36}
    assert counts.introduced == {"basedpyright rule": 36}
    assert counts.total.read("input_tokens") is None
    assert counts.total.to_json()["cost"] is None


@pytest.mark.parametrize("format_name", ["jsonl", "parquet", "hf"])
def test_a_dataset_counts_as_its_sources(projects: Path, tmp_path: Path, format_name: str) -> None:
    build_dataset([str(projects)], str(tmp_path / "out"), replace(ALL, format=format_name))
    counts = count_sources([str(tmp_path / "out")])
    assert sum(counts.splits.values()) == 108
    expected = count_sources([str(projects)]).to_json()
    assert {**counts.to_json(), "splits": {}} == expected


def test_files_can_be_named_themselves(projects: Path) -> None:
    logs = projects / "project-0" / ".opencode-logs"
    one = count_sources([str(logs / "session-ses_0.json")])
    assert one.total.turns == 3
    assert count_sources([f"file://{logs}/session-ses_0.json"]).to_json() == one.to_json()
    assert count_sources([f"{logs}/session-ses_*.json"]).total.turns == 9


def test_of_other_formats_it_is_said_that_they_do_not_tell(projects: Path, tmp_path: Path) -> None:
    build_dataset([str(projects)], str(tmp_path / "out"), replace(ALL, format="trl"))
    with pytest.raises(UsageError, match="the format trl"):
        count_sources([str(tmp_path / "out")])
    with pytest.raises(UsageError, match=r"nothing to count: .*no such file or folder"):
        count_sources([str(tmp_path / "nowhere")])


def test_breaking_and_mending_again_in_a_turn_clears_nothing(tmp_path: Path) -> None:
    session = vary(0, 0)
    delta = session["toolCalls"][2]["lspDelta"]
    call = {**session["toolCalls"][2], "callID": "again", "lspDelta": {**delta, "cleared": [], "introduced": []}}
    call["lspDelta"]["cleared"] = [{**error, "clearedBy": "fix"} for error in delta["introduced"]]
    session["toolCalls"].append(call)
    session["turns"][1]["actions"].append("again")
    counts = count_sources([str(write_sessions(tmp_path / "p", [session]))])
    assert counts.introduced == {}
    assert counts.cleared == {"basedpyright rule": 1, "basedpyright other": 1}


def test_tokens_and_money_where_they_are_recorded(tmp_path: Path) -> None:
    session = vary(0, 0)
    metrics = session["turns"][0]["outcome"]["metrics"]
    metrics["tokenCost"] = {"input": 1000, "output": 20, "cache": {"read": 300, "write": None}}
    metrics["cost"] = 0.25
    total = count_sources([str(write_sessions(tmp_path / "p", [session]))]).total
    assert [total.read(f"{name}_tokens") for name in ("input", "output", "cache_read", "cache_write")] == [
        1000,
        20,
        300,
        None,
    ]
    assert total.read("cost") == 0.25


def test_a_table_and_json(projects: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "stats", str(projects)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("108 turns, 36 sessions, 12 repositories\n")
    assert any(line.split()[:3] == ["all", "108", "67%"] for line in out.splitlines())
    assert main(["dataset", "stats", str(projects), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["byAgent"].keys() == {"build", "plan"}


@pytest.fixture(scope="module")
def counts(projects: Path) -> Counts:
    return count_sources([str(projects)])


def find_texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return [text for element in root.iter("{http://www.w3.org/2000/svg}text") for text in element.itertext()]


def test_a_picture_shows_every_bar_by_name(counts: Counts, tmp_path: Path) -> None:
    write_picture(counts, tmp_path / "a.svg")
    write_picture(counts, tmp_path / "b.svg")
    svg = (tmp_path / "a.svg").read_text()
    assert svg == (tmp_path / "b.svg").read_text()
    texts = find_texts(svg)
    names = {name for grouping in counts.groups.values() for name in grouping}
    assert {*names, *counts.cleared, "cleared", "introduced", "success", "failure"} <= set(texts)
    assert "108 turns of 36 sessions, 67% a success" in texts


def test_a_page_needs_nothing_else(counts: Counts, tmp_path: Path) -> None:
    write_picture(counts, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    assert "<svg" in page
    assert "src=" not in page.replace("default-src", "")
    assert "<td>openai/gpt-y</td>" in page
    with pytest.raises(UsageError, match=r"an \.svg or an \.html"):
        write_picture(counts, tmp_path / "a.png")


def test_names_that_a_recording_brings_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    session: dict[str, Any] = vary(0, 0)
    for turn in session["turns"]:
        turn["agent"]["model"] = "<script>$x^2$\x1b[31m" + "y" * 90
    counts = count_sources([str(write_sessions(tmp_path / "p", [session]))])
    write_picture(counts, tmp_path / "a.svg")
    assert any(text.startswith("<script>$x^2$?[31myyy") for text in find_texts((tmp_path / "a.svg").read_text()))
    write_picture(counts, tmp_path / "a.html")
    assert "<script>" not in (tmp_path / "a.html").read_text()
