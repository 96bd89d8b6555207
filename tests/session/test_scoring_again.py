"""Judging what is on disk again: from journals, from session files, from training files old and new."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.cli import main
from lsp_tap.config import Thresholds
from lsp_tap.session.loading import TurnRow, parse_sources
from lsp_tap.session.models import SessionFile
from lsp_tap.session.rescoring import rescore_row, rescore_session
from lsp_tap.session.writer import encode_json, write_sessions
from tests.golden.test_golden import GOLDEN
from tests.session.test_loading import EXAMPLE, V1_0, V1_2, write_session

RECORDINGS = sorted(path.parent for path in GOLDEN.glob("*/tap"))


def read(folder: Path) -> SessionFile:
    return SessionFile.model_validate_json((folder / "session-ses_1.json").read_bytes())


def score(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    assert main(["score", "--json", *map(str, arguments)]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("recording", RECORDINGS[::4], ids=lambda path: path.name)
def test_a_session_file_holds_all_that_its_verdict_needs(recording: Path, tmp_path: Path) -> None:
    shutil.copytree(recording / "tap", tmp_path / "tap")
    for written in write_sessions(tmp_path):
        loaded = SessionFile.model_validate_json(written.session_path.read_bytes())
        assert encode_json(rescore_session(loaded, Thresholds())) == encode_json(written.session)


def test_other_thresholds_give_another_verdict(tmp_path: Path) -> None:
    write_session(tmp_path)
    again = rescore_session(read(tmp_path), Thresholds(least_mended=2, error_weight=3))
    assert [turn.outcome.success for turn in again.turns] == [False, False]
    assert [action.reward for action in again.tool_calls] == [0, 3, -3]
    assert not again.outcome.success


@pytest.mark.parametrize("document", [V1_0, V1_2])
def test_a_turn_of_an_older_layout_is_judged_by_what_it_tells(document: dict[str, Any]) -> None:
    (row,) = parse_sources([("x.json", json.dumps(document).encode())])
    assert isinstance(row, TurnRow)
    rescored = rescore_row(row, Thresholds())
    assert rescored.after.success
    assert rescored.after.correctness is None
    assert rescored.after.reasons == ("finish reason is stop", "1 tool call", "LSP errors unknown (no-server)")


def test_of_an_older_layout_a_call_without_success_failed_and_one_that_says_false_is_not_believed() -> None:
    call = EXAMPLE["actions"][0]
    unsaid = {name: value for name, value in call.items() if name != "success"}
    for action, success in ((unsaid, False), ({**call, "success": False, "result": "no error at all"}, True)):
        document = V1_2 | {"examples": [EXAMPLE | {"actions": [action]}]}
        (row,) = parse_sources([("x.json", json.dumps(document).encode())])
        assert isinstance(row, TurnRow)
        assert rescore_row(row, Thresholds()).after.success is success


def test_from_journals_it_shows_what_changes_and_writes_only_when_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(GOLDEN / "lines-inserted-above-move-an-error" / "tap", tmp_path / "tap")
    (turn,) = score(capsys, "--dir", tmp_path)["turns"]
    assert turn["before"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["tap"]
    written = score(capsys, "--dir", tmp_path, "--write", "last")["written"]
    assert all(Path(path).is_file() for path in written)
    assert score(capsys, "--dir", tmp_path)["total"]["changed"] == 0
    (tmp_path / "lsp-tap.toml").write_text("time_limit_s = 0.001\n")
    again = score(capsys, "--dir", tmp_path, "--write")
    assert again["total"] == {"turns": 1, "changed": 1, "nowSuccess": 0, "noSuccessNow": 1}
    assert again["turns"][0]["after"]["reasons"] == ["took 1 s, over 0.001 s"]
    assert not list(tmp_path.glob("dspy-*"))
    assert not read(tmp_path).turns[0].outcome.success


def test_files_are_judged_by_the_settings_of_their_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_session(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert score(capsys, tmp_path)["total"]["changed"] == 0
    (tmp_path / "lsp-tap.toml").write_text("net_new_errors = 1\nleast_mended = 0\n")
    found = score(capsys, tmp_path / "session-ses_1.json")
    assert (found["total"]["nowSuccess"], found["written"]) == (1, [])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.suffix == ".json"} == before
    score(capsys, tmp_path, "--write")
    assert len(json.loads((tmp_path / "dspy-ses_1.json").read_bytes())["examples"]) == 2


def test_a_training_file_alone_is_judged_and_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "dspy-ses_mid.json"
    path.write_text(json.dumps(V1_2))
    assert main(["score", str(path), "--write"]) == 0
    out, err = capsys.readouterr()
    assert "1 turns, 1 changed" in out
    assert err == f"lsp-tap: {path}: not written: no session file, which has all turns, is beside it\n"
    assert json.loads(path.read_text()) == V1_2


def test_what_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(tmp_path / "gone.json")]) == 1
    assert "no such file or folder" in capsys.readouterr().err


@pytest.mark.parametrize("number", [-1, 10**400])
@pytest.mark.parametrize("name", ["filesModified", "messageCount", "errorsIntroduced", "input"])
def test_a_session_file_with_a_number_that_nobody_counted_is_judged_all_the_same(
    name: str, number: int, tmp_path: Path
) -> None:
    write_session(tmp_path)
    path = tmp_path / "session-ses_1.json"
    told = path.read_text()
    path.write_text(re.sub(rf'("{name}": )(\d+|null)', rf"\g<1>{number}", told))
    assert str(number) in path.read_text()
    again = rescore_session(read(tmp_path), Thresholds())
    assert len(again.turns) == 2
    assert SessionFile.model_validate_json(encode_json(again))
