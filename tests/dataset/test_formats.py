"""What others' programs make of the files: `datasets`, pandas, DuckDB, ATIF's schema."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.dataset import Summary, build_dataset
from lsp_tap.dataset.chat import label_edit
from tests.dataset.reading import ALL, build, list_rows


@pytest.fixture
def rows(projects: Path, tmp_path: Path) -> list[dict[str, Any]]:
    return list_rows(build(projects, tmp_path / "plain"))


def write(projects: Path, output: Path, format_name: str) -> Summary:
    return build_dataset([str(projects)], str(output), replace(ALL, format=format_name))


def load(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets  # type: ignore[import-untyped]

    datasets.disable_progress_bars()
    return datasets.load_dataset(str(folder), cache_dir=str(cache))


@pytest.mark.parametrize("format_name", ["hf", "parquet", "jsonl", "openai", "trl", "trl-stepwise", "trl-kto"])
def test_datasets_loads_the_folder(
    projects: Path, tmp_path: Path, format_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = write(projects, tmp_path / "out", format_name)
    loaded = load(tmp_path / "out", tmp_path / "cache", monkeypatch)
    assert {split: len(loaded[split]) for split in loaded} == dict(summary.rows)


def test_a_hugging_face_dataset_has_the_columns_and_their_values(
    projects: Path, tmp_path: Path, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(projects, tmp_path / "out", "hf")
    loaded = load(tmp_path / "out", tmp_path / "cache", monkeypatch)
    found = {row["id"]: row for split in loaded for row in loaded[split]}
    for row in rows:
        same = found[row["id"]]
        args = [json.loads(action["args"]) for action in same["actions"]]
        assert args == [action["args"] for action in row["actions"]]
        assert json.loads(same["context"]) == row["context"]
        for name in ("task", "history", "diagnostics", "success", "errors_cleared", "correctness", "split"):
            assert same[name] == row[name]


def test_pandas_and_duckdb_read_the_table(projects: Path, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    import duckdb
    import pandas  # type: ignore[import-untyped]

    write(projects, tmp_path / "out", "parquet")
    frame = pandas.read_parquet(tmp_path / "out" / "train.parquet")
    assert sorted(frame["id"]) == sorted(row["id"] for row in rows if row["split"] == "train")
    counted = (
        duckdb.connect()
        .execute(
            f"SELECT code, count(*) FROM (SELECT unnest(actions).cleared AS cleared FROM '{tmp_path}/out/*.parquet'), "
            "unnest(cleared) AS t(finding), (SELECT finding.code AS code) GROUP BY code ORDER BY code"
        )
        .fetchall()
    )
    assert counted == [("other", 36), ("rule", 36)]
    lines = pandas.read_json(tmp_path / "plain" / "train.jsonl", lines=True)
    assert len(lines) == len(frame)


def test_a_chat_has_the_calls_and_their_results(projects: Path, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    chats = list_rows(build(projects, tmp_path / "out", format="openai"))
    for row, chat in zip(rows, chats, strict=True):
        messages = chat["messages"]
        assert len(messages) == len(row["history"]) + 1 + 2 * len(row["actions"]) + 1
        asked = messages[len(row["history"])]
        assert asked == {"role": "user", "content": row["task"]}
        assert messages[-1] == {"role": "assistant", "content": row["response"]}
        called = [call for message in messages for call in message.get("tool_calls", ())]
        assert [json.loads(call["function"]["arguments"]) for call in called] == [a["args"] for a in row["actions"]]
        answered = [message["tool_call_id"] for message in messages if message["role"] == "tool"]
        assert answered == [call["id"] for call in called]
        named = {tool["function"]["name"]: tool["function"]["parameters"] for tool in chat["tools"]}
        for action in row["actions"]:
            assert set(action["args"]) == set(named[action["tool"]]["properties"])


def test_edits_are_labelled_by_what_they_did(projects: Path, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    stepwise = list_rows(build(projects, tmp_path / "out", format="trl-stepwise"))
    assert len(stepwise) == len(rows)
    for row, steps in zip(rows, stepwise, strict=True):
        assert steps["prompt"] == row["task"]
        assert steps["labels"] == [row["turn"] != 2]
        assert steps["completions"][0].startswith("edit {")


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({}, True),
        ({"introduced": [{}]}, True),
        ({"introduced": [{}, {}]}, False),
        ({"cleared": [{"cleared_by": "suppression"}], "introduced": [{}]}, False),
        ({"is_edit": False}, None),
        ({"baseline": "none"}, None),
        ({"baseline": None}, None),
        ({"freshness": "stale"}, None),
    ],
)
def test_the_label_of_an_edit(fields: dict[str, Any], label: bool | None) -> None:
    edit = {"is_edit": True, "baseline": "observed", "freshness": "fresh", "cleared": [{"cleared_by": "fix"}]}
    assert label_edit({**edit, "introduced": [], **fields}) is label


def test_preferences_are_labelled_by_success(projects: Path, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    chats = list_rows(build(projects, tmp_path / "out", format="trl-kto"))
    assert [chat["label"] for chat in chats] == [row["success"] for row in rows]
    assert chats[0]["prompt"][-1]["content"] == rows[0]["task"]
    assert chats[0]["completion"][-1]["content"] == rows[0]["response"]


def test_trajectories_are_valid_by_atifs_schema(projects: Path, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    from atif import Trajectory
    from pydantic import ValidationError

    lines = list_rows(build(projects, tmp_path / "out", format="atif"))
    for row, line in zip(rows, lines, strict=True):
        trajectory = Trajectory.model_validate(line)
        assert trajectory.session_id == row["id"]
        assert len(trajectory.steps) == len(row["history"]) + 2 + len(row["actions"])
        calls = [call for step in trajectory.steps for call in step.tool_calls or ()]
        assert [call.arguments for call in calls] == [action["args"] for action in row["actions"]]
    with pytest.raises(ValidationError):
        Trajectory.model_validate({**lines[0], "diagnostics": []})


def test_session_traces_are_a_file_a_turn(projects: Path, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    summary = write(projects, tmp_path / "out", "hf-traces")
    assert len(summary.files) == len(rows)
    by_id = {row["id"]: row for row in rows}
    for name in summary.files:
        head, *messages = map(json.loads, (tmp_path / "out" / name).read_text().splitlines())
        row = by_id.pop(head["id"])
        assert name.startswith(f"{row['split']}/")
        assert head["type"] == "session"
        assert head["harness"] == "opencode"
        assert {message["type"] for message in messages} == {"message"}
        assert len(messages) == len(row["history"]) + 2 + 2 * len(row["actions"])
        said = [message["message"] for message in messages]
        assert {role["role"] for role in said} <= {"user", "assistant", "tool"}
        calls = [call for message in said for call in message.get("toolCalls", ())]
        assert all(isinstance(call["function"]["arguments"], str) for call in calls)
