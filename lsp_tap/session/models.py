"""What the session and training files hold (see the contract in the README's formats section), as pydantic models.

Written in camelCase. A field that is optional in the contract is absent where it does not apply; a number nobody
observed is `null`. Times are ISO 8601 in UTC, durations are seconds, lines and columns count from 1 (columns in code
points), files are relative to the session's directory.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

SCHEMA_VERSION: Final = "2.1"
"""2.1: `correctness` may be null; actions have `status`, `exitCode`, `reward`, `messageId`, `thought`."""

_ABSENT: Final[Any] = None
"""The value in Python of a field that may be left out of the file, where it is never `null`."""

Freshness = Literal["fresh", "stale", "timed-out", "server-dead", "no-server"]
Baseline = Literal["observed", "verified", "partial", "none"]
Score = Annotated[float, Field(ge=0, le=1)]


class Written(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="allow", alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True
    )


class Finding(Written):
    """One diagnostic."""

    file: str
    line: int
    column: int
    message: str
    severity: Literal["error", "warning"]
    code: str
    source: str
    server: str


class Diagnostics(Written):
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


class ClearanceCounts(Written):
    fix: int | None
    suppression: int | None
    deletion: int | None


class Counted(Written):
    """The same sums as for errors, of another severity. `clearedBy` is there where something was cleared."""

    cleared: int | None
    introduced: int | None
    persisted: int | None
    cleared_by: ClearanceCounts = _ABSENT


class ClearedFinding(Finding):
    cleared_by: Literal["fix", "suppression", "deletion"]


class Delta(Written):
    """What one call did to the errors of all documents, against the state just before it.

    With baseline `none` nobody saw that state: the lists are empty because nothing is known, the counts are null, and
    the action has no `lspDiagnosticsBefore` and `lspDiagnosticsAfter`. `elapsedMs`: from the text reaching the server
    to its first report on it; null if there was none.
    """

    cleared: tuple[ClearedFinding, ...]
    introduced: tuple[Finding, ...]
    persisted: int | None
    freshness: Freshness
    baseline: Baseline
    elapsed_ms: float | None
    warnings: Counted
    servers: tuple[str, ...]


class Action(Written):
    """One tool call. `status`: the client's (`completed`, `error`; what else there is was left unfinished). `exitCode`:
    of a command; null if it was cut off. `reward`: see `lsp_tap.session.rewards`; null is unknown. `messageId`: of the
    reply that made it; calls of one reply are one step. `thought`: what that reply said, at its first call.
    """

    step: int
    tool: str
    call_id: Annotated[str, Field(alias="callID")]
    args: Any
    result: str | None
    success: bool
    status: str = _ABSENT
    exit_code: int | None = _ABSENT
    reward: float | None = _ABSENT
    message_id: str = _ABSENT
    thought: str = _ABSENT
    timestamp: str | None
    duration: float | None
    error: str = _ABSENT
    files: tuple[str, ...]
    lsp_diagnostics_before: Diagnostics = _ABSENT
    lsp_diagnostics_after: Diagnostics = _ABSENT
    lsp_delta: Delta = _ABSENT


class Lsp(Written):
    errors_before: int | None
    errors_after: int | None
    errors_cleared: int | None
    errors_introduced: int | None
    errors_persisted: int | None
    warnings_before: int | None
    warnings_after: int | None
    warnings_cleared: int | None
    warnings_introduced: int | None
    warnings_persisted: int | None
    external_cleared: int | None
    external_introduced: int | None
    cleared_by: ClearanceCounts
    baseline: Baseline
    freshness: Freshness
    servers: tuple[str, ...]


class CacheCost(Written):
    read: int | None
    write: int | None


class TokenCost(Written):
    input: int | None
    output: int | None
    cache: CacheCost


class Metrics(Written):
    """`compilationSuccess`, `testsPass`: what the last build and the last test run came to; absent where the agent ran
    none, null where the exit code does not tell.
    """

    lsp_errors_cleared: bool
    lsp: Lsp
    files_modified: int
    lines_changed: int | None
    time_to_completion: float | None
    tool_call_count: int
    token_cost: TokenCost
    cache_hit_rate: float | None
    compilation_success: bool | None = _ABSENT
    tests_pass: bool | None = _ABSENT


class Evaluation(Written):
    """Formulas: `lsp_tap.session.scoring`. Without any evidence `correctness` is null."""

    correctness: Score | None
    efficiency: Score
    minimal_edits: Score


class Outcome(Written):
    success: bool
    task_completed: bool
    reasons: tuple[str, ...]
    metrics: Metrics
    evaluation: Evaluation


class GitStatus(Written):
    branch: str | None
    uncommitted_changes: int | None
    status: Any
    head: str | None


class Context(Written):
    working_directory: str
    project_type: str | None
    relevant_files: tuple[str, ...]
    lsp_diagnostics: Diagnostics
    git_status: GitStatus | None
    file_count: int | None


class HistoryMessage(Written):
    role: str
    content: str
    timestamp: str | None


class ExampleInput(Written):
    task: str
    context: Context
    conversation_history: tuple[HistoryMessage, ...]


class ExampleOutput(Written):
    response: str
    final_message: str | None


class Agent(Written):
    name: str | None
    model: str | None
    temperature: float | None
    prompt_tokens: int | None
    completion_tokens: int | None


class ExampleMetadata(Written):
    """`turn`: which one of the session, from 1."""

    timestamp: str | None
    session_id: str
    duration: float | None
    message_count: int
    turn: int = _ABSENT


class Example(Written):
    input: ExampleInput
    actions: tuple[Action, ...]
    output: ExampleOutput
    outcome: Outcome
    agent: Agent
    metadata: ExampleMetadata


class TrainingFile(Written):
    """`dspy-<id>.json`."""

    schema_version: str
    session: str
    generated: str
    total_examples: int
    total_turns: int
    successful_turns: int
    overall_success: bool
    total_tool_calls: int
    outcome: Outcome
    examples: tuple[Example, ...]


class SessionMessage(Written):
    message_id: str
    role: str
    timestamp: str | None
    content: str
    parent_id: str | None
    agent: str | None
    model: str | None
    finish: str | None
    error: str | None


class Turn(Written):
    """`errors`: of the model's replies and the session, while it lasted; absent where there were none."""

    task: str
    message_id: str
    errors: tuple[str, ...] = _ABSENT
    outcome: Outcome
    actions: tuple[str, ...]
    context: Context
    output: ExampleOutput
    agent: Agent
    metadata: ExampleMetadata


class SessionFile(Written):
    """`session-<id>.json`: all turns, also the failed ones."""

    schema_version: str
    session_id: str
    parent_id: str | None
    children: tuple[str, ...]
    title: str | None
    start_time: str | None
    end_time: str | None
    directory: str
    generated: str
    opencode_version: str | None
    messages: tuple[SessionMessage, ...]
    tool_calls: tuple[Action, ...]
    turns: tuple[Turn, ...]
    context: Context
    outcome: Outcome
