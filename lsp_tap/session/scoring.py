"""Whether a turn was a success, why, and three scores in [0, 1].

A turn is a success when every rule below holds. None of them reads the words of an answer or of a tool's output: the
project this one succeeds took "error" in a text for a failure and "done" for a success.

| rule | evidence |
|---|---|
| no session or model error | the reply's error, session errors inside the turn |
| the model finished | the last reply's finish reason is `stop` |
| a tool was used, and two messages | tool calls, messages |
| under five minutes | first message to last completion |
| nothing left running | part states |
| no failed call left unrepaired | a later call of that tool on that file (or, without a file, of that tool) succeeded |
| no net new errors | LSP errors introduced <= cleared |

Scores, of the errors before `b` and after `a`, where errors that were only suppressed or deleted count as still there:

- correctness = l if the task was completed, else 0.3 l;
  l = 1 / (1 + a - b) for a > b;  1 for a = b = 0 or nothing known;  0.7 + 0.3 (b - a) / b otherwise.
  It depends on the two ends only, so breaking and mending again gains nothing, and it never rises with `a`.
- efficiency = clamp(ideal / calls, 0.1, 1), ideal: 2 + 1 a modified file.
- minimalEdits = min(1, 3 / files modified).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lsp_tap.journal.records import ErrorNamed
from lsp_tap.session.attribution import find_files
from lsp_tap.session.history import Call, SessionHistory
from lsp_tap.session.models import Evaluation, Lsp
from lsp_tap.session.turns import TurnHistory

TIME_LIMIT_S: Final = 300


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reasons`: for a failure every rule that was broken, for a success what spoke for it."""

    success: bool
    task_completed: bool
    reasons: tuple[str, ...]


def judge_turn(session: SessionHistory, turn: TurnHistory, lsp: Lsp) -> Verdict:
    """Apply the rules to one turn."""
    stopped = _find_interruptions(session, turn)
    failed = list(stopped)
    if not turn.calls:
        failed.append("no tool was used")
    if not turn.replies:
        failed.append("fewer than two messages")
    seconds = (turn.end_us - turn.start_us) / 1e6
    if seconds >= TIME_LIMIT_S:
        failed.append(f"took {seconds:.0f} s, over {TIME_LIMIT_S} s")
    failed += [f"{call.tool} failed and was not repaired: {_why(call)}" for call in find_unrepaired(session, turn)]
    net = (lsp.errors_introduced or 0) - (lsp.errors_cleared or 0)
    if net > 0:
        failed.append(f"{net} net new LSP error{'s' * (net > 1)}")
    if failed:
        return Verdict(False, not stopped and bool(turn.replies), tuple(failed))
    count = len(turn.calls)
    return Verdict(True, True, ("finish reason is stop", f"{count} tool call{'s' * (count > 1)}", describe_lsp(lsp)))


def describe_lsp(lsp: Lsp) -> str:
    """The errors of a span in one line, and how sure that is."""
    if lsp.errors_before is None:
        return f"LSP errors unknown ({lsp.freshness})"
    sure = f", {lsp.freshness}" if lsp.freshness != "fresh" else ""
    sure += ", partial baseline" if lsp.baseline == "partial" else ""
    return (
        f"LSP errors {lsp.errors_before} -> {lsp.errors_after} "
        f"({lsp.errors_cleared} cleared, {lsp.errors_introduced} introduced{sure})"
    )


def _find_interruptions(session: SessionHistory, turn: TurnHistory) -> list[str]:
    """What kept the model from finishing."""
    replied = [reply.latest.error for reply in turn.replies if reply.latest]
    raised = [e.error for e in session.errors if turn.start_us <= e.time_us < turn.limit_us]
    found = [f"model error {_name(error)}" for error in replied if error]
    found += [f"session error {_name(error)}" for error in raised if error]
    last = turn.last_reply
    finish = last.latest.finish if last and last.latest else None
    if last is None:
        found.append("no reply")
    elif finish != "stop":
        found.append(f"finish reason is {finish or 'missing'}, not stop")
    found += [f"{call.tool} was left {call.status}" for call in turn.calls if call.status not in ("completed", "error")]
    return list(dict.fromkeys(found))


def _name(error: ErrorNamed) -> str:
    text = f"{error.name or 'unknown'}: {error.message}" if error.message else error.name or "unknown"
    return " ".join(text.split())[:200]


def is_success(call: Call) -> bool:
    """By part state and exit code, never by words; the client runs unknown and denied tools as `invalid`.

    A command that was cut off (aborted, timed out) is `completed`, too, with an exit code that is null.
    """
    was_cut_off = isinstance(call.metadata, dict) and call.metadata.get("exit", 0) is None
    return call.status == "completed" and not call.exit_code and not was_cut_off and call.tool != "invalid"


def find_unrepaired(session: SessionHistory, turn: TurnHistory) -> list[Call]:
    """Failed calls that no later call made good. An exit code alone is no failure: a search may find nothing."""
    found = []
    for number, call in enumerate(turn.calls):
        if call.status != "error" and call.tool != "invalid":
            continue
        files = set(find_files(call, session.directory))
        later = [c for c in turn.calls[number + 1 :] if is_success(c)]
        if not any(_repairs(session, c, call, files) for c in later):
            found.append(call)
    return found


def _repairs(session: SessionHistory, later: Call, failed: Call, files: set[str]) -> bool:
    if files:
        return bool(files.intersection(find_files(later, session.directory)))
    return failed.tool in ("invalid", later.tool)


def _why(call: Call) -> str:
    return " ".join((call.error or call.output or "no reason given").split())[:160]


def evaluate(verdict: Verdict, lsp: Lsp, call_count: int, files: Sequence[str]) -> Evaluation:
    """The three scores."""
    level = 1.0
    if lsp.errors_before is not None and lsp.errors_after is not None:
        before = lsp.errors_before
        after = lsp.errors_after + (lsp.cleared_by.suppression or 0) + (lsp.cleared_by.deletion or 0)
        if after > before:
            level = 1 / (1 + after - before)
        elif before:
            level = 0.7 + 0.3 * (before - after) / before
    ideal = 2 + len(files)
    return Evaluation(
        correctness=round(level if verdict.task_completed else 0.3 * level, 4),
        efficiency=round(min(1.0, max(0.1, ideal / call_count)) if call_count else 1.0, 4),
        minimal_edits=round(min(1.0, 3 / len(files)) if files else 1.0, 4),
    )
