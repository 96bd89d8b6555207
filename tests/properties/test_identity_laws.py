from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from lsp_tap.timeline.diagnostics import Diagnostic, Severity
from lsp_tap.timeline.identity import match_diagnostics
from lsp_tap.timeline.linemap import LineMap

texts = st.lists(st.sampled_from(["a = 1", "b", "  b", "c(d)", "", "é𝕏"]), max_size=12).map(
    lambda ls: "".join(f"{x}\n" for x in ls)
)
diagnostics = st.builds(
    Diagnostic,
    uri=st.just("file:///a"),
    line=st.integers(0, 12),
    column=st.integers(0, 3),
    end_line=st.integers(0, 12),
    end_column=st.integers(0, 5),
    severity=st.sampled_from([Severity.ERROR, Severity.WARNING]),
    server=st.just("s"),
    source=st.just("x"),
    code=st.sampled_from(["r1", "r2"]),
    message=st.sampled_from(["m", "'b' 1", "'c' 2", "other"]),
)
reports = st.lists(diagnostics, max_size=8)


@given(reports, reports, texts, texts)
def test_every_diagnostic_is_in_exactly_one_set(
    before: list[Diagnostic], after: list[Diagnostic], old: str, new: str
) -> None:
    matching = match_diagnostics(before, after, LineMap(old, new))
    assert Counter(matching.cleared) + Counter(a for a, _ in matching.persisted) == Counter(before)
    assert Counter(matching.introduced) + Counter(b for _, b in matching.persisted) == Counter(after)
    assert all(a.severity == b.severity and a.rule == b.rule for a, b in matching.persisted)


@given(reports, reports, texts, texts, st.randoms(use_true_random=False))
def test_the_order_of_a_report_does_not_matter(
    before: list[Diagnostic], after: list[Diagnostic], old: str, new: str, shuffle: random.Random
) -> None:
    first = match_diagnostics(before, after, LineMap(old, new))
    shuffle.shuffle(before)
    shuffle.shuffle(after)
    assert match_diagnostics(before, after, LineMap(old, new)) == first


@given(reports, texts)
def test_the_same_report_on_the_same_text_persists_whole(report: list[Diagnostic], text: str) -> None:
    matching = match_diagnostics(report, report, LineMap(text, text))
    assert not matching.cleared
    assert not matching.introduced


@given(st.data(), st.lists(st.text("abc ", max_size=4), min_size=1, max_size=10), st.integers(0, 10), st.integers(1, 4))
def test_inserting_or_deleting_unrelated_lines_clears_and_introduces_nothing(
    data: st.DataObject, lines: list[str], at: int, count: int
) -> None:
    at = min(at, len(lines))
    lines = [f"{number} {line}" for number, line in enumerate(lines)]  # no two alike: the diff has one answer
    shorter = "".join(f"{line}\n" for line in lines)
    longer = "".join(f"{line}\n" for line in [*lines[:at], *(f"new {n}" for n in range(count)), *lines[at:]])
    chosen = data.draw(st.lists(st.integers(0, len(lines) - 1), max_size=6))

    def report(shift: bool) -> list[Diagnostic]:
        moved = [number + count if shift and number >= at else number for number in chosen]
        return [
            Diagnostic("file:///a", n, 0, n, 1, Severity.ERROR, "s", "x", "r", f"m{c}")
            for n, c in zip(moved, chosen, strict=True)
        ]

    inserted = match_diagnostics(report(False), report(True), LineMap(shorter, longer))
    deleted = match_diagnostics(report(True), report(False), LineMap(longer, shorter))
    for matching in (inserted, deleted):
        assert not matching.cleared
        assert not matching.introduced
