"""From histories and timelines to the session and training files. Pure: the same recording gives the same files."""

from __future__ import annotations

import os.path
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from lsp_tap.config import Thresholds
from lsp_tap.journal.records import ErrorNamed
from lsp_tap.session.attribution import READING_TOOLS, find_files
from lsp_tap.session.history import Call, HistoryFold, Message, Parameters, SessionHistory
from lsp_tap.session.measuring import Measuring
from lsp_tap.session.memo import Memo
from lsp_tap.session.models import (
    SCHEMA_VERSION,
    Action,
    Agent,
    CacheCost,
    Context,
    Diagnostics,
    ExampleMetadata,
    ExampleOutput,
    GitStatus,
    Outcome,
    SessionFile,
    SessionMessage,
    TokenCost,
    TrainingFile,
    Turn,
)
from lsp_tap.session.outcomes import build_outcome, judge_session, select_examples
from lsp_tap.session.ownership import OwnedStep
from lsp_tap.session.rewards import RewardFold
from lsp_tap.session.scoring import TurnFacts, is_success, judge_turn
from lsp_tap.session.sums import CallMeasure
from lsp_tap.session.turns import TurnHistory, find_turns, parse_task
from lsp_tap.session.verified import Verification
from lsp_tap.timeline.contents import Content
from lsp_tap.timeline.fold import ServerTimeline
from lsp_tap.timeline.linemap import count_changed_lines

RELEVANT_FILES: Final = 20
_MOST_LEVELS: Final = 100
"""Of a tool's arguments; pydantic writes 255 in all."""
SKIPPED_FOLDERS: Final = frozenset(
    {"node_modules", ".venv", "venv", "env", ".git", "__pycache__", ".tox", "site-packages", ".opencode-logs"}
)


def format_time(time_us: float | None) -> str | None:
    """Wall clock microseconds as ISO 8601 in UTC, to the millisecond; 0 and None are unknown."""
    if not time_us:
        return None
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Builder:
    """All sessions of one recording, judged by `thresholds`.

    `history_limit`: how many earlier messages an example keeps; None: all.
    """

    def __init__(
        self,
        history: HistoryFold,
        timelines: Iterable[ServerTimeline],
        verifications: Iterable[Verification] = (),
        *,
        history_limit: int | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        self._history = history
        self._measuring = Measuring(history, timelines, verifications)
        self._set(history_limit, thresholds)

    def _set(self, history_limit: int | None, thresholds: Thresholds | None) -> None:
        self._history_limit = history_limit
        self._thresholds = thresholds or Thresholds()

    def update(
        self,
        timelines: Iterable[ServerTimeline],
        verifications: Iterable[Verification] = (),
        *,
        history_limit: int | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        """Go on with the same history, as it is by now, and with these as for a new one."""
        self._measuring.update(timelines, verifications)
        self._set(history_limit, thresholds)

    def is_pruned(self, session_id: str) -> bool:
        """Whether some of its journals are gone: what `build_session` would give is poorer than what it gave once."""
        return session_id in self._history.pruned

    def list_servers(self, session_id: str) -> list[tuple[ServerTimeline, list[OwnedStep]]]:
        """The servers of a session as recorded, each with its steps and whose they are. Raises KeyError."""
        return self._measuring.list_recorded(self._history.sessions[session_id])

    def build_session(self, session_id: str, memo: Memo | None = None) -> SessionFile:
        """The session as a whole, successful or not. Raises KeyError for a session nobody recorded.

        `memo` is the session's: what is as it was when it was built last is the same object again.
        """
        memo = memo or Memo()
        session = self._history.sessions[session_id]
        found = find_turns(session)
        calls = [call for turn in found for call in turn.calls]
        actions = self._build_actions(session, calls, memo)
        parameters = _find_parameters(session, found)
        turns = tuple(
            self._build_turn(session, turn, number, actions, parameters.get(number), memo)
            for number, turn in enumerate(found, 1)
        )
        start = session.latest.created_ms if session.latest else None
        parent = session.latest.parent_id if session.latest else None
        return SessionFile(
            schema_version=SCHEMA_VERSION,
            session_id=session_id,
            parent_id=parent,
            children=tuple(sorted(c.child_session_id for c in calls if c.child_session_id)),
            title=session.latest.title if session.latest else None,
            start_time=format_time(start * 1000 if start else (found[0].start_us if found else None)),
            end_time=format_time(found[-1].end_us if found else session.last_us),
            directory=session.directory,
            generated=format_time(session.last_us) or "",
            opencode_version=session.latest.client_version if session.latest else None,
            messages=tuple(
                memo.recall(partial(_build_message, message), ("message", message, message.revision))
                for message in session.ordered_messages()
            ),
            tool_calls=tuple(actions.values()),
            turns=turns,
            context=turns[0].context
            if turns
            else self._build_context(session, None, Diagnostics(errors=(), warnings=())),
            outcome=self._build_session_outcome(session, found, turns, tuple(actions.values()), memo),
        )

    def build_training(self, session: SessionFile, memo: Memo | None = None) -> TrainingFile | None:
        """The successful turns as examples; None when there is none."""
        return select_examples(session, self._history_limit, memo)

    def _build_turn(
        self,
        session: SessionHistory,
        turn: TurnHistory,
        number: int,
        actions: Mapping[str, Action],
        parameters: Parameters | None,
        memo: Memo,
    ) -> Turn:
        lsp, at_start = self._measuring.measure_span(
            session, turn.start_us, turn.end_us, turn.limit_us, turn.calls, memo
        )
        made = tuple(actions[call.call_id] for call in turn.calls)
        errors = _find_errors(session, turn)
        message_id = turn.user.message_id

        def build() -> Turn:
            files, lines = self._find_changes(session, [turn])
            last, tokens = turn.last_reply, _sum_tokens(turn.replies)
            facts = TurnFacts(
                task=parse_task(turn.user.text),
                messages=1 + len(turn.replies),
                finish=last.latest.finish if last and last.latest else None,
                errors=errors,
                actions=made,
                seconds=(turn.end_us - turn.start_us) / 1e6,
                lsp=lsp,
                at_start=at_start.errors,
                files_modified=len(files),
            )
            verdict = judge_turn(facts, self._thresholds)
            replies = [m.latest for m in turn.replies if m.latest]
            return Turn(
                task=facts.task,
                message_id=message_id,
                **({"errors": errors} if errors else {}),
                outcome=build_outcome(facts, verdict, lines, tokens),
                actions=tuple(call.call_id for call in turn.calls),
                context=self._build_context(session, turn, at_start),
                output=ExampleOutput(
                    response=last.text if last else "",
                    final_message=last.message_id if last else None,
                ),
                agent=Agent(
                    name=replies[-1].agent if replies else None,
                    model=replies[-1].model if replies else None,
                    temperature=parameters.temperature if parameters else None,
                    prompt_tokens=tokens.input,
                    completion_tokens=tokens.output,
                ),
                metadata=ExampleMetadata(
                    timestamp=format_time(turn.start_us),
                    session_id=session.session_id,
                    duration=_seconds(turn.start_us, turn.end_us),
                    message_count=1 + len(turn.replies),
                    turn=number,
                ),
            )

        messages = tuple((message, message.revision) for message in (turn.user, *turn.replies))
        calls = tuple((call, call.revision) for call in turn.calls)
        seen = session.changed.get(message_id), session.observed.get(message_id), parameters
        return memo.recall(
            build,
            ("turn", number, turn.start_us, turn.end_us, messages, calls, errors, session.directory, self._thresholds),
            *(lsp, at_start, *seen, *made),
        )

    def _build_session_outcome(
        self,
        session: SessionHistory,
        found: Sequence[TurnHistory],
        turns: Sequence[Turn],
        actions: tuple[Action, ...],
        memo: Memo,
    ) -> Outcome:
        start, end = (found[0].start_us, found[-1].end_us) if found else (0, 0)
        calls = [call for turn in found for call in turn.calls]
        lsp, at_start = self._measuring.measure_span(session, start, end, float("inf"), calls, memo)
        files, lines = self._find_changes(session, found)
        facts = TurnFacts(
            task="\n".join(turn.task for turn in turns),
            messages=sum(1 + len(turn.replies) for turn in found),
            finish=None,
            errors=(),
            actions=actions,
            seconds=sum(_seconds(t.start_us, t.end_us) or 0 for t in found),
            lsp=lsp,
            at_start=at_start.errors,
            files_modified=len(files),
        )
        tokens = _sum_tokens([m for turn in found for m in turn.replies])
        return build_outcome(facts, judge_session(turns, lsp), lines, tokens)

    def _build_context(self, session: SessionHistory, turn: TurnHistory | None, at_start: Diagnostics) -> Context:
        observed = session.observed.get(turn.user.message_id) if turn else None
        git = observed.git if observed else None
        touched = [path for call in turn.calls for path in _name_files(call, session.directory)] if turn else []
        files = [*_relative(touched, session.directory), *(observed.files if observed else ())]
        kept = [file for file in dict.fromkeys(files) if not SKIPPED_FOLDERS.intersection(file.split("/"))]
        return Context(
            working_directory=session.directory,
            project_type=observed.project_type if observed else None,
            relevant_files=tuple(kept[:RELEVANT_FILES]),
            lsp_diagnostics=at_start,
            git_status=GitStatus(
                branch=git.branch, uncommitted_changes=git.uncommitted_changes, status=git.status, head=git.head
            )
            if git
            else None,
            file_count=observed.file_count if observed else None,
        )

    def _build_actions(self, session: SessionHistory, calls: Sequence[Call], memo: Memo) -> dict[str, Action]:
        """The calls by their ids, in order, with their rewards."""
        actions, rewards = {}, RewardFold(self._thresholds)
        for step, call in enumerate(calls, 1):
            measure = self._measuring.measure_call(session, call, memo)
            reward = rewards.step(call.tool, call.status, measure.delta if measure else None)
            message = session.messages.get(call.message_id or "")
            grown = call, call.revision, message, message.revision if message else 0
            actions[call.call_id] = memo.recall(
                partial(_build_action, step, session.directory, call, message, measure, reward),
                ("action", step, session.directory, reward, *grown),
                measure,
            )
        return actions

    def _find_changes(self, session: SessionHistory, turns: Sequence[TurnHistory]) -> tuple[list[str], int | None]:
        """The files that differ between the ends of the turns, and by how many lines (added plus removed).

        From the texts the plugin read; else from the client's own sum; None where nobody knows.
        """
        first: dict[str, Content | None] = {}
        last: dict[str, Content | None] = {}
        for call in (call for turn in turns for call in turn.calls if call.status == "completed"):
            for path in find_files(call, session.directory):
                first.setdefault(path, self._history.content_of(call.files_before.get(path)))
                last[path] = self._history.content_of(call.files_after.get(path))
        summed = {
            os.path.normpath(os.path.join(session.directory, change.file)): change
            for turn in turns
            if (record := session.changed.get(turn.user.message_id))
            for change in record.files
        }
        patched = [p for turn in turns for m in turn.replies for p in m.patched_files]
        files = list(dict.fromkeys([*first, *summed, *(os.path.join(session.directory, p) for p in patched)]))
        files = [f for f in files if first.get(f) is None or first.get(f) != last.get(f)]
        total: int | None = 0
        for file in files:
            before, after, change = first.get(file), last.get(file), summed.get(file)
            if before is not None and after is not None:
                lines = count_changed_lines(before, after)
            elif change is not None and change.additions is not None and change.deletions is not None:
                lines = change.additions + change.deletions
            else:
                return files, None
            total = (total or 0) + lines
        return files, total


def _build_action(
    step: int,
    directory: str,
    call: Call,
    message: Message | None,
    measure: CallMeasure | None,
    reward: float | None,
) -> Action:
    """`message` is the reply that made the call."""
    details = call.details
    fields: dict[str, Any] = {
        "step": step,
        "tool": call.tool,
        "call_id": call.call_id,
        "args": _cut_deep(details.args),
        "result": details.output,
        "success": is_success(call),
        "status": call.status,
        "timestamp": format_time(call.start_us),
        "duration": _seconds(call.start_us, call.end_us),
        "files": tuple(_relative(find_files(call, directory), directory)),
        "reward": reward,
    }
    if call.error is not None:
        fields["error"] = call.error
    if message is not None:
        fields["message_id"] = message.message_id
        if message.calls[:1] == [call.call_id] and message.text:
            fields["thought"] = message.text
    if call.exit_code is not None or call.was_cut_off:
        fields["exit_code"] = call.exit_code
    if measure is not None:
        fields["lsp_delta"] = measure.delta
        if measure.delta.baseline != "none":  # an empty list would say "clean"
            fields["lsp_diagnostics_before"] = measure.before
            fields["lsp_diagnostics_after"] = measure.after
    # Optional fields stay unset, so that the file leaves them out.
    return Action.model_construct(**fields)


def _cut_deep(value: Any, levels: int = _MOST_LEVELS) -> Any:
    """Without what is nested too deeply to be written; it is in the journal."""
    if not isinstance(value, dict | list):
        return value
    if levels == 0:
        return "nested too deeply"
    if isinstance(value, dict):
        return {key: _cut_deep(inner, levels - 1) for key, inner in value.items()}
    return [_cut_deep(inner, levels - 1) for inner in value]


def _find_parameters(session: SessionHistory, turns: Sequence[TurnHistory]) -> dict[int, Parameters]:
    """What the model was asked with last, by the number of the turn."""
    starts = [turn.start_us for turn in turns]
    return {bisect_right(starts, p.time_us): p for p in session.parameters if p.agent != "title"}


def _find_errors(session: SessionHistory, turn: TurnHistory) -> tuple[str, ...]:
    """The errors of the model's replies, and the session's while the turn lasted."""
    replied = [reply.latest.error for reply in turn.replies if reply.latest]
    raised = [e.error for e in session.errors if turn.start_us <= e.time_us < turn.limit_us]
    found = [f"model error {_name_error(error)}" for error in replied if error]
    found += [f"session error {_name_error(error)}" for error in raised if error]
    return tuple(dict.fromkeys(found))


def _name_error(error: ErrorNamed) -> str:
    text = f"{error.name or 'unknown'}: {error.message}" if error.message else error.name or "unknown"
    return " ".join(text.split())[:200]


def _name_files(call: Call, directory: str) -> list[str]:
    """The files a call changed or, for a reading tool, read."""
    if call.tool in READING_TOOLS and call.path is not None:
        return [os.path.normpath(os.path.join(directory, call.path))]
    return find_files(call, directory)


def _relative(paths: Iterable[str], directory: str) -> list[str]:
    root = directory.rstrip("/") + "/"
    return [path.removeprefix(root) if path.startswith(root) else path for path in paths]


def _seconds(start_us: int | None, end_us: int | None) -> float | None:
    return None if start_us is None or end_us is None else round(max(0, end_us - start_us) / 1e6, 3)


def _sum_tokens(messages: Iterable[Message]) -> TokenCost:
    found = [m.latest.tokens for m in messages if m.latest and m.latest.tokens]
    return TokenCost(
        input=_sum_known(tokens.input for tokens in found),
        output=_sum_known(tokens.output for tokens in found),
        cache=CacheCost(
            read=_sum_known(tokens.cache_read for tokens in found),
            write=_sum_known(tokens.cache_write for tokens in found),
        ),
    )


def _sum_known(counts: Iterable[int | None]) -> int | None:
    """The sum of what was counted; None where nothing was."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _build_message(message: Message) -> SessionMessage:
    latest = message.latest
    error = latest.error if latest else None
    content = message.text
    return SessionMessage(
        message_id=message.message_id,
        role=message.role,
        timestamp=format_time(message.created_us),
        content=parse_task(content) if message.role == "user" else content,
        parent_id=latest.parent_id if latest else None,
        agent=latest.agent if latest else None,
        model=latest.model if latest else None,
        finish=latest.finish if latest else None,
        error=f"{error.name}: {error.message}" if error else None,
    )
