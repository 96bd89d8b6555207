from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.export.formats import import_recording
from lsp_tap.export.imported import UnreadableSource
from lsp_tap.journal.exact import ExactFrame, ExactJournal
from lsp_tap.journal.reader import read_journal
from lsp_tap.journal.records import TapStarted
from lsp_tap.wire.framing import encode_frame
from tests.export.recording import C2S, START_US, Connection, bring_in, export, hostile


def export_lines(folder: Path) -> list[dict[str, Any]]:
    result = export(folder, "--to", "lsp-recorder")
    return [json.loads(line) for line in result.stdout.split("\n")[:-1]]


def test_a_trace_has_a_header_and_a_line_a_message(tmp_path: Path) -> None:
    Connection(tmp_path).initialize()
    header, first, *_ = lines = export_lines(tmp_path)
    assert header == {
        "trace_version": 1,
        "recorded_at": "2025-11-24T16:00:00.000000Z",
        "server_command": "pyright --stdio",
        "project_root": "/p",
        "server_info": {"name": "pyright", "version": "1.1"},
        "os": "linux",
        "snapshot_path": None,
    }
    assert first["timestamp_us"] == START_US + 1000
    assert first["message"]["method"] == "initialize"
    assert [line["seq"] for line in lines[1:]] == [0, 1, 2]


def test_the_length_is_the_bodys_as_lsp_recorder_has_it(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    connection.put(C2S, b"content-length: 2\nX-Other: y\n\n{}")
    assert export_lines(tmp_path)[1]["raw_length"] == 2


def test_numbers_and_keys_are_spelled_as_they_were(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    connection.put(C2S, encode_frame(b'{"method":"m","params":[1.0,1e999,\n12345678901234567890,"\\ud800"]}'))
    line = export(tmp_path, "--to", "lsp-recorder").stdout.split("\n")[1]
    assert line.endswith('"message":{"method":"m","params":[1.0,1e999, 12345678901234567890,"\\ud800"]}}')


def test_what_is_not_json_is_left_out_and_counted(tmp_path: Path) -> None:
    hostile(tmp_path)
    result = export(tmp_path, "--to", "lsp-recorder")
    assert "frames that are not JSON (3)" in result.stderr
    assert "runs of bytes outside any frame (3)" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_what_was_exported_and_imported_is_exported_the_same(tmp_path: Path) -> None:
    hostile(tmp_path)
    trace = tmp_path / "trace.jsonl"
    export(tmp_path, "--to", "lsp-recorder", "-o", str(trace))
    bring_in(trace, tmp_path / "again")
    again = export(tmp_path / "again", "--to", "lsp-recorder")
    assert again.stdout_bytes == trace.read_bytes()
    assert again.stderr == ""


FOREIGN = """\
{"trace_version":1,"recorded_at":"2024-05-01T10:00:00.123456789Z","server_command":"hls --lsp 'a b",\
"project_root":"/p","server_info":null,"os":"linux-x86_64","snapshot_path":"/p/x.tar.zst"}
{"seq":0,"timestamp_us":1714557600200000,"direction":"client_to_server","raw_length":40,"message":{"id":1,"method":"m"}}
not a line
{"seq":1,"timestamp_us":1714557600300000,"direction":"sideways","raw_length":1,"message":{}}
{"seq":2,"direction":"server_to_client","message":{"id":1,"result":null}}
"""


def test_a_trace_of_other_origin_becomes_a_journal(tmp_path: Path) -> None:
    trace = tmp_path / "hls.jsonl"
    trace.write_text(FOREIGN)
    imported = import_recording(trace, None, tmp_path / "logs")
    assert imported.left_out == {"lines that are no message": 2}
    (path,) = imported.journals
    started, *rest = read_journal(path)
    assert isinstance(started, TapStarted)
    assert started.time_us == 1714557600123456
    assert started.command == ("hls --lsp 'a b",)
    assert started.recorder.startswith("lsp-recorder trace 1, imported by lsp-tap")
    assert json.loads((started.model_extra or {})["imported"]["header"])["snapshot_path"] == "/p/x.tar.zst"
    asked, answered = (entry for entry in ExactJournal(path, "server", None) if isinstance(entry, ExactFrame))
    assert asked.exact_body == b'{"id":1,"method":"m"}'
    assert asked.raw_length == len(b"Content-Length: 40\r\n\r\n") + 40
    assert not asked.is_exact
    assert answered.time_us == asked.time_us == 1714557600200000
    assert len(rest) == 3


@pytest.mark.parametrize("content", ["", "{}\n", '{"trace_version":2}\n', "[\n", "\x00\xff"])
def test_what_is_no_trace_is_refused_and_leaves_nothing(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UnreadableSource):
        import_recording(path, "lsp-recorder", tmp_path / "logs")
    assert not list((tmp_path / "logs").rglob("*.jsonl"))
