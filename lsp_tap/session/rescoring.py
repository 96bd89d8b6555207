"""Old recordings, judged by the rules and thresholds of now.

Where the journals are, the session is computed anew from them. Of a session whose journals are gone, its session file
holds all that a verdict needs. A training file holds the successful turns alone. The older layouts tell little: what
they do not tell is unknown, and the rules that need it decide nothing. Their `success: false` of a call came from
the words of its output and is not believed; their truly failed calls have no `success`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from lsp_tap.config import Thresholds
from lsp_tap.session.loading import Json, TurnRow
from lsp_tap.session.models import Action, CacheCost, ClearanceCounts, Finding, Lsp, SessionFile, TokenCost, Turn
from lsp_tap.session.numbers import read_count, read_number
from lsp_tap.session.outcomes import build_outcome, judge_session
from lsp_tap.session.rewards import fold_rewards
from lsp_tap.session.scoring import TurnFacts, evaluate, judge_turn

UNKNOWN_LSP = Lsp(
    **{name: None for name in Lsp.model_fields if name.startswith(("errors_", "warnings_", "external_"))},
    cleared_by=ClearanceCounts(fix=None, suppression=None, deletion=None),
    baseline="none",
    freshness="no-server",
    servers=(),
)


@dataclass(frozen=True, slots=True)
class Scores:
    """What is said of a turn; None where nothing is."""

    success: bool | None
    reasons: tuple[str, ...]
    correctness: float | None
    efficiency: float | None
    minimal_edits: float | None

    @classmethod
    def of_turn(cls, turn: Turn) -> Scores:
        given = turn.outcome.evaluation
        scores = (given.correctness, given.efficiency, given.minimal_edits)
        return cls(turn.outcome.success, turn.outcome.reasons, *scores)

    @classmethod
    def of_row(cls, row: TurnRow) -> Scores:
        given = row.outcome.get("evaluation")
        given = given if isinstance(given, dict) else {}
        scores = (read_number(given.get(name)) for name in ("correctness", "efficiency", "minimalEdits"))
        reasons = row.outcome.get("reasons")
        return cls(row.success, tuple(map(str, reasons)) if isinstance(reasons, list) else (), *scores)


@dataclass(frozen=True, slots=True)
class Rescored:
    """A turn's scores as a file has them (None: there is no file), and as they are now."""

    session_id: str
    turn: int
    task: str
    before: Scores | None
    after: Scores

    @property
    def changed(self) -> bool:
        return self.before != self.after


def compare(before: SessionFile | None, after: SessionFile) -> list[Rescored]:
    """The turns of a session, each with what its file said of it."""
    known = {turn.message_id: Scores.of_turn(turn) for turn in before.turns} if before else {}
    return [
        Rescored(after.session_id, number, turn.task, known.get(turn.message_id), Scores.of_turn(turn))
        for number, turn in enumerate(after.turns, 1)
    ]


def rescore_session(session: SessionFile, thresholds: Thresholds) -> SessionFile:
    """A session as its file has it, judged anew."""
    rewards = fold_rewards(session.tool_calls, thresholds)
    calls = tuple(
        action.model_copy(update={"reward": reward}) for action, reward in zip(session.tool_calls, rewards, strict=True)
    )
    actions = {action.call_id: action for action in calls}
    finishes = {message.message_id: message.finish for message in session.messages}
    turns = []
    for turn in session.turns:
        metrics = turn.outcome.metrics
        facts = TurnFacts(
            task=turn.task,
            messages=_count(turn.metadata.message_count, 2),
            finish=finishes.get(turn.output.final_message or ""),
            errors=_find_errors(turn),
            actions=tuple(actions[call] for call in turn.actions if call in actions),
            seconds=read_number(metrics.time_to_completion) or 0,
            lsp=_believe(metrics.lsp),
            at_start=turn.context.lsp_diagnostics.errors,
            files_modified=_count(metrics.files_modified, 0),
        )
        verdict, tokens = judge_turn(facts, thresholds), _read_tokens(metrics.token_cost)
        outcome = build_outcome(facts, verdict, metrics.lines_changed, tokens)
        turns.append(turn.model_copy(update={"outcome": outcome}))
    metrics = session.outcome.metrics
    facts = TurnFacts(
        task="\n".join(turn.task for turn in turns),
        messages=sum(_count(turn.metadata.message_count, 2) for turn in turns),
        finish=None,
        errors=(),
        actions=calls,
        seconds=read_number(metrics.time_to_completion) or 0,
        lsp=_believe(metrics.lsp),
        at_start=session.context.lsp_diagnostics.errors,
        files_modified=_count(metrics.files_modified, 0),
    )
    verdict = judge_session(turns, facts.lsp)
    outcome = build_outcome(facts, verdict, metrics.lines_changed, _read_tokens(metrics.token_cost))
    return session.model_copy(update={"tool_calls": calls, "turns": tuple(turns), "outcome": outcome})


def _find_errors(turn: Turn) -> tuple[str, ...]:
    """Files of before `errors` was written have them among the reasons."""
    if "errors" in turn.model_fields_set:
        return turn.errors
    return tuple(reason for reason in turn.outcome.reasons if reason.startswith(("model error ", "session error ")))


def rescore_row(row: TurnRow, thresholds: Thresholds) -> Rescored:
    """A turn of a training file, judged anew by what the file tells."""
    metrics = _dict(row.outcome.get("metrics"))
    actions = tuple(_read_action(action, number) for number, action in enumerate(row.actions, 1))
    facts = TurnFacts(
        task=row.task,
        messages=_count(row.metadata.get("messageCount"), 2),
        finish="stop",
        errors=() if row.success is not False else ("recorded as no success",),
        actions=actions,
        seconds=row.duration_s or read_number(metrics.get("timeToCompletion")) or 0.0,
        lsp=_read_lsp(metrics.get("lsp")),
        at_start=_read_findings(_dict(row.context.get("lspDiagnostics")).get("errors")),
        files_modified=_count(metrics.get("filesModified"), 0),
    )
    verdict = judge_turn(facts, thresholds)
    scores = evaluate(facts, verdict)
    after = Scores(verdict.success, verdict.reasons, scores.correctness, scores.efficiency, scores.minimal_edits)
    return Rescored(row.session_id, row.turn, row.task, Scores.of_row(row), after)


def _read_action(action: Json, step: int) -> Action:
    failed = "success" not in action if "status" not in action else action["status"] == "error"
    fields: dict[str, Any] = {
        "step": step,
        "tool": str(action.get("tool") or "?"),
        "call_id": str(action.get("callID") or step),
        "args": action.get("args"),
        "result": action.get("result") if isinstance(action.get("result"), str) else None,
        "success": not failed,
        "status": action.get("status") or ("error" if failed else "completed"),
        "files": _read_files(action),
    }
    if isinstance(action.get("error"), str):
        fields["error"] = action["error"]
    if "exitCode" in action:
        fields["exit_code"] = action["exitCode"] if isinstance(action["exitCode"], int) else None
    return Action.model_construct(**fields)


def _read_files(action: Json) -> tuple[str, ...]:
    if isinstance(action.get("files"), list):
        return tuple(map(str, action["files"]))
    path = _dict(action.get("args")).get("filePath")
    return (path,) if isinstance(path, str) else ()


def _read_lsp(value: Any) -> Lsp:
    try:
        return _believe(Lsp.model_validate(value))
    except ValidationError:
        return UNKNOWN_LSP


def _believe(lsp: Lsp) -> Lsp:
    """Unknown, where a number is in it that nobody counted."""
    counts = [count for _, count in (*lsp, *lsp.cleared_by) if isinstance(count, int)]
    return lsp if all(read_count(count) is not None for count in counts) else UNKNOWN_LSP


def _read_tokens(cost: TokenCost) -> TokenCost:
    cache = CacheCost(read=read_count(cost.cache.read), write=read_count(cost.cache.write))
    return TokenCost(input=read_count(cost.input), output=read_count(cost.output), cache=cache)


def _read_findings(values: Any) -> tuple[Finding, ...]:
    found = []
    for value in values if isinstance(values, list) else []:
        if isinstance(value, dict) and isinstance(value.get("message"), str):
            told: Json = {
                "file": "",
                "line": 1,
                "column": 1,
                "code": "",
                "source": "",
                "server": "",
                "severity": "error",
            }
            told |= {name: value[name] for name in told if isinstance(value.get(name), type(told[name]))}
            found.append(Finding.model_construct(message=value["message"], **told))
    return tuple(found)


def _dict(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _count(value: Any, otherwise: int) -> int:
    count = read_count(value)
    return otherwise if count is None else count


def sum_up(rescored: Sequence[Rescored]) -> dict[str, int]:
    """How many turns there are, how many changed, and how many became a success or ceased to be one."""
    pairs = [(r.before.success, r.after.success) for r in rescored if r.before]
    return {
        "turns": len(rescored),
        "changed": sum(r.changed for r in rescored),
        "nowSuccess": sum(not before and bool(after) for before, after in pairs),
        "noSuccessNow": sum(bool(before) and not after for before, after in pairs),
    }
