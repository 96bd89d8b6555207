"""DSPy's optimisers by name, each set up as it wants to be, and what a budget means to it.

| name | changes | DSPy's | metric |
|---|---|---|---|
| labeled | demonstrations, as recorded | LabeledFewShot | none |
| bootstrap | demonstrations the teacher made | BootstrapFewShot | yes or no |
| random | the same, the best of several sets | BootstrapFewShotWithRandomSearch | number |
| mipro | instructions and demonstrations | MIPROv2 | number |
| copro | instructions | COPRO | number |
| simba | rules and demonstrations | SIMBA | number |
| gepa | instructions, from feedback in words | GEPA | feedback |

A budget is `light`, `medium`, `heavy`, or about how many predictions may be scored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from lsp_tap.training.extra import import_dspy
from lsp_tap.training.metrics import Scorer, as_feedback, as_number, as_verdict

Name = Literal["labeled", "bootstrap", "random", "mipro", "copro", "simba", "gepa"]
NAMES: Final[tuple[Name, ...]] = ("labeled", "bootstrap", "random", "mipro", "copro", "simba", "gepa")
Budget = Literal["light", "medium", "heavy"] | int
_TIMES: Final = {"light": 1, "medium": 2, "heavy": 4}
SIMBA_BATCH: Final = 32
MAX_ERRORS: Final = 1_000_000
"""A prediction that fails scores 0, and is no reason to stop."""
SMALL: Final = 35
"""With so few examples to validate by, all of them are used each time, and no smaller batch."""


@dataclass(frozen=True, slots=True)
class Task:
    """What an optimiser works with. `threshold`: the score from which on a demonstration is a good one."""

    program: Any
    train: list[Any]
    validation: list[Any]
    student: Any
    teacher: Any
    budget: Budget = "light"
    threshold: float = 0.7
    demonstrations: int = 4
    threads: int = 4
    seed: int = 0


def compile_program(name: Name, task: Task, scorer: Scorer) -> Any:
    """The optimised program. Raises MissingExtra, and whatever DSPy raises."""
    dspy = import_dspy()
    with dspy.context(lm=task.student, max_errors=MAX_ERRORS):
        return _COMPILERS[name](dspy, task, scorer)


def _rounds(task: Task, light: int, cost: int) -> int:
    """How many rounds, of which each scores about `cost` predictions."""
    if isinstance(task.budget, int):
        return max(1, task.budget // max(1, cost))
    return light * _TIMES[task.budget]


def _compile_labeled(dspy: Any, task: Task, scorer: Scorer) -> Any:
    return dspy.LabeledFewShot(k=task.demonstrations).compile(task.program, trainset=task.train)


def _compile_bootstrap(dspy: Any, task: Task, scorer: Scorer) -> Any:
    optimiser = dspy.BootstrapFewShot(
        metric=as_verdict(task.threshold, scorer),
        teacher_settings={"lm": task.teacher},
        max_bootstrapped_demos=task.demonstrations,
        max_labeled_demos=task.demonstrations,
        max_rounds=_rounds(task, 1, len(task.train)),
    )
    return optimiser.compile(task.program, trainset=task.train)


def _compile_random(dspy: Any, task: Task, scorer: Scorer) -> Any:
    optimiser = dspy.BootstrapFewShotWithRandomSearch(
        metric=as_number(scorer),
        metric_threshold=task.threshold,
        teacher_settings={"lm": task.teacher},
        max_bootstrapped_demos=task.demonstrations,
        max_labeled_demos=task.demonstrations,
        num_candidate_programs=_rounds(task, 4, len(task.validation)),
        num_threads=task.threads,
    )
    return optimiser.compile(task.program, trainset=task.train, valset=task.validation)


def _compile_mipro(dspy: Any, task: Task, scorer: Scorer) -> Any:
    trials = None if isinstance(task.budget, str) else _rounds(task, 1, min(SMALL, len(task.validation)))
    optimiser = dspy.MIPROv2(
        metric=as_number(scorer),
        metric_threshold=task.threshold,
        prompt_model=task.teacher,
        task_model=task.student,
        teacher_settings={"lm": task.teacher},
        auto=task.budget if isinstance(task.budget, str) else None,
        num_candidates=None if trials is None else max(2, min(10, trials)),
        max_bootstrapped_demos=task.demonstrations,
        max_labeled_demos=task.demonstrations,
        num_threads=task.threads,
        seed=task.seed or 9,
        track_stats=False,
    )
    return optimiser.compile(
        task.program,
        trainset=task.train,
        valset=task.validation,
        num_trials=trials,
        minibatch=len(task.validation) > SMALL,
    )


def _compile_copro(dspy: Any, task: Task, scorer: Scorer) -> Any:
    breadth = 4
    optimiser = dspy.COPRO(
        metric=as_number(scorer),
        prompt_model=task.teacher,
        breadth=breadth,
        depth=_rounds(task, 1, breadth * len(task.train)),
    )
    options = {"num_threads": task.threads, "display_progress": False}
    return optimiser.compile(task.program, trainset=task.train, eval_kwargs=options)


def _compile_simba(dspy: Any, task: Task, scorer: Scorer) -> Any:
    batch, candidates = min(SIMBA_BATCH, len(task.train)), 4
    optimiser = dspy.SIMBA(
        metric=as_number(scorer),
        bsize=batch,
        num_candidates=candidates,
        max_steps=_rounds(task, 2, 2 * batch * candidates),
        max_demos=task.demonstrations,
        prompt_model=task.teacher,
        teacher_settings={"lm": task.teacher},
        num_threads=task.threads,
    )
    return optimiser.compile(task.program, trainset=task.train, seed=task.seed)


def _compile_gepa(dspy: Any, task: Task, scorer: Scorer) -> Any:
    calls = task.budget if isinstance(task.budget, int) else None
    optimiser = dspy.GEPA(
        metric=as_feedback(scorer),
        auto=None if calls else task.budget,
        max_metric_calls=calls,
        reflection_lm=task.teacher,
        num_threads=task.threads,
        seed=task.seed,
    )
    return optimiser.compile(task.program, trainset=task.train, valset=task.validation)


_COMPILERS: Final[dict[Name, Callable[[Any, Task, Scorer], Any]]] = {
    "labeled": _compile_labeled,
    "bootstrap": _compile_bootstrap,
    "random": _compile_random,
    "mipro": _compile_mipro,
    "copro": _compile_copro,
    "simba": _compile_simba,
    "gepa": _compile_gepa,
}
