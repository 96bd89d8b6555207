"""The fold of client journals: what happened in each session, still without any judgement.

Records are updates keyed by ids, so a record read twice (two plugin instances hear the same event) changes nothing.
Texts are kept by hash and looked up when asked for. Times are wall clock in microseconds since the Unix epoch.

Calls, messages and sessions grow in place. Their `revision` is that of the history when they last did: what was made of
one holds as long as it has the same.
"""

from __future__ import annotations

import os.path
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from lsp_tap.journal import records
from lsp_tap.session.numbers import read_count
from lsp_tap.session.packing import Packed, Packer
from lsp_tap.timeline.contents import EMPTY_CONTENT, Content, ContentPool

_NO_FILES: Final[Mapping[str, FileSeen]] = MappingProxyType({})
_NO_MOVES: Final[Mapping[str, str]] = MappingProxyType({})
_NO_PATCHES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
_Kept = TypeVar("_Kept")
_LIKELY: Final = 4


class FileSeen(NamedTuple):
    """A file as it was before or after a call: its text's hash, if known. `existed`: None: nobody can tell."""

    existed: bool | None
    sha256: str | None


class Details(NamedTuple):
    """What went into a call and what came out."""

    args: Any = None
    output: str | None = None
    metadata: Any = None


_NO_DETAILS: Final = Details()


@dataclass(slots=True, eq=False)
class Call:
    """One tool call, the `number`th of its session. `start_us` is when it was about to run, `end_us` when it had ended;
    None: not seen.

    Of its details stand apart what is asked for often: `path`, the file its arguments name; `moves`, the files it moved
    (the new path to the old one); `child_session_id`, the session it started (a sub-agent's); `was_cut_off`: it ran a
    command that was ended, with no exit code.
    """

    call_id: str
    session_id: str
    tool: str
    number: int = 0
    revision: int = 0
    message_id: str | None = None
    status: str = "pending"
    error: str | None = None
    exit_code: int | None = None
    start_us: int | None = None
    end_us: int | None = None
    files_before: Mapping[str, FileSeen] = field(default_factory=lambda: _NO_FILES)
    files_after: Mapping[str, FileSeen] = field(default_factory=lambda: _NO_FILES)
    path: str | None = None
    moves: Mapping[str, str] = field(default_factory=lambda: _NO_MOVES)
    child_session_id: str | None = None
    was_cut_off: bool = False
    _details: Packed | Details = _NO_DETAILS

    @property
    def details(self) -> Details:
        """Most of a client's journal: packed, once the call has ended."""
        return self._details if isinstance(self._details, Details) else Details(*self._details.unpack())

    @property
    def args(self) -> Any:
        return self.details.args

    @property
    def output(self) -> str | None:
        return self.details.output

    @property
    def metadata(self) -> Any:
        return self.details.metadata

    def add(self, details: Details, packer: Packer | None) -> None:
        """Take in those that are known (not None), and pack them if there is a `packer`."""
        if packer is None and details == _NO_DETAILS:
            return
        kept = self._details
        after = Details(*(old if new is None else new for old, new in zip(self.details, details, strict=True)))
        packed = packer.pack(tuple(after), kept if isinstance(kept, Packed) else None) if packer else None
        self._details = packed or after
        args, metadata = after.args, after.metadata if isinstance(after.metadata, dict) else {}
        path, child = args.get("filePath") if isinstance(args, dict) else None, metadata.get("sessionId")
        self.path = path if isinstance(path, str) else None
        self.moves = _find_moves(metadata) or _NO_MOVES
        self.child_session_id = child if isinstance(child, str) else None
        self.was_cut_off = metadata.get("exit", 0) is None


def _find_moves(metadata: Mapping[str, Any]) -> dict[str, str]:
    listed = metadata.get("files")
    return {
        os.path.normpath(file["movePath"]): os.path.normpath(file["filePath"])
        for file in (listed if isinstance(listed, list) else ())
        if isinstance(file, dict) and isinstance(file.get("movePath"), str) and isinstance(file.get("filePath"), str)
    }


class Text(NamedTuple):
    """A part of a message. `text` is what a person or the model wrote, or what the client put in if it is `synthetic`;
    of reasoning there is none here."""

    text: str
    synthetic: bool


class Tokens(NamedTuple):
    """Those of one reply; None: not told."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None


class Parameters(NamedTuple):
    """What a model was asked with."""

    time_us: int
    agent: str | None
    temperature: float | None


@dataclass(slots=True)
class Said:
    """What the client said of a message last; the record has the meanings."""

    role: str
    parent_id: str | None
    agent: str | None
    model: str | None
    created_ms: float | None
    completed_ms: float | None
    finish: str | None
    error: records.ErrorNamed | None
    tokens: Tokens | None


@dataclass(slots=True, eq=False)
class Message:
    message_id: str
    session_id: str
    revision: int = 0
    latest: Said | None = None
    texts: dict[str, Text] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    patches: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NO_PATCHES)

    @property
    def role(self) -> str:
        return self.latest.role if self.latest else "unknown"

    @property
    def created_us(self) -> int:
        return int(self.latest.created_ms * 1000) if self.latest and self.latest.created_ms else 0

    @property
    def text(self) -> str:
        """What a person or the model wrote; not reasoning, not what the client put in."""
        return "\n".join(part.text for part in self.texts.values() if part.text and not part.synthetic)

    @property
    def patched_files(self) -> list[str]:
        return [file for files in self.patches.values() for file in files]


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
    parameters: list[Parameters] = field(default_factory=list)
    changed: dict[str, records.FilesChanged] = field(default_factory=dict)
    observed: dict[str, records.ProjectObserved] = field(default_factory=dict)
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
        self._packer = Packer()
        self._once: dict[object, Any] = {}  # what many records name, each kept once
        self._seen: dict[str, Mapping[str, FileSeen]] = {}  # of each file that was named alone, how it was last
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
        session = self.sessions.get(session_id)
        if session is None:
            session = self.sessions[session_id] = SessionHistory(session_id)
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
        match record:  # the most frequent first
            case records.ToolUpdated():
                self._tool_updated(session, record)
            case records.ToolStarting():
                call = self._call(session, record.call_id, record.tool)
                if call.args is None:
                    call.add(Details(record.args), None)
                call.start_us = call.start_us or record.time_us
                self._named.extend(file.sha256 for file in record.files if file.sha256)
                call.files_before = self._keep_files(call, record.files) or call.files_before
            case records.ToolFinished():
                call = self._call(session, record.call_id, record.tool)
                call.end_us = record.time_us
                call.files_after = self._keep_files(call, record.files) or call.files_after
            case records.SessionUpdated():
                session.latest = record
            case records.MessageUpdated():
                self._message(session, record.message_id).latest = self._read_message(record)
            case records.TextUpdated():
                is_read = record.text_kind == "text"
                text = Text(record.text if is_read else "", bool(record.synthetic))
                self._message(session, record.message_id).texts[record.part_id] = text
            case records.StepUpdated(step="patch"):
                message = self._message(session, record.message_id)
                message.patches = {**message.patches, record.part_id: record.files or ()}
            case records.ParametersChosen():
                session.parameters.append(Parameters(record.time_us, record.agent, record.temperature))
            case records.FilesChanged() if record.message_id:
                session.changed[record.message_id] = record
            case records.ProjectObserved() if record.message_id:
                session.observed.setdefault(record.message_id, record)
            case records.SessionStatus(status="retry"):
                session.retries.append(record)
            case records.SessionErrored():
                session.errors.append(record)
            case records.SessionIdle():
                session.idle_us.append(record.time_us)

    def _read_message(self, record: records.MessageUpdated) -> Said:
        told = record.tokens
        cache = told.cache if told else None
        counts = (told.input, told.output, *((cache.read, cache.write) if cache else ())) if told else ()
        return Said(
            self._keep(record.role),
            record.parent_id,
            self._keep(record.agent),
            self._keep(record.model),
            record.created_ms,
            record.completed_ms,
            self._keep(record.finish),
            record.error,
            Tokens(*map(read_count, counts)) if told else None,
        )

    def _tool_updated(self, session: SessionHistory, record: records.ToolUpdated) -> None:
        call = self._call(session, record.call_id, record.tool)
        message = self._message(session, record.message_id)
        if call.call_id not in message.calls:
            message.calls.append(call.call_id)
        call.message_id, call.status, call.tool = message.message_id, self._keep(record.status), self._keep(record.tool)
        has_ended = record.status in ("completed", "error")
        call.add(Details(record.args, record.output, record.metadata), self._packer if has_ended else None)
        call.path = self._keep(call.path)
        call.error = call.error if record.error is None else record.error
        call.exit_code = call.exit_code if record.exit_code is None else record.exit_code
        if record.start_ms is not None and call.start_us is None:
            call.start_us = int(record.start_ms * 1000)
        if has_ended:
            ended = int(record.end_ms * 1000) if record.end_ms is not None else record.time_us
            call.end_us = max(call.end_us or 0, ended)

    def _keep_files(self, call: Call, files: Sequence[records.FileState]) -> Mapping[str, FileSeen]:
        """By path."""
        for file in files:
            if file.sha256 and file.sha256 not in self.texts:
                self._awaiting.setdefault(file.sha256, []).append(call)
        seen = {self._keep(file.path): self._keep(FileSeen(file.existed, self._keep(file.sha256))) for file in files}
        if len(seen) != 1:
            return seen
        [path] = seen
        if self._seen.get(path) != seen:
            self._seen[path] = seen
        return self._seen[path]

    def _keep(self, value: _Kept) -> _Kept:
        """The first that was equal: what one call left is what the next one finds."""
        kept: _Kept = self._once.setdefault(value, value)
        return kept

    def _message(self, session: SessionHistory, message_id: str) -> Message:
        message = session.messages.get(message_id)
        if message is None:
            message = session.messages[message_id] = Message(message_id, session.session_id)
        message.revision = self.revision
        return message

    def _call(self, session: SessionHistory, call_id: str, tool: str) -> Call:
        call = session.calls.get(call_id)
        if call is None:
            call = Call(call_id, session.session_id, self._keep(tool), len(session.calls))
            session.calls[call_id] = call
        call.revision = self.revision
        return call
