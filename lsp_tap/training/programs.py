"""What is optimised: one predictor, whose instructions and demonstrations are the prompt that OpenCode then gets."""

from __future__ import annotations

from typing import Any

from lsp_tap.training.extra import import_dspy
from lsp_tap.training.recorded import Layout

TASK_INSTRUCTIONS = (
    "You are a coding agent. Do the task in the project, and answer with what you did: name the files you changed and "
    "the errors you fixed, and how."
)
STEP_INSTRUCTIONS = (
    "You are a coding agent. Decide the next step towards the task: think, then call tools, or, when the task is done, "
    "call none and tell the user what you did. Fix the errors that the language servers show, and introduce none."
)


def make_program(layout: Layout = "task", instructions: str | None = None) -> Any:
    """A `dspy.Predict` for the examples of a layout. Raises MissingExtra without DSPy."""
    dspy = import_dspy()
    if layout == "task":
        fields = {
            "task": (str, dspy.InputField(desc="what the user asks")),
            "context": (dict[str, Any], dspy.InputField(desc="the project, with its LSP diagnostics")),
            "response": (str, dspy.OutputField(desc="what was done, for the user")),
        }
        return dspy.Predict(dspy.make_signature(fields, instructions or TASK_INSTRUCTIONS, "CodingTask"))
    fields = {
        "task": (str, dspy.InputField(desc="what the user asks")),
        "diagnostics": (str, dspy.InputField(desc="the LSP errors now")),
        "history": (dspy.History, dspy.InputField()),
        "next_thought": (str, dspy.OutputField(desc="what to do next, and why; at the end the answer to the user")),
        "tool_calls": (dspy.ToolCalls, dspy.OutputField(desc="the calls to make now; none at the end")),
    }
    return dspy.Predict(dspy.make_signature(fields, instructions or STEP_INSTRUCTIONS, "CodingStep"))


def trim_demonstrations(program: Any) -> None:
    """Leave out of the demonstrations what no model sees: fields that the signature does not have."""
    dspy = import_dspy()
    for predictor in program.predictors():
        names = [*predictor.signature.input_fields, *predictor.signature.output_fields, "augmented"]
        predictor.demos = [dspy.Example({n: demo[n] for n in names if n in demo}) for demo in predictor.demos]
