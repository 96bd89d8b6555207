from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from lsp_tap.dataset import Options, build_dataset
from lsp_tap.dataset.build import NothingToExport
from lsp_tap.dataset.options import Privacy, Selection
from lsp_tap.dataset.splitting import choose_split, parse_splits
from lsp_tap.errors import UsageError
from lsp_tap.redaction.environment import mark_environment
from tests.dataset.generated import START, vary, write_project
from tests.dataset.reading import ALL, UNDIVIDED, build, list_rows, privacy, read_files
from tests.redaction.planted import TOKENS


def select(**fields: Any) -> Options:
    return replace(ALL, selection=Selection(**{"outcome": "all", **fields}))


def test_a_row_has_what_was_recorded(projects: Path, tmp_path: Path) -> None:
    rows = {row["id"]: row for row in list_rows(build(projects, tmp_path / "out"))}
    assert len(rows) == 12 * 3 * 3
    first, second, third = (rows[f"ses_4:{turn}"] for turn in (1, 2, 3))
    session = vary(4, 1, text_bytes=150)
    assert first["task"] == session["turns"][0]["task"]
    assert first["response"] == session["turns"][0]["output"]["response"]
    assert first["model"] == session["turns"][0]["agent"]["model"]
    assert [action["tool"] for action in first["actions"]] == ["read", "edit"]
    assert first["actions"][0]["args"] == {
        "filePath": session["toolCalls"][0]["args"]["filePath"].replace("ada", "user")
    }
    assert [error["code"] for error in first["actions"][1]["cleared"]] == ["rule", "other"]
    assert (first["errors_before"], first["errors_after"], first["cleared_by_fix"]) == (2, 0, 2)
    assert [len(row["history"]) for row in (first, second, third)] == [0, 2, 4]
    assert third["history"][0]["content"] == first["task"]
    assert [row["success"] for row in (first, second, third)] == [True, False, True]
    assert first["servers"] == ["basedpyright"]
    assert first["language"] in ("python", "typescript", "go")
    assert first["repository"] == "/home/user/project-1"
    assert {len(row) for row in rows.values()} == {len(first)}


def test_successes_are_taken_unless_others_are_asked_for(projects: Path, tmp_path: Path) -> None:
    taken = {
        outcome: Counter(
            row["success"] for row in list_rows(build(projects, tmp_path / outcome, select(outcome=outcome)))
        )
        for outcome in ("success", "failed", "all")
    }
    assert taken == {"success": {True: 72}, "failed": {False: 36}, "all": {True: 72, False: 36}}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"least_score": 0.9}, lambda row: row["correctness"] >= 0.9),
        ({"languages": frozenset({"go"})}, lambda row: row["language"] == "go"),
        ({"agents": frozenset({"plan"})}, lambda row: row["agent"] == "plan"),
        ({"models": frozenset({"gpt-y"})}, lambda row: row["model"] == "openai/gpt-y"),
        ({"models": frozenset({"openai/gpt-y", "small"})}, lambda row: row["model"] in ("openai/gpt-y", "local/small")),
        ({"servers": frozenset({"basedpyright"})}, lambda row: True),
        ({"since": START + timedelta(hours=5)}, lambda row: row["timestamp"] >= "2026-01-01T05"),
        ({"until": START + timedelta(hours=5)}, lambda row: row["timestamp"] < "2026-01-01T05"),
    ],
)
def test_filters(projects: Path, tmp_path: Path, fields: dict[str, Any], expected: Any) -> None:
    everything = list_rows(build(projects, tmp_path / "all"))
    chosen = list_rows(build(projects, tmp_path / "out", select(**fields)))
    assert [row["id"] for row in chosen] == [row["id"] for row in everything if expected(row)]
    assert chosen


def test_nothing_left_is_said_and_leaves_nothing(projects: Path, tmp_path: Path) -> None:
    with pytest.raises(NothingToExport, match=r"none of 108 turns is left \(108 server\)"):
        build(projects, tmp_path / "out", select(servers=frozenset({"gopls"})))
    assert not list((tmp_path / "out").iterdir())
    with pytest.raises(NothingToExport, match="no such file or folder"):
        build(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(UsageError, match="zz://x"):
        build_dataset(["zz://x"], str(tmp_path / "out"))


def test_what_is_there_is_not_written_over(projects: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        build(projects, tmp_path / "out")
    assert read_files(tmp_path / "out") == {"mine": b"mine"}


def test_what_cannot_be_read_is_said_and_the_rest_is_there(tmp_path: Path) -> None:
    project = write_project(tmp_path, 0, range(2))
    logs = project / ".opencode-logs"
    (logs / "session-torn.json").write_text('{"sessionId": "t", "turns": [')
    session = vary(2, 0)
    del session["turns"][1]["task"]
    session["turns"][2]["context"] = 3
    (logs / "session-odd.json").write_text(json.dumps(session))
    summary = build_dataset([str(project)], str(tmp_path / "out"), ALL)
    assert summary.unread_count == 3
    assert [line.rpartition("/")[2].split(":")[0] for line in summary.unread] == ["session-odd.json"] * 2 + [
        "session-torn.json"
    ]
    assert sum(summary.rows.values()) == 7


def test_values_of_other_types_are_unknown(tmp_path: Path) -> None:
    session = vary(0, 0)
    turn = session["turns"][0]
    turn["agent"] = {"name": 3, "model": ["m"], "temperature": "hot", "promptTokens": 2.5}
    turn["outcome"] = {"success": "yes", "metrics": {"lsp": {"errorsBefore": True}, "filesModified": 10**30}}
    turn["context"]["lspDiagnostics"] = {"errors": [3, {"file": "a.py", "code": 3, "line": "x"}], "warnings": None}
    session["toolCalls"][0] |= {"args": ["a", 1], "result": {"a": 1}, "tool": None, "lspDelta": []}
    logs = tmp_path / ".opencode-logs"
    logs.mkdir()
    (logs / "session-a.json").write_text(json.dumps(session))
    row = list_rows(build(tmp_path, tmp_path / "out"))[0]
    assert (row["agent"], row["model"], row["temperature"], row["input_tokens"]) == (None, None, None, None)
    assert (row["success"], row["errors_before"], row["files_modified"]) == (None, None, None)
    assert [(finding["code"], finding["line"]) for finding in row["diagnostics"]] == [("3", None)]
    assert row["actions"][0]["args"] == ["a", 1]
    assert row["actions"][0]["tool"] == "unknown"


# Duplicates


def copy_with(session: dict[str, Any], number: int, change: Any = lambda text: text) -> dict[str, Any]:
    """The same session under another id, with its task changed."""
    copied: dict[str, Any] = json.loads(json.dumps(session).replace(session["sessionId"], f"ses_9{number:03}"))
    for turn in copied["turns"]:
        turn["task"] = change(turn["task"])
    return copied


def write_sessions(folder: Path, sessions: list[dict[str, Any]]) -> Path:
    logs = folder / ".opencode-logs"
    logs.mkdir(parents=True)
    for session in sessions:
        (logs / f"session-{session['sessionId']}.json").write_text(json.dumps(session))
    return folder


def test_of_equal_turns_the_first_stays(tmp_path: Path) -> None:
    session = vary(1, 0)
    write_sessions(tmp_path / "a", [copy_with(session, 3), copy_with(session, 2)])
    write_sessions(tmp_path / "b", [session, copy_with(session, 2)])
    summary = build_dataset([str(tmp_path / "a"), str(tmp_path / "b")], str(tmp_path / "out"), ALL)
    assert summary.left_out["equal to another"] == 9
    rows = list_rows(build([tmp_path / "b", tmp_path / "a"], tmp_path / "out2"))
    assert [row["id"] for row in rows] == ["ses_1:1", "ses_1:2", "ses_1:3"]


def test_of_turns_much_alike_one_stays_whatever_their_order(tmp_path: Path) -> None:
    session = vary(1, 0, text_bytes=2000)
    alike = [copy_with(session, n, lambda text, n=n: f"{text} Please, number {n}.") for n in range(5)]
    others = [vary(n, 0, text_bytes=2000) for n in range(10, 14)]
    write_sessions(tmp_path / "one", [session, *alike, *others])
    for n, each in enumerate([session, *alike, *others]):
        write_sessions(tmp_path / "many" / f"{9 - n}", [each])
    one = list_rows(build(tmp_path / "one", tmp_path / "out1", part_bytes=1))
    many = list_rows(build(tmp_path / "many", tmp_path / "out2"))
    assert {row["id"] for row in one} == {row["id"] for row in many}
    kept = Counter(row["session_id"] for row in one)
    assert kept == {session["sessionId"]: 3, **{other["sessionId"]: 3 for other in others}}
    assert len(list_rows(build(tmp_path / "one", tmp_path / "out3", similarity=1))) == 30


def test_rows_that_differ_stay(projects: Path, tmp_path: Path) -> None:
    summary = build_dataset([str(projects)], str(tmp_path / "out"), ALL)
    assert summary.left_out["much like another"] == summary.left_out["equal to another"] == 0


# Splits


def test_all_of_a_repository_is_in_one_split(projects: Path, tmp_path: Path) -> None:
    shares = {"train": 1.0, "test": 1.0}
    splits = build(projects, tmp_path / "out", splits=shares)
    places = {(row["repository"], split) for split, rows in splits.items() for row in rows}
    assert len(places) == 12
    assert set(splits) == {"train", "test"}
    again = build(projects, tmp_path / "again", splits=shares, part_bytes=1)
    assert {(row["id"], row["split"]) for row in list_rows(again)} == {(r["id"], r["split"]) for r in list_rows(splits)}
    other = build(projects, tmp_path / "other", splits=shares, seed="another")
    assert {(row["id"], row["split"]) for row in list_rows(other)} != {(r["id"], r["split"]) for r in list_rows(splits)}


def test_splits_have_about_their_share() -> None:
    counted = Counter(choose_split(f"/p/{n}", {"a": 3, "b": 1}) for n in range(4000))
    assert abs(counted["a"] - 3000) < 100
    assert choose_split("/p", {"all": 1}) == "all"


@pytest.mark.parametrize("text", ["train=x", "train=0", "=1", "a b=1", "train=nan", "train=1,,"])
def test_splits_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--splits"):
        parse_splits(text)


# Privacy


def plant(folder: Path, secret: str, known: str) -> Path:
    session = vary(0, 0)
    session["turns"][0]["task"] += f" with {secret}"
    session["toolCalls"][1]["args"]["content"] = f'TOKEN = "{secret}"\nx = "{known}"'
    session["toolCalls"][1]["result"] = f"wrote /home/ada/x.py {secret}"
    return write_sessions(folder, [session])


def test_secrets_are_replaced_and_it_is_said(tmp_path: Path) -> None:
    secret = TOKENS["github"](Random(1))
    plant(tmp_path / "p", secret, "correct-horse-battery")
    options = replace(UNDIVIDED, privacy=privacy(A_PASSWORD="correct-horse-battery", HOME="/home/grace", USER="grace"))
    summary = build_dataset([str(tmp_path / "p")], str(tmp_path / "out"), options)
    text = "".join(content.decode() for content in read_files(tmp_path / "out").values())
    for gone in (secret, secret[:12], "correct-horse", "/home/ada"):
        assert gone not in text
    assert summary.redacted is not None
    assert summary.redacted["github-pat"] == 3
    assert summary.redacted["environment A_PASSWORD"] == 1
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["redacted"] == dict(summary.redacted)
    assert "github-pat (3)" in (tmp_path / "out" / "README.md").read_text()


def test_on_request_nothing_is_replaced(tmp_path: Path) -> None:
    secret = TOKENS["github"](Random(1))
    plant(tmp_path / "p", secret, "x")
    summary = build_dataset(
        [str(tmp_path / "p")], str(tmp_path / "out"), replace(UNDIVIDED, privacy=Privacy(redact=False))
    )
    row = json.loads((tmp_path / "out" / "train.jsonl").read_text().splitlines()[0])
    assert row["task"].endswith(secret)
    assert row["repository"] == "/home/ada/project-0"
    assert summary.redacted is None
    assert "Nothing was redacted" in (tmp_path / "out" / "README.md").read_text()


def test_values_of_the_recorded_environment_are_known_by_their_marks(tmp_path: Path) -> None:
    key = os.urandom(32)
    project = plant(tmp_path / "p", "x", "correct-horse-battery")
    tap = project / ".opencode-logs" / "tap"
    tap.mkdir()
    marks = mark_environment({"DB_PASSWORD": "correct-horse-battery"}, key)
    (tap / "observed.jsonl").write_text(json.dumps({"environment_secrets": marks}) + "\n{torn")
    build_dataset([str(project)], str(tmp_path / "out"), replace(UNDIVIDED, privacy=Privacy(key=key)))
    assert "correct-horse" not in (tmp_path / "out" / "train.jsonl").read_text()
    build_dataset([str(project)], str(tmp_path / "other"), replace(UNDIVIDED, privacy=Privacy(key=os.urandom(32))))
    assert "correct-horse" in (tmp_path / "other" / "train.jsonl").read_text()
