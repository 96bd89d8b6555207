"""From verdicts to what the files say: outcomes of turns and sessions, and the turns that are examples."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from lsp_tap.session.memo import Memo
from lsp_tap.session.models import (
    SCHEMA_VERSION,
    Action,
    Example,
    ExampleInput,
    HistoryMessage,
    Lsp,
    Metrics,
    Outcome,
    SessionFile,
    SessionMessage,
    TokenCost,
    TrainingFile,
    Turn,
)
from lsp_tap.session.scoring import TurnFacts, Verdict, describe_lsp, evaluate, run_checks


def build_outcome(facts: TurnFacts, verdict: Verdict, lines: int | None, tokens: TokenCost) -> Outcome:
    """A verdict with its numbers. `lines`: how many were changed; None: nobody knows."""
    lsp, checks = facts.lsp, run_checks(facts.actions)
    read_in = (tokens.input or 0) + (tokens.cache.read or 0)
    return Outcome(
        success=verdict.success,
        task_completed=verdict.task_completed,
        reasons=verdict.reasons,
        metrics=Metrics(
            lsp_errors_cleared=bool(lsp.errors_before) and (lsp.errors_after or 0) < (lsp.errors_before or 0),
            lsp=lsp,
            files_modified=facts.files_modified,
            lines_changed=lines,
            time_to_completion=round(facts.seconds, 3),
            tool_call_count=len(facts.actions),
            token_cost=tokens,
            cache_hit_rate=round((tokens.cache.read or 0) / read_in, 4) if read_in else None,
            **({"compilation_success": checks.compilation_success} if checks.has_build else {}),
            **({"tests_pass": checks.tests_pass} if checks.has_tests else {}),
        ),
        evaluation=evaluate(facts, verdict),
    )


def judge_session(turns: Sequence[Turn], lsp: Lsp) -> Verdict:
    """A session succeeded when a turn used tools and every turn that did succeeded."""
    is_working = [bool(turn.actions) or not turn.outcome.task_completed for turn in turns]
    working = sum(is_working)
    failed = tuple(
        f"turn {number}: {reason}"
        for number, turn in enumerate(turns, 1)
        if is_working[number - 1] and not turn.outcome.success
        for reason in turn.outcome.reasons
    )
    success = bool(working) and not failed
    good = f"{working} of {len(turns)} turns used tools, all succeeded"
    reasons = failed or ((good, describe_lsp(lsp)) if success else ("no turn used a tool",))
    return Verdict(success, bool(turns) and turns[-1].outcome.task_completed, reasons)


def select_examples(
    session: SessionFile, history_limit: int | None = None, memo: Memo | None = None
) -> TrainingFile | None:
    """The successful turns of a session as examples; None when there is none. `memo` is the session's."""
    memo = memo or Memo()
    actions = {action.call_id: action for action in session.tool_calls}
    history: list[HistoryMessage] = []
    until: list[object] = [None]  # for each beginning of the history an object that stands for it
    at: dict[str, int] = {}
    for message in session.messages:
        if message.content:
            at.setdefault(message.message_id, len(history))
            history.append(memo.recall(partial(_build_history, message), ("history",), message))
            until.append(memo.recall(object, ("until",), until[-1], message))
    examples = []
    for turn in session.turns:
        if not turn.outcome.success:
            continue
        end = at.get(turn.message_id, 0)
        start = 0 if history_limit is None else max(0, end - history_limit)
        made = [actions[call] for call in turn.actions]
        examples.append(
            memo.recall(
                partial(_build_example, turn, made, history[start:end]), ("example", start), turn, until[end], *made
            )
        )
    if not examples:
        return None
    return TrainingFile(
        schema_version=SCHEMA_VERSION,
        session=session.session_id,
        generated=session.generated,
        total_examples=len(examples),
        total_turns=len(session.turns),
        successful_turns=len(examples),
        overall_success=session.outcome.success,
        total_tool_calls=len(session.tool_calls),
        outcome=session.outcome,
        examples=tuple(examples),
    )


def _build_history(message: SessionMessage) -> HistoryMessage:
    return HistoryMessage(role=message.role, content=message.content, timestamp=message.timestamp)


def _build_example(turn: Turn, actions: Sequence[Action], history: Sequence[HistoryMessage]) -> Example:
    return Example(
        input=ExampleInput(task=turn.task, context=turn.context, conversation_history=tuple(history)),
        actions=tuple(action.model_copy(update={"step": step}) for step, action in enumerate(actions, 1)),
        output=turn.output,
        outcome=turn.outcome,
        agent=turn.agent,
        metadata=turn.metadata,
    )
