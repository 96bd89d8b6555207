from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_tap.training import as_feedback, as_number, as_verdict, examples, score
from lsp_tap.training.evidence import find_evidence
from lsp_tap.training.extra import import_dspy
from tests.session.facts import make_error

WORDS = st.text(alphabet="ab ._`\n", max_size=40)
CALLS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["read", "edit"]), "args": st.dictionaries(st.sampled_from("xyz"), WORDS, max_size=2)}
    ),
    max_size=4,
)


@pytest.fixture(scope="module")
def turn(recordings: Path) -> Any:
    return examples(recordings)[0]


@pytest.fixture(scope="module")
def step(recordings: Path) -> Any:
    return examples(recordings, "step")[1]


def predict(**fields: Any) -> Any:
    return import_dspy().Prediction(**fields)


def test_an_answer_is_scored_by_what_it_speaks_of(turn: Any) -> None:
    assert score(turn, predict(response=turn.response)).value == 1
    nothing = score(turn, predict(response="Done."))
    assert nothing.value == 0
    assert 'these errors, which the recorded turn fixed: cart.py:1: "adress" is not defined' in nothing.feedback
    assert "does not name these files, which the recorded turn changed: cart.py" in nothing.feedback
    named = score(turn, predict(response="I have changed cart.py."))
    assert named.parts["files"] == 1
    assert 0 < named.value < score(turn, predict(response="Fixed `adress` in cart.py.")).value < 1


def test_silencing_the_checker_halves_the_score_and_is_told(turn: Any, step: Any) -> None:
    honest = score(turn, predict(response=turn.response))
    silent = score(turn, predict(response=f"{turn.response}  # type: ignore"))
    assert silent.value < honest.value * 0.51
    assert silent.parts["honesty"] == 0
    assert "never suppress an error" in silent.feedback
    call = {"name": "edit", "args": {"filePath": "/srv/bank/cart.py", "newString": "x = adress  # noqa"}}
    assert score(step, predict(next_thought="", tool_calls=[call])).parts["honesty"] == 0


def test_a_step_is_scored_by_its_calls(step: Any) -> None:
    (wanted,) = step.tool_calls.tool_calls
    same = predict(next_thought=step.next_thought, tool_calls=step.tool_calls)
    assert score(step, same).value == 1
    other_path = {"name": "edit", "args": {**wanted.args, "filePath": "cart.py"}}
    values = [
        score(step, predict(next_thought=step.next_thought, tool_calls=calls)).value
        for calls in (
            [other_path],
            [{"name": "edit", "args": {"filePath": "/x.py"}}],
            [{"name": "read", "args": {}}],
            [],
        )
    ]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 3
    too_many = score(step, predict(next_thought=step.next_thought, tool_calls=[other_path, other_path]))
    assert too_many.value < values[0]
    assert "recorded step called edit(filePath=/srv/bank/cart.py" in too_many.feedback


def test_calls_of_any_shape_are_compared(step: Any) -> None:
    (wanted,) = step.tool_calls.tool_calls
    openai = {
        "id": "1",
        "type": "function",
        "function": {"name": "edit", "arguments": __import__("json").dumps(wanted.args)},
    }
    for calls in ([openai], {"tool_calls": [openai]}, [{"name": "edit", "args": wanted.args}]):
        assert score(step, predict(next_thought=step.next_thought, tool_calls=calls)).value == 1
    nothing: list[Any] = [None, "edit", 3, [None], [{"function": None}], {"tool_calls": None}]
    for shape in nothing:
        assert 0 <= score(step, predict(tool_calls=shape)).value < 0.2


def test_a_prediction_that_was_run_is_scored_by_what_it_did(turn: Any, recordings: Path) -> None:
    (failed, *_) = examples(recordings, success=False)
    broke = score(turn, predict(outcome=_outcome(recordings, failed), actions=failed.actions, context=failed.context))
    assert broke.value == 0.25
    assert broke.feedback == (
        'The run was no success: 1 net new LSP error.\nIntroduced: tax.py:1: "nowhere" is not defined (undefined).'
    )
    mended = score(turn, predict(outcome=_outcome(recordings, turn), actions=turn.actions))
    assert mended.value == 1
    assert mended.parts == {"success": 1, "correctness": 1, "efficiency": 1, "minimalEdits": 1}
    assert score(turn, predict(outcome={"success": True, "evaluation": {"correctness": None}})).value == 1


def _outcome(recordings: Path, example: Any) -> Any:
    from lsp_tap.session.loading import TurnRow, read_turns

    wanted = (example.recorded["sessionId"], example.recorded["turn"])
    return next(
        r.outcome for r in read_turns(recordings) if isinstance(r, TurnRow) and (r.session_id, r.turn) == wanted
    )


def test_nothing_at_all_scores_nothing(turn: Any, step: Any) -> None:
    for prediction in (None, predict(), predict(response=None, tool_calls=None)):
        assert score(turn, prediction).value == 0
        assert score(step, prediction).value == 0


@given(WORDS, CALLS, WORDS)
def test_scores_are_within_zero_and_one_and_the_recorded_step_scores_best(thought: str, calls: Any, other: str) -> None:
    dspy = import_dspy()
    recorded = dspy.Example(
        task="t", next_thought=thought, tool_calls=dspy.ToolCalls.from_dict_list(calls), recorded={}
    )
    assert score(recorded, dspy.Prediction(next_thought=thought, tool_calls=calls)).value == 1
    assert 0 <= score(recorded, dspy.Prediction(next_thought=other, tool_calls=calls[1:])).value <= 1


def test_the_score_is_the_same_in_every_process(turn: Any) -> None:
    code = (
        "from lsp_tap.training import score\n"
        f"print(score({ {k: turn[k] for k in ('response', 'recorded')}!r}, {{'response': 'I changed cart.py now'}}))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1


def test_three_adapters_of_one_score(turn: Any) -> None:
    bad, good = predict(response="Done."), predict(response=turn.response)
    assert (as_number()(turn, bad), as_number()(turn, good)) == (0, 1)
    assert (as_verdict()(turn, bad), as_verdict()(turn, good)) == (False, True)
    assert as_verdict(0)(turn, bad, []) is True
    explained = as_feedback()(turn, bad, None, "predictor", None)
    assert bool(explained) is True  # which is why it must not be given to a bootstrapping optimiser
    assert explained.score == 0
    assert explained.objective_scores == {"errors": 0, "files": 0, "words": 0, "honesty": 1}
    assert "What the recorded turn did to the LSP errors:\nFixed: cart.py:1" in explained.feedback


def error(message: str, how: str = "") -> dict[str, Any]:
    plain = make_error(message).model_dump(mode="json")
    return {**plain, "clearedBy": how} if how else plain


def test_the_evidence_names_each_error_once_by_what_became_of_it() -> None:
    start = [error(message) for message in "abcde"]
    actions = [
        {"lspDelta": {"cleared": [error("a", "fix"), error("b", "suppression"), error("c", "deletion")],
                      "introduced": [error("new"), error("gone")]}},
        {"lspDelta": {"cleared": [error("gone", "fix"), error("d", "suppression")], "introduced": []}},
        {"lspDelta": {"cleared": [], "introduced": [error("d")]}},
        {},
    ]  # fmt: skip
    found = find_evidence(start, actions, {"metrics": {"lsp": {"errorsBefore": 5}}})
    assert found.describe() == (
        "Left: a.py:1: d (rule); a.py:1: e (rule).\nIntroduced: a.py:1: new (rule).\n"
        "Only suppressed, not fixed: a.py:1: b (rule).\n"
        "Gone because their code was deleted, not fixed: a.py:1: c (rule).\nFixed: a.py:1: a (rule)."
    )


def test_what_nobody_saw_is_not_evidence() -> None:
    outcomes: list[Any] = [{}, {"metrics": {}}, {"metrics": {"lsp": {"errorsBefore": None}}}]
    for outcome in outcomes:
        assert find_evidence([], [], outcome).describe() == "Nobody knows what it did to the LSP errors."
    assert "no LSP errors" in find_evidence([], [], {"metrics": {"lsp": {"errorsBefore": 0}}}).describe()
