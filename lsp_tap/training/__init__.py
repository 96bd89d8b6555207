"""From recordings to DSPy programs and better prompts. DSPy is an extra (`lsp-tap[dspy]`), imported when it is needed.

    recorded     recorded turns -> `dspy.Example`s, whole turns or single steps
    evidence     what a recorded turn did to the errors, by error
    scorer       the one score of a prediction, with its parts and a text
    metrics      that score as optimisers want it: a number, a yes or no, feedback
    splits       training, validation and held-out examples, by repository or session
    programs     the DSPy signatures and modules that are optimised
    optimisers   DSPy's optimisers, by name and budget
    optimising   a run: measured before and after on held-out examples
    prompts      what OpenCode can use of the result: an agent, instructions, a configuration

What surprised: what is saved with a program are its demonstrations whole, also the fields no model sees; so they are
trimmed. And a metric that returns a `Prediction` accepts everything.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lsp_tap.training.metrics import as_feedback as as_feedback
    from lsp_tap.training.metrics import as_number as as_number
    from lsp_tap.training.metrics import as_verdict as as_verdict
    from lsp_tap.training.programs import make_program as make_program
    from lsp_tap.training.recorded import examples as examples
    from lsp_tap.training.scorer import Score as Score
    from lsp_tap.training.scorer import score as score
    from lsp_tap.training.splits import split as split

_HOME_OF = {
    "Score": "scorer",
    "as_feedback": "metrics",
    "as_number": "metrics",
    "as_verdict": "metrics",
    "examples": "recorded",
    "make_program": "programs",
    "score": "scorer",
    "split": "splits",
}

__all__ = ["Score", "as_feedback", "as_number", "as_verdict", "examples", "make_program", "score", "split"]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
