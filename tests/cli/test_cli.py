"""What every command promises: help, one-line errors, exit codes, and a place in the README."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from lsp_tap.cli import cli, main
from tests.golden.test_golden import GOLDEN

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(name for name, command in cli.commands.items() if not command.hidden)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_is_in_the_readme(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    if name != "run":  # whose help is the tap's own
        assert result.exit_code == 0
        assert "Usage:" in result.output
    assert f"`{name}`" in (readme := (ROOT / "README.md").read_text()) or f"`lsp-tap {name}`" in readme


def test_every_test_that_the_readme_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "README.md").read_text("utf-8")))
    tests = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 20
    assert named <= set(re.findall(r"^(?:async )?def (test_\w+)", tests, re.MULTILINE))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_explained(name: str) -> None:
    for parameter in cli.commands[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.name}"


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (["bogus"], 2),
        (["show"], 2),
        (["show", "last", "--dir", "/nowhere"], 1),
        (["sessions", "--dir", "/nowhere"], 1),
        (["write", "a", "--all", "--dir", "/nowhere"], 2),
        (["init", "--bogus"], 2),
        (["schema", "bogus"], 2),
    ],
)
def test_errors_are_one_line_on_stderr(
    arguments: list[str], exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == exit_code
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("lsp-tap: ")


def test_a_reader_that_has_had_enough_is_no_error(tmp_path: Path) -> None:
    command = f'"{sys.executable}" -m lsp_tap schema session | head -c 10'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stderr == ""
    assert len(done.stdout) == 10


def test_no_colours_go_into_a_pipe() -> None:
    logs = GOLDEN / "lines-inserted-above-move-an-error"
    done = subprocess.run(
        [sys.executable, "-m", "lsp_tap", "show", "last", "--dir", str(logs)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "FORCE_COLOR": ""},
    )
    assert "\x1b" not in done.stdout
    assert "Turn 1" in done.stdout


def test_what_is_written_is_valid_by_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "session"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert main(["show", "last", "--json", "--dir", str(GOLDEN / "lines-inserted-above-move-an-error")]) == 0
    session = json.loads(capsys.readouterr().out)
    assert list(Draft202012Validator(schema).iter_errors(session)) == []
    session["turns"][0]["outcome"]["success"] = "perhaps"
    assert list(Draft202012Validator(schema).iter_errors(session)) != []
