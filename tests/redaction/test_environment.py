from __future__ import annotations

import json
import stat
from pathlib import Path
from random import Random
from urllib.parse import quote

import pytest

from lsp_tap.cli import main
from lsp_tap.redaction import Redactor
from lsp_tap.redaction.environment import Marks, mark_environment, parse_marks, read_key, select_secrets
from lsp_tap.session import observing
from lsp_tap.session.observing import write_observation
from tests.redaction.planted import ALNUM, draw


@pytest.fixture
def value() -> str:
    return "-".join("".join(Random(n).choices("bcdfghjkl", k=6)) for n in range(3))


def test_names_that_speak_of_secrets() -> None:
    long = "x7" * 10
    named = [
        "ANTHROPIC_API_KEY",
        "GITHUB_TOKEN",
        "MY_SECRET",
        "DB_PASSWORD",
        "AWS_SECRET_ACCESS_KEY",
        "npm_config_token",
    ]
    others = ["PATH", "KEYBOARD_LAYOUT", "EDITOR", "AUTHOR_NAME", "MONKEY"]
    assert set(select_secrets(dict.fromkeys([*named, *others], long))) == set(named)


@pytest.mark.parametrize(
    "harmless", ["short", "/run/user/1000/ssh-agent", "https://x.test/login", "localhost:8080/token"]
)
def test_values_that_are_no_secrets(harmless: str) -> None:
    assert select_secrets({"A_TOKEN": harmless}) == {}


def test_the_exporters_own_values_go_wherever_they_are(value: str) -> None:
    redactor = Redactor(environment={"A_TOKEN": f"{value}+/ é"})
    text = f"x{value}+/ éy {quote(value + '+/ é', safe='')} {json.dumps(value + '+/ é')}"
    placeholder = "[REDACTED:environment A_TOKEN:{}]".format
    assert redactor.text(text) == f'x{placeholder(1)}y {placeholder(2)} "{placeholder(3)}"'
    assert Redactor().text(value) == value


def test_a_recorded_value_is_known_by_its_mark(value: str, tmp_path: Path) -> None:
    key = read_key(tmp_path, create=True)
    assert key is not None
    record = json.loads(json.dumps(mark_environment({"A_TOKEN": value, "HOME": "/home/ada"}, key)))
    assert value not in json.dumps(record)
    redactor = Redactor(marks=Marks.of(key, parse_marks(record, key)))
    for text in (f"A_TOKEN={value}\n", f'"{value}"', f"https://x/{value}/y", f"a {value}, b", f"{{{value}}}"):
        assert value not in redactor.text(text)
    assert redactor.text(f"x{value}") == f"x{value}"  # part of another token
    assert redactor.report == {"environment A_TOKEN": 5}


def test_another_key_knows_nothing(value: str) -> None:
    record = mark_environment({"A_TOKEN": value}, b"1" * 32)
    assert parse_marks(record, b"2" * 32) == []
    wrong: object
    for wrong in (None, [], {"key": record["key"]}, {"key": record["key"], "values": [1, {"name": 2}]}):
        assert parse_marks(wrong, b"1" * 32) == []


def test_the_key_is_made_once_and_is_the_users_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    assert read_key(folder) is None
    assert not folder.exists()
    key = read_key(folder, create=True)
    assert key is not None
    assert len(key) == 32
    assert read_key(folder, create=True) == read_key(folder) == key
    assert [path.name for path in folder.iterdir()] == ["redaction.key"]
    assert stat.S_IMODE((folder / "redaction.key").stat().st_mode) == 0o600
    (folder / "redaction.key").write_text("no hex")
    with pytest.raises(OSError, match="not a key"):
        read_key(folder)


def test_random_values_are_not_left_to_the_rules() -> None:
    secret = draw(ALNUM, 24)(Random(1))
    redactor = Redactor(environment={"A_TOKEN": secret})
    assert redactor.text(f"see {secret}") == "see [REDACTED:environment A_TOKEN:1]"


def test_an_observation_has_marks_and_no_value(value: str, tmp_path: Path) -> None:
    environment = {"A_TOKEN": value, "PATH": "/usr/bin"}
    path = write_observation(
        tmp_path / ".opencode-logs", tmp_path, "ses_1", "m", environment=environment, key_folder=tmp_path / "state"
    )
    text = path.read_text()
    assert value not in text
    key = read_key(tmp_path / "state")
    assert key is not None
    assert [mark.name for mark in parse_marks(json.loads(text)["environment_secrets"], key)] == ["A_TOKEN"]


def test_the_command_marks_its_own_environment(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "KEY_FOLDER", tmp_path / "state")
    monkeypatch.setenv("SOME_SERVICE_TOKEN", value)
    monkeypatch.chdir(tmp_path)
    logs = tmp_path / ".opencode-logs"
    assert main(["observe", "--session", "ses_1", "--message", "m", "--dir", str(logs)]) == 0
    marks = observing.read_marks(logs)
    assert marks is not None
    assert "SOME_SERVICE_TOKEN" in marks.by_mac.values()
    assert [hit.kind for hit in marks.find(f"a {value} b")] == ["environment SOME_SERVICE_TOKEN"]


def test_without_a_place_for_the_key_nothing_is_marked(value: str, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    path = write_observation(
        tmp_path / ".opencode-logs", tmp_path, "s", "m", environment={"A_TOKEN": value}, key_folder=tmp_path / "state"
    )
    assert "environment_secrets" not in json.loads(path.read_text())
