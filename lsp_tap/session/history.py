"""The fold of client journals: what happened in each session, still without any judgement.

Records are updates keyed by ids, so a record read twice (two plugin instances hear the same event) changes nothing.
Texts are kept by hash and looked up when asked for. Times are wall clock in microseconds since the Unix epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lsp_tap.journal import records


@dataclass(slots=True)
class Call:
    """One tool call. `start_us` is when it was about to run, `end_us` when it had ended; None: not seen."""

    call_id: str
    session_id: str
    tool: str
    message_id: str | None = None
    status: str = "pending"
    args: Any = None
    output: str | None = None
    error: str | None = None
    metadata: Any = None
    exit_code: int | None = None
    start_us: int | None = None
    end_us: int | None = None
    files_before: dict[str, records.FileState] = field(default_factory=dict)
    files_after: dict[str, records.FileState] = field(default_factory=dict)
    diagnostics: Any = None  # what the client itself said; an oracle for tests, never a source

    @property
    def child_session_id(self) -> str | None:
        """The session this call started (a sub-agent's), if it did."""
        found = self.metadata.get("sessionId") if isinstance(self.metadata, dict) else None
        return found if isinstance(found, str) else None


@dataclass(slots=True)
class Message:
    message_id: str
    session_id: str
    latest: records.MessageUpdated | None = None
    texts: dict[str, records.TextUpdated] = field(default_factory=dict)
    attached: dict[str, records.FileAttached] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    steps: dict[str, records.StepUpdated] = field(default_factory=dict)

    @property
    def role(self) -> str:
        return self.latest.role if self.latest else "unknown"

    @property
    def created_us(self) -> int:
        return int(self.latest.created_ms * 1000) if self.latest and self.latest.created_ms else 0

    @property
    def text(self) -> str:
        """What a person or the model wrote; not reasoning, not what the client put in."""
        parts = [t.text for t in self.texts.values() if t.text_kind == "text" and not t.synthetic]
        return "\n".join(part for part in parts if part)

    @property
    def patched_files(self) -> list[str]:
        return [file for step in self.steps.values() if step.step == "patch" for file in step.files or ()]


@dataclass(slots=True)
class SessionHistory:
    session_id: str
    latest: records.SessionUpdated | None = None
    messages: dict[str, Message] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    errors: list[records.SessionErrored] = field(default_factory=list)
    retries: list[records.SessionStatus] = field(default_factory=list)
    idle_us: list[int] = field(default_factory=list)
    parameters: list[records.ParametersChosen] = field(default_factory=list)
    changed: dict[str, records.FilesChanged] = field(default_factory=dict)
    observed: dict[str, records.ProjectObserved] = field(default_factory=dict)
    permissions: list[records.PermissionReplied] = field(default_factory=list)
    client_pids: set[int] = field(default_factory=set)
    client_directory: str | None = None
    last_us: int = 0

    @property
    def directory(self) -> str:
        return (self.latest and self.latest.directory) or self.client_directory or ""

    @property
    def start_us(self) -> int:
        """When it began, as far as anybody said; 0: nobody."""
        return int(self.latest.created_ms * 1000) if self.latest and self.latest.created_ms else 0

    def ordered_messages(self) -> list[Message]:
        """By the time they were created: an assistant's update can be journalled before its user message's."""
        known = [message for message in self.messages.values() if message.latest]
        return sorted(known, key=lambda message: (message.created_us, message.role != "user", message.message_id))


class HistoryFold:
    """Feed it the records of all client journals in time order."""

    def __init__(self) -> None:
        self.sessions: dict[str, SessionHistory] = {}
        self.texts: dict[str, str] = {}
        self.pruned: set[str] = set()
        """Sessions that are not recorded any more: of some of their journals only the heads are left."""

    def text_of(self, state: records.FileState | None) -> str | None:
        """The text of a file as the plugin read it; None where it is not known, "" where it did not exist."""
        if state is None:
            return None
        if state.existed is False:
            return ""
        return self.texts.get(state.sha256) if state.sha256 else None

    def find_family(self, session: SessionHistory) -> dict[str, SessionHistory]:
        """The session and the sub-agents' sessions below it, by id."""
        family = {session.session_id: session}
        while True:
            more = {
                child.session_id: child
                for child in self.sessions.values()
                if child.session_id not in family and child.latest is not None and child.latest.parent_id in family
            }
            if not more:
                return family
            family |= more

    def step(self, record: records.Record, client: records.ClientStarted | None = None) -> None:
        """Take in one record of the journal that `client` opened."""
        match record:
            case records.TextStored():
                self.texts[record.sha256] = record.text
                return
            case records.Pruned():
                self.pruned.update(record.session_ids)
                return
            case records.SessionErrored(session_id=None):
                return
        session_id = getattr(record, "session_id", None)
        if not session_id:
            return
        session = self.sessions.setdefault(session_id, SessionHistory(session_id))
        if client:
            session.client_directory = client.directory
            if client.pid is not None:
                session.client_pids.add(client.pid)
        session.last_us = max(session.last_us, record.time_us)
        self._step(session, record)

    def _step(self, session: SessionHistory, record: records.Record) -> None:
        match record:
            case records.SessionUpdated():
                session.latest = record
            case records.MessageUpdated():
                self._message(session, record.message_id).latest = record
            case records.TextUpdated():
                self._message(session, record.message_id).texts[record.part_id] = record
            case records.FileAttached():
                self._message(session, record.message_id).attached[record.part_id] = record
            case records.StepUpdated():
                self._message(session, record.message_id).steps[record.part_id] = record
            case records.ToolStarting():
                call = self._call(session, record.call_id, record.tool)
                call.args = record.args if call.args is None else call.args
                call.start_us = call.start_us or record.time_us
                call.files_before = {file.path: file for file in record.files} or call.files_before
            case records.ToolFinished():
                call = self._call(session, record.call_id, record.tool)
                call.end_us = record.time_us
                call.files_after = {file.path: file for file in record.files} or call.files_after
                call.diagnostics = record.diagnostics
            case records.ToolUpdated():
                self._tool_updated(session, record)
            case records.ParametersChosen():
                session.parameters.append(record)
            case records.FilesChanged() if record.message_id:
                session.changed[record.message_id] = record
            case records.ProjectObserved() if record.message_id:
                session.observed.setdefault(record.message_id, record)
            case records.PermissionReplied():
                session.permissions.append(record)
            case records.SessionStatus(status="retry"):
                session.retries.append(record)
            case records.SessionErrored():
                session.errors.append(record)
            case records.SessionIdle():
                session.idle_us.append(record.time_us)

    def _tool_updated(self, session: SessionHistory, record: records.ToolUpdated) -> None:
        call = self._call(session, record.call_id, record.tool)
        message = self._message(session, record.message_id)
        if record.call_id not in message.calls:
            message.calls.append(record.call_id)
        call.message_id, call.status, call.tool = record.message_id, record.status, record.tool
        for name in ("args", "output", "error", "metadata", "exit_code"):
            value = getattr(record, name)
            if value is not None:
                setattr(call, name, value)
        if record.start_ms is not None and call.start_us is None:
            call.start_us = int(record.start_ms * 1000)
        if record.status in ("completed", "error"):
            ended = int(record.end_ms * 1000) if record.end_ms is not None else record.time_us
            call.end_us = max(call.end_us or 0, ended)

    def _message(self, session: SessionHistory, message_id: str) -> Message:
        return session.messages.setdefault(message_id, Message(message_id, session.session_id))

    def _call(self, session: SessionHistory, call_id: str, tool: str) -> Call:
        return session.calls.setdefault(call_id, Call(call_id, session.session_id, tool))
