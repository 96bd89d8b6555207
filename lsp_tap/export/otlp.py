"""OpenTelemetry spans as JSON lines: OTLP's JSON encoding, a `TracesData` a line, as collectors read from files.

Sources: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/ and, for names,
https://opentelemetry.io/docs/specs/semconv/rpc/json-rpc/ and .../gen-ai/gen-ai-spans/ (tool calls). A connection is a
resource named after its server, so what the client asks is a SERVER span and what the server asks a CLIENT span;
notifications are spans without a duration. A request sent while exactly one tool call ran in that client is the call's
child; ids are hashes of what they name, so the same capture gives the same spans.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from lsp_tap._version import __version__
from lsp_tap.export.calls import CallFold, ToolCall
from lsp_tap.export.traffic import (
    INVALID,
    NO_MESSAGE,
    NOT_JSON,
    STDERR,
    STRAY,
    Connection,
    Traffic,
    encode_json,
    name_stem,
    show_id,
)
from lsp_tap.journal import records
from lsp_tap.journal.exact import ExactFrame
from lsp_tap.wire.exchanges import Direction, Exchange, Exchanges
from lsp_tap.wire.messages import Notification, Request, Response, parse_message

_BATCH_SPANS: Final = 50
_KIND: Final = {"client_to_server": 2, "server_to_client": 3}  # SPAN_KIND_SERVER, SPAN_KIND_CLIENT
_INTERNAL: Final = 1
_STATUS_ERROR: Final = 2
_SCOPE: Final = {"name": "lsp-tap", "version": __version__}


@dataclass(frozen=True, slots=True)
class _Asked:
    frame: ExactFrame
    call: ToolCall | None


@dataclass(slots=True)
class _Resource:
    connection: Connection
    exchanges: Exchanges[_Asked] = field(default_factory=Exchanges)
    spans: list[dict[str, Any]] = field(default_factory=list)
    last_us: int = 0

    @property
    def client_pid(self) -> int | None:
        started = self.connection.started
        return None if started is None else started.client_pid if started.client_pid is not None else started.parent_pid

    def encode_line(self) -> bytes:
        spans, self.spans = self.spans, []
        scope = {"scope": _SCOPE, "spans": spans}
        return encode_json({"resourceSpans": [{"resource": _describe(self.connection), "scopeSpans": [scope]}]}) + b"\n"


def write_otlp(traffic: Traffic, file: BinaryIO) -> None:
    resources = {id(c): _Resource(c) for c in (*traffic.connections, *traffic.clients)}
    for resource, span in _read_spans(traffic, resources):
        resource.spans.append(span)
        if len(resource.spans) >= _BATCH_SPANS:
            file.write(resource.encode_line())
    for resource in resources.values():
        if resource.spans:
            file.write(resource.encode_line())


def _read_spans(traffic: Traffic, resources: dict[int, _Resource]) -> Iterator[tuple[_Resource, dict[str, Any]]]:
    calls = CallFold(traffic.session_ids)
    for connection, record in traffic.read(with_clients=True):
        resource = resources[id(connection)]
        resource.last_us = connection.find_time_us(record)
        for call in calls.step(connection, record):
            yield resource, _encode_call(call, call.end_us or call.start_us)
        match record:
            case ExactFrame():
                running = calls.find_running(resource.client_pid)
                for span in _encode_frame(traffic, resource, record, running):
                    yield resource, span
            case records.InvalidBytes():
                traffic.leave_out(INVALID)
            case records.StderrWritten():
                traffic.leave_out(STDERR)
    for call in calls.open:
        resource = resources[id(call.client)]
        yield resource, _encode_call(call, max(resource.last_us, call.start_us)) | _fail("unfinished")
    for resource in resources.values():
        for direction, request, asked in resource.exchanges.unanswered:
            span = _encode_span(resource, direction, request, asked.frame, asked.call)
            failure = {"key": "error.type", "value": {"stringValue": "unanswered"}}
            span["attributes"].append(failure)
            yield resource, span | {"endTimeUnixNano": _encode_time(resource.last_us)} | _fail("unanswered")


def _encode_frame(
    traffic: Traffic, resource: _Resource, frame: ExactFrame, running: ToolCall | None
) -> Iterator[dict[str, Any]]:
    message = parse_message(frame.message) if frame.has_message else None
    done = resource.exchanges.step(frame.direction, message, _Asked(frame, running)) if message is not None else None
    if done is not None:
        yield _encode_exchange(resource, done)
        return
    match message:
        case Notification():
            yield _encode_span(resource, frame.direction, message, frame, running)
        case Response():
            traffic.leave_out(STRAY)
        case None:
            traffic.leave_out(NO_MESSAGE if frame.has_message else NOT_JSON)


def _encode_exchange(resource: _Resource, done: Exchange[_Asked]) -> dict[str, Any]:
    asked, answered = done.asked.frame, done.answered.frame
    span = _encode_span(resource, done.direction, done.request, asked, done.asked.call)
    elapsed_us = max(0, answered.monotonic_us - asked.monotonic_us)
    span["endTimeUnixNano"] = _encode_time(resource.connection.find_time_us(asked) + elapsed_us)
    span["attributes"].append(_attribute("lsp_tap.response.bytes", answered.raw_length))
    if done.response.error is None:
        return span
    error = done.response.error if isinstance(done.response.error, dict) else {}
    code = show_id(error.get("code"))
    span["attributes"] += [_attribute("rpc.response.status_code", code), _attribute("error.type", code)]
    return span | _fail(str(error.get("message") or ""))


def _encode_span(
    resource: _Resource,
    direction: Direction,
    message: Request | Notification,
    frame: ExactFrame,
    call: ToolCall | None,
) -> dict[str, Any]:
    time = _encode_time(resource.connection.find_time_us(frame))
    name = name_stem(resource.connection.journal.path)
    version = frame.message.get("jsonrpc")
    attributes = [_attribute("rpc.system.name", "jsonrpc"), _attribute("rpc.method", message.method)]
    if isinstance(version, str):
        attributes.append(_attribute("jsonrpc.protocol.version", version))
    if isinstance(message, Request):
        attributes.append(_attribute("jsonrpc.request.id", show_id(message.id)))
    attributes.append(_attribute("lsp_tap.request.bytes", frame.raw_length))
    if frame.probe:
        attributes.append(_attribute("lsp_tap.probe", True))
    span = {
        "traceId": _hash("trace", call.session_id if call else name, 16),
        "spanId": _hash("message", f"{name} {frame.seq}", 8),
        "name": message.method,
        "kind": _KIND[direction],
        "startTimeUnixNano": time,
        "endTimeUnixNano": time,
        "attributes": attributes,
    }
    return span | {"parentSpanId": _hash_call(call)} if call else span


def _encode_call(call: ToolCall, end_us: int) -> dict[str, Any]:
    span: dict[str, Any] = {
        "traceId": _hash("trace", call.session_id, 16),
        "spanId": _hash_call(call),
        "name": f"execute_tool {call.tool}",
        "kind": _INTERNAL,
        "startTimeUnixNano": _encode_time(call.start_us),
        "endTimeUnixNano": _encode_time(end_us),
        "attributes": [
            _attribute("gen_ai.operation.name", "execute_tool"),
            _attribute("gen_ai.tool.name", call.tool),
            _attribute("gen_ai.tool.call.id", call.call_id),
            _attribute("gen_ai.conversation.id", call.session_id),
        ],
    }
    if call.error is None:
        return span
    span["attributes"].append(_attribute("error.type", "_OTHER"))
    return span | _fail(call.error)


def _describe(connection: Connection) -> dict[str, Any]:
    match connection.journal.first:
        case records.TapStarted() as started:
            attributes = [
                _attribute("service.name", started.name),
                _attribute("process.command_args", list(started.command)),
                _attribute("process.working_directory", started.cwd),
            ]
        case records.ClientStarted(client=records.ClientNamed(name=name, version=str(version))):
            attributes = [_attribute("service.name", name), _attribute("service.version", version)]
        case _:
            attributes = [_attribute("service.name", connection.name)]
    return {"attributes": attributes}


def _fail(message: str) -> dict[str, Any]:
    return {"status": {"code": _STATUS_ERROR, "message": message}}


def _attribute(key: str, value: str | int | list[str]) -> dict[str, Any]:
    match value:
        case bool():
            return {"key": key, "value": {"boolValue": value}}
        case int():
            return {"key": key, "value": {"intValue": str(value)}}
        case list():
            return {"key": key, "value": {"arrayValue": {"values": [{"stringValue": item} for item in value]}}}
        case _:
            return {"key": key, "value": {"stringValue": value}}


def _encode_time(time_us: int) -> str:
    """64-bit integers are strings in protobuf's JSON; these end in the year 2554."""
    return str(min(time_us * 1000, 2**64 - 1))


def _hash_call(call: ToolCall) -> str:
    return _hash("call", f"{call.session_id} {call.call_id}", 8)


def _hash(kind: str, name: str, size_bytes: int) -> str:
    return hashlib.sha256(f"{kind} {name}".encode("utf-8", "replace")).hexdigest()[: 2 * size_bytes]
