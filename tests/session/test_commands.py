from __future__ import annotations

import pytest

from lsp_tap.session.commands import Checks, find_command, find_kind, parse_checks, sum_up_checks

UNKNOWN = (None, None)
KNOWN = (True, False)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("pytest", "tests"),
        ("python -m pytest -x tests/", "tests"),
        ("python3.12 -m unittest discover", "tests"),
        ("/usr/bin/python3 -m pytest", "tests"),
        (".venv/bin/pytest -q", "tests"),
        ("PYTHONPATH=. DEBUG=1 uv run --extra dev pytest", "tests"),
        ("poetry run pytest", "tests"),
        ("timeout 60 pytest", "tests"),
        ("timeout -k 5 60 pytest", "tests"),
        ("env A=b nice -n 5 pytest", "tests"),
        ("npx jest --ci", "tests"),
        ("npx vitest run", "tests"),
        ("npm test", "tests"),
        ("npm run test:unit -- --watch=false", "tests"),
        ("yarn test", "tests"),
        ("bun test", "tests"),
        ("tox -e py311", "tests"),
        ("make test", "tests"),
        ("make -C app -j4 check", "tests"),
        ("python manage.py test", "tests"),
        ("bash -c 'pytest -q'", "tests"),
        ("cargo test --all", "built-tests"),
        ("go test ./...", "built-tests"),
        ("mvn -q test", "built-tests"),
        ("./mvnw -B verify", "built-tests"),
        ("./gradlew :app:test", "built-tests"),
        ("dotnet test", "built-tests"),
        ("cargo test --no-run", "build"),
        ("tsc --noEmit", "build"),
        ("npx tsc -p .", "build"),
        ("cargo build", "build"),
        ("cargo check", "build"),
        ("go build ./...", "build"),
        ("go vet ./...", "build"),
        ("mypy lsp_tap", "build"),
        ("npm run build", "build"),
        ("npm run typecheck", "build"),
        ("mvn compile", "build"),
        ("make", "build"),
        ("make all", "build"),
        ("cmake --build build", "build"),
        ("g++ -O2 a.cpp", "build"),
        ("pytest --version", None),
        ("pytest --collect-only", None),
        ("make clean", None),
        ("make -n test", None),
        ("echo pytest", None),
        ("grep -r pytest .", None),
        ("cat test.log", None),
        ("npm install", None),
        ("git commit -m 'npm test'", None),
        ("pip install pytest", None),
        ("cargo fmt", None),
        ("latest", None),
    ],
)
def test_commands_are_known_by_their_words(line: str, kind: str | None) -> None:
    found = [check.kind for check in parse_checks(line, 0)]
    assert found == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("line", "passed_and_failed"),
    [
        ("pytest", KNOWN),
        ("pytest -q 2>&1", KNOWN),
        ("pytest > out.txt 2>&1", KNOWN),
        ("cd app && pytest", KNOWN),
        ("cd app; pytest", KNOWN),
        ("cd app\npytest", KNOWN),
        ("export A=1 && pytest && echo fine", KNOWN),
        ("ls; pytest", KNOWN),
        ("npm ci; npm test", KNOWN),
        ("# a comment\npytest", KNOWN),
        ("cd a # it is there\npytest -k 'a # b' # not ls", KNOWN),
        ("pytest # don't", []),
        ("ls | tail && pytest", (True, None)),
        ("npm ci && npm test", (True, None)),
        ("pytest && ruff check", (True, None)),
        ("pytest | tail", UNKNOWN),
        ("pytest 2>&1 | tail -5", UNKNOWN),
        ("pytest |& tee log", UNKNOWN),
        ("set -o pipefail; pytest | tail", KNOWN),
        ("set -eo pipefail; pytest | tail -3", KNOWN),
        ("set -o pipefail; pytest | grep FAILED", (True, None)),
        ("set -e; pytest; echo fine", KNOWN),
        ("echo y | pytest", KNOWN),
        ("pytest || exit 1", (None, False)),
        ("cd app && pytest || exit 1", (None, False)),
        ("npm ci && npm test || exit 1", UNKNOWN),
        ("true || pytest", UNKNOWN),
        ("pytest; echo $?", UNKNOWN),
        ("pytest; ls", UNKNOWN),
        ("pytest &", UNKNOWN),
        ("pytest & wait", UNKNOWN),
        ("! pytest", []),
        ("(cd app && pytest)", UNKNOWN),
        ("if true; then pytest; fi", []),
        ("pytest $(git ls-files tests)", UNKNOWN),
        ("pytest <<EOF\nx\nEOF", UNKNOWN),
        ("pytest 'open", []),
    ],
)
def test_the_exit_code_of_a_line_says_of_a_check_what_it_can(
    line: str, passed_and_failed: tuple[bool | None, bool | None] | list[None]
) -> None:
    passed, failed = parse_checks(line, 0), parse_checks(line, 1)
    if not passed_and_failed:
        assert all(check.passed is None for check in passed + failed)
    else:
        assert ([check.passed for check in passed], [check.passed for check in failed]) == (
            [passed_and_failed[0]],
            [passed_and_failed[1]],
        )


@pytest.mark.parametrize("exit_code", [None, 4, 5, 124, 126, 127, 130, 137, -9])
def test_what_was_cut_off_or_did_not_run_is_unknown(exit_code: int | None) -> None:
    assert [check.passed for check in parse_checks("pytest", exit_code)] == [None]


def test_what_is_made_to_succeed_says_nothing() -> None:
    assert [check.passed for check in parse_checks("pytest || true", 0)] == [None]
    assert sum_up_checks([("pytest || true", 0)]) == Checks(None, None, True, False)


def test_the_last_run_decides_even_if_it_is_unknown() -> None:
    assert sum_up_checks([]) == Checks(None, None, False, False)
    assert sum_up_checks([("ls", 0)]) == Checks(None, None, False, False)
    assert sum_up_checks([("pytest", 1), ("pytest", 0)]) == Checks(True, None, True, False)
    assert sum_up_checks([("pytest", 0), ("pytest", 1), ("ls", 0)]) == Checks(False, None, True, False)
    assert sum_up_checks([("pytest", 0), ("pytest | tail", 0)]) == Checks(None, None, True, False)
    assert sum_up_checks([("tsc && npm test", 0)]) == Checks(True, True, True, True)
    assert sum_up_checks([("tsc", 2)]) == Checks(None, False, False, True)


def test_tests_that_build_first_count_as_a_build_when_they_pass() -> None:
    assert sum_up_checks([("cargo build", 101), ("cargo test", 0)]) == Checks(True, True, True, True)
    assert sum_up_checks([("cargo build", 0), ("cargo test", 101)]) == Checks(False, True, True, True)


def test_only_a_text_is_a_command() -> None:
    assert find_command({"command": "ls"}) == "ls"
    assert [find_command(args) for args in ({"command": 1}, {"command": " "}, {}, None, "ls")] == [None] * 5
    assert find_kind(()) is None
