"""`lsp-tap write` keeps to the limits of the settings, and the other commands do not mind."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from lsp_tap.cli import main

GOLDEN = Path(__file__).parents[1] / "golden" / "what-a-sub-agent-mended-counts-for-the-task-and-for-itself"
LONG_AGO_S = 946_684_800


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / ".opencode-logs"
    shutil.copytree(GOLDEN / "tap", folder / "tap")
    for path in (folder / "tap").iterdir():
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    return folder


def test_write_compresses_and_prunes_and_what_is_shown_stays(
    logs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*words: str) -> str:
        capsys.readouterr()
        assert main([*words, "--dir", str(logs)]) == 0
        return capsys.readouterr().out

    monkeypatch.setenv("LSP_TAP_KEEP_DAYS", "36500")
    shown = [run("sessions", "--json"), run("show", "last", "--json"), run("show", "last")]
    assert len(json.loads(shown[0])) == 2
    written = json.loads(run("write", "--json"))
    assert [row["kept"] for row in written] == [False, False]
    assert [path.suffix for path in (logs / "tap").glob("[a-z]*")] == [".zst"] * len(list((GOLDEN / "tap").iterdir()))
    assert [run("sessions", "--json"), run("show", "last", "--json"), run("show", "last")] == shown
    (logs / "lsp-tap.toml").write_text("keep_days = 1\n")
    monkeypatch.delenv("LSP_TAP_KEEP_DAYS")
    run("write")
    assert [run("sessions", "--json"), run("show", "last", "--json"), run("show", "last")] == shown
    again = json.loads(run("write", "--all", "--json"))
    assert [row["kept"] for row in again] == [True, True]
    assert [row["trainingFile"] for row in again] == [row["trainingFile"] for row in written]
    assert "as it was: its journals were pruned" in run("write")
