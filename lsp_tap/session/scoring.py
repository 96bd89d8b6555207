"""Whether a turn was a success, why, and three scores in [0, 1].

A turn is a success when every rule below holds. None of them reads the words of an answer or of a tool's output: the
project this one succeeds took "error" in a text for a failure and "done" for a success. The numbers are settings
(`lsp_tap.config.Thresholds`: lsp-tap.toml or the environment); `lsp-tap score` judges old recordings by those of now.

| rule | evidence | setting |
|---|---|---|
| no session or model error | the reply's error, session errors inside the turn | |
| the model finished | the last reply's finish reason is `stop` | |
| a tool was used | tool calls | least_tool_calls = 1 |
| two messages | the user's and the replies | least_messages = 2 |
| under five minutes | first message to last completion | time_limit_s = 300 |
| nothing left running | the calls' status | |
| no failed call left unrepaired | a later call on that file (or, without a file, of that tool) succeeded | |
| no net new errors | LSP errors introduced - cleared | net_new_errors = 0 |
| what was to be mended is mended | LSP errors cleared by fixing, not by suppression or deletion | least_mended = 1 |

The last rule is for turns whose task is to mend: `lsp_tap.session.mending` says which. What counts is the turn as a
whole or, if that is more, its calls one by one: an error that somebody else introduced meanwhile, and the turn mended,
is neither introduced nor cleared by the turn, and yet was mended. The last two claim nothing where
the errors are unknown (baseline `none`), and the last one nothing where the answer is not fresh: the reasons then say
so. Tests and builds decide over no success; they are in the reasons and in correctness.

Scores, where b errors were there before, i were introduced, f cleared by fixing (not by suppression or deletion), and
n = i - f is what is left over:

- correctness = c x t x l
  c = 1 if the task was completed (the model finished, without an error), else 0.3
  t = 0.5 if the last test run or the last build failed, else 1
  l = base / (1 + n)                 for n > 0
      base + (1 - base) x (-n) / b   otherwise (-n is at most b), and base itself for b = 0
  base = 1 for b = 0, 0.3 if the task was to mend, else 0.7
  null where nothing is known: no LSP errors, no test run, no build; l = 1 where only the LSP errors are unknown.
  One more error cleared never lowers it, one more introduced never raises it. It depends on the ends of the turn alone,
  so breaking and mending again gains nothing; nor does suppressing or deleting.
- efficiency = clamp((2 + files modified) / calls, 0.1, 1), 1 without a call. One more call never raises it.
- minimalEdits = min(1, 3 / files modified), 1 without a file. One more file never raises it.

The rewards of single steps are in `lsp_tap.session.rewards`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lsp_tap.config import Thresholds
from lsp_tap.session.commands import Checks, find_command, sum_up_checks
from lsp_tap.session.history import Call
from lsp_tap.session.mending import is_mending
from lsp_tap.session.models import Action, Evaluation, Finding, Lsp

DEFAULTS = Thresholds()


@dataclass(frozen=True, slots=True)
class TurnFacts:
    """All that a turn is judged by. `errors`: the model's and the session's, in words. `finish`: of the last reply.
    `at_start`: the LSP errors as the turn began.
    """

    task: str
    messages: int
    finish: str | None
    errors: tuple[str, ...]
    actions: tuple[Action, ...]
    seconds: float
    lsp: Lsp
    at_start: tuple[Finding, ...]
    files_modified: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reasons`: for a failure every rule that was broken, for a success what spoke for it."""

    success: bool
    task_completed: bool
    reasons: tuple[str, ...]


def judge_turn(facts: TurnFacts, thresholds: Thresholds = DEFAULTS) -> Verdict:
    """Apply the rules to one turn."""
    stopped = _find_interruptions(facts)
    failed = list(stopped)
    calls = len(facts.actions)
    if calls < thresholds.least_tool_calls:
        failed.append("no tool was used" if not calls else f"{calls} tool calls, under {thresholds.least_tool_calls}")
    if facts.messages < thresholds.least_messages:
        failed.append(f"fewer than {_spell(thresholds.least_messages)} messages")
    if facts.seconds >= thresholds.time_limit_s:
        failed.append(f"took {facts.seconds:.0f} s, over {thresholds.time_limit_s:g} s")
    failed += [
        f"{action.tool} failed and was not repaired: {_why(action)}" for action in find_unrepaired(facts.actions)
    ]
    net = (facts.lsp.errors_introduced or 0) - (facts.lsp.errors_cleared or 0)
    if net > thresholds.net_new_errors:
        failed.append(f"{_count(net, 'net new LSP error')}")
    mending = _judge_mending(facts, thresholds)
    failed += [mending.reason] if mending.failed else []
    if failed:
        return Verdict(False, not stopped and facts.messages > 1, tuple(failed))
    spoke = ["finish reason is stop", _count(calls, "tool call"), describe_lsp(facts.lsp)]
    spoke += [mending.reason] if mending.reason else []
    spoke += describe_checks(run_checks(facts.actions))
    return Verdict(True, True, tuple(spoke))


@dataclass(frozen=True, slots=True)
class _Mending:
    failed: bool
    reason: str


def _judge_mending(facts: TurnFacts, thresholds: Thresholds) -> _Mending:
    if not is_mending(facts.task, facts.at_start):
        return _Mending(False, "")
    lsp, by = facts.lsp, facts.lsp.cleared_by
    wanted = min(thresholds.least_mended, lsp.errors_before or 0)
    fixed = max(by.fix or 0, _sum_fixed(facts.actions))
    if fixed and fixed >= wanted:
        return _Mending(False, f"the task is to mend, and {_count(fixed, 'error')} {_was(fixed)} fixed")
    if lsp.errors_before is None or by.fix is None or lsp.freshness != "fresh":
        return _Mending(False, "the task is to mend, and whether it was is unknown")
    if not wanted:
        return _Mending(False, "")
    others = [f"{count} only by {how}" for how, count in (("suppression", by.suppression), ("deletion", by.deletion))
              if count]  # fmt: skip
    cleared = f"{fixed or 'no'} error{'s' * (fixed > 1)} {_was(fixed)} fixed"
    few = "" if wanted == 1 else f", under {wanted}"
    return _Mending(True, ", ".join([f"the task is to mend, and {cleared}{few}", *others]))


def _sum_fixed(actions: Sequence[Action]) -> int:
    """Errors fixed less introduced, call by call: what somebody else broke during the turn, and it mended, is in it."""
    deltas = [action.lsp_delta for action in actions if "lsp_delta" in action.model_fields_set]
    fixed = sum(error.cleared_by == "fix" for delta in deltas for error in delta.cleared)
    return fixed - sum(len(delta.introduced) for delta in deltas)


def _was(count: int) -> str:
    return "were" if count > 1 else "was"


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _spell(count: int) -> str:
    return "two" if count == 2 else str(count)


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


def describe_checks(checks: Checks) -> list[str]:
    """What the last test run and the last build came to, in words."""
    words = {True: "passed", False: "failed", None: "ended nobody knows how"}
    said = [f"the last test run {words[checks.tests_pass]}"] if checks.has_tests else []
    return said + ([f"the last build {words[checks.compilation_success]}"] if checks.has_build else [])


def _find_interruptions(facts: TurnFacts) -> list[str]:
    """What kept the model from finishing."""
    found = list(facts.errors)
    if facts.messages < 2:
        found.append("no reply")
    elif facts.finish != "stop":
        found.append(f"finish reason is {facts.finish or 'missing'}, not stop")
    unfinished = ((action.tool, get_status(action)) for action in facts.actions)
    found += [f"{tool} was left {status}" for tool, status in unfinished if status not in ("completed", "error")]
    return list(dict.fromkeys(found))


def get_status(action: Action) -> str:
    """The client's word; files of before it was written have only `error` and `success`."""
    if "status" in action.model_fields_set:
        return action.status
    return "error" if "error" in action.model_fields_set else "completed"


def is_success(call: Call) -> bool:
    """By part state and exit code, never by words; the client runs unknown and denied tools as `invalid`, and a command
    that was cut off is `completed`, too."""
    return call.status == "completed" and not call.exit_code and not call.was_cut_off and call.tool != "invalid"


def find_unrepaired(actions: Sequence[Action]) -> list[Action]:
    """Failed calls that no later call made good. An exit code alone is no failure: a search may find nothing."""
    found = []
    for number, action in enumerate(actions):
        if get_status(action) != "error" and action.tool != "invalid":
            continue
        later = [other for other in actions[number + 1 :] if other.success]
        if not any(_repairs(other, action) for other in later):
            found.append(action)
    return found


def _repairs(later: Action, failed: Action) -> bool:
    if failed.files:
        return bool(set(failed.files).intersection(later.files))
    return failed.tool in ("invalid", later.tool)


def _why(action: Action) -> str:
    error = action.error if "error" in action.model_fields_set else None
    return " ".join((error or action.result or "no reason given").split())[:160]


def run_checks(actions: Sequence[Action]) -> Checks:
    """What the test and build commands among the calls came to. A command without a known exit code is unknown."""
    runs = []
    for action in actions:
        command = find_command(action.args)
        if command is not None and (get_status(action) == "completed" or "exit_code" in action.model_fields_set):
            runs.append((command, action.exit_code if "exit_code" in action.model_fields_set else None))
    return sum_up_checks(runs)


def evaluate(facts: TurnFacts, verdict: Verdict) -> Evaluation:
    """The three scores."""
    calls, files = len(facts.actions), facts.files_modified
    return Evaluation(
        correctness=_measure_correctness(facts, verdict),
        efficiency=round(min(1.0, max(0.1, (2 + files) / calls)) if calls else 1.0, 4),
        minimal_edits=round(min(1.0, 3 / files) if files else 1.0, 4),
    )


def _measure_correctness(facts: TurnFacts, verdict: Verdict) -> float | None:
    checks, lsp = run_checks(facts.actions), facts.lsp
    results = (checks.tests_pass, checks.compilation_success)
    if lsp.errors_before is None and results == (None, None):
        return None
    level = 1.0
    if lsp.errors_before is not None:
        base = 1.0 if not lsp.errors_before else 0.3 if is_mending(facts.task, facts.at_start) else 0.7
        level = measure_level(lsp.errors_before, lsp.errors_introduced or 0, lsp.cleared_by.fix or 0, base)
    return round((1.0 if verdict.task_completed else 0.3) * (0.5 if False in results else 1.0) * level, 4)


def measure_level(before: int, introduced: int, fixed: int, base: float) -> float:
    """l of the formula above."""
    net = introduced - fixed
    if net > 0:
        return base / (1 + net)
    return base + (1 - base) * min(before, -net) / before if before else base
