from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.export.formats import import_recording
from lsp_tap.export.imported import UnreadableSource
from lsp_tap.journal.exact import ExactFrame, ExactJournal
from lsp_tap.wire.framing import encode_frame
from tests.export.recording import C2S, Connection, bring_in, export, hostile


def read_rows(path: Path) -> list[tuple[Any, Any, str]]:
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT metadata, headers, body FROM messages ORDER BY rowid")
        return [(json.loads(metadata), json.loads(headers), body) for metadata, headers, body in rows]


def export_rows(folder: Path, *words: str) -> list[tuple[Any, Any, str]]:
    path = folder / "out.db"
    export(folder, "--to", "lsp-devtools", "-o", str(path), *words)
    return read_rows(path)


def test_a_row_has_the_metadata_the_headers_and_the_body(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    connection.put(C2S, b'content-length:28\nX: a: b\n\n{"method":"m","params": 1.0}')
    assert export_rows(tmp_path) == [
        (
            {
                "timestamp": "2025-11-24 16:00:00.001000+00:00",
                "source": 2,
                "session": "server-pyright-20251124T160000Z-1",
            },
            {"content-length": "28", "X": "a: b"},
            '{"method":"m","params": 1.0}',
        )
    ]


def test_several_servers_are_several_sessions(tmp_path: Path) -> None:
    for name in ("pyright", "ruff"):
        Connection(tmp_path, name).initialize(name)
    sessions = {metadata["session"] for metadata, _, _ in export_rows(tmp_path)}
    assert len(sessions) == 2
    assert len({metadata["session"] for metadata, _, _ in export_rows(tmp_path, "--server", "ruff")}) == 1


def test_what_its_inspector_cannot_take_is_left_out_and_counted(tmp_path: Path) -> None:
    hostile(tmp_path)
    result = export(tmp_path, "--to", "lsp-devtools", "-o", str(tmp_path / "out.db"))
    assert "messages with an object or an array for an id (2)" in result.stderr
    assert "frames that are no JSON-RPC message (3)" in result.stderr
    for _, _, body in read_rows(tmp_path / "out.db"):
        assert isinstance(json.loads(body), dict)


def test_what_was_exported_and_imported_is_exported_the_same(tmp_path: Path) -> None:
    hostile(tmp_path)
    Connection(tmp_path, "ruff").initialize("ruff")
    rows = export_rows(tmp_path)
    journals = bring_in(tmp_path / "out.db", tmp_path / "again")
    assert len(journals) == 2

    def without_session(rows: list[tuple[Any, Any, str]]) -> list[Any]:
        found = [({**metadata, "session": None}, headers, body) for metadata, headers, body in rows]
        return sorted(found, key=str)

    assert without_session(export_rows(tmp_path / "again")) == without_session(rows)


def write_database(path: Path, *rows: tuple[object, object, object]) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE messages (metadata JSON, headers JSON, body JSON)")
        database.executemany("INSERT INTO messages VALUES (?, ?, ?)", rows)


def test_a_database_of_lsp_devtools_becomes_a_journal(tmp_path: Path) -> None:
    metadata = '{"timestamp": "2025-01-01 00:00:00+00:00", "source": 2, "session": "todo"}'
    write_database(
        tmp_path / "x.db",
        (metadata, '{"Content-Length": "13"}', '{"id": 1, "method": "m"}'),
        (
            metadata.replace("2,", "3,"),
            '{"Content-Length": "many"}',
            '{"id": 1, "result": {"serverInfo": {"name": "s"}}}',
        ),
        (metadata, "{", b'{"method":"\xff"}'),
        (metadata.replace("2,", "1,"), "{}", "{}"),
        (None, None, None),
    )
    imported = import_recording(tmp_path / "x.db", None, tmp_path / "logs")
    assert imported.left_out == {"rows that are no message of client or server": 2}
    (path,) = imported.journals
    assert path.name.startswith("server-s-20250101T000000Z-")
    frames = [entry for entry in ExactJournal(path, "server", None) if isinstance(entry, ExactFrame)]
    assert [frame.exact_body for frame in frames][::2] == [b'{"id": 1, "method": "m"}', b'{"method":"\xff"}']
    assert frames[0].raw_length == len(b"Content-Length: 13\r\n\r\n") + 13
    assert frames[0].exact_header == b"Content-Length: 13\r\n\r\n"


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0 and then nothing", b"not a database"])
def test_what_is_no_database_is_refused_and_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.db").write_bytes(content)
    with pytest.raises(UnreadableSource):
        import_recording(tmp_path / "x.db", "lsp-devtools", tmp_path / "logs")
    assert not list((tmp_path / "logs").rglob("*.jsonl"))


def test_a_body_with_a_byte_order_mark_loses_it(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    connection.put(C2S, encode_frame(b'\xef\xbb\xbf{"method":"m"}'))
    assert export_rows(tmp_path)[0][2] == '{"method":"m"}'
