"""Models for DSPy on the loopback: a teacher that knows the convention, and a student that follows what it is shown.

The student does what its prompt makes it do. Shown demonstrations it answers like them; told the rule (the one the
teacher proposes) it follows it; otherwise it says that it is done, and nothing else. So a better score is earned by a
better prompt. Both speak DSPy's chat format: whatever output fields are asked for, they fill.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from lsp_tap.wiring.scripted_model import Answer, ModelRequest, ScriptedModel, say
from tests.training.recordings import MISSPELT, answer

RULE = "Quote the wrong name in backticks, name its file, and say what the name is now."
_FIELD = re.compile(r"\[\[ ## (\w+) ## \]\]")


class AnsweringModel(ScriptedModel):
    """Answers every request by a function of it."""

    def __init__(self, respond: Callable[[ModelRequest], str]) -> None:
        super().__init__()
        self._respond = respond

    def take_answer(self, request: ModelRequest) -> Answer:
        self.requests.append(request)
        return say(self._respond(request))


def teacher_and_student() -> AnsweringModel:
    """One server for both: `openai/teacher` and `openai/student`."""
    return AnsweringModel(lambda request: (teach if request.model == "teacher" else study)(request))


def teach(request: ModelRequest) -> str:
    return _fill(request, knows=True)


def study(request: ModelRequest) -> str:
    messages = request.body["messages"]
    shown = any(m["role"] == "assistant" and "Fixed `" in str(m["content"]) for m in messages)
    return _fill(request, knows=shown or RULE in request.system)


def _fill(request: ModelRequest, *, knows: bool) -> str:
    asked = request.last_user_text
    if "Respond with a JSON object" in asked:
        fields = re.findall(r"`(\w+)`", asked[asked.rfind("Respond with a JSON object") :])
        return json.dumps({field: _parse(_say(field, asked, knows)) for field in fields})
    if "Respond with the corresponding output fields" not in asked:
        return "ready"
    fields = _FIELD.findall(asked[asked.rfind("Respond with the corresponding output fields") :])
    values = {field: _say(field, asked, knows) for field in fields if field != "completed"}
    return "\n\n".join([f"[[ ## {field} ## ]]\n{value}" for field, value in values.items()] + ["[[ ## completed ## ]]"])


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _say(field: str, asked: str, knows: bool) -> str:
    found = re.search(r"Fix `(\w+)` in (\w+\.py)", asked)
    known = found if found and found[1] in MISSPELT else None
    match field:
        case "response" | "next_thought":
            return answer(known[1], known[2]) if knows and known else "Done."
        case "tool_calls":
            args = {"filePath": known[2], "oldString": known[1], "newString": MISSPELT[known[1]]} if known else {}
            calls = [{"name": "edit", "args": args}] if knows and "not defined" in asked else []
            return json.dumps({"tool_calls": calls})
        case "module_advice":
            return json.dumps({"self": RULE})
        case "proposed_prefix_for_output_field":
            return "Answer:"
        case _:
            return RULE
