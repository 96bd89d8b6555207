"""From histories and timelines to the session and training files. Pure: the same recording gives the same files."""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from difflib import SequenceMatcher
from typing import Any, Final

from lsp_tap.session.attribution import READING_TOOLS, find_files
from lsp_tap.session.history import Call, HistoryFold, Message, SessionHistory
from lsp_tap.session.measuring import Measuring
from lsp_tap.session.models import (
    SCHEMA_VERSION,
    Action,
    Agent,
    CacheCost,
    Context,
    Diagnostics,
    Example,
    ExampleInput,
    ExampleMetadata,
    ExampleOutput,
    GitStatus,
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
from lsp_tap.session.scoring import Verdict, describe_lsp, evaluate, is_success, judge_turn
from lsp_tap.session.turns import TurnHistory, find_turns, parse_task
from lsp_tap.session.verified import Verification
from lsp_tap.timeline.fold import ServerTimeline
from lsp_tap.timeline.texts import split_lines

RELEVANT_FILES: Final = 20
SKIPPED_FOLDERS: Final = frozenset(
    {"node_modules", ".venv", "venv", "env", ".git", "__pycache__", ".tox", "site-packages", ".opencode-logs"}
)


def format_time(time_us: float | None) -> str | None:
    """Wall clock microseconds as ISO 8601 in UTC, to the millisecond; 0 and None are unknown."""
    if not time_us:
        return None
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Builder:
    """All sessions of one recording. `history_limit`: how many earlier messages an example keeps; None: all."""

    def __init__(
        self,
        history: HistoryFold,
        timelines: Iterable[ServerTimeline],
        verifications: Iterable[Verification] = (),
        *,
        history_limit: int | None = None,
    ) -> None:
        self._history = history
        self._measuring = Measuring(history, timelines, verifications)
        self._history_limit = history_limit

    def is_pruned(self, session_id: str) -> bool:
        """Whether some of its journals are gone: what `build_session` would give is poorer than what it gave once."""
        return session_id in self._history.pruned

    def build_session(self, session_id: str) -> SessionFile:
        """The session as a whole, successful or not. Raises KeyError for a session nobody recorded."""
        session = self._history.sessions[session_id]
        found = find_turns(session)
        turns = tuple(self._build_turn(session, turn) for turn in found)
        calls = [call for turn in found for call in turn.calls]
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
            messages=tuple(_build_message(message) for message in session.ordered_messages()),
            tool_calls=tuple(self._build_action(session, n, call) for n, call in enumerate(calls, 1)),
            turns=turns,
            context=turns[0].context
            if turns
            else self._build_context(session, None, Diagnostics(errors=(), warnings=())),
            outcome=self._build_session_outcome(session, found, turns),
        )

    def build_training(self, session: SessionFile) -> TrainingFile | None:
        """The successful turns as examples; None when there is none."""
        actions = {action.call_id: action for action in session.tool_calls}
        messages = [message for message in session.messages if message.content]
        examples = []
        for turn in session.turns:
            if not turn.outcome.success:
                continue
            at = next((n for n, m in enumerate(messages) if m.message_id == turn.message_id), 0)
            earlier = messages[:at] if self._history_limit is None else messages[:at][-self._history_limit :]
            examples.append(
                Example(
                    input=ExampleInput(
                        task=turn.task,
                        context=turn.context,
                        conversation_history=tuple(
                            HistoryMessage(role=m.role, content=m.content, timestamp=m.timestamp) for m in earlier
                        ),
                    ),
                    actions=tuple(_number(actions[call], n) for n, call in enumerate(turn.actions, 1)),
                    output=turn.output,
                    outcome=turn.outcome,
                    agent=turn.agent,
                    metadata=turn.metadata,
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

    def _build_turn(self, session: SessionHistory, turn: TurnHistory) -> Turn:
        lsp, at_start = self._measuring.measure_span(session, turn.start_us, turn.end_us, turn.limit_us, turn.calls)
        verdict = judge_turn(session, turn, lsp)
        replies = [m.latest for m in turn.replies if m.latest]
        parameters = [
            p for p in session.parameters if turn.start_us <= p.time_us < turn.limit_us and p.agent != "title"
        ]
        tokens = _sum_tokens(turn.replies)
        return Turn(
            task=parse_task(turn.user.text),
            message_id=turn.user.message_id,
            outcome=self._build_outcome(session, [turn], verdict, lsp),
            actions=tuple(call.call_id for call in turn.calls),
            context=self._build_context(session, turn, at_start),
            output=ExampleOutput(
                response=turn.last_reply.text if turn.last_reply else "",
                final_message=turn.last_reply.message_id if turn.last_reply else None,
            ),
            agent=Agent(
                name=replies[-1].agent if replies else None,
                model=replies[-1].model if replies else None,
                temperature=parameters[-1].temperature if parameters else None,
                prompt_tokens=tokens.input,
                completion_tokens=tokens.output,
            ),
            metadata=ExampleMetadata(
                timestamp=format_time(turn.start_us),
                session_id=session.session_id,
                duration=_seconds(turn.start_us, turn.end_us),
                message_count=1 + len(turn.replies),
            ),
        )

    def _build_outcome(
        self, session: SessionHistory, turns: Sequence[TurnHistory], verdict: Verdict, lsp: Lsp
    ) -> Outcome:
        calls = [call for turn in turns for call in turn.calls]
        files, lines = self._find_changes(session, turns)
        tokens = _sum_tokens([m for turn in turns for m in turn.replies])
        read_in = (tokens.input or 0) + (tokens.cache.read or 0)
        return Outcome(
            success=verdict.success,
            task_completed=verdict.task_completed,
            reasons=verdict.reasons,
            metrics=Metrics(
                lsp_errors_cleared=bool(lsp.errors_before) and (lsp.errors_after or 0) < (lsp.errors_before or 0),
                lsp=lsp,
                files_modified=len(files),
                lines_changed=lines,
                time_to_completion=round(sum(_seconds(t.start_us, t.end_us) or 0 for t in turns), 3),
                tool_call_count=len(calls),
                token_cost=tokens,
                cache_hit_rate=round((tokens.cache.read or 0) / read_in, 4) if read_in else None,
            ),
            evaluation=evaluate(verdict, lsp, len(calls), files),
        )

    def _build_session_outcome(
        self, session: SessionHistory, found: Sequence[TurnHistory], turns: Sequence[Turn]
    ) -> Outcome:
        """A session succeeded when a turn used tools and every turn that did succeeded."""
        start, end = (found[0].start_us, found[-1].end_us) if found else (0, 0)
        calls = [call for turn in found for call in turn.calls]
        lsp, _ = self._measuring.measure_span(session, start, end, float("inf"), calls)
        working = [turn for turn in turns if turn.actions or not turn.outcome.task_completed]
        failed = tuple(
            f"turn {number}: {reason}"
            for number, turn in enumerate(turns, 1)
            if turn in working and not turn.outcome.success
            for reason in turn.outcome.reasons
        )
        success = bool(working) and not failed
        good = f"{len(working)} of {len(turns)} turns used tools, all succeeded"
        reasons = failed or ((good, describe_lsp(lsp)) if success else ("no turn used a tool",))
        completed = bool(turns) and turns[-1].outcome.task_completed
        return self._build_outcome(session, found, Verdict(success, completed, reasons), lsp)

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

    def _build_action(self, session: SessionHistory, step: int, call: Call) -> Action:
        fields: dict[str, Any] = {
            "step": step,
            "tool": call.tool,
            "call_id": call.call_id,
            "args": call.args,
            "result": call.output,
            "success": is_success(call),
            "timestamp": format_time(call.start_us),
            "duration": _seconds(call.start_us, call.end_us),
            "files": tuple(_relative(find_files(call, session.directory), session.directory)),
        }
        if call.error is not None:
            fields["error"] = call.error
        measure = self._measuring.measure_call(session, call)
        if measure is not None:
            fields["lsp_delta"] = measure.delta
            if measure.delta.baseline != "none":  # an empty list would say "clean"
                fields["lsp_diagnostics_before"] = measure.before
                fields["lsp_diagnostics_after"] = measure.after
        # Optional fields stay unset, so that the file leaves them out.
        return Action.model_construct(**fields)

    def _find_changes(self, session: SessionHistory, turns: Sequence[TurnHistory]) -> tuple[list[str], int | None]:
        """The files that differ between the ends of the turns, and by how many lines (added plus removed).

        From the texts the plugin read; else from the client's own sum; None where nobody knows.
        """
        first: dict[str, str | None] = {}
        last: dict[str, str | None] = {}
        for call in (call for turn in turns for call in turn.calls if call.status == "completed"):
            for path in find_files(call, session.directory):
                first.setdefault(path, self._history.text_of(call.files_before.get(path)))
                last[path] = self._history.text_of(call.files_after.get(path))
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


def count_changed_lines(before: str, after: str) -> int:
    """Lines added plus lines removed."""
    old, new = split_lines(before), split_lines(after)
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return sum(i2 - i1 + j2 - j1 for tag, i1, i2, j1, j2 in codes if tag != "equal")


def _number(action: Action, step: int) -> Action:
    return action.model_copy(update={"step": step})


def _name_files(call: Call, directory: str) -> list[str]:
    """The files a call changed or, for a reading tool, read."""
    if call.tool in READING_TOOLS and isinstance(call.args, dict) and isinstance(call.args.get("filePath"), str):
        return [os.path.normpath(os.path.join(directory, call.args["filePath"]))]
    return find_files(call, directory)


def _relative(paths: Iterable[str], directory: str) -> list[str]:
    root = directory.rstrip("/") + "/"
    return [path.removeprefix(root) if path.startswith(root) else path for path in paths]


def _seconds(start_us: int | None, end_us: int | None) -> float | None:
    return None if start_us is None or end_us is None else round(max(0, end_us - start_us) / 1e6, 3)


def _sum_tokens(messages: Iterable[Message]) -> TokenCost:
    found = [m.latest.tokens for m in messages if m.latest and m.latest.tokens]
    caches = [tokens.cache for tokens in found if tokens.cache]
    return TokenCost(
        input=_sum_known(tokens.input for tokens in found),
        output=_sum_known(tokens.output for tokens in found),
        cache=CacheCost(
            read=_sum_known(cache.read for cache in caches), write=_sum_known(cache.write for cache in caches)
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
