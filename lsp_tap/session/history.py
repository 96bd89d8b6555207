"""The fold of client journals: what happened in each session, still without any judgement.

Records are updates keyed by ids, so a record read twice (two plugin instances hear the same event) changes nothing.
Texts are kept by hash and looked up when asked for. Times are wall clock in microseconds since the Unix epoch.

Calls, messages and sessions grow in place. Their `revision` is that of the history when they last did: what was made of
one holds as long as it has the same.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from lsp_tap.journal import records
from lsp_tap.timeline.contents import EMPTY_CONTENT, Content, ContentPool

if sys.version_info >= (3, 14):
    from compression.zstd import compress, decompress
else:
    from backports.zstd import compress, decompress

_NO_FILES: Final[Mapping[str, FileSeen]] = MappingProxyType({})
_Kept = TypeVar("_Kept")
_LIKELY: Final = 4
_LONG: Final = 1024
"""Characters from which on a text that is only written again is worth packing."""


class FileSeen(NamedTuple):
    """A file as it was before or after a call: its text's hash, if known. `existed`: None: nobody can tell."""

    existed: bool | None
    sha256: str | None


@dataclass(slots=True, eq=False)
class Call:
    """One tool call, the `number`th of its session. `start_us` is when it was about to run, `end_us` when it had ended;
    None: not seen."""

    call_id: str
    session_id: str
    tool: str
    number: int = 0
    revision: int = 0
    message_id: str | None = None
    status: str = "pending"
    args: Any = None
    packed_output: str | bytes | None = None  # what tools print is most of a client's journal
    error: str | None = None
    metadata: Any = None
    exit_code: int | None = None
    start_us: int | None = None
    end_us: int | None = None
    files_before: Mapping[str, FileSeen] = field(default_factory=lambda: _NO_FILES)
    files_after: Mapping[str, FileSeen] = field(default_factory=lambda: _NO_FILES)
    diagnostics: Any = None  # what the client itself said; an oracle for tests, never a source

    @property
    def output(self) -> str | None:
        packed = self.packed_output
        return decompress(packed).decode("utf-8", "surrogatepass") if isinstance(packed, bytes) else packed

    @output.setter
    def output(self, text: str | None) -> None:
        is_long = text is not None and len(text) >= _LONG
        self.packed_output = compress(text.encode("utf-8", "surrogatepass"), 1) if text and is_long else text

    @property
    def child_session_id(self) -> str | None:
        """The session this call started (a sub-agent's), if it did."""
        found = self.metadata.get("sessionId") if isinstance(self.metadata, dict) else None
        return found if isinstance(found, str) else None


@dataclass(slots=True, eq=False)
class Message:
    message_id: str
    session_id: str
    revision: int = 0
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


@dataclass(slots=True, eq=False)
class SessionHistory:
    session_id: str
    revision: int = 0
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
    clients: set[int] = field(default_factory=set)
    client_directory: str | None = None
    first_us: int | None = None
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

    def __init__(self, contents: ContentPool | None = None) -> None:
        """`contents` are shared with other folds that may know the same texts."""
        self.sessions: dict[str, SessionHistory] = {}
        self.texts: dict[str, Content] = {}
        self.revision = 0
        self._contents = contents or ContentPool()
        self._once: dict[object, Any] = {}  # what many records name, each kept once
        self._named: deque[str] = deque(maxlen=_LIKELY)  # hashes of the texts that were named last
        self._awaiting: dict[str, list[Call]] = {}  # by the hash of a text they name that is not known yet
        self.pruned: set[str] = set()
        """Sessions that are not recorded any more: of some of their journals only the heads are left."""

    def text_of(self, state: FileSeen | None) -> str | None:
        """The text of a file as the plugin read it; None where it is not known, "" where it did not exist."""
        content = self.content_of(state)
        return None if content is None else content.text

    def content_of(self, state: FileSeen | None) -> Content | None:
        """The same, to be compared."""
        if state is None:
            return None
        if state.existed is False:
            return EMPTY_CONTENT
        return self.texts.get(state.sha256) if state.sha256 else None

    def ordered_sessions(self) -> list[SessionHistory]:
        """By their ids: which was heard of first depends on when the journals were read."""
        return [self.sessions[session_id] for session_id in sorted(self.sessions)]

    def find_family(self, session: SessionHistory) -> dict[str, SessionHistory]:
        """The session and the sub-agents' sessions below it, by id."""
        family = {session.session_id: session}
        while True:
            more = {
                child.session_id: child
                for child in self.ordered_sessions()
                if child.session_id not in family and child.latest is not None and child.latest.parent_id in family
            }
            if not more:
                return family
            family |= more

    def step(self, record: records.Record, client: records.ClientStarted | None = None) -> None:
        """Take in one record of the journal that `client` opened."""
        self.revision += 1
        match record:
            case records.TextStored():
                self._store(record)
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
                session.clients.add(client.pid)
        session.first_us = min(session.first_us or record.time_us, record.time_us)
        session.last_us = max(session.last_us, record.time_us)
        session.revision = self.revision
        self._step(session, record)

    def _store(self, record: records.TextStored) -> None:
        """The first text of a hash is the one that counts."""
        if record.sha256 not in self.texts:
            # What a call left is like what it found, which it named last.
            self.texts[self._keep(record.sha256)] = self._contents.add(
                record.text, map(self.texts.get, reversed(self._named))
            )
        self._named.append(record.sha256)
        for call in self._awaiting.pop(record.sha256, ()):
            call.revision = self.sessions[call.session_id].revision = self.revision

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
                self._named.extend(file.sha256 for file in record.files if file.sha256)
                call.files_before = self._keep_files(call, record.files) or call.files_before
            case records.ToolFinished():
                call = self._call(session, record.call_id, record.tool)
                call.end_us = record.time_us
                call.files_after = self._keep_files(call, record.files) or call.files_after
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
        if call.call_id not in message.calls:
            message.calls.append(call.call_id)
        call.message_id, call.status, call.tool = message.message_id, self._keep(record.status), self._keep(record.tool)
        for name in ("args", "output", "error", "metadata", "exit_code"):
            value = getattr(record, name)
            if value is not None:
                setattr(call, name, value)
        if record.start_ms is not None and call.start_us is None:
            call.start_us = int(record.start_ms * 1000)
        if record.status in ("completed", "error"):
            ended = int(record.end_ms * 1000) if record.end_ms is not None else record.time_us
            call.end_us = max(call.end_us or 0, ended)

    def _keep_files(self, call: Call, files: Iterable[records.FileState]) -> dict[str, FileSeen]:
        """By path."""
        for file in files:
            if file.sha256 and file.sha256 not in self.texts:
                self._awaiting.setdefault(file.sha256, []).append(call)
        return {self._keep(file.path): self._keep(FileSeen(file.existed, self._keep(file.sha256))) for file in files}

    def _keep(self, value: _Kept) -> _Kept:
        """The first that was equal: what one call left is what the next one finds."""
        kept: _Kept = self._once.setdefault(value, value)
        return kept

    def _message(self, session: SessionHistory, message_id: str) -> Message:
        message = session.messages.setdefault(message_id, Message(message_id, session.session_id))
        message.revision = self.revision
        return message

    def _call(self, session: SessionHistory, call_id: str, tool: str) -> Call:
        call = session.calls.get(call_id)
        if call is None:
            call = Call(call_id, session.session_id, self._keep(tool), len(session.calls))
            session.calls[call_id] = call
        call.revision = self.revision
        return call
