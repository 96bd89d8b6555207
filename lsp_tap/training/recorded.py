"""Recorded turns as `dspy.Example`s, inputs marked, as DSPy's optimisers take them.

Layout `task`, a turn an example (as in the project's seed):

    task: str, context: dict -> response: str            and beside them `actions`, `recorded`

Layout `step`, an example for each time the model spoke in a turn:

    task: str, diagnostics: str, history: dspy.History -> next_thought: str, tool_calls: dspy.ToolCalls
                                                         and beside them `reward`, `recorded`

`diagnostics` are the LSP errors as they were then, in lines. `history` holds the steps before it, each with its
`diagnostics`, `next_thought` and `tool_calls` and what the tools answered. In the last step of a turn the thought is
the answer to the user, and there are no calls. `reward` is the sum of its calls' rewards, None where one is unknown.

`recorded` is for scoring and splitting, and no model sees it: `sessionId`, `repository`, `turn`, `success`,
`correctness`, `files` (changed), `tools` (used in the turn), `errors` (at the start), `evidence` (what became of them,
as a text), `agent`, `model`, `source`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lsp_tap.errors import complain
from lsp_tap.session.loading import Json, TurnRow, Unread, read_turns
from lsp_tap.training.evidence import describe_error, find_evidence, get_object, get_objects
from lsp_tap.training.extra import import_dspy

if TYPE_CHECKING:
    import dspy  # type: ignore[import-untyped]

    from lsp_tap.redaction import Redactor

Layout = Literal["task", "step"]
RESULT_LIMIT = 4_000
"""How many characters of a tool's answer go into a history."""


def examples(
    path: str | Path | Iterable[str | Path],
    layout: Layout = "task",
    *,
    success: bool | None = True,
    min_score: float | None = None,
    min_reward: float | None = None,
    where: Callable[[TurnRow], bool] | None = None,
    redactor: Redactor | None = None,
    on_unread: Callable[[Unread], None] | None = None,
) -> list[dspy.Example]:
    """The recorded turns in files, folders, projects or patterns, of any layout ever written.

    `success`: of successful turns, of the others (they are in session files alone), or (None) of all. `min_score`: at
    least this correctness, and it is known. `min_reward`: steps with at least this reward, or an unknown one. `where`:
    any other condition on the turn. `redactor`: replaces secrets and names. `on_unread` is told what could not be read;
    by default a line on standard error says so.

    Raises MissingExtra without DSPy, and ValueError for another layout.
    """
    if layout not in ("task", "step"):
        raise ValueError(f"no layout {layout!r}: it is 'task' or 'step'")
    found: list[dspy.Example] = []
    for row in read_turns(path):
        if isinstance(row, Unread):
            (on_unread or _complain)(row)
        elif _is_wanted(row, success, min_score) and (where is None or where(row)):
            found += make_examples(redact_row(row, redactor) if redactor else row, layout)
    if layout == "step" and min_reward is not None:
        found = [example for example in found if example.reward is None or example.reward >= min_reward]
    return found


def _complain(unread: Unread) -> None:
    complain(str(unread))


def _is_wanted(row: TurnRow, success: bool | None, min_score: float | None) -> bool:
    if success is not None and row.success is not success:
        return False
    correctness = get_correctness(row)
    return min_score is None or (correctness is not None and correctness >= min_score)


def get_correctness(row: TurnRow) -> float | None:
    """A turn's correctness; None is unknown."""
    found = get_object(row.outcome, "evaluation").get("correctness")
    return float(found) if isinstance(found, int | float) else None


def redact_row(row: TurnRow, redactor: Redactor) -> TurnRow:
    """A turn without secrets and user names."""
    redactor.start_output([row.repository] if row.repository else [])
    clean = redactor.value({name: value for name, value in _fields(row).items() if name not in ("source", "kind")})
    clean |= {name: tuple(clean[name]) for name in ("history", "actions")}
    return replace(row, **clean, source=redactor.text(row.source))


def _fields(row: TurnRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in TurnRow.__slots__ if name != "__weakref__"}


def make_examples(row: TurnRow, layout: Layout) -> list[dspy.Example]:
    """The examples of one turn."""
    dspy = import_dspy()
    recorded = _record(row)
    if layout == "task":
        example = dspy.Example(
            task=row.task, context=row.context, actions=list(row.actions), response=row.response, recorded=recorded
        )
        return [example.with_inputs("task", "context")]
    return [
        dspy.Example(task=row.task, recorded=recorded, **step).with_inputs("task", "diagnostics", "history")
        for step in _make_steps(row)
    ]


def _record(row: TurnRow) -> Json:
    errors = list_errors(row.context)
    changed = [action for action in row.actions if action.get("lspDelta") or action.get("tool") in ("edit", "write")]
    files = [file for action in changed for file in _list_files(action)]
    evidence = find_evidence(errors, row.actions, row.outcome)
    return {
        "sessionId": row.session_id,
        "repository": row.repository,
        "turn": row.turn,
        "success": row.success,
        "correctness": get_correctness(row),
        "files": list(dict.fromkeys(files)),
        "tools": list(dict.fromkeys(str(action.get("tool")) for action in row.actions)),
        "errors": [{name: error.get(name) for name in ("file", "line", "message", "code")} for error in errors],
        "evidence": {**asdict(evidence), "text": evidence.describe()},
        "agent": row.agent.get("name"),
        "model": row.model,
        "source": row.source,
    }


def _list_files(action: Json) -> list[str]:
    files = action.get("files")
    return [file for file in files if isinstance(file, str)] if isinstance(files, list) else []


def list_errors(context: Json) -> list[Json]:
    """The LSP errors of a turn's context."""
    return get_objects(get_object(context, "lspDiagnostics"), "errors")


def _make_steps(row: TurnRow) -> Iterator[Json]:
    dspy = import_dspy()
    shown = list_errors(row.context)
    history: list[Json] = []
    for calls in _group_calls(row.actions):
        thought = next((str(call["thought"]) for call in calls if call.get("thought")), "")
        made = dspy.ToolCalls.from_dict_list([{"name": str(c.get("tool")), "args": _args(c)} for c in calls])
        diagnostics = describe_errors(shown)
        yield {
            "diagnostics": diagnostics,
            "history": dspy.History(messages=list(history)),
            "next_thought": thought,
            "tool_calls": made,
            "reward": _sum_rewards(calls),
        }
        answered = made.model_copy(update={"tool_call_results": _make_results(made, calls)})
        history.append({"diagnostics": diagnostics, "next_thought": thought, "tool_calls": answered})
        for call in calls:
            shown = _apply(shown, call)
    yield {
        "diagnostics": describe_errors(shown),
        "history": dspy.History(messages=list(history)),
        "next_thought": row.response,
        "tool_calls": dspy.ToolCalls(tool_calls=[]),
        "reward": 0.0,
    }


def _group_calls(actions: Sequence[Json]) -> list[list[Json]]:
    """Calls of one reply together; files of before `messageId` was written do not tell."""
    numbered = enumerate(actions)
    return [
        [call for _, call in run] for _, run in groupby(numbered, key=lambda pair: pair[1].get("messageId") or pair[0])
    ]


def _args(call: Json) -> Json:
    args = call.get("args")
    return args if isinstance(args, dict) else {} if args is None else {"value": args}


def _make_results(made: Any, calls: Sequence[Json]) -> Any:
    kind = import_dspy().adapters.types.tool.ToolCallResults
    texts = [str(call.get("error") or call.get("result") or "")[:RESULT_LIMIT] for call in calls]
    failed = [not call.get("success") for call in calls]
    return kind.from_tool_calls_and_values(made, texts, failed)


def _sum_rewards(calls: Sequence[Json]) -> float | None:
    rewards = [call.get("reward") for call in calls]
    known = [float(reward) for reward in rewards if isinstance(reward, int | float)]
    return sum(known) if len(known) == len(rewards) else None


def _apply(shown: list[Json], call: Json) -> list[Json]:
    """The errors after a call. What it names as its files' errors replaces them; the others stay."""
    if not isinstance(call.get("lspDiagnosticsAfter"), dict):
        return shown
    before, after = (get_objects(call.get(f"lspDiagnostics{when}"), "errors") for when in ("Before", "After"))
    touched = {str(error.get("file")) for error in [*before, *after]}.union(_list_files(call))
    return [error for error in shown if str(error.get("file")) not in touched] + after


def describe_errors(errors: Sequence[Json]) -> str:
    """One error a line."""
    return "\n".join(describe_error(error) for error in errors) or "no errors"
