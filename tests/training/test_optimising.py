"""Every optimiser, run to its end by a teacher and a student on the loopback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.cli.training import OPTIMISERS
from lsp_tap.training import examples, make_program
from lsp_tap.training.extra import MissingExtra, import_dspy
from lsp_tap.training.optimisers import NAMES, Name
from lsp_tap.training.optimising import Model, ModelUnavailable, OptimiserFailed, Plan, measure, optimise
from lsp_tap.training.prompts import describe_prompt
from lsp_tap.training.splits import TooFewRecordings
from lsp_tap.wiring.scripted_model import Answer, Failure, ModelRequest
from tests.training.models import RULE, AnsweringModel


def make_plan(model: AnsweringModel, optimiser: Name, **fields: Any) -> Plan:
    student, teacher = (
        Model(f"openai/{name}", model.url, temperature=1.0, max_tokens=2_000, cache=False)
        for name in ("student", "teacher")
    )
    return Plan(student, teacher, optimiser, **{"budget": 64, **fields})


@pytest.mark.parametrize("name", NAMES)
def test_every_optimiser_makes_the_student_better(name: Name, recordings: Path, model: AnsweringModel) -> None:
    steps: list[tuple[str, int]] = []
    result = optimise(examples(recordings), make_plan(model, name), lambda phase, count: steps.append((phase, count)))
    assert (result.baseline.mean, result.optimised.mean) == (0, 1)
    assert result.gain == 1
    assert result.baseline.failed == result.optimised.failed == 0
    assert len(result.optimised.scores) == len(result.split.held_out) == 16
    assert list(dict.fromkeys(phase for phase, _ in steps)) == [
        "models", "baseline", *(["optimising"] if name != "labeled" else []), "held-out",
    ]  # fmt: skip
    prompt = describe_prompt(result.program)
    assert prompt.demonstrations or RULE in prompt.instructions
    text = prompt.render()
    held_out = {example.response for example in result.split.held_out}
    assert not any(response in text and example_is_held_out(result, response) for response in held_out)
    asked = {request.model for request in model.requests}
    assert asked == {"student", "teacher"}


def example_is_held_out(result: Any, response: str) -> bool:
    """Whether an answer is of held-out examples alone: the same name may be misspelt elsewhere too."""
    return all(example.response != response for example in [*result.split.train, *result.split.validation])


@pytest.mark.parametrize("name", ["labeled", "bootstrap", "mipro", "simba", "gepa"])
def test_steps_are_optimised_as_well(name: Name, recordings: Path, model: AnsweringModel) -> None:
    found = examples(recordings, "step", where=lambda row: row.turn <= 2)
    budget = 150 if name == "gepa" else 32
    result = optimise(found, make_plan(model, name, layout="step", budget=budget))
    assert result.optimised.mean > result.baseline.mean + 0.2
    assert result.optimised.failed == 0


def test_too_few_sessions_are_refused_before_any_model_is_asked(recordings: Path, model: AnsweringModel) -> None:
    found = examples(recordings / "shop/.opencode-logs/session-ses_shop_0.json")
    with pytest.raises(TooFewRecordings):
        optimise(found, make_plan(model, "labeled"))
    assert model.requests == []


def test_a_model_that_does_not_answer_is_named(recordings: Path, model: AnsweringModel) -> None:
    plan = Plan(Model("openai/student", "http://127.0.0.1:1/v1", cache=False), optimiser="labeled")
    with pytest.raises(ModelUnavailable, match="model openai/student: ") as caught:
        optimise(examples(recordings), plan)
    assert "\n" not in str(caught.value)


class _Refusing(AnsweringModel):
    def take_answer(self, request: ModelRequest) -> Answer:
        if "ready" in request.last_user_text:
            return super().take_answer(request)
        return Failure(400, "no") if request.model == "student" else super().take_answer(request)


def test_a_student_none_of_whose_answers_can_be_read_is_no_baseline(recordings: Path, model: AnsweringModel) -> None:
    with (
        _Refusing(lambda request: "ready") as refusing,
        pytest.raises(ModelUnavailable, match="none of its 16 answers"),
    ):
        optimise(examples(recordings), make_plan(refusing, "labeled"))


def test_what_an_optimiser_raises_is_one_line(
    recordings: Path, model: AnsweringModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(import_dspy().LabeledFewShot, "compile", fail)
    with pytest.raises(OptimiserFailed, match="labeled failed: RuntimeError: two lines"):
        optimise(examples(recordings), make_plan(model, "labeled"))


def test_a_package_that_an_optimiser_lacks_is_named(
    recordings: Path, model: AnsweringModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise ModuleNotFoundError("No module named 'optuna'", name="optuna")

    monkeypatch.setattr(import_dspy().MIPROv2, "compile", fail)
    with pytest.raises(MissingExtra, match=r"optuna is not installed: pip install 'lsp-tap\[dspy\]'"):
        optimise(examples(recordings), make_plan(model, "mipro"))


def test_the_command_offers_them_all() -> None:
    assert tuple(NAMES) == OPTIMISERS


def test_a_saved_program_scores_as_it_did(recordings: Path, model: AnsweringModel, tmp_path: Path) -> None:
    plan = make_plan(model, "bootstrap")
    result = optimise(examples(recordings), plan)
    result.program.save(str(tmp_path / "p.json"))
    assert "recorded" not in json.loads((tmp_path / "p.json").read_text())["demos"][0]
    loaded = make_program("task")
    loaded.load(str(tmp_path / "p.json"))
    again = measure(loaded, result.split.held_out, plan.student.open(), 2)
    assert again.scores == result.optimised.scores
