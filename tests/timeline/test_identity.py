from __future__ import annotations

from lsp_tap.timeline.diagnostics import Diagnostic, Severity
from lsp_tap.timeline.identity import match_diagnostics
from lsp_tap.timeline.linemap import LineMap


def found(
    line: int, message: str, *, column: int = 0, width: int = 3, code: str = "rule", severity: Severity = Severity.ERROR
) -> Diagnostic:
    return Diagnostic("file:///a.py", line, column, line, column + width, severity, "server", "source", code, message)


def test_an_error_that_lines_inserted_above_it_pushed_down_is_the_same_error() -> None:
    lines = LineMap("a = 1\nbad\n", "import x\nimport y\na = 1\nbad\n")
    matching = match_diagnostics([found(1, "bad")], [found(3, "bad")], lines)
    assert (len(matching.persisted), matching.cleared, matching.introduced) == (1, (), ())


def test_an_error_on_a_line_that_was_only_indented_is_the_same_error() -> None:
    lines = LineMap("a\nbad\nb\n", "a\nif x:\n    bad\nb\n")
    matching = match_diagnostics([found(1, "bad")], [found(2, "bad", column=4)], lines)
    assert len(matching.persisted) == 1


def test_a_fixed_error_and_a_new_one_of_the_same_rule_elsewhere_are_two() -> None:
    lines = LineMap("x = bad\ny = 1\nz = 1\n", "x = 1\ny = 1\nz = worse\n")
    matching = match_diagnostics(
        [found(0, '"bad" is not defined', column=4)], [found(2, '"worse" is not defined', column=4, width=5)], lines
    )
    assert len(matching.cleared) == len(matching.introduced) == 1


def test_an_error_whose_message_quotes_a_name_the_edit_renamed_is_the_same_error() -> None:
    lines = LineMap("def total(cart):\n    return cart.sum\n", "def total(basket):\n    return basket.sum\n")
    old = found(1, 'Cannot access attribute "sum" for "cart"', column=16)
    new = found(1, 'Cannot access attribute "sum" for "basket"', column=18)
    assert len(match_diagnostics([old], [new], lines).persisted) == 1


def test_another_message_on_an_untouched_line_is_another_error() -> None:
    lines = LineMap("a\nb\nc\n", "x\nb\nc\n")
    matching = match_diagnostics([found(1, "first")], [found(1, "second")], lines)
    assert len(matching.cleared) == len(matching.introduced) == 1


def test_a_type_error_that_a_rewritten_line_still_has_is_the_same_error() -> None:
    lines = LineMap('x: int = "a"\n', 'x: int = "bc"\n')
    old = found(0, 'Type "Literal[a]" is not assignable', column=9, width=3)
    new = found(0, 'Type "Literal[bc]" is not assignable', column=9, width=4)
    assert len(match_diagnostics([old], [new], lines).persisted) == 1


def test_a_function_that_was_moved_takes_its_error_along() -> None:
    old = "def f():\n    bad\n\ndef g():\n    pass\n\ndef h():\n    pass\n"
    new = "def g():\n    pass\n\ndef h():\n    pass\n\ndef f():\n    bad\n"
    assert (
        len(match_diagnostics([found(1, "bad", column=4)], [found(7, "bad", column=4)], LineMap(old, new)).persisted)
        == 1
    )


def test_an_error_that_becomes_a_warning_is_cleared_and_the_warning_introduced() -> None:
    lines = LineMap("a\n", "a\n")
    matching = match_diagnostics([found(0, "m")], [found(0, "m", severity=Severity.WARNING)], lines)
    assert (len(matching.cleared), len(matching.introduced)) == (1, 1)


def test_identical_errors_are_counted_one_by_one() -> None:
    lines = LineMap("a\na\na\n", "a\na\n")
    matching = match_diagnostics([found(n, "m") for n in range(3)], [found(n, "m") for n in range(2)], lines)
    assert (len(matching.persisted), len(matching.cleared), len(matching.introduced)) == (2, 1, 0)


def test_an_error_at_the_end_of_a_text_stays_there_when_the_text_grows() -> None:
    lines = LineMap("f(\n", "a = 1\nf(\n")
    assert len(match_diagnostics([found(1, "unclosed")], [found(2, "unclosed")], lines).persisted) == 1
