"""A run of an optimiser: its program measured before and after, by the student, on examples nobody learned from."""

from __future__ import annotations

import io
import os
import statistics
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any, Literal

from lsp_tap.errors import LspTapError
from lsp_tap.training.extra import MissingExtra, import_dspy, quiet_dspy
from lsp_tap.training.optimisers import Budget, Name, Task, compile_program
from lsp_tap.training.programs import make_program, trim_demonstrations
from lsp_tap.training.recorded import Layout
from lsp_tap.training.scorer import Score, score
from lsp_tap.training.splits import Split, split

Phase = Literal["models", "baseline", "optimising", "held-out"]
OnStep = Callable[[Phase, int], None]


class ModelUnavailable(LspTapError):
    """`model` did not answer, or none of its answers could be used."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(model, reason)
        self.model, self.reason = model, reason

    def __str__(self) -> str:
        return f"model {self.model}: {self.reason}"


class OptimiserFailed(LspTapError):
    """The optimiser `name` raised an error."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return f"{self.name} failed: {self.reason}"


@dataclass(frozen=True, slots=True)
class Model:
    """A model by its DSPy (LiteLLM) name, such as `anthropic/claude-sonnet-4-5` or `ollama_chat/qwen3`."""

    name: str
    api_base: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    cache: bool = True

    def open(self) -> Any:
        """A `dspy.LM`. Keys come from LiteLLM's environment variables; a server of one's own may need none."""
        options: dict[str, Any] = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        if self.api_base:
            options["api_base"] = self.api_base
            if self.name.startswith("openai/"):
                options["api_key"] = os.environ.get("OPENAI_API_KEY") or "none"
        given = {name: value for name, value in options.items() if value is not None}
        return import_dspy().LM(self.name, cache=self.cache, **given)


@dataclass(frozen=True, slots=True)
class Plan:
    """A run. `teacher` None: the student is its own."""

    student: Model
    teacher: Model | None = None
    optimiser: Name = "mipro"
    layout: Layout = "task"
    budget: Budget = "light"
    threshold: float = 0.7
    demonstrations: int = 4
    held_out: float = 0.25
    validation: float = 0.25
    threads: int = 4
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """The scores of a program, an example each. `failed`: predictions that raised an error; they score 0."""

    scores: tuple[float, ...]
    failed: int

    @property
    def mean(self) -> float:
        return statistics.fmean(self.scores)


@dataclass(frozen=True, slots=True)
class Result:
    """`program` is the optimised one. `predictions`: how many were scored while optimising."""

    program: Any
    baseline: Measured
    optimised: Measured
    split: Split
    predictions: int

    @property
    def gain(self) -> float:
        return self.optimised.mean - self.baseline.mean


def optimise(examples: Sequence[Any], plan: Plan, on_step: OnStep | None = None) -> Result:
    """Split, measure, optimise, measure again. `on_step` is told of each phase how many predictions were scored.

    Raises TooFewRecordings, ModelUnavailable, OptimiserFailed, MissingExtra.
    """
    parts = split(examples, held_out=plan.held_out, validation=plan.validation, seed=plan.seed)
    quiet_dspy()
    tell = on_step or (lambda phase, count: None)
    tell("models", 0)
    student, teacher = plan.student.open(), (plan.teacher or plan.student).open()
    for model, lm in ((plan.student, student), (plan.teacher or plan.student, teacher)):
        _try_out(model, lm)
    program = make_program(plan.layout)
    baseline = measure(program, parts.held_out, student, plan.threads, lambda count: tell("baseline", count))
    if baseline.failed == len(parts.held_out):
        raise ModelUnavailable(plan.student.name, f"none of its {baseline.failed} answers had the fields asked for")
    count = 0

    def counted(example: Any, prediction: Any) -> Score:
        nonlocal count
        count += 1
        tell("optimising", count)
        return score(example, prediction)

    task = Task(
        program=program.deepcopy(),
        train=parts.train,
        validation=parts.validation or parts.train,
        student=student,
        teacher=teacher,
        budget=plan.budget,
        threshold=plan.threshold,
        demonstrations=plan.demonstrations,
        threads=plan.threads,
        seed=plan.seed,
    )
    try:
        with redirect_stdout(io.StringIO()):  # some optimisers print
            compiled = compile_program(plan.optimiser, task, counted)
    except LspTapError:
        raise
    except ImportError as error:
        raise MissingExtra(error.name or f"what {plan.optimiser} needs") from error
    except Exception as error:
        raise OptimiserFailed(plan.optimiser, _name(error)) from error
    compiled.set_lm(None)
    trim_demonstrations(compiled)
    optimised = measure(compiled, parts.held_out, student, plan.threads, lambda count: tell("held-out", count))
    return Result(compiled, baseline, optimised, parts, count)


def measure(
    program: Any, examples: Sequence[Any], lm: Any, threads: int, on_step: Callable[[int], None] | None = None
) -> Measured:
    """The scores of a program on examples, run by the model `lm`."""
    dspy = import_dspy()
    done = 0

    def metric(example: Any, prediction: Any, trace: Any = None) -> float:
        nonlocal done
        done += 1
        if on_step:
            on_step(done)
        return score(example, prediction).value

    evaluate = dspy.Evaluate(
        devset=list(examples), metric=metric, num_threads=threads, display_progress=False, max_errors=len(examples) + 1
    )
    with dspy.context(lm=lm):
        found = evaluate(program)
    scores = tuple(float(value) for _, _, value in found.results)
    return Measured(scores, sum(not prediction.keys() for _, prediction, _ in found.results))


def _try_out(model: Model, lm: Any) -> None:
    try:
        lm.copy(num_retries=1)("Answer with the word ready.")
    except Exception as error:
        raise ModelUnavailable(model.name, _name(error)) from error


def _name(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
