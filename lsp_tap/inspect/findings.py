"""What is wrong in a recording: one pass over a tap's journal, rule by rule (`lsp_tap.inspect.rules`).

Pure, and memory does not grow with the recording: what is kept is what is open (requests, documents) and what was
announced. After a place where records are missing, what rests on having seen all before is a `note`.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from lsp_tap.inspect.rules import (
    CLIENT_CAPABILITIES,
    REGISTERED_AS,
    RULES,
    SERVER_CAPABILITIES,
    Rule,
    Severity,
)
from lsp_tap.journal import records
from lsp_tap.journal.lines import decode_part
from lsp_tap.journal.reader import Entry, Unreadable
from lsp_tap.wire.exchanges import Direction, reverse_direction
from lsp_tap.wire.messages import Notification, Request, Response, key_of_id, parse_message

PATIENCE_US: Final = 5_000_000
"""A request is unanswered only after this: clients end servers at any moment."""

_EXCERPT: Final = 200
_ANSWERED_KEPT: Final = 1024
_NEEDS_ALL_BEFORE: Final = {
    "unanswered-request", "pending-at-the-crash", "ignored-cancel", "answer-to-nobody", "before-initialize",
    "document-not-open", "document-opened-twice", "version-not-increasing", "version-gap", "version-unknown-to-client",
    "never-announced", "client-never-announced",
}  # fmt: skip
_BEFORE_RESULT: Final = {
    "window/showMessage", "window/logMessage", "telemetry/event", "window/showMessageRequest", "$/progress",
    "$/logTrace", "$/cancelRequest", "exit",
}  # fmt: skip
_EARLY_US: Final = 1_000_000
"""Two pumps record: an answer can stand before its question, whose clock then shows that it was there first."""
_Key: TypeAlias = tuple[Direction, tuple[str, object]]
_SHORT: Final = re.compile(r"ended \d+ bytes short")
_JSON: Final = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Finding:
    """`seq` is the record's, `time_us` its wall clock; None where it is not known. `excerpt`: the beginning of the
    bytes in question."""

    rule: Rule
    severity: Severity
    seq: int | None
    time_us: int | None
    detail: str
    excerpt: str


@dataclass(slots=True)
class _Pending:
    frame: records.Frame
    method: str
    cancelled_seq: int | None = None


@dataclass(slots=True)
class _Broken:
    """A frame whose body is no JSON: what follows it may be the rest."""

    frame: records.Frame
    body: bytes


def find_problems(entries: Iterable[Entry]) -> Iterator[Finding]:
    """The findings of one tap's journal, in the order in which they can be known."""
    examination = _Examination()
    for entry in entries:
        yield from examination.step(entry)
    yield from examination.close()


@dataclass(slots=True)
class _Examination:
    has_gap: bool = False
    pending: dict[_Key, deque[_Pending]] = field(default_factory=dict)
    answered: deque[_Key] = field(default_factory=lambda: deque[_Key](maxlen=_ANSWERED_KEPT))
    early: dict[_Key, records.Frame] = field(default_factory=dict)
    broken: dict[Direction, _Broken] = field(default_factory=dict)
    versions: dict[str, int | None] = field(default_factory=dict)
    ever_opened: set[str] = field(default_factory=set)
    announced: dict[str, Any] | None = None
    client_announced: dict[str, Any] | None = None
    registered: dict[str, str] = field(default_factory=dict)
    is_initialize_sent: bool = False
    is_initialize_answered: bool = False
    is_shut_down: bool = False
    is_exit_sent: bool = False
    exited: records.ServerExited | None = None
    stopped: records.TapStopped | None = None
    last: records.Recorded | None = None

    def step(self, entry: Entry) -> Iterator[Finding]:
        if self.early and not isinstance(entry, Unreadable):
            for key, frame in tuple(self.early.items()):
                if entry.monotonic_us > frame.monotonic_us + _EARLY_US:
                    yield self._blame_early(self.early.pop(key))
        match entry:
            case Unreadable():
                self.has_gap = self.has_gap or entry.reason != "torn line"
                where = f"line {entry.line}, byte {entry.offset}: {entry.reason}"
                yield Finding(RULES["journal-damaged"], "warning", None, None, where, entry.detail[:_EXCERPT])
                return
            case records.Frame():
                yield from self._step_frame(entry)
            case records.InvalidBytes():
                yield from self._step_invalid(entry)
            case records.Dropped():
                self.has_gap = True
                yield self._find("records-dropped", entry, f"{entry.count} records, {entry.reason or 'reason unknown'}")
            case records.Pruned():
                self.has_gap = True
            case records.ServerExited():
                self.exited = entry
            case records.TapStopped():
                self.stopped = entry
        self.last = entry

    def close(self) -> Iterator[Finding]:
        for direction in tuple(self.broken):
            yield from self._give_up(direction)
        for frame in self.early.values():
            yield self._blame_early(frame)
        crashed = False
        if self.stopped is None and self.last is not None:
            yield self._find("journal-without-end", self.last, f"the last record is {getattr(self.last, 'kind', '?')}")
        elif self.stopped is not None and self.stopped.reason in ("server not found", "server not executable"):
            yield self._find("server-not-started", self.stopped, self.stopped.reason)
        elif self.exited is not None and self.stopped is not None and self.stopped.reason == "server exited":
            for finding in self._judge_exit(self.exited):
                crashed = True
                yield finding
        end_us = self.last.monotonic_us if self.last is not None else 0
        for (direction, _), waiting in self.pending.items():
            for request in waiting:
                yield self._judge_pending(direction, request, end_us, crashed)

    def _judge_exit(self, exited: records.ServerExited) -> Iterator[Finding]:
        """By itself; when the tap or its client ended it, how it took that says nothing."""
        how = f"signal {exited.signal}" if exited.signal is not None else f"exit code {exited.code}"
        allowed = (0,) if self.is_shut_down else (0, 1)
        if exited.signal is not None or exited.code not in (allowed if self.is_exit_sent else (0,)):
            yield self._find("server-failed", exited, how)
        elif not self.is_exit_sent:
            yield self._find("server-left", exited, f"{how}, without an `exit` before")

    def _judge_pending(self, direction: Direction, request: _Pending, end_us: int, crashed: bool) -> Finding:
        waited_us = end_us - request.frame.monotonic_us
        who = "server" if direction == "client_to_server" else "client"
        detail = f"{request.method}: the {who} did not answer in {waited_us / 1_000_000:.1f} s"
        if crashed and direction == "client_to_server":
            return self._find("pending-at-the-crash", request.frame, detail)
        if waited_us < PATIENCE_US:
            return self._find("pending-at-the-end", request.frame, detail)
        if request.cancelled_seq is not None:
            return self._find("ignored-cancel", request.frame, f"{detail}, cancelled in seq {request.cancelled_seq}")
        return self._find("unanswered-request", request.frame, detail)

    def _step_frame(self, frame: records.Frame) -> Iterator[Finding]:
        yield from self._give_up(frame.direction)
        if not frame.has_message:
            if (frame.error or "").startswith("body is incomplete"):
                yield self._find("body-cut", frame, frame.error or "")
            else:
                self.broken[frame.direction] = _Broken(frame, decode_part(frame.body, frame.body_base64))
            return
        message = parse_message(frame.message)
        if message is None:
            yield self._find("not-a-message", frame, "neither `method` nor `id`")
            return
        if frame.message.get("jsonrpc") != "2.0":
            yield self._find("no-jsonrpc-version", frame, f"jsonrpc is {frame.message.get('jsonrpc')!r}")
        match message:
            case Request():
                yield from self._step_request(frame, message)
            case Notification():
                yield from self._step_notification(frame, message)
            case Response():
                yield from self._step_response(frame, message)

    # Bytes that are no message

    def _step_invalid(self, record: records.InvalidBytes) -> Iterator[Finding]:
        data = decode_part(record.text, record.base64)
        if _SHORT.fullmatch(record.reason):
            yield from self._give_up(record.direction)
            yield self._find(
                "body-cut", record, f"{record.direction}: {record.reason}", data.decode("utf-8", "replace")
            )
            return
        broken = self.broken.pop(record.direction, None)
        if broken is not None:
            whole = _parse_whole(broken.body + data)
            if whole is not None:
                length = len(broken.body)
                counted = {len(whole): "characters", len(whole.encode("utf-16-le")) // 2: "UTF-16 units"}
                name = "length-in-characters" if length in counted else "length-too-small"
                detail = f"Content-Length is {length} and the body has {len(whole.encode())} bytes"
                if length in counted:
                    detail += f", {length} {counted[length]}"
                yield self._find(name, broken.frame, detail, f"… {_cut(data.decode('utf-8', 'replace'))}")
                return
            self.broken[record.direction] = broken
            yield from self._give_up(record.direction)
        rule = "printed-on-stdout" if record.direction == "server_to_client" else "client-bytes-outside-messages"
        yield self._find(rule, record, f"{record.raw_length} bytes: {record.reason}", data.decode("utf-8", "replace"))

    def _give_up(self, direction: Direction) -> Iterator[Finding]:
        broken = self.broken.pop(direction, None)
        if broken is None:
            return
        text = broken.body.decode("utf-8", "replace")
        detail = f"{broken.frame.direction}: {broken.frame.error or 'not JSON'}"
        try:
            _, end = _JSON.raw_decode(text.lstrip())
            if text.lstrip()[end:].lstrip().lower().startswith("content-"):
                yield self._find("length-too-large", broken.frame, detail, text.lstrip()[end:])
                return
        except (ValueError, RecursionError):
            pass  # then it is simply no JSON
        yield self._find("body-not-json", broken.frame, detail, text)

    # Requests and their answers

    def _step_request(self, frame: records.Frame, request: Request) -> Iterator[Finding]:
        yield from self._check_order(frame, request)
        if frame.direction == "client_to_server":
            if request.method == "initialize":
                self.is_initialize_sent = True
                self.client_announced = _as_object(_as_object(request.params).get("capabilities"))
            elif request.method == "shutdown":
                self.is_shut_down = True
            yield from self._check_server_can(frame, request.method)
        else:
            yield from self._check_client_can(frame, request)
        key = frame.direction, key_of_id(request.id)
        waiting = self.pending.get(key, deque())
        if waiting:
            detail = f"{request.method} has the id of {waiting[-1].method} in seq {waiting[-1].frame.seq}"
            yield self._find("id-in-flight", frame, detail)
        early = self.early.pop(key, None)
        if early is not None and early.monotonic_us >= frame.monotonic_us:
            return
        if early is not None:
            yield self._blame_early(early)
        waiting.append(_Pending(frame, request.method))
        self.pending[key] = waiting

    def _step_response(self, frame: records.Frame, response: Response) -> Iterator[Finding]:
        if response.result is not None and response.error is not None:
            yield self._find("result-and-error", frame, f"id {response.id!r}")
        key = reverse_direction(frame.direction), key_of_id(response.id)
        waiting = self.pending.get(key)
        if waiting is None:
            if response.id is None and response.error is not None:
                yield self._find("message-not-understood", frame, _cut(json.dumps(response.error)))
                return
            if key in self.answered:
                yield self._find("answer-to-nobody", frame, f"id {json.dumps(response.id)} was answered before")
            else:
                self.early[key] = frame
            return
        request = waiting.popleft()
        if not waiting:
            del self.pending[key]
        self.answered.append(key)
        if request.method == "initialize" and frame.direction == "server_to_client" and response.error is None:
            self.is_initialize_answered = True
            self.announced = _as_object(_as_object(response.result).get("capabilities"))

    def _blame_early(self, frame: records.Frame) -> Finding:
        return self._find("answer-to-nobody", frame, f"id {json.dumps(frame.message.get('id'))} was never asked")

    def _check_order(self, frame: records.Frame, message: Request | Notification) -> Iterator[Finding]:
        method = message.method
        if frame.direction == "client_to_server":
            if method == "initialize":
                if self.is_initialize_sent:
                    yield self._find("initialize-twice", frame, "")
            elif not self.is_initialize_sent and method != "exit":
                yield self._find("before-initialize", frame, method)
            elif not self.is_initialize_answered and method not in _BEFORE_RESULT:
                yield self._find("before-initialize-result", frame, method)
            if self.is_shut_down and method not in ("exit", "$/cancelRequest"):
                yield self._find("after-shutdown", frame, method)
        elif not self.is_initialize_answered and method not in _BEFORE_RESULT:
            yield self._find("before-initialize-result", frame, method)

    def _check_server_can(self, frame: records.Frame, method: str) -> Iterator[Finding]:
        capability = SERVER_CAPABILITIES.get(method)
        if capability is None or self.announced is None or self.announced.get(capability) not in (None, False):
            return
        if REGISTERED_AS.get(method, method) in self.registered.values():
            return
        yield self._find("never-announced", frame, f"{method} needs {capability}")

    def _check_client_can(self, frame: records.Frame, request: Request) -> Iterator[Finding]:
        params = _as_object(request.params)
        if request.method == "client/registerCapability":
            for registration in map(_as_object, _as_list(params.get("registrations"))):
                self.registered[str(registration.get("id"))] = str(registration.get("method"))
        elif request.method == "client/unregisterCapability":
            for registration in map(_as_object, _as_list(params.get("unregisterations"))):
                self.registered.pop(str(registration.get("id")), None)
        needed = CLIENT_CAPABILITIES.get(request.method)
        if needed is None or self.client_announced is None:
            return
        section, name = needed
        if _as_object(self.client_announced.get(section)).get(name) in (None, False):
            yield self._find("client-never-announced", frame, f"{request.method} needs {section}.{name}")

    # Notifications

    def _step_notification(self, frame: records.Frame, message: Notification) -> Iterator[Finding]:
        yield from self._check_order(frame, message)
        params = _as_object(message.params)
        if message.method == "$/cancelRequest":
            for request in self.pending.get((frame.direction, key_of_id(params.get("id"))), ()):
                request.cancelled_seq = frame.seq
        elif message.method == "exit" and frame.direction == "client_to_server":
            self.is_exit_sent = True
        elif message.method == "textDocument/publishDiagnostics":
            yield from self._check_published(frame, params)
        elif frame.direction == "client_to_server":
            yield from self._step_document(frame, message.method, _as_object(params.get("textDocument")))

    def _step_document(self, frame: records.Frame, method: str, document: dict[str, Any]) -> Iterator[Finding]:
        uri, version = document.get("uri"), document.get("version")
        if not isinstance(uri, str):
            return
        number = version if isinstance(version, int) and not isinstance(version, bool) else None
        is_open = uri in self.versions
        if method == "textDocument/didOpen":
            if is_open:
                yield self._find("document-opened-twice", frame, uri)
            self.versions[uri] = number
            self.ever_opened.add(uri)
        elif method in ("textDocument/didChange", "textDocument/didClose", "textDocument/didSave"):
            if not is_open:
                when = "closed before" if uri in self.ever_opened else "never opened"
                yield self._find("document-not-open", frame, f"{method}: {uri} was {when}")
            elif method == "textDocument/didChange":
                yield from self._check_version(frame, uri, number)
            if method == "textDocument/didClose":
                self.versions.pop(uri, None)

    def _check_version(self, frame: records.Frame, uri: str, version: int | None) -> Iterator[Finding]:
        before = self.versions[uri]
        if version is None:
            return
        self.versions[uri] = version
        if before is None:
            return
        if version <= before:
            yield self._find("version-not-increasing", frame, f"{uri}: {version} after {before}")
        elif version > before + 1:
            yield self._find("version-gap", frame, f"{uri}: {version} after {before}")

    def _check_published(self, frame: records.Frame, params: dict[str, Any]) -> Iterator[Finding]:
        uri, version = params.get("uri"), params.get("version")
        known = self.versions.get(uri) if isinstance(uri, str) else None
        if known is not None and isinstance(version, int) and version > known:
            yield self._find("version-unknown-to-client", frame, f"{uri}: {version}, and {known} was the last sent")

    def _find(self, name: str, record: records.Recorded, detail: str, excerpt: str | None = None) -> Finding:
        rule = RULES[name]
        severity: Severity = "note" if self.has_gap and name in _NEEDS_ALL_BEFORE else rule.severity
        if excerpt is None:
            message = record.message if isinstance(record, records.Frame) else None
            excerpt = _encode(message) if message is not None else ""
        return Finding(rule, severity, record.seq, record.time_us, detail, _cut(excerpt))


def _parse_whole(data: bytes) -> str | None:
    """The text, when it is one JSON value."""
    try:
        text = data.decode().rstrip()
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    return text


def _encode(message: Any) -> str:
    try:
        return json.dumps(message, ensure_ascii=False)
    except RecursionError:
        return "nested too deeply to show"


def _as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _cut(text: str) -> str:
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"
