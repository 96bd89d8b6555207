from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import click
import pytest

from lsp_tap.cli import cli, main
from lsp_tap.cli.dataset import _FORMATS
from lsp_tap.dataset.formats import FORMATS
from tests.dataset.reading import read_lines
from tests.dataset.test_build import plant
from tests.redaction.planted import TOKENS


def test_the_command_knows_all_formats() -> None:
    assert set(_FORMATS) == set(FORMATS)
    group = cli.commands["dataset"]
    assert isinstance(group, click.Group)
    for command in group.commands.values():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{command.name} {parameter.name}"
    build_help = group.commands["build"].help
    assert build_help is not None
    assert all(re.search(rf"^ +{name} +\w", build_help, re.MULTILINE) for name in _FORMATS)


def test_it_says_what_it_wrote_and_what_it_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVICE_PASSWORD", "correct-horse-battery")
    secret = TOKENS["github"](Random(1))
    project = plant(tmp_path / "p", secret, "correct-horse-battery")
    output = tmp_path / "out"
    assert main(["dataset", "build", str(project), "-o", str(output), "--splits", "all=1", "--workers", "1"]) == 0
    out, err = capsys.readouterr()
    lines = [line.split(maxsplit=2) for line in out.splitlines()[:-1]]
    assert ["all", "2", "turns"] in lines
    assert ["left", "out", "1 failed"] in lines
    assert ["replaced", "3", "github-pat"] in lines
    assert ["replaced", "1", "environment MY_SERVICE_PASSWORD"] in lines
    assert out.splitlines()[-1] == str(output)
    assert err == ""
    assert secret not in json.dumps(read_lines(output))


def test_it_says_when_it_replaces_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = plant(tmp_path / "p", secret := TOKENS["github"](Random(1)), "x")
    output = tmp_path / "out"
    words = ["dataset", "build", str(project), "-o", str(output), "--no-redact", "--json", "--workers", "1"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert err == f"lsp-tap: --no-redact: secrets, user names and home paths go to {output} as recorded\n"
    assert json.loads(out)["redacted"] is None
    assert secret in json.dumps(read_lines(output))


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (["nowhere", "-o", "out"], 1, "nowhere: no such file or folder"),
        (["nowhere"], 2, "'--output'"),
        (["nowhere", "-o", "out", "--splits", "a=b"], 2, "'b' is no number"),
        (["nowhere", "-o", "out", "--since", "soon"], 2, "soon"),
        (["nowhere", "-o", "zz://out"], 2, "zz://out"),
        (["nowhere", "-o", "a-file"], 1, "a-file: not a folder"),
    ],
)
def test_wrong_use_is_one_line(
    words: list[str], exit_code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-file").touch()
    assert main(["dataset", "build", *words]) == exit_code
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1
    assert not [path for path in tmp_path.iterdir() if path.is_dir() and list(path.iterdir())]
