from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from lsp_tap.cli import cli, main
from lsp_tap.session.writer import write_sessions
from tests.golden.test_golden import GOLDEN
from tests.report.sessions import write_folder
from tests.report.story import tell_picture_story
from tests.session.recorded import Recorded
from tests.session.test_sessions import begin

NAME = "two-sessions-that-share-a-server-are-each-credited-with-their-own"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / NAME, tmp_path / "logs"))


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(cli, ["report", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_report_goes_beside_the_sessions_other_files_for_its_owner_alone(logs: Path) -> None:
    out = run("ses_1", "--dir", logs)
    path = logs / "report-ses_1.html"
    assert out == f"{path}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().startswith(b"<!doctype html>")


def test_a_report_goes_where_it_is_told_to_and_is_the_same_each_time(logs: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.html", tmp_path / "two.html"
    told = json.loads(run("last", "--dir", logs, "-o", one, "--json"))
    run("last", "--dir", logs, "-o", two)
    assert told == {"session": told["session"], "file": str(one), "bytes": one.stat().st_size}
    assert one.read_bytes() == two.read_bytes()
    assert not list(logs.glob("report-*"))


@pytest.mark.parametrize("session_id", ["../../escaped", "/abs", "a\x1b[31m", "x" * 300, "..", ".hidden"])
def test_no_session_id_leaves_the_folder(tmp_path: Path, session_id: str) -> None:
    recorded = Recorded()
    recorded.session(session_id)
    reply = recorded.ask("go", session_id)
    recorded.finish(reply, session=session_id)
    logs = write_folder(recorded, tmp_path / "logs")
    out = run(session_id, "--dir", logs)
    assert len(out.splitlines()) == 1
    assert out.removesuffix("\n").isprintable()
    assert len(list(logs.glob("report-*.html"))) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs"]


def test_errors_are_one_line(logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["nobody", "--dir", str(logs)], ["last", "--dir", str(logs), "-o", str(tmp_path / "no" / "x")]):
        assert main(["report", *arguments]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert len(err.splitlines()) == 1


def test_a_pruned_session_has_the_numbers_of_its_file_and_says_why_there_is_no_more(tmp_path: Path) -> None:
    logs = write_folder(tell_picture_story(), tmp_path / "logs")
    write_sessions(logs)
    (client,) = (logs / "tap").glob("client-*")
    lines = client.read_text("utf-8").splitlines()
    pruned = {"seq": 1, "time_us": 1, "monotonic_us": 1, "kind": "pruned", "count": 9, "bytes": 9, "reason": "age",
              "session_ids": ["ses_1"]}  # fmt: skip
    client.write_text("\n".join([lines[0], json.dumps(pruned), lines[1]]) + "\n", "utf-8")
    run("ses_1", "--dir", logs)
    html = (logs / "report-ses_1.html").read_text("utf-8")
    assert "were pruned" in html
    assert html.count('<article class="call') == 10
    assert 'class="diff"' not in html
    assert ">1 cleared<" in html


def test_a_session_without_a_turn_has_a_page(tmp_path: Path) -> None:
    logs = write_folder(Recorded(), tmp_path / "logs")
    run("ses_1", "--dir", logs)
    assert "No turn was recorded" in (logs / "report-ses_1.html").read_text("utf-8")


def test_lost_records_are_told(tmp_path: Path) -> None:
    recorded, talk, reply = begin("ok\n")
    recorded.finish(reply)
    logs = write_folder(recorded, tmp_path / "logs")
    (server,) = (logs / "tap").glob("server-*")
    lost = {"seq": 99, "time_us": talk.time_us, "monotonic_us": 1, "kind": "dropped", "count": 3, "bytes": 9,
            "reason": "disk full"}  # fmt: skip
    with server.open("a") as file:
        file.write(json.dumps(lost) + "\n")
    run("ses_1", "--dir", logs)
    assert "3 records could not be written" in (logs / "report-ses_1.html").read_text("utf-8")


def test_secrets_are_not_on_the_page_unless_they_are_asked_for(tmp_path: Path) -> None:
    secret = "ghp_" + "A1b2C3d4E5f6G7h8I9j0" + "K1l2M3n4O5p6Q7r8"
    recorded = Recorded()
    recorded.session()
    recorded.finish(recorded.ask(f"use {secret} as the token"))
    logs = write_folder(recorded, tmp_path / "logs")
    result = CliRunner().invoke(cli, ["report", "last", "--dir", str(logs)], catch_exceptions=False)
    assert "replaced" in result.stderr
    html = (logs / "report-ses_1.html").read_text("utf-8")
    assert secret not in html
    assert "[REDACTED:github-pat:1]" in html
    result = CliRunner().invoke(cli, ["report", "last", "--no-redact", "--dir", str(logs)], catch_exceptions=False)
    assert "--no-redact" in result.stderr
    assert secret in (logs / "report-ses_1.html").read_text("utf-8")
