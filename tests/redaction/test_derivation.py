from __future__ import annotations

import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from lsp_tap.redaction.derivation import derive_rules, main

CONFIG = r"""
[allowlist]
regexes = ['''(?i)^true|false|null$''']
stopwords = ["abcdefghijklmnopqrstuvwxyz"]

[[rules]]
id = "prefixed"
regex = '''\b(p8e-(?i)[a-z0-9]{4}(?-i:X)[[:alnum:]])(?:[\x60'"\s;]|\\[nr]|$)'''
entropy = 2
keywords = ["P8E-"]

[[rules]]
id = "named"
regex = '''(?i)[\w.-]{0,50}?(?:acme|ACME)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}([a-z0-9]{17})(?:[\x60'"\s;]|\\[nr]|$)'''
keywords = ["acme"]
[[rules.allowlists]]
regexes = ['''^x''']
[[rules.allowlists]]
regexTarget = "line"
regexes = ['''import''']

[[rules]]
id = "two"
regex = '''a-(?P<name>b)\z(?:[\x60'"\s;]|\\[nr]|$)|\b(c-[0-9]{3})(?:[\x60'"\s;]|\\[nr]|$)'''
keywords = ["a-", "c-"]

[[rules]]
id = "impossible"
regex = '''x{2,1}'''
keywords = ["x"]

[[rules]]
id = "pkcs12-file"
path = '''\.p12$'''
"""  # noqa: E501


def test_rules_come_out_in_pythons_syntax_and_without_what_follows_a_secret() -> None:
    derived = derive_rules(tomllib.loads(CONFIG), "MIT", "1.0")
    assert derived["allowed"] == ["(?i:^(?:true|false|null)$)"]
    prefixed, named, first, second = derived["rules"]
    assert prefixed == {
        "id": "prefixed",
        "keywords": ["p8e-"],
        "pattern": "(p8e-(?i:[a-z0-9]{4}(?-i:X)[A-Za-z0-9]))",
        "border": True,
        "entropy": 2,
    }
    assert named == {
        "id": "named", "keywords": ["acme"], "names": "acme|ACME", "secret": "[a-z0-9]{17}", "any_case": True,
        "allowed": ["^x"],
    }  # fmt: skip
    assert (first["pattern"], second["pattern"]) == (r"a-(?:b)\Z", "(c-[0-9]{3})")
    assert set(derived["left_out"]) == {"impossible", "pkcs12-file"}


@pytest.mark.parametrize(
    ("source", "matching", "other"),
    [
        ("prefixed", "p8e-aB1zXq", "P8E-aB1zXq"),
        ("prefixed", "p8e-ABCDXq", "p8e-ABCDxq"),
    ],
)
def test_flags_hold_to_the_end_of_their_group(source: str, matching: str, other: str) -> None:
    rules = {rule["id"]: rule for rule in derive_rules(tomllib.loads(CONFIG), "", "")["rules"]}
    assert re.fullmatch(rules[source]["pattern"], matching)
    assert not re.fullmatch(rules[source]["pattern"], other)


def test_the_file_in_the_package_says_where_it_is_from_and_under_which_licence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packaged = json.loads(files("lsp_tap.redaction").joinpath("rules.json").read_text("utf-8"))
    assert packaged["derived_from"].startswith("gitleaks ")
    assert packaged["licence"][0] == "MIT License"
    (tmp_path / "gitleaks.toml").write_text(CONFIG)
    (tmp_path / "LICENSE").write_text("MIT License\n\nCopyright")
    assert main([str(tmp_path / "gitleaks.toml"), str(tmp_path / "LICENSE"), "1.0"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert written.keys() == packaged.keys()
    assert written["licence"] == ["MIT License", "", "Copyright"]
