"""The fold: one server's journal records become document changes and diagnostic reports on one axis.

The axis is `order`, the number of the record among those that bear on it: most of what a client and a server say is
about something else, and is not even looked at. Each report gets an `as_of` on it: the moment whose state it describes,
which is not when it arrived.

| report | `as_of` |
|---|---|
| answer to a pull | where the request was sent: servers answer for the text they had then |
| push with a version | its arrival, but never after the change that ended that version |
| push without a version | its arrival: nobody knows better, and the last one before a change wins |

Documents stay known when the server is started again, by its client or by one that goes on with the same session, so
that what the old process said is the "before" of what the new one says.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Literal

from lsp_tap.journal import records
from lsp_tap.journal.heads import FrameHead
from lsp_tap.timeline.contents import Content, ContentPool
from lsp_tap.timeline.diagnostics import Diagnostic, parse_diagnostics
from lsp_tap.timeline.texts import OpenDocument, split_lines

Asker = Literal["client", "tap", "server"]


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A version of a document that the server was told of. `earlier` is what it was before; None at first sight."""

    order: int
    time_us: int
    uri: str
    version: int | None
    content: Content
    earlier: Content | None

    @property
    def text(self) -> str:
        return self.content.text

    @property
    def previous(self) -> str | None:
        return None if self.earlier is None else self.earlier.text

    @property
    def altered(self) -> bool:
        """Whether the text differs from what the server knew; a re-read file is sent again unaltered."""
        return self.earlier is not None and self.content is not self.earlier  # of one pool


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What a server said about one document. `change` is the version it describes; None: nobody had opened it."""

    as_of: float
    time_us: int
    uri: str
    channel: str
    asked_by: Asker
    diagnostics: tuple[Diagnostic, ...]
    change: Change | None

    def placed_at(self, as_of: float) -> Report:
        return Report(as_of, self.time_us, self.uri, self.channel, self.asked_by, self.diagnostics, self.change)


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a server process; `crashed` if nobody asked it to end."""

    order: int
    time_us: int
    crashed: bool


@dataclass(slots=True)
class ServerTimeline:
    """All that was said and sent about documents between one server and its client, or several one after the other."""

    name: str
    command: tuple[str, ...] = ()
    cwd: str = ""
    clients: set[int] = field(default_factory=set)
    server_info: Mapping[str, Any] = field(default_factory=dict)
    initialize: Mapping[str, Any] = field(default_factory=dict)
    encoding: str = "utf-16"
    changes: list[Change] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    started_order: int = 0  # of the process that ran last
    times_us: array[int] = field(default_factory=lambda: array("q"))  # of each record that bears on it, by its order
    pulls_unanswered: int = 0
    last_time_us: int = 0


@dataclass(frozen=True, slots=True)
class _Pull:
    order: int
    uri: str
    identifier: str
    asked_by: Asker
    change: Change | None


_CLIENT_METHODS: Final = frozenset(
    {"initialize", "textDocument/didOpen", "textDocument/didChange", "textDocument/didClose", "textDocument/diagnostic",
     "shutdown", "exit"}
)  # fmt: skip
_SERVER_METHODS: Final = frozenset({"textDocument/publishDiagnostics"})


@lru_cache(maxsize=8)
def _split_content(content: Content) -> list[str]:
    return split_lines(content.text)


class ServerFold:
    """Feed it one server's records in time order (several processes: one after the other); `timeline` keeps up."""

    def __init__(self, name: str, contents: ContentPool | None = None) -> None:
        """`contents` are shared with other folds that may know the same texts."""
        self.timeline = ServerTimeline(name)
        self._contents = contents or ContentPool()
        self._order = 0
        self._documents: dict[str, OpenDocument] = {}
        self._current: dict[str, Change] = {}
        self._versions: dict[str, list[Change]] = {}
        self._unreported: dict[str, Change] = {}
        self._diagnostics: dict[object, Any] = {}
        self._pulls: dict[tuple[str, Any], _Pull] = {}
        self._last: dict[tuple[str, str], Report] = {}
        self._said: dict[str, tuple[Content | None, str, list[Any], tuple[Diagnostic, ...]]] = {}
        self._uris: dict[str, str] = {}
        self._channels: dict[str, str] = {}
        self._initialize_id: Any = None
        self._ending_asked = False

    def is_wanted(self, direction: str, method: str | None, request_id: object) -> bool:
        """Whether a message bears on documents or their diagnostics. An answer has no `method`, and the id of its
        request."""
        if method is not None:
            return method in (_CLIENT_METHODS if direction == "client_to_server" else _SERVER_METHODS)
        if direction == "client_to_server":
            return False
        return _key(request_id) in self._pulls or (
            self._initialize_id is not None and request_id == self._initialize_id
        )

    def choose(self, head: FrameHead) -> bool:
        """Whether a frame with that head is wanted, and must then come to `step`; it is skipped if not."""
        wanted = (head.method is not None or head.is_answer) and self.is_wanted(head.direction, head.method, head.id)
        if not wanted:
            self.skip(head.time_us)
        return wanted

    def skip(self, time_us: int) -> None:
        """A record at `time_us` that is not wanted: it shows only that the server was there."""
        self.timeline.last_time_us = time_us

    def step(self, record: records.Record) -> None:
        self.skip(record.time_us)
        if not self._bears(record):
            return
        self._order += 1
        self.timeline.times_us.append(record.time_us)
        match record:
            case records.TapStarted():
                self.timeline.command, self.timeline.cwd = record.command, record.cwd
                self.timeline.started_order = self._order
                if record.client_pid is not None:
                    self.timeline.clients.add(record.client_pid)
                self._documents.clear()
                self._pulls.clear()
                self._ending_asked = False
            case records.Frame() if isinstance(record.message, dict):
                try:
                    self._message(record, record.message)
                except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError):
                    return  # a malformed message: journalled and shown by `log`, but it changes no state
            case records.TapStopped():
                self._stopped(record)
            case _:
                pass
        self.timeline.pulls_unanswered = len(self._pulls)

    def _bears(self, record: records.Record) -> bool:
        if not isinstance(record, records.Frame):
            return isinstance(record, records.TapStarted | records.TapStopped)
        message = record.message
        if not isinstance(message, dict):
            return False
        method, request_id = message.get("method"), message.get("id")
        try:
            return (method is None or isinstance(method, str)) and self.is_wanted(record.direction, method, request_id)
        except TypeError:
            return False  # an id that is none

    def owes(self) -> bool:
        """Whether the server that ran last owes an answer: a pull, or a report on the last text of a document."""
        started = self.timeline.started_order
        return bool(self._pulls) or any(change.order > started for change in self._unreported.values())

    def _stopped(self, record: records.TapStopped) -> None:
        crashed = record.reason == "server exited" and not self._ending_asked
        self.timeline.endings.append(Ending(self._order, record.time_us, crashed))
        self._pulls.clear()

    def _message(self, frame: records.Frame, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params") or {}
        from_client = frame.direction == "client_to_server"
        if from_client:
            match method:
                case "initialize":
                    self._initialize_id = message.get("id")
                    self.timeline.initialize = params
                case "textDocument/didOpen":
                    self._opened(frame, params["textDocument"])
                case "textDocument/didChange":
                    self._changed(frame, params)
                case "textDocument/didClose":
                    self._documents.pop(self._read_uri(params["textDocument"]), None)
                case "textDocument/diagnostic":
                    self._pulled(frame, message["id"], params)
                case "shutdown" | "exit":
                    self._ending_asked = True
        elif method == "textDocument/publishDiagnostics":
            self._published(frame, params)
        elif method is None and "id" in message:
            self._answered(frame, message)

    def _opened(self, frame: records.Frame, item: dict[str, Any]) -> None:
        uri = self._read_uri(item)
        document = OpenDocument(_read_string(item, "text"), self.timeline.encoding)
        self._documents[uri] = document
        self._record_change(frame, uri, _read_version(item), document.text)

    def _changed(self, frame: records.Frame, params: dict[str, Any]) -> None:
        uri = self._read_uri(params["textDocument"])
        document = self._documents.get(uri)
        if document is None:
            return
        document.apply(params["contentChanges"])
        self._record_change(frame, uri, _read_version(params["textDocument"]), document.text)

    def _record_change(self, frame: records.Frame, uri: str, version: int | None, text: str) -> None:
        before = self._current.get(uri)
        earlier = before.content if before else None
        content = self._contents.add(text, [earlier])
        change = self._current[uri] = Change(self._order, frame.time_us, uri, version, content, earlier)
        self._versions.setdefault(uri, []).append(change)
        self.timeline.changes.append(change)
        self._unreported.pop(uri, None)
        if change.altered:
            self._unreported[uri] = change

    def _read_uri(self, item: dict[str, Any]) -> str:
        """Each is kept once. Raises KeyError or TypeError where there is none."""
        uri = _read_string(item, "uri")
        return self._uris.setdefault(uri, uri)

    def _pulled(self, frame: records.Frame, request_id: Any, params: dict[str, Any]) -> None:
        uri = self._read_uri(params["textDocument"])
        asker: Asker = "tap" if frame.probe else "client"
        pull = _Pull(self._order, uri, str(params.get("identifier") or ""), asker, self._current.get(uri))
        self._pulls[_key(request_id)] = pull

    def _answered(self, frame: records.Frame, message: dict[str, Any]) -> None:
        result = message.get("result")
        if self._initialize_id is not None and message["id"] == self._initialize_id:
            self._initialize_id = None
            self.timeline.server_info = (result or {}).get("serverInfo") or {}
            encoding = ((result or {}).get("capabilities") or {}).get("positionEncoding")
            self.timeline.encoding = encoding if encoding in ("utf-8", "utf-16", "utf-32") else "utf-16"
            return
        pull = self._pulls.pop(_key(message["id"]), None)
        if pull is None or not isinstance(result, dict):
            return  # an error answer says nothing about the document
        self._pull_report(frame, pull, pull.uri, result, pull.change)
        for uri, related in (result.get("relatedDocuments") or {}).items():
            current = self._current.get(uri)
            if current is None or current.order <= pull.order:
                self._pull_report(frame, pull, self._uris.setdefault(uri, uri), related, current)

    def _pull_report(
        self, frame: records.Frame, pull: _Pull, uri: str, result: dict[str, Any], change: Change | None
    ) -> None:
        channel = self._channels.setdefault(pull.identifier, f"pull:{pull.identifier}")
        if result.get("kind") == "unchanged":
            last = self._last.get((uri, channel))
            if last is None:
                return
            items: tuple[Diagnostic, ...] = last.diagnostics
        else:
            items = self._parse(uri, result["items"], change)
        self._add(Report(pull.order, frame.time_us, uri, channel, pull.asked_by, items, change))

    def _published(self, frame: records.Frame, params: dict[str, Any]) -> None:
        uri, version = self._read_uri(params), _read_version(params)
        change, as_of = self._current.get(uri), float(self._order)
        if change is not None and version is not None and version != change.version:
            described = self._change_of_version(uri, version)
            if described is not None:
                change, as_of = described
        if change is not None and uri not in self._documents and not params["diagnostics"]:
            return  # emptied because the document was closed: says nothing about its text
        items = self._parse(uri, params["diagnostics"], change)
        self._add(Report(as_of, frame.time_us, uri, "push", "server", items, change))

    def _change_of_version(self, uri: str, version: int) -> tuple[Change, float] | None:
        """The latest change with that version and the last moment at which it was current."""
        ended = float(self._order)
        for change in reversed(self._versions.get(uri, ())):
            if change.version == version:
                return change, ended
            ended = change.order - 0.5
        return None

    def _parse(self, uri: str, items: list[Any], change: Change | None) -> tuple[Diagnostic, ...]:
        content, encoding = change.content if change else None, self.timeline.encoding
        said = self._said.get(uri)
        if said is not None and said[0] is content and said[1] == encoding and said[2] == items:
            return said[3]  # a server that checks everything says the same of most documents each time
        parsed = self._parse_new(uri, items, content, encoding)
        self._said[uri] = content, encoding, items, parsed
        return parsed

    def _parse_new(self, uri: str, items: list[Any], content: Content | None, encoding: str) -> tuple[Diagnostic, ...]:
        lines = _split_content(content) if content is not None and items else None
        name = self.timeline.name
        parsed = parse_diagnostics(items, uri=uri, server=name, lines=lines, encoding=encoding)
        # Servers repeat themselves: each diagnostic, and each list of them, is kept once.
        known: tuple[Diagnostic, ...] | None = self._diagnostics.get(parsed)
        if known is None:
            known = tuple(self._diagnostics.setdefault(one, one) for one in parsed)
            self._diagnostics[known] = known
        return known

    def _add(self, report: Report) -> None:
        if report.change is not None and self._unreported.get(report.uri) is report.change:
            del self._unreported[report.uri]
        self._last[report.uri, report.channel] = report
        self.timeline.reports.append(report)


def _read_string(item: dict[str, Any], name: str) -> str:
    """Raises KeyError or TypeError where it is none."""
    value = item[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is no string")
    return value


def _read_version(item: dict[str, Any]) -> int | None:
    version = item.get("version")
    return version if isinstance(version, int) else None


def _key(request_id: Any) -> tuple[str, Any]:
    """1 and "1" are two ids (JSON-RPC 2.0, section 4)."""
    return type(request_id).__name__, request_id


def fold_server(name: str, recorded: Iterable[records.Record]) -> ServerTimeline:
    """Fold the records of one server, all processes in time order, in one go."""
    fold = ServerFold(name)
    for record in recorded:
        fold.step(record)
    return fold.timeline
