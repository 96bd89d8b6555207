"""Chrome's trace event format, JSON object form, which Perfetto (ui.perfetto.dev) opens.

Source: "Trace Event Format" (https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsNchNAySU). Each
connection and each client is a process. Complete events of one track must not overlap unless one holds the other, so
requests that do are put on lanes: the lowest that is free when they start. What never ended is an event begun and not
ended. Messages are named, not copied: bodies are what the other formats are for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from lsp_tap.export.calls import CallFold, ToolCall
from lsp_tap.export.reports import ReportedCounts
from lsp_tap.export.traffic import Connection, Traffic, encode_json, show_id
from lsp_tap.journal import records
from lsp_tap.journal.exact import ExactFrame
from lsp_tap.wire.exchanges import Direction, Exchange, Exchanges
from lsp_tap.wire.messages import Notification, Request, Response, parse_message

_SHOWN_LENGTH: Final = 200
_LANES_BEGIN: Final = {"client_to_server": 1000, "server_to_client": 2000, "tool call": 0}
_NAME_OF_LANE: Final = {
    "client_to_server": "requests",
    "server_to_client": "requests to the client",
    "tool call": "tool calls",
}
_MARKS_TRACK: Final = 3000


def write_chrome_trace(traffic: Traffic, file: BinaryIO) -> None:
    file.write(b'{"displayTimeUnit":"ms","traceEvents":[')
    separator = b"\n"
    for event in _read_events(traffic):
        file.write(separator + encode_json(event))
        separator = b",\n"
    file.write(b"\n]}\n")


@dataclass(slots=True)
class _Lanes:
    """Which tracks of a process are taken."""

    taken: set[int] = field(default_factory=set)
    named: set[int] = field(default_factory=set)

    def take(self, begin: int) -> int:
        lane = begin
        while lane in self.taken:
            lane += 1
        self.taken.add(lane)
        return lane


@dataclass(frozen=True, slots=True)
class _Asked:
    frame: ExactFrame
    lane: int


@dataclass(slots=True)
class _Process:
    connection: Connection
    lanes: _Lanes = field(default_factory=_Lanes)
    exchanges: Exchanges[_Asked] = field(default_factory=Exchanges)
    counts: ReportedCounts = field(default_factory=ReportedCounts)


def _read_events(traffic: Traffic) -> Iterator[dict[str, Any]]:
    processes = {id(c): _Process(c) for c in (*traffic.connections, *traffic.clients)}
    for process in processes.values():
        kind = "client" if process.connection in traffic.clients else "server"
        yield _encode_name(process, "process_name", f"{process.connection.name} ({kind})", 0)
    calls = CallFold(traffic.session_ids)
    call_lanes: dict[tuple[str, str], int] = {}
    for connection, record in traffic.read(with_clients=True):
        process = processes[id(connection)]
        ended = list(calls.step(connection, record))
        for call in calls.open + ended:
            key = call.session_id, call.call_id
            if key not in call_lanes:
                call_lanes[key] = lane = process.lanes.take(_LANES_BEGIN["tool call"])
                yield from _name_lane(process, lane, "tool call")
        for call in ended:
            lane = call_lanes[call.session_id, call.call_id]
            process.lanes.taken.discard(lane)
            yield _encode_call(process, call, lane)
        match record:
            case ExactFrame():
                yield from _encode_frame(process, record)
            case records.InvalidBytes():
                yield from _encode_mark(process, record, "invalid bytes", {"reason": record.reason})
            case records.StderrWritten():
                yield from _encode_mark(process, record, "stderr", {"text": record.text[:_SHOWN_LENGTH]})
    for call in calls.open:
        process = processes[id(call.client)]
        yield _encode_call(process, call, call_lanes[call.session_id, call.call_id])
    for process in processes.values():
        for direction, request, asked in process.exchanges.unanswered:
            yield _encode_unanswered(process, direction, request, asked)


def _encode_frame(process: _Process, frame: ExactFrame) -> Iterator[dict[str, Any]]:
    message = parse_message(frame.message) if frame.has_message else None
    lane = 0
    if isinstance(message, Request):
        lane = process.lanes.take(_LANES_BEGIN[frame.direction])
        yield from _name_lane(process, lane, frame.direction)
    done = process.exchanges.step(frame.direction, message, _Asked(frame, lane)) if message is not None else None
    if done is not None:
        process.lanes.taken.discard(done.asked.lane)
        yield _encode_exchange(process, done)
    match message:
        case Notification():
            arguments = {"direction": frame.direction, "bytes": frame.raw_length, "uri": _find_uri(message.params)}
            yield from _encode_mark(process, frame, message.method, arguments)
        case Response() if done is None:
            yield from _encode_mark(process, frame, "response without a request", {"id": show_id(message.id)})
        case None:
            yield from _encode_mark(process, frame, "frame without a message", {"error": frame.error})
    if process.counts.step(message, done):
        counts = {"errors": process.counts.errors, "warnings": process.counts.warnings}
        yield _encode_event(process, "C", "diagnostics", process.connection.find_time_us(frame), 0, counts)


def _encode_exchange(process: _Process, done: Exchange[_Asked]) -> dict[str, Any]:
    asked, answered = done.asked.frame, done.answered.frame
    arguments = _describe_request(done.request, asked) | {"response_bytes": answered.raw_length}
    if done.response.error is not None:
        error = done.response.error if isinstance(done.response.error, dict) else {}
        arguments |= {"error": show_id(error.get("code")), "message": str(error.get("message"))[:_SHOWN_LENGTH]}
    start_us = process.connection.find_time_us(asked)
    event = _encode_event(process, "X", done.request.method, start_us, done.asked.lane, arguments)
    return event | {"dur": max(0, answered.monotonic_us - asked.monotonic_us)}


def _encode_unanswered(process: _Process, direction: Direction, request: Request, asked: _Asked) -> dict[str, Any]:
    arguments = _describe_request(request, asked.frame) | {"unanswered": True}
    return _encode_event(
        process, "B", request.method, process.connection.find_time_us(asked.frame), asked.lane, arguments
    )


def _describe_request(request: Request, frame: ExactFrame) -> dict[str, Any]:
    described = {"id": show_id(request.id), "uri": _find_uri(request.params), "request_bytes": frame.raw_length}
    return described | {"probe": True} if frame.probe else described


def _find_uri(params: Any) -> str | None:
    match params:
        case {"textDocument": {"uri": str(uri)}} | {"uri": str(uri)}:
            return uri
    return None


def _encode_call(process: _Process, call: ToolCall, lane: int) -> dict[str, Any]:
    arguments = {"session": call.session_id, "call": call.call_id}
    if call.error is not None:
        arguments["error"] = call.error[:_SHOWN_LENGTH]
    if call.end_us is None:
        return _encode_event(process, "B", call.tool, call.start_us, lane, arguments)
    return _encode_event(process, "X", call.tool, call.start_us, lane, arguments) | {"dur": call.end_us - call.start_us}


def _encode_mark(
    process: _Process, record: records.Record, name: str, arguments: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    yield from _name_lane(process, _MARKS_TRACK, None)
    time_us = process.connection.find_time_us(record)
    yield _encode_event(process, "i", name, time_us, _MARKS_TRACK, arguments) | {"s": "t"}


def _name_lane(process: _Process, lane: int, kind: str | None) -> Iterator[dict[str, Any]]:
    if lane not in process.lanes.named:
        process.lanes.named.add(lane)
        yield _encode_name(process, "thread_name", "notifications" if kind is None else _NAME_OF_LANE[kind], lane)


def _encode_name(process: _Process, what: str, name: str, lane: int) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": process.connection.number, "tid": lane, "args": {"name": name}}


def _encode_event(
    process: _Process, phase: str, name: str, time_us: int, lane: int, arguments: dict[str, Any]
) -> dict[str, Any]:
    shown = {key: value for key, value in arguments.items() if value is not None}
    return {"ph": phase, "name": name, "ts": time_us, "pid": process.connection.number, "tid": lane, "args": shown}
