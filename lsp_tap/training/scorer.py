"""The one score of a prediction, in [0, 1], with its parts and a text that says what to do better.

A prediction that was *run* (a program that lets the agent work, and measures) has an `outcome` in the shape of our
files, and `actions`. It is scored by what it did:

    value = (success + correctness) / 2            success alone where correctness is unknown

A prediction that was only *said* is scored by how far it agrees with the recorded turn, which is taken as right: train
on successes. value = weighted mean of the parts that apply, x 0.5 if it proposes to silence a checker where the
recorded turn does not.

| layout | part | weight | what |
|---|---|---|---|
| step | tools | 3 | F1 of the names of the tools called |
| step | first | 2 | the first call is the recorded first call's tool |
| step | arguments | 4 | mean of each recorded call's likeness to the likest call of that tool; calls too many count 0 |
| step | thought | 1 | F1 of the words |
| task | errors | 3 | share of the fixed errors that the answer speaks of: file and a name of the message, or the code |
| task | files | 2 | share of the changed files that the answer names |
| task | words | 2 | F1 of the words |

Where the recorded turn has nothing of a kind (no errors fixed, no files changed, no thought), the part does not apply;
what a prediction lacks altogether counts as empty. The same everywhere and always: nothing random, no order of sets.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Final

from lsp_tap.timeline.clearance import SUPPRESSIONS
from lsp_tap.training.evidence import find_evidence

Json = Mapping[str, Any]

WEIGHTS: Final = {"tools": 3, "first": 2, "arguments": 4, "thought": 1, "errors": 3, "files": 2, "words": 2}
SILENCING_FACTOR: Final = 0.5
COMPARED_CHARACTERS: Final = 2_000
"""Longer texts are compared by their beginnings: likeness takes time with the square of the length."""
_WORD: Final = re.compile(r"[^\W_]+(?:_[^\W_]+)*")
_NAME: Final = re.compile(r"[\"'`“‘]([^\"'`“”‘’]{1,80})[\"'`”’]")


@dataclass(frozen=True, slots=True)
class Score:
    """`value` and `parts` are in [0, 1]; `feedback` is for a model that is to do better."""

    value: float
    parts: Mapping[str, float] = field(default_factory=dict)
    feedback: str = ""


def score(example: Any, prediction: Any) -> Score:
    """The score of a prediction for an example of `lsp_tap.training.examples`, of either layout."""
    outcome = _get(prediction, "outcome")
    if isinstance(outcome, dict) and outcome:
        return _score_run(example, prediction, outcome)
    if _get(example, "tool_calls") is not None:
        return _score_step(example, prediction)
    return _score_answer(example, prediction)


def _score_run(example: Any, prediction: Any, outcome: Json) -> Score:
    success = 1.0 if outcome.get("success") is True else 0.0
    given = outcome.get("evaluation")
    names = ("correctness", "efficiency", "minimalEdits")
    scores = {n: float(given[n]) for n in names if isinstance(given, dict) and isinstance(given.get(n), int | float)}
    value = (success + scores["correctness"]) / 2 if "correctness" in scores else success
    at_start = _context_errors(_get(prediction, "context") or _get(example, "context"))
    evidence = find_evidence(at_start, _get(prediction, "actions") or (), outcome)
    reasons = "; ".join(map(str, outcome.get("reasons") or ())) or "no reasons given"
    verdict = "a success" if success else "no success"
    feedback = f"The run was {verdict}: {reasons}.\n{evidence.describe()}"
    return Score(value, {"success": success, **scores}, feedback)


def _score_step(example: Any, prediction: Any) -> Score:
    wanted, given = list_calls(_get(example, "tool_calls")), list_calls(_get(prediction, "tool_calls"))
    names, given_names = [call["name"] for call in wanted], [call["name"] for call in given]
    parts = {"tools": _f1(names, given_names)}
    if wanted:
        parts["first"] = float(bool(given) and given_names[0] == names[0])
        parts["arguments"] = _compare_arguments(wanted, given)
    thought = str(_get(example, "next_thought") or "")
    if thought:
        parts["thought"] = _f1(_words(thought), _words(str(_get(prediction, "next_thought") or "")))
    said = [f"The recorded step called {_tell_calls(wanted)}; this one {_tell_calls(given)}."]
    if parts.get("arguments", 1.0) < 1 and parts["tools"] == 1:
        said.append("The tools are right, their arguments differ.")
    return _sum_up(
        example, parts, said, [_text(call["args"]) for call in wanted], [_text(call["args"]) for call in given]
    )


def _score_answer(example: Any, prediction: Any) -> Score:
    answer, wanted = str(_get(prediction, "response") or ""), str(_get(example, "response") or "")
    recorded = _get(example, "recorded") or {}
    parts: dict[str, float] = {}
    said = []
    fixed = list((recorded.get("evidence") or {}).get("fixed") or ())
    if fixed:
        missed = [error for error in fixed if not _speaks_of(answer, error)]
        parts["errors"] = 1 - len(missed) / len(fixed)
        said += [
            f"The answer does not speak of these errors, which the recorded turn fixed: {'; '.join(missed)}."
        ] * bool(missed)
    files = list(recorded.get("files") or ())
    if files:
        unnamed = [file for file in files if file.rpartition("/")[2].casefold() not in answer.casefold()]
        parts["files"] = 1 - len(unnamed) / len(files)
        said += [f"It does not name these files, which the recorded turn changed: {', '.join(unnamed)}."] * bool(
            unnamed
        )
    if wanted or not parts:
        parts["words"] = _f1(_words(wanted), _words(answer))
    changes = [
        _text(action.get("args"))
        for action in _get(example, "actions") or ()
        if action.get("tool") in ("edit", "write")
    ]
    return _sum_up(example, parts, said, [wanted, *changes], [answer])


def _sum_up(
    example: Any, parts: dict[str, float], said: list[str], wanted: Iterable[str], given: Iterable[str]
) -> Score:
    value = sum(WEIGHTS[name] * part for name, part in parts.items()) / sum(WEIGHTS[name] for name in parts)
    silencing = _silences(given) and not _silences(wanted)
    parts["honesty"] = 0.0 if silencing else 1.0
    if silencing:
        value *= SILENCING_FACTOR
        said.append("It silences the checker where the recorded turn fixes the code: never suppress an error, fix it.")
    evidence = ((_get(example, "recorded") or {}).get("evidence") or {}).get("text")
    said += [f"What the recorded turn did to the LSP errors:\n{evidence}"] if evidence else []
    return Score(round(value, 6), parts, "\n".join([f"Score {value:.2f}.", *said]))


def list_calls(calls: Any) -> list[dict[str, Any]]:
    """Tool calls as {name, args}, from `dspy.ToolCalls`, or lists or dictionaries of DSPy's or OpenAI's shape."""
    found = getattr(calls, "tool_calls", calls)
    if isinstance(found, Mapping):
        found = found.get("tool_calls", [found])
    listed = []
    for call in found if isinstance(found, list | tuple) else ():
        function = call.get("function", call) if isinstance(call, Mapping) else call
        args = _get(function, "args") if _get(function, "args") is not None else _get(function, "arguments")
        if isinstance(args, str):
            try:
                args = json.loads(args)
            except ValueError:
                args = {"value": args}
        listed.append({"name": str(_get(function, "name") or ""), "args": args if isinstance(args, dict) else {}})
    return listed


def _compare_arguments(wanted: Sequence[Json], given: Sequence[Json]) -> float:
    left, total = list(given), 0.0
    for call in wanted:
        likeness = [(_compare_args(call["args"], other["args"]), -n) for n, other in enumerate(left)
                    if other["name"] == call["name"]]  # fmt: skip
        if likeness:
            best, at = max(likeness)
            total += best
            left.pop(-at)
    return total / max(len(wanted), len(given))


def _compare_args(wanted: Json, given: Json) -> float:
    """Mean likeness over all arguments that either names."""
    names = sorted({*wanted, *given})
    if not names:
        return 1.0
    return sum(_compare(wanted.get(name), given.get(name)) for name in names) / len(names)


def _compare(wanted: Any, given: Any) -> float:
    if wanted == given:
        return 1.0
    if isinstance(wanted, str) and isinstance(given, str) and wanted and given:
        if "/" in wanted and " " not in wanted and wanted.rpartition("/")[2] == given.rpartition("/")[2]:
            return 0.9
        return SequenceMatcher(None, wanted[:COMPARED_CHARACTERS], given[:COMPARED_CHARACTERS], autojunk=False).ratio()
    return 0.0


def _f1(wanted: Sequence[str], given: Sequence[str]) -> float:
    if not wanted or not given:
        return float(not wanted and not given)
    common = (Counter(wanted) & Counter(given)).total()
    return 2 * common / (len(wanted) + len(given))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _speaks_of(answer: str, error: str) -> bool:
    """Whether an answer speaks of an error (`a.py:3: message (code)`)."""
    place, _, said = error.partition(": ")
    message, _, code = said.rpartition(" (")
    answer = answer.casefold()
    if code and code.rstrip(")").casefold() in answer:
        return True
    names = _NAME.findall(message or said) or [message or said]
    file = place.rsplit(":", 1)[0].rpartition("/")[2].casefold()
    return file in answer and any(name.casefold() in answer for name in names)


def _silences(texts: Iterable[str]) -> bool:
    return any(pattern.search(text) for text in texts for pattern in SUPPRESSIONS.values())


def _tell_calls(calls: Sequence[Json]) -> str:
    told = [f"{call['name']}({_text(call['args'])[:300]})" for call in calls]
    return ", ".join(told) or "no tool"


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(
            f"{name}={item if isinstance(item, str) else json.dumps(item)}" for name, item in value.items()
        )
    return str(value)


def _context_errors(context: Any) -> Sequence[Json]:
    diagnostics = context.get("lspDiagnostics") if isinstance(context, Mapping) else None
    errors = diagnostics.get("errors") if isinstance(diagnostics, Mapping) else None
    return errors if isinstance(errors, list) else ()


def _get(value: Any, name: str) -> Any:
    """A field of an example, a prediction, an object or a dictionary; None where it has none."""
    if isinstance(value, Mapping):
        return value.get(name)
    get = getattr(value, "get", None)
    return get(name, None) if callable(get) and hasattr(value, "keys") else getattr(value, name, None)
