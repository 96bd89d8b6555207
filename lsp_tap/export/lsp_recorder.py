"""crtschin/lsp-recorder's trace, version 1: JSON lines, a header and then a message each.

Source: https://github.com/crtschin/lsp-recorder, `src/LspRecorder/Lsp/Types.hs` and `Record.hs`. Its `raw_length` is
the body's alone (`Proxy.hs`), and what is not JSON it writes as `null`, which says nothing; we leave it out.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any, BinaryIO, Final

from lsp_tap.export.imported import Imported, OpenJournal, Origin, UnreadableSource, encode_header, parse_time_us
from lsp_tap.export.traffic import Connection, Traffic, encode_json, find_moment
from lsp_tap.journal.exact import find_member
from lsp_tap.journal.reader import read_journal
from lsp_tap.journal.records import Frame
from lsp_tap.wire.exchanges import Exchanges
from lsp_tap.wire.framing import MAX_BODY_DIGITS
from lsp_tap.wire.messages import parse_message

TRACE_VERSION: Final = 1
DIRECTIONS: Final = ("client_to_server", "server_to_client")


def write_lsp_recorder(traffic: Traffic, file: BinaryIO) -> None:
    """The trace of one connection. Raises UsageError for several."""
    connection = traffic.only_connection("lsp-recorder")
    file.write(encode_json(_describe(connection)) + b"\n")
    for seq, (_, frame, _) in enumerate(traffic.read_messages()):
        head = {
            "seq": seq,
            "timestamp_us": frame.time_us,
            "direction": frame.direction,
            "raw_length": frame.raw_length - len(frame.exact_header),
        }
        file.write(encode_json(head)[:-1] + b',"message":' + (frame.json_text or "null").encode() + b"}\n")


def _describe(connection: Connection) -> dict[str, Any]:
    started = connection.started
    recorded = find_moment(started.time_us if started else 0)
    return {
        "trace_version": TRACE_VERSION,
        "recorded_at": recorded.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "server_command": shlex.join(started.command) if started else connection.name,
        "project_root": started.cwd if started else "",
        "server_info": find_server_info(connection),
        "os": (started and started.platform) or "unknown",
        "snapshot_path": None,
    }


def find_server_info(connection: Connection) -> dict[str, Any] | None:
    """What the server calls itself in its answer to `initialize`; None where it says nothing."""
    exchanges: Exchanges[None] = Exchanges()
    for entry in read_journal(connection.journal.path):
        message = parse_message(entry.message) if isinstance(entry, Frame) else None
        if not isinstance(entry, Frame) or message is None:
            continue
        done = exchanges.step(entry.direction, message, None)
        if done is not None and done.request.method == "initialize":
            info = done.response.result.get("serverInfo") if isinstance(done.response.result, dict) else None
            if not isinstance(info, dict) or not isinstance(info.get("name"), str):
                return None
            version = info.get("version")
            return {"name": info["name"], "version": version if isinstance(version, str) else None}
    return None


def import_lsp_recorder(path: Path, open_journal: OpenJournal, imported: Imported) -> None:
    """Raises UnreadableSource when it is no such trace, OSError."""
    with path.open("rb") as file:
        line = file.readline()
        head = _parse_object(line)
        if head is None or head.get("trace_version") != TRACE_VERSION:
            raise UnreadableSource(str(path), f"not a trace of lsp-recorder, version {TRACE_VERSION}")
        journal = open_journal(_read_origin(head, line))
        for line in file:
            record = _parse_object(line)
            if record is None or record.get("direction") not in DIRECTIONS or "message" not in record:
                imported.left_out["lines that are no message"] += bool(line.strip())
                continue
            body = (find_member(line.decode(), "message") or "").encode()
            length = _read_integer(record.get("raw_length"))
            length = length if length is not None and 0 <= length < 10**MAX_BODY_DIGITS else len(body)
            time_us = _read_integer(record.get("timestamp_us"))
            journal.add_frame(record["direction"], body, time_us, encode_header(length), length)
    journal.close()


def _read_origin(head: dict[str, Any], line: bytes) -> Origin:
    text = str(head.get("server_command") or "")
    try:
        command = tuple(shlex.split(text))
    except ValueError:  # an open quotation
        command = (text,)
    info = head.get("server_info")
    named = info.get("name") if isinstance(info, dict) else None
    return Origin(
        source=f"lsp-recorder trace {TRACE_VERSION}",
        name=str(named or (Path(command[0]).name if command else "") or "server"),
        command=command,
        cwd=str(head.get("project_root") or ""),
        platform=str(head["os"]) if head.get("os") else None,
        started_us=parse_time_us(head.get("recorded_at")) or 0,
        said={"header": line.decode().rstrip("\n")},
    )


def _parse_object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _read_integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
