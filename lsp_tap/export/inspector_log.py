"""Microsoft's LSP inspector: the text log that its file upload reads.

Source: https://github.com/microsoft/language-server-protocol-inspector, `lsp-inspector/src/logParser/rawLogParser.ts`.
It is the trace of vscode-languageclient, and its parser gives up a whole file for one entry that it cannot take. So:

- Entries are separated by three line ends, and each has its `Params` or `Result`; one that was absent is `null`.
- Ids are letters, digits and hyphens. An id with anything else gets a name made of those.
- A latency is whole milliseconds. A response that nobody asked for has none and is left out.
- An entry begins at the last `[Trace` in it, and JavaScript's `.` ends at U+2028: in JSON both are escaped.
- A failed request has its error object as `Result`, after `Request failed (CODE)` in the first line.
"""

from __future__ import annotations

import hashlib
import re
from typing import BinaryIO, Final
from urllib.parse import quote

from lsp_tap.export.traffic import NO_MESSAGE, STRAY, Traffic, find_moment, show_id
from lsp_tap.journal.exact import ExactFrame, find_member
from lsp_tap.wire.exchanges import Exchange, Exchanges
from lsp_tap.wire.messages import Notification, Request, Response

_PLAIN_ID: Final = re.compile(r"[0-9a-zA-Z-]+")
_ESCAPED: Final = {"[Trace": "\\u005bTrace", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def write_inspector_log(traffic: Traffic, file: BinaryIO) -> None:
    """The log of one connection, from the client's side. Raises UsageError for several."""
    traffic.only_connection("the inspector's log")
    exchanges: Exchanges[ExactFrame] = Exchanges()
    for _, frame, message in traffic.read_messages():
        done = exchanges.step(frame.direction, message, frame) if message is not None else None
        sends = "Sending" if frame.direction == "client_to_server" else "Received"
        match message:
            case Request():
                _write_entry(file, frame, f"{sends} request '{_encode_call(message)}'.", "Params", "params")
            case Notification():
                _write_entry(
                    file, frame, f"{sends} notification '{_encode_method(message.method)}'.", "Params", "params"
                )
            case Response() if done is not None:
                member = "result" if message.error is None else "error"
                _write_entry(file, frame, f"{sends} {_describe_response(done)}", "Result", member)
            case Response():
                traffic.leave_out(STRAY)
            case _:
                traffic.leave_out(NO_MESSAGE)


def _write_entry(file: BinaryIO, frame: ExactFrame, title: str, label: str, member: str) -> None:
    value = find_member(frame.json_text or "", member) or "null"
    for text, escaped in _ESCAPED.items():
        value = value.replace(text, escaped)
    time = find_moment(frame.time_us).isoformat(timespec="milliseconds")[11:23]
    file.write(f"[Trace - {time}] {title}\n{label}: {value}\n\n\n".encode())


def _describe_response(done: Exchange[ExactFrame]) -> str:
    milliseconds = round((done.answered.monotonic_us - done.asked.monotonic_us) / 1000)
    failed = ""
    if done.response.error is not None:
        code = done.response.error.get("code") if isinstance(done.response.error, dict) else None
        failed = f" Request failed ({code if isinstance(code, int) else 'no code'})."
    call = _encode_call(done.request)
    if done.direction == "client_to_server":
        return f"response '{call}' in {milliseconds}ms.{failed}"
    return f"response '{call}'. Processing request took {milliseconds}ms.{failed}"


def _encode_call(request: Request) -> str:
    return f"{_encode_method(request.method)} - ({_encode_id(request.id)})"


def _encode_id(id: object) -> str:
    text = show_id(id)
    if _PLAIN_ID.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]
    return "-".join([*_PLAIN_ID.findall(text), digest])


def _encode_method(method: str) -> str:
    """Method names have none of the characters that must be escaped here, but nobody checks them."""
    return quote(method, safe="/$:.@#*-_ ", errors="replace")
