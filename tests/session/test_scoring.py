from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_tap.config import Thresholds
from lsp_tap.session.models import Evaluation
from lsp_tap.session.scoring import TurnFacts, evaluate, judge_turn, measure_level
from tests.session.facts import make_action, make_error, make_facts, make_lsp, make_step, run

FEW = st.integers(0, 30)
BASES = st.sampled_from([0.3, 0.7, 1.0])


def score(facts: TurnFacts) -> Evaluation:
    return evaluate(facts, judge_turn(facts))


def test_a_success_says_what_spoke_for_it() -> None:
    verdict = judge_turn(make_facts(actions=(make_action(), run("pytest", 0), run("tsc", None))))
    assert verdict.success
    assert verdict.reasons == (
        "finish reason is stop",
        "3 tool calls",
        "LSP errors 0 -> 0 (0 cleared, 0 introduced)",
        "the last test run passed",
        "the last build ended nobody knows how",
    )


FAILURES: list[tuple[dict[str, Any], str]] = [
    ({"errors": ("model error APIError: no",)}, "model error APIError: no"),
    ({"finish": None}, "finish reason is missing, not stop"),
    ({"finish": "length"}, "finish reason is length, not stop"),
    ({"actions": ()}, "no tool was used"),
    ({"seconds": 300.0}, "took 300 s, over 300 s"),
    ({"actions": (make_action(status="running", success=False),)}, "edit was left running"),
    ({"actions": (make_action(status="error", success=False, error="not\nfound"),)},
     "edit failed and was not repaired: not found"),
    ({"lsp": make_lsp(0, 1)}, "1 net new LSP error"),
    ({"lsp": make_lsp(1, 3, fix=1)}, "2 net new LSP errors"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "reason"), FAILURES)
def test_each_rule_alone_decides_and_says_so(fields: dict[str, Any], reason: str) -> None:
    verdict = judge_turn(make_facts(**fields))
    assert not verdict.success
    assert verdict.reasons == (reason,)


def test_without_a_reply_it_is_no_conversation() -> None:
    assert judge_turn(make_facts(messages=1)).reasons == ("no reply", "fewer than two messages")


TO_MEND: dict[str, Any] = {"task": "fix the errors", "at_start": (make_error(), make_error("b"))}


@pytest.mark.parametrize(
    ("lsp", "success", "reason"),
    [
        (make_lsp(2, fix=1), True, "the task is to mend, and 1 error was fixed"),
        (make_lsp(2, fix=2), True, "the task is to mend, and 2 errors were fixed"),
        (make_lsp(2), False, "the task is to mend, and no error was fixed"),
        (make_lsp(2, suppression=2), False, "the task is to mend, and no error was fixed, 2 only by suppression"),
        (make_lsp(2, deletion=1), False, "the task is to mend, and no error was fixed, 1 only by deletion"),
        (make_lsp(2, freshness="stale"), True, "the task is to mend, and whether it was is unknown"),
        (make_lsp(None), True, "the task is to mend, and whether it was is unknown"),
        (make_lsp(2, fix=1, freshness="server-dead"), True, "the task is to mend, and 1 error was fixed"),
    ],
)
def test_what_was_to_be_mended_must_be_mended_by_fixing(lsp: Any, success: bool, reason: str) -> None:
    verdict = judge_turn(make_facts(lsp=lsp, **TO_MEND))
    assert (verdict.success, reason in verdict.reasons) == (success, True)
    assert judge_turn(make_facts(lsp=lsp, task="add a function", at_start=TO_MEND["at_start"])).success


def test_what_others_broke_meanwhile_and_the_turn_mended_counts_as_mended() -> None:
    """The error came and went within the turn, so the turn's own sums do not have it."""
    mended, broken = make_step({"a": "fix"}, []), make_step({}, ["a"])
    assert judge_turn(make_facts(lsp=make_lsp(2), actions=(mended,), **TO_MEND)).success
    assert not judge_turn(make_facts(lsp=make_lsp(2), actions=(broken, mended), **TO_MEND)).success
    silenced = make_step({"a": "suppression"}, [])
    assert not judge_turn(make_facts(lsp=make_lsp(2), actions=(silenced,), **TO_MEND)).success


def test_thresholds_are_settings() -> None:
    strict = Thresholds(time_limit_s=5, least_tool_calls=2, least_messages=3, least_mended=2)
    assert judge_turn(make_facts(lsp=make_lsp(2, fix=1), **TO_MEND), strict).reasons == (
        "1 tool calls, under 2",
        "fewer than 3 messages",
        "took 10 s, over 5 s",
        "the task is to mend, and 1 error was fixed, under 2",
    )
    lenient = Thresholds(least_tool_calls=0, net_new_errors=3, least_mended=0)
    assert judge_turn(make_facts(actions=(), lsp=make_lsp(2, 3), **TO_MEND), lenient).success
    one = make_facts(lsp=make_lsp(1, fix=1), task="fix it", at_start=(make_error(),))
    assert judge_turn(one, Thresholds(least_mended=5)).success


def test_a_later_call_on_the_same_file_repairs_a_failed_one() -> None:
    failed = make_action(status="error", success=False, error="x", files=("a.py",))
    for tool, files, repaired in (("write", ("a.py",), True), ("edit", ("b.py",), False)):
        later = make_action(tool, files=files)
        assert judge_turn(make_facts(actions=(failed, later))).success is repaired
        assert not judge_turn(make_facts(actions=(later, failed))).success
    glob = make_action("glob", status="error", success=False)
    assert judge_turn(make_facts(actions=(glob, make_action("glob")))).success
    assert not judge_turn(make_facts(actions=(glob, make_action("grep")))).success


def test_failing_tests_decide_over_no_success_and_halve_correctness() -> None:
    facts = make_facts(actions=(make_action(), run("pytest", 1)))
    assert judge_turn(facts).success
    assert score(facts).correctness == 0.5


def test_without_any_evidence_correctness_is_unknown() -> None:
    assert score(make_facts(lsp=make_lsp(None))).correctness is None
    assert score(make_facts(lsp=make_lsp(None), actions=(run("pytest | tail", 0),))).correctness is None
    assert score(make_facts(lsp=make_lsp(None), actions=(run("pytest", 0),))).correctness == 1
    assert score(make_facts(lsp=make_lsp(None), actions=(run("make", 2),))).correctness == 0.5


def test_the_scores_of_a_turn() -> None:
    assert score(make_facts()) == Evaluation(correctness=1, efficiency=1, minimal_edits=1)
    assert score(make_facts(lsp=make_lsp(2, fix=1))).correctness == 0.85
    assert score(make_facts(lsp=make_lsp(2, fix=1), **TO_MEND)).correctness == 0.65
    assert score(make_facts(lsp=make_lsp(2, suppression=2), **TO_MEND)).correctness == 0.3
    assert score(make_facts(lsp=make_lsp(0, 1))).correctness == 0.5
    assert score(make_facts(lsp=make_lsp(0, 1), finish="length")).correctness == 0.15
    many = score(make_facts(actions=(make_action(),) * 30, files_modified=6))
    assert (many.efficiency, many.minimal_edits) == (0.2667, 0.5)


@given(before=FEW, introduced=FEW, fixed=FEW, base=BASES)
def test_the_level_is_within_zero_and_one_and_moves_the_right_way(
    before: int, introduced: int, fixed: int, base: float
) -> None:
    level = measure_level(before, introduced, fixed, base)
    assert 0 <= level <= 1
    assert measure_level(before, introduced, fixed + 1, base) >= level
    assert measure_level(before, introduced + 1, fixed, base) <= level
    assert measure_level(before, introduced + 1, fixed + 1, base) == level


KNOWN = st.builds(
    lambda before, introduced, shares: (before, introduced, *(before * share // 100 // 3 for share in shares)),
    FEW, FEW, st.tuples(*[st.integers(0, 100)] * 3),
)  # fmt: skip
TURNS = st.fixed_dictionaries(
    {
        "task": st.sampled_from(["fix the errors", "add a function"]),
        "finish": st.sampled_from(["stop", None]),
        "actions": st.lists(
            st.sampled_from([make_action(), run("pytest", 0), run("pytest", 1), run("make", 2), run("tsc", None)])
        ).map(tuple),
        "files_modified": FEW,
    }
)


@given(KNOWN, TURNS)
def test_correctness_rises_with_errors_fixed_and_falls_with_errors_introduced(
    counts: tuple[int, int, int, int, int], turn: dict[str, Any]
) -> None:
    before, introduced, fix, suppression, deletion = counts

    def correctness(**changed: int) -> float:
        numbers = {"introduced": introduced, "fix": fix, "suppression": suppression, "deletion": deletion, **changed}
        start = tuple(make_error() for _ in range(before))
        found = score(make_facts(lsp=make_lsp(before, **numbers), at_start=start, **turn)).correctness
        assert found is not None
        assert 0 <= found <= 1
        return found

    now = correctness()
    if fix + suppression + deletion < before:
        assert correctness(fix=fix + 1) >= now
        assert correctness(suppression=suppression + 1) == now
        assert correctness(deletion=deletion + 1) == now
    assert correctness(introduced=introduced + 1) <= now


@given(TURNS)
def test_more_calls_and_more_files_never_raise_their_scores(turn: dict[str, Any]) -> None:
    now = score(make_facts(**turn))
    assert 0.1 <= now.efficiency <= 1
    assert 0 < now.minimal_edits <= 1
    more_calls = score(make_facts(**{**turn, "actions": (*turn["actions"], make_action())}))
    assert more_calls.efficiency <= now.efficiency
    assert (
        score(make_facts(**{**turn, "files_modified": turn["files_modified"] + 1})).minimal_edits <= now.minimal_edits
    )
