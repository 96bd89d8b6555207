"""lsp-devtools' SQLite database, version 0.4: what `lsp-devtools inspect FILE` opens.

Source: PyPI lsp-devtools 0.4.0, `handlers/dbinit.sql` and `handlers/sql.py`: one table of three JSON texts a message.
Its inspector shows nothing at all once one body is no JSON-RPC message, or has an object or array for an id, so those
are left out. A connection is a session.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from lsp_tap.export.imported import Imported, ImportedJournal, OpenJournal, Origin, UnreadableSource, parse_time_us
from lsp_tap.export.traffic import NO_MESSAGE, Traffic, find_moment, name_stem, parse_header
from lsp_tap.journal.records import Direction
from lsp_tap.wire.framing import MAX_BODY_DIGITS
from lsp_tap.wire.messages import Request, Response

CLIENT, SERVER = 2, 3
"""`lsp_devtools.agent.MessageSource`; 1 is its own agent."""

_DIRECTION_OF: Final[dict[int, Direction]] = {CLIENT: "client_to_server", SERVER: "server_to_client"}


def write_lsp_devtools(traffic: Traffic, path: Path) -> None:
    """A new database at `path`, which must be an empty file."""
    with closing(sqlite3.connect(path)) as database, database:
        # A journal beside a file that nobody else has yet would only be left behind.
        database.execute("PRAGMA journal_mode=OFF")
        database.execute("CREATE TABLE messages (metadata JSON, headers JSON, body JSON)")
        database.executemany("INSERT INTO messages VALUES (?, ?, ?)", _encode_rows(traffic))


def _encode_rows(traffic: Traffic) -> Any:
    for connection, frame, message in traffic.read_messages():
        if message is None:
            traffic.leave_out(NO_MESSAGE)
            continue
        if isinstance(message, Request | Response) and isinstance(message.id, dict | list):
            traffic.leave_out("messages with an object or an array for an id")
            continue
        metadata = {
            "timestamp": find_moment(frame.time_us).isoformat(" "),
            "source": CLIENT if frame.direction == "client_to_server" else SERVER,
            "session": name_stem(connection.journal.path),
        }
        body = frame.exact_body.decode().removeprefix("\ufeff")
        yield json.dumps(metadata), json.dumps(dict(parse_header(frame.exact_header))), body


def import_lsp_devtools(path: Path, open_journal: OpenJournal, imported: Imported) -> None:
    """A journal for each session. Raises UnreadableSource when it is no such database."""
    try:
        # Read-only, and without a word to whoever may still be writing it.
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            database.text_factory = bytes  # whatever the bytes are, they are the body
            _import_rows(database, open_journal, imported)
    except sqlite3.Error as error:
        raise UnreadableSource(str(path), f"not a database of lsp-devtools 0.4 ({error})") from error


def _import_rows(database: sqlite3.Connection, open_journal: OpenJournal, imported: Imported) -> None:
    names = _find_names(database)
    journals: dict[str, ImportedJournal] = {}
    for columns in database.execute("SELECT metadata, headers, body FROM messages ORDER BY rowid"):
        metadata, header_fields = _parse_object(columns[0]), _parse_object(columns[1])
        source = metadata.get("source")
        direction = _DIRECTION_OF.get(source) if isinstance(source, int) else None
        body = columns[2]
        if direction is None or not isinstance(body, bytes):
            imported.left_out["rows that are no message of client or server"] += 1
            continue
        time_us = parse_time_us(metadata.get("timestamp"))
        session = str(metadata.get("session"))
        if session not in journals:
            said = {"session": metadata.get("session")}
            name = names.get(session, "server")
            journals[session] = open_journal(Origin("lsp-devtools 0.4", name, started_us=time_us or 0, said=said))
        header, body_length = _encode_header(header_fields, len(body))
        journals[session].add_frame(direction, body, time_us, header, body_length)
    for journal in journals.values():
        journal.close()


def _find_names(database: sqlite3.Connection) -> dict[str, str]:
    """What the server of each session calls itself."""
    names: dict[str, str] = {}
    for metadata, body in database.execute(
        "SELECT metadata, body FROM messages WHERE instr(body, '\"serverInfo\"') ORDER BY rowid"
    ):
        result = _parse_object(body).get("result")
        info = result.get("serverInfo") if isinstance(result, dict) else None
        if isinstance(info, dict) and isinstance(info.get("name"), str):
            names.setdefault(str(_parse_object(metadata).get("session")), info["name"])
    return names


def _encode_header(fields: dict[str, Any], body_length: int) -> tuple[bytes, int]:
    """The header block, and the length it states: lsp-devtools writes bodies anew, so theirs may differ from it."""
    stated = next((value for name, value in fields.items() if name.lower() == "content-length"), None)
    try:
        length = int(stated) if stated is not None else body_length
    except (TypeError, ValueError):
        length = body_length
    length = length if 0 <= length < 10**MAX_BODY_DIGITS else body_length
    block = "".join(f"{name}: {value}\r\n" for name, value in fields.items()) or f"Content-Length: {length}\r\n"
    return f"{block}\r\n".encode("latin-1", "replace"), length


def _parse_object(text: object) -> dict[str, Any]:
    """The JSON object in a column; an empty one where there is none."""
    try:
        value = json.loads(text) if isinstance(text, bytes) else None
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
