from __future__ import annotations

import pytest

from lsp_tap.session.mending import is_mending
from lsp_tap.session.models import Finding


def finding(
    message: str, *, file: str = "src/a.py", code: str = "reportUndefinedVariable", source: str = "x"
) -> Finding:
    return Finding(
        file=file, line=1, column=1, message=message, severity="error", code=code, source=source, server="s"
    )  # fmt: skip


ERRORS = (
    finding('"retunr" is not defined'),
    finding("Type 'string' is not assignable to type 'number'.", file="web/b.ts", code="2322", source="ts"),
)


@pytest.mark.parametrize(
    "task",
    [
        "Fix the type errors",
        "fix",
        "fix it",
        "Please fix this!",
        "Can you please fix all of them?",
        "Mend a.py",
        "mend src/a.py, and nothing else",
        "Repair `web/b.ts`",
        "resolve the problems basedpyright reports",
        "make the type check pass",
        "get rid of the squiggles",
        "Don't add comments. Fix the errors.",
        "Why is it red? Fix the errors.",
        'repair "retunr" is not defined',
        '"retunr" is not defined',
        "error TS2322 in b.ts",
        "pyright says reportUndefinedVariable again",
        "Type 'string' is not assignable\n to type 'number'",
        "Behebe die Fehler",
        "Bitte die Typfehler in der Datei beheben",
        "Repariere a.py",
        "corrige les erreurs",
        "arregla los errores",
        "correggi gli errori",
        "corrija os erros",
    ],
)
def test_these_ask_to_mend(task: str) -> None:
    assert is_mending(task, ERRORS)
    assert not is_mending(task, ())


@pytest.mark.parametrize(
    "task",
    [
        "",
        "Add a function that adds two numbers",
        "Fix the typo in README.md",
        "fix the login button",
        "Fix issue 12: the login button",
        "add error handling to a.py",
        "Fix the error handling in login.py",
        "Improve the error messages",
        "Refactor src/a.py",
        'Why is "retunr" not defined?',
        'Explain: "retunr" is not defined',
        "What does TS2322 mean?",
        "List the errors, but do not fix them",
        "Show me all errors without fixing anything",
        "Liste die Fehler auf, ohne sie zu beheben",
        "Warum gibt es hier einen Fehler?",
        "Write a prefix parser",
        "make a suffix-fix-table",
    ],
)
def test_these_do_not(task: str) -> None:
    assert not is_mending(task, ERRORS)


def test_short_messages_and_numbers_are_no_quotes() -> None:
    assert not is_mending("remove the unused import", [finding("unused", code="")])
    assert not is_mending("set the limit to 2322", ERRORS)
