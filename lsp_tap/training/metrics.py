"""The score as DSPy's optimisers want it: three adapters of one scorer.

| adapter | returns | for |
|---|---|---|
| `as_number()` | float in [0, 1] | Evaluate, SIMBA, COPRO, and with a `metric_threshold` MIPROv2 |
| `as_verdict(0.7)` | bool: at least the threshold | BootstrapFewShot, which accepts whatever is true |
| `as_feedback()` | `dspy.Prediction(score, feedback, objective_scores)` | GEPA |

Do not give `as_feedback` to a bootstrapping optimiser: a `Prediction` is true, also with a score of 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lsp_tap.training.extra import import_dspy
from lsp_tap.training.scorer import Score, score

if TYPE_CHECKING:
    import dspy  # type: ignore[import-untyped]

Scorer = Callable[[Any, Any], Score]


def as_number(scorer: Scorer = score) -> Callable[..., float]:
    """A metric that is the score."""

    def measure(example: Any, prediction: Any, trace: Any = None) -> float:
        return scorer(example, prediction).value

    return measure


def as_verdict(threshold: float = 0.7, scorer: Scorer = score) -> Callable[..., bool]:
    """A metric that says whether the score reaches `threshold`."""

    def accept(example: Any, prediction: Any, trace: Any = None) -> bool:
        return scorer(example, prediction).value >= threshold

    return accept


def as_feedback(scorer: Scorer = score) -> Callable[..., dspy.Prediction]:
    """A metric that also says in words which errors were left, introduced and suppressed, and what was missed."""
    make = import_dspy().Prediction

    def explain(
        gold: Any, pred: Any, trace: Any = None, pred_name: str | None = None, pred_trace: Any = None
    ) -> dspy.Prediction:
        found = scorer(gold, pred)
        return make(score=found.value, feedback=found.feedback, objective_scores=dict(found.parts))

    return explain
