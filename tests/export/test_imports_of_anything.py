"""Whatever a file is, its import writes journals that every view can read, or says why not and writes nothing."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_tap.cli import cli
from lsp_tap.export.formats import EXPORT_FORMATS, export_capture, import_recording
from lsp_tap.export.imported import UnreadableSource
from lsp_tap.journal.capture import open_capture
from lsp_tap.journal.reader import Unreadable, read_journal
from tests.export.recording import C2S, S2C, bring_in, export, hostile

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**30, -1, 1e999, float("nan"), "\ud800", "../../x", "client_to_server", 2, 3, {}, []]),
    st.text(max_size=5),
)
HEADS = st.fixed_dictionaries(
    {"trace_version": st.just(1), "format": st.just("lsp-tap raw frames 1")},
    optional=dict.fromkeys(
        ("recorded_at", "server_command", "project_root", "server_info", "os", "name", "command", "time_us"), ODD
    ),
)
_KEYS = ("direction", "message", "timestamp_us", "raw_length", "bytes", "time_us", "monotonic_us", "source", "session")
RECORDS = st.dictionaries(st.sampled_from(_KEYS), ODD)
LINES = st.one_of(RECORDS.map(json.dumps).map(str.encode), st.binary(max_size=20))


def bring_in_anything(path: Path, folder: Path, name: str) -> None:
    journals: list[Path] = []
    with suppress(UnreadableSource):
        journals = import_recording(path, name, folder).journals
    assert sorted(folder.rglob("*.jsonl")) == sorted(journals)
    for journal in journals:
        assert not [entry for entry in read_journal(journal) if isinstance(entry, Unreadable)]
        for format_name in EXPORT_FORMATS:
            export_capture(open_capture([str(journal)], folder), format_name, folder / format_name)


@settings(max_examples=40, deadline=None)
@given(head=HEADS, lines=st.lists(LINES, max_size=5))
def test_any_trace_of_lsp_recorder(head: dict[str, object], lines: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "x.jsonl")
        path.write_bytes(b"\n".join([json.dumps(head).encode(), *lines]))
        bring_in_anything(path, Path(name, "logs"), "lsp-recorder")


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(*[st.one_of((ODD | RECORDS).map(json.dumps), st.binary(max_size=9))] * 3), max_size=4),
    text=st.booleans(),
)
def test_any_database(rows: list[tuple[str | bytes, ...]], text: bool) -> None:
    metadata = json.dumps({"source": 2, "session": "\ud800", "timestamp": "9999-12-31 23:59:59"})
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "x.db")
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE messages (metadata, headers, body)")
            insert = (
                "INSERT INTO messages VALUES (?, ?, CAST(? AS TEXT))" if text else "INSERT INTO messages VALUES (?,?,?)"
            )
            database.executemany(insert, [*rows] + [(metadata, *row[1:]) for row in rows])
        bring_in_anything(path, Path(name, "logs"), "lsp-devtools")


@settings(max_examples=40, deadline=None)
@given(head=HEADS, lines=st.lists(LINES, max_size=4), wire=st.binary(max_size=60), timed=st.booleans())
def test_any_raw_frames(head: dict[str, object], lines: list[bytes], wire: bytes, timed: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, f"x.{C2S}.lsp")
        path.write_bytes(wire + b"Content-Length: 2\r\n\r\n{}" + wire)
        Path(name, f"x.{S2C}.lsp").write_bytes(wire)
        if timed:
            Path(name, "x.times.jsonl").write_bytes(b"\n".join([json.dumps(head).encode(), *lines]))
        bring_in_anything(path, Path(name, "logs"), "raw")


@pytest.mark.parametrize("name", ["lsp-recorder", "lsp-devtools", "raw"])
def test_every_view_works_on_what_was_imported(tmp_path: Path, name: str) -> None:
    hostile(tmp_path)
    export(tmp_path, "--to", name, "-o", str(tmp_path / "out"))
    (journal,) = bring_in(tmp_path / "out", tmp_path / "again")
    for view in (["log", "--json"], ["stats", "--json"]):
        result = CliRunner().invoke(cli, [*view, "--dir", str(tmp_path / "again")], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert "initialize" in result.stdout
    assert journal.name.startswith("server-pyright-20251124T160000Z-")
