"""The records of a journal, typed: one model a kind, named in the past tense, fields as `FORMAT.md` has them.

Unknown fields are kept (`model_extra`) and mean nothing here. An optional field that was absent is `None`;
where the difference between absent and `null` matters, `model_fields_set` tells.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

FORMAT_VERSION: Final = 2

Direction: TypeAlias = Literal["client_to_server", "server_to_client"]
Microseconds: TypeAlias = Annotated[int, Field(ge=-62_135_596_800_000_000, le=253_402_300_799_999_999)]
"""Since the Unix epoch, in the years 1 to 9999. What is outside is no time, and arithmetic on it would fail."""
Milliseconds: TypeAlias = Annotated[float, Field(ge=-62_135_596_800_000, le=253_402_300_799_999)]


def _check_base64(text: str) -> str:
    b64decode(text)
    return text


Base64: TypeAlias = Annotated[str, AfterValidator(_check_base64)]


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


class Recorded(_Plain):
    """What every record has. `monotonic_us` compares within one file only; `time_us` is wall clock, Unix
    epoch.
    """

    seq: int
    time_us: Microseconds
    monotonic_us: Annotated[int, Field(ge=-(2**63), lt=2**63)]


# The tap's journal


class TapStarted(Recorded):
    kind: Literal["tap_started"]
    format: int
    recorder: str
    name: str
    command: tuple[str, ...]
    executable: str | None = None
    cwd: str
    pid: int
    parent_pid: int | None = None
    client: str | None = None
    client_pid: int | None = None
    python: str | None = None
    platform: str | None = None
    environment: dict[str, str] = {}
    probe: bool = False
    uptime_us: int | None = None


class ServerStarted(Recorded):
    kind: Literal["server_started"]
    pid: int


class DocumentText(_Plain):
    """Where a document's whole text is in `message`, `at` in bytes. With a `base`, how it is made of that frame's: of
    its first `prefix` and last `suffix` characters, and `middle` between them. The reader puts it back; only
    `read_lines` shows it.
    """

    slot: int
    at: int
    ascii: bool = False
    base: int | None = None
    prefix: int | None = None
    suffix: int | None = None
    middle: str | None = None


class Frame(Recorded):
    """One framed message.

    `message` is any JSON value and `None` also when there is none: `has_message` tells. The reader puts it
    back together when the body was written in parts; a body that is not all there, or not JSON, has
    `error`.
    """

    kind: Literal["frame"]
    document: DocumentText | None = None
    direction: Direction
    raw_length: int
    probe: bool = False
    header: str | None = None
    body: str | None = None
    body_base64: Base64 | None = None
    body_parts: int | None = None
    error: str | None = None
    message: Any = None

    @property
    def has_message(self) -> bool:
        return "message" in self.model_fields_set


class BodyPart(Recorded):
    """A piece of a large frame's body. The reader consumes these; only `read_lines` shows them."""

    kind: Literal["body_part"]
    of: int
    part: int
    text: str | None = None
    base64: Base64 | None = None


class InvalidBytes(Recorded):
    kind: Literal["invalid"]
    direction: Direction
    raw_length: int
    text: str | None = None
    base64: Base64 | None = None
    reason: str


class StderrWritten(Recorded):
    kind: Literal["stderr"]
    text: str


class ProbingStopped(Recorded):
    kind: Literal["probe_stopped"]
    reason: str


class Dropped(Recorded):
    kind: Literal["dropped"]
    count: int
    bytes: int | None = None
    reason: str | None = None


class Pruned(Recorded):
    """Stands in for `count` records, `bytes` of them, that were deleted after `session_ids` had their files."""

    kind: Literal["pruned"]
    count: int
    bytes: int
    reason: str
    session_ids: tuple[str, ...] = ()


class ServerExited(Recorded):
    kind: Literal["server_exited"]
    code: int | None = None
    signal: int | None = None


class TapStopped(Recorded):
    kind: Literal["tap_stopped"]
    reason: str
    exit_code: int | None = None


# A client's journal


class ClientNamed(_Plain):
    name: str
    version: str | None = None


class ErrorNamed(_Plain):
    name: str | None = None
    message: str | None = None


class CacheTokens(_Plain):
    read: int | None = None
    write: int | None = None


class Tokens(_Plain):
    input: int | None = None
    output: int | None = None
    reasoning: int | None = None
    cache: CacheTokens | None = None


class FileState(_Plain):
    """One of FILES: the text under `sha256`, or `skipped` says why it is not known. `existed: false` is an
    empty text.
    """

    path: str
    existed: bool | None = None
    sha256: str | None = None
    bytes: int | None = None
    skipped: str | None = None


class FileChange(_Plain):
    file: str
    additions: int | None = None
    deletions: int | None = None


class ClientStarted(Recorded):
    kind: Literal["client_started"]
    format: int
    recorder: str
    client: ClientNamed | None = None
    pid: int | None = None
    directory: str | None = None
    worktree: str | None = None
    process_started_ms: Milliseconds | None = None
    uptime_us: int | None = None


class TextStored(Recorded):
    kind: Literal["text_stored"]
    sha256: str
    text: str


class _OfSession(Recorded):
    session_id: str


class _OfMessage(_OfSession):
    message_id: str


class SessionUpdated(_OfSession):
    kind: Literal["session_updated"]
    parent_id: str | None = None
    title: str | None = None
    directory: str | None = None
    client_version: str | None = None
    created_ms: Milliseconds | None = None
    updated_ms: Milliseconds | None = None


class MessageUpdated(_OfMessage):
    kind: Literal["message_updated"]
    role: str
    parent_id: str | None = None
    agent: str | None = None
    model: str | None = None
    created_ms: Milliseconds | None = None
    completed_ms: Milliseconds | None = None
    finish: str | None = None
    error: ErrorNamed | None = None
    tokens: Tokens | None = None
    cost: float | None = None


class TextUpdated(_OfMessage):
    kind: Literal["text_updated"]
    part_id: str
    text_kind: str
    text: str
    synthetic: bool | None = None


class FileAttached(_OfMessage):
    kind: Literal["file_attached"]
    part_id: str
    filename: str | None = None
    url: str | None = None
    mime: str | None = None


class ToolStarting(_OfSession):
    kind: Literal["tool_starting"]
    call_id: str
    tool: str
    args: Any = None
    files: tuple[FileState, ...] = ()


class ToolFinished(_OfSession):
    kind: Literal["tool_finished"]
    call_id: str
    tool: str
    files: tuple[FileState, ...] = ()
    diagnostics: Any = None


class ToolUpdated(_OfMessage):
    kind: Literal["tool_updated"]
    part_id: str
    call_id: str
    tool: str
    status: str
    args: Any = None
    output: str | None = None
    error: str | None = None
    metadata: Any = None
    title: str | None = None
    start_ms: Milliseconds | None = None
    end_ms: Milliseconds | None = None
    exit_code: int | None = None


class StepUpdated(_OfMessage):
    kind: Literal["step_updated"]
    part_id: str
    step: str
    snapshot: str | None = None
    files: tuple[str, ...] | None = None
    reason: str | None = None
    tokens: Tokens | None = None
    cost: float | None = None


class ParametersChosen(_OfSession):
    kind: Literal["parameters_chosen"]
    message_id: str | None = None
    agent: str | None = None
    model: str | None = None
    temperature: float | None = None
    top_p: float | None = None


class FilesChanged(_OfSession):
    kind: Literal["files_changed"]
    message_id: str | None = None
    files: tuple[FileChange, ...] = ()


class PermissionReplied(_OfSession):
    kind: Literal["permission_replied"]
    permission_id: str | None = None
    call_id: str | None = None
    response: str | None = None


class SessionStatus(_OfSession):
    kind: Literal["session_status"]
    status: str
    attempt: int | None = None
    message: str | None = None


class SessionIdle(_OfSession):
    kind: Literal["session_idle"]


class SessionErrored(Recorded):
    kind: Literal["session_error"]
    session_id: str | None = None
    error: ErrorNamed | None = None


class ClientStopped(Recorded):
    kind: Literal["client_stopped"]


# observed.jsonl


class GitObserved(_Plain):
    branch: str | None = None
    head: str | None = None
    uncommitted_changes: bool | int | None = None
    status: Any = None


class ProjectObserved(Recorded):
    kind: Literal["project_observed"]
    format: int
    session_id: str
    message_id: str | None = None
    directory: str
    project_type: str | None = None
    file_count: int | None = None
    files: tuple[str, ...] = ()
    git: GitObserved | None = None
    environment_secrets: Any = None


# A verification's journal


class DocumentOpened(_Plain):
    """A document that was opened before the first replayed change. `known_since_us`: when the recorded server first
    knew it, wall clock.
    """

    uri: str
    known_since_us: Microseconds


class ChangeReplayed(_Plain):
    """One change: `time_us` as it was recorded, `replayed_us` as it was sent again; `call_id` null: nobody's call."""

    uri: str
    version: int
    time_us: Microseconds
    replayed_us: Microseconds
    session_id: str | None = None
    call_id: str | None = None
    sight: Literal["read", "created", "written", "moved", "deleted"] = "read"
    origin: str | None = None


class VerificationFinished(_OfSession):
    kind: Literal["verification_finished"]
    format: int
    recorder: str
    server: str
    root: str
    until_us: Microseconds
    opened: tuple[DocumentOpened, ...] = ()
    replayed: tuple[ChangeReplayed, ...] = ()
    unrepeatable: tuple[str, ...] = ()


Record: TypeAlias = (
    TapStarted
    | ServerStarted
    | Frame
    | BodyPart
    | InvalidBytes
    | StderrWritten
    | ProbingStopped
    | Dropped
    | Pruned
    | ServerExited
    | TapStopped
    | ClientStarted
    | TextStored
    | SessionUpdated
    | MessageUpdated
    | TextUpdated
    | FileAttached
    | ToolStarting
    | ToolFinished
    | ToolUpdated
    | StepUpdated
    | ParametersChosen
    | FilesChanged
    | PermissionReplied
    | SessionStatus
    | SessionIdle
    | SessionErrored
    | ClientStopped
    | ProjectObserved
    | VerificationFinished
)


def _kind_of(model: type[Recorded]) -> str:
    kind: str = get_args(model.model_fields["kind"].annotation)[0]
    return kind


RECORD_BY_KIND: Final[dict[str, type[Record]]] = {_kind_of(model): model for model in get_args(Record)}


def journal_schema() -> dict[str, Any]:
    """The JSON Schema of one line of a journal."""
    adapter: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="kind")])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **adapter.json_schema()}
