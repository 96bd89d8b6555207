"""HAR 1.2, the HTTP archive that browsers and mitmproxy read.

Source: http://www.softwareishard.com/blog/har-12-spec/. Requests and their responses are entries; a failed one has
status 500, a cancelled one 499, and the JSON-RPC error in its text. What has no pair (notifications, requests without
an answer, bytes outside frames) is a connection's `_webSocketMessages`, as Chromium and mitmproxy write them. Entries
come as their responses came, which the format allows, so that nothing has to be held but what is open.
"""

from __future__ import annotations

import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, BinaryIO, Final
from urllib.parse import quote

from lsp_tap._version import __version__
from lsp_tap.export.traffic import STDERR, Connection, Traffic, encode_json, find_moment, parse_header, show_id
from lsp_tap.journal.exact import ExactFrame
from lsp_tap.journal.lines import decode_part
from lsp_tap.journal.records import InvalidBytes, StderrWritten
from lsp_tap.wire.exchanges import Exchange, Exchanges
from lsp_tap.wire.messages import Request, Response, parse_message

_PROTOCOL: Final = "JSON-RPC/2.0"
_MIME_TYPE: Final = "application/vscode-jsonrpc; charset=utf-8"
_REQUEST_CANCELLED: Final = -32800
_HEAD: Final = {"version": "1.2", "creator": {"name": "lsp-tap", "version": __version__}, "pages": []}


def write_har(traffic: Traffic, file: BinaryIO) -> None:
    file.write(b'{"log":' + encode_json(_HEAD)[:-1] + b',"entries":[')
    separator = b"\n"
    with ExitStack() as files:
        unpaired = {id(tap): _Unpaired(tap, files.enter_context(_open_spool())) for tap in traffic.connections}
        for entry in _read_pairs(traffic, unpaired):
            file.write(separator + encode_json(entry))
            separator = b",\n"
        for messages in unpaired.values():
            if messages.count:
                file.write(separator)
                messages.write(file)
                separator = b",\n"
    file.write(b"\n]}}\n")


def _open_spool() -> Any:
    return tempfile.SpooledTemporaryFile(max_size=1 << 22)


def _read_pairs(traffic: Traffic, unpaired: dict[int, _Unpaired]) -> Iterator[dict[str, Any]]:
    exchanges: dict[int, Exchanges[ExactFrame]] = {key: Exchanges() for key in unpaired}
    for connection, entry in traffic.read():
        others = unpaired[id(connection)]
        match entry:
            case ExactFrame():
                message = parse_message(entry.message) if entry.has_message else None
                done = exchanges[id(connection)].step(entry.direction, message, entry) if message is not None else None
                if done is not None:
                    yield _encode_exchange(connection, done)
                elif not isinstance(message, Request):
                    others.add_frame(entry, "response" if isinstance(message, Response) else None)
            case InvalidBytes():
                others.add_bytes(entry, decode_part(entry.text, entry.base64))
            case StderrWritten():
                traffic.leave_out(STDERR)
    for key, open_ones in exchanges.items():
        for _, _, frame in open_ones.unanswered:
            unpaired[key].add_frame(frame, "request")


class _Unpaired:
    """The messages of a connection without a pair, held in a file."""

    def __init__(self, connection: Connection, spool: BinaryIO) -> None:
        self.count = 0
        self._connection = connection
        self._spool = spool
        self._bytes = {"send": 0, "receive": 0}
        self._first_us = 0
        self._last_us = 0

    def add_frame(self, frame: ExactFrame, lacks: str | None) -> None:
        marks: dict[str, Any] = {"_probe": True} if frame.probe else {}
        if lacks is not None:
            marks["_unpaired"] = lacks
        self._add(frame, frame.exact_body, marks)

    def add_bytes(self, record: InvalidBytes, data: bytes) -> None:
        self._add(record, data, {"_invalid": record.reason})

    def _add(self, record: ExactFrame | InvalidBytes, data: bytes, marks: dict[str, Any]) -> None:
        kind = "send" if record.direction == "client_to_server" else "receive"
        time_us = self._connection.find_time_us(record)
        try:
            content: dict[str, Any] = {"opcode": 1, "data": data.decode()}
        except UnicodeDecodeError:  # a binary message, which Chromium has as Base64
            content = {"opcode": 2, "data": b64encode(data).decode()}
        if self.count:
            self._spool.write(b",\n")
        self._spool.write(encode_json({"type": kind, "time": time_us / 1e6} | content | marks))
        self._first_us = min(self._first_us, time_us) if self.count else time_us
        self._last_us = max(self._last_us, time_us)
        self._bytes[kind] += record.raw_length
        self.count += 1

    def write(self, file: BinaryIO) -> None:
        elapsed_ms = (self._last_us - self._first_us) / 1000
        entry = _encode_entry(
            self._first_us,
            elapsed_ms,
            _encode_request("GET", _encode_url(self._connection, ""), b"", self._bytes["send"]),
            _encode_response(101, "Switching Protocols", b"", self._bytes["receive"], ""),
        )
        file.write(encode_json(entry | {"_resourceType": "websocket"})[:-1] + b',"_webSocketMessages":[\n')
        self._spool.seek(0)
        while block := self._spool.read(1 << 20):
            file.write(block)
        file.write(b"]}")


def _encode_exchange(connection: Connection, done: Exchange[ExactFrame]) -> dict[str, Any]:
    asked, answered = done.asked, done.answered
    elapsed_ms = max(0, answered.monotonic_us - asked.monotonic_us) / 1000
    status, status_text = 200, "OK"
    if done.response.error is not None:
        code = done.response.error.get("code") if isinstance(done.response.error, dict) else None
        status, status_text = (499 if code == _REQUEST_CANCELLED else 500), f"JSON-RPC error {show_id(code)}"
    request = _encode_request("POST", _encode_url(connection, done.request.method), *_find_ends(asked))
    request["postData"] = {"mimeType": _MIME_TYPE, "params": [], "text": asked.exact_body.decode("utf-8", "replace")}
    text = answered.exact_body.decode("utf-8", "replace")
    entry = _encode_entry(
        connection.find_time_us(asked),
        elapsed_ms,
        request,
        _encode_response(status, status_text, *_find_ends(answered), text),
    )
    entry |= {"_direction": done.direction, "_id": show_id(done.request.id)}
    return entry | {"_probe": True} if asked.probe else entry


def _find_ends(frame: ExactFrame) -> tuple[bytes, int]:
    """The header block, and the size of the body."""
    return frame.exact_header, frame.raw_length - len(frame.exact_header)


def _encode_entry(time_us: int, elapsed_ms: float, request: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    return {
        "startedDateTime": find_moment(time_us).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "time": elapsed_ms,
        "request": request,
        "response": response,
        "cache": {},
        "timings": {"send": 0, "wait": elapsed_ms, "receive": 0},
    }


def _encode_url(connection: Connection, method: str) -> str:
    return f"lsp://{quote(connection.name, safe='', errors='replace')}/{quote(method, safe='/$', errors='replace')}"


def _encode_request(method: str, url: str, header: bytes, body_bytes: int) -> dict[str, Any]:
    return {"method": method, "url": url, **_encode_message(header, body_bytes), "queryString": []}


def _encode_response(status: int, text: str, header: bytes, body_bytes: int, content: str) -> dict[str, Any]:
    body = {"size": body_bytes, "mimeType": _MIME_TYPE, "text": content}
    described = {"status": status, "statusText": text, **_encode_message(header, body_bytes)}
    return described | {"content": body, "redirectURL": ""}


def _encode_message(header: bytes, body_bytes: int) -> dict[str, Any]:
    headers = [{"name": name, "value": value} for name, value in parse_header(header)]
    sizes = {"headersSize": len(header), "bodySize": body_bytes}
    return {"httpVersion": _PROTOCOL, "cookies": [], "headers": headers, **sizes}
