from __future__ import annotations

import pytest

from lsp_tap.timeline.clearance import ClearedBy, classify_clearance, is_loosened
from lsp_tap.timeline.diagnostics import Diagnostic, Severity
from lsp_tap.timeline.linemap import LineMap


def classify(file: str, old: str, new: str, line: int) -> ClearedBy:
    diagnostic = Diagnostic(f"file:///p/{file}", line, 0, line, 3, Severity.ERROR, "s", "x", "r", "m")
    return classify_clearance(diagnostic, LineMap(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("a.py", "x = bad", "x = bad  # type: ignore"),
        ("a.py", "x = bad", "x = bad  # type: ignore[name-defined]"),
        ("a.py", "x = bad", "x = bad  # noqa: F821"),
        ("a.py", "x = bad", "x = bad  # pyright: ignore[reportUndefinedVariable]"),
        ("a.py", "x = bad", "x = bad  # ty: ignore"),
        ("a.py", "x = bad", "# pyright: basic, reportUndefinedVariable=false\nx = bad"),
        ("a.ts", "x = bad", "// @ts-ignore\nx = bad"),
        ("a.tsx", "x = bad", "// @ts-expect-error because\nx = bad"),
        ("a.js", "x = bad", "x = bad // eslint-disable-line no-undef"),
        ("a.js", "x = bad", "/* eslint-disable */\n\n\n\nx = bad"),
        ("a.ts", "x = bad", "// biome-ignore lint/x: y\nx = bad"),
        ("a.vue", "x = bad", "// oxlint-disable-next-line\nx = bad"),
        ("a.cpp", "x = bad;", "x = bad;  // NOLINT"),
        ("a.c", "x = bad;", '#pragma clang diagnostic ignored "-Wall"\nx = bad;'),
        ("a.rs", "let x = bad;", "#[allow(unused)]\nlet x = bad;"),
        ("a.rs", "let x = bad;", "#![allow(unused)]\n\n\nlet x = bad;"),
        ("a.sh", "echo $x", "# shellcheck disable=SC2086\necho $x"),
        ("a.go", "x := bad", "x := bad //nolint:errcheck"),
        ("a.java", "x = bad;", '@SuppressWarnings("all")\nx = bad;'),
        ("a.php", "x();", "// @phpstan-ignore-next-line\nx();"),
        ("a.css", "a{}", "/* stylelint-disable-next-line */\na{}"),
    ],
)
def test_a_comment_that_silences_the_server_is_a_suppression(file: str, old: str, new: str) -> None:
    assert classify(file, f"first\n{old}\nlast\n", f"first\n{new}\nlast\n", 1) == "suppression"


def test_a_suppression_far_from_the_error_or_there_before_does_not_count() -> None:
    assert classify("a.py", "x = bad\na\nb\nc\n", "x = good\na\nb\nc  # noqa\n", 0) == "fix"
    assert classify("a.py", "y = 1  # noqa\nx = bad\n", "y = 2  # noqa\nx = good\n", 1) == "suppression"
    assert classify("a.py", "y = 1  # noqa\nx = bad\n", "y = 1  # noqa\nx = good\n", 1) == "fix"


def test_a_suppression_of_another_language_does_not_count() -> None:
    assert classify("a.py", "x = bad\n", "x = good  # NOLINT\n", 0) == "fix"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\nbad\nb\n", "a\nb\n"),
        ("a\nbad\nb\n", "a\n# bad\nb\n"),
        ("def f():\n    bad\n", "def f():\n    pass\n"),
        ("a\nbad\nmore\nb\n", "a\n\nb\n"),
    ],
)
def test_code_that_is_gone_without_replacement_is_a_deletion(old: str, new: str) -> None:
    line = old.splitlines().index(next(text for text in old.splitlines() if "bad" in text))
    assert classify("a.py", old, new, line) == "deletion"


def test_a_rewritten_line_is_a_fix() -> None:
    assert classify("a.py", "a\nbad\nb\n", "a\ngood\nb\n", 1) == "fix"
    assert classify("a.py", "a\nbad\nworse\nb\n", "a\ngood = 1\nb\n", 1) == "fix"


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("pyrightconfig.json", '"reportUndefinedVariable": "none"'),
        ("pyproject.toml", 'ignore = ["F821"]'),
        ("pyproject.toml", "reportMissingImports = false"),
        ("sub/tsconfig.json", '"strict": false'),
        ("tsconfig.build.json", '"skipLibCheck": true'),
        (".eslintrc.json", '"no-undef": "off"'),
        ("biome.json", '"noUnusedVariables": "off"'),
        (".clang-tidy", "Checks: '-*' # disable"),
        ("compile_flags.txt", "-Wno-everything"),
    ],
)
def test_a_configuration_that_reports_less_is_loosened(path: str, line: str) -> None:
    assert is_loosened(path, "{}\n", f"{{}}\n{line}\n")
    assert not is_loosened(path, f"{{}}\n{line}\n", "{}\n")
    assert not is_loosened("src/notes.md", "", line)


def test_a_configuration_that_names_a_library_is_not_loosened() -> None:
    assert not is_loosened("tsconfig.json", "{}", '{"lib": ["dom"]}')
    assert not is_loosened("pyproject.toml", "", 'dependencies = ["requests"]')
