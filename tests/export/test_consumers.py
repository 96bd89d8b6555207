"""Our exports in the tools they are for: `make` installs those in an environment of their own (consumers/)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.export.recording import Client, Connection, export, hostile

pytestmark = pytest.mark.live

CONSUMERS = Path(__file__).parent / "consumers"
PYTHON = Path(__file__).parents[2] / ".setup" / "consumers" / "bin" / "python"


def consume(script: str, *arguments: str) -> Any:
    command = [str(PYTHON), str(CONSUMERS / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def record_session(folder: Path) -> Connection:
    connection, client = Connection(folder), Client(folder)
    connection.initialize()
    client.time_us = connection.time_us
    client.start("call_1")
    connection.time_us = client.time_us
    connection.ask(1, "textDocument/diagnostic", {"textDocument": {"uri": "file:///p/a.py"}})
    connection.ask(2, "textDocument/hover", {})
    connection.answer(1, {"kind": "full", "items": [{"message": "m", "severity": 1}]})
    connection.answer(2)
    client.time_us = connection.time_us
    client.finish("call_1")
    return connection


def test_lsp_devtools_inspect_opens_the_database(tmp_path: Path) -> None:
    record_session(tmp_path)
    export(tmp_path, "--to", "lsp-devtools", "-o", str(tmp_path / "out.db"))
    shown = consume("read_database.py", str(tmp_path / "out.db"))
    assert shown["rows"][0] == ["16:00:00.001000", "CLIENT", "0", "initialize"]
    assert [row[1:3] for row in shown["rows"][3:]] == [
        ["CLIENT", "1"],
        ["CLIENT", "2"],
        ["SERVER", "1"],
        ["SERVER", "2"],
    ]
    assert shown["methods"] == ["initialize", "initialized", "textDocument/diagnostic", "textDocument/hover"]
    assert shown["last_payload"][0] == "jsonrpc = '2.0'"


def test_lsp_devtools_inspect_opens_a_database_with_hostile_messages(tmp_path: Path) -> None:
    hostile(tmp_path)
    export(tmp_path, "--to", "lsp-devtools", "-o", str(tmp_path / "out.db"))
    assert len(consume("read_database.py", str(tmp_path / "out.db"))["rows"]) == 15


@pytest.mark.parametrize("record", [record_session, hostile])
def test_an_archive_is_valid_by_the_published_schema(tmp_path: Path, record: Any) -> None:
    record(tmp_path)
    export(tmp_path, "--to", "har", "-o", str(tmp_path / "out.har"))
    command = ["node", str(CONSUMERS / "validate_har.cjs"), str(tmp_path / "out.har")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_mitmproxy_reads_an_archive_as_flows(tmp_path: Path) -> None:
    record_session(tmp_path)
    export(tmp_path, "--to", "har", "-o", str(tmp_path / "out.har"))
    flows = consume("read_archive.py", str(tmp_path / "out.har"))
    assert [flow["path"] for flow in flows] == ["/initialize", "/textDocument/diagnostic", "/textDocument/hover", "/"]
    assert [flow["status"] for flow in flows] == [200, 200, 200, 101]
    assert json.loads(flows[0]["request"])["params"] == {"rootUri": "file:///p"}
    assert json.loads(flows[0]["response"])["result"]["serverInfo"]["name"] == "pyright"


def test_the_schema_refuses_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "out.har").write_text('{"log": {"version": "1.2", "entries": [{}]}}')
    command = ["node", str(CONSUMERS / "validate_har.cjs"), str(tmp_path / "out.har")]
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == 1


PROBLEMS = "SELECT name FROM stats WHERE severity IN ('error', 'data_loss') AND value > 0"


def test_perfetto_reads_requests_calls_and_counters(tmp_path: Path) -> None:
    record_session(tmp_path)
    export(tmp_path, "--to", "chrome", "-o", str(tmp_path / "out.json"))
    slices = """
        SELECT process.name AS process, thread.name AS track, slice.name, slice.dur / 1000 AS us
        FROM slice JOIN thread_track ON slice.track_id = thread_track.id
        JOIN thread USING (utid) JOIN process USING (upid) WHERE slice.dur != 0 ORDER BY slice.ts"""
    counters = "SELECT counter_track.name, value FROM counter JOIN counter_track ON track_id = counter_track.id"
    found, counted, problems = consume("query_trace.py", str(tmp_path / "out.json"), slices, counters, PROBLEMS)
    assert [tuple(row.values()) for row in found] == [
        ("pyright (server)", "requests", "initialize", 1000),
        ("opencode (client)", "tool calls", "edit", 5000),
        ("pyright (server)", "requests", "textDocument/diagnostic", 2000),
        ("pyright (server)", "requests", "textDocument/hover", 2000),
    ]
    assert {row["name"]: row["value"] for row in counted} == {"diagnostics errors": 1, "diagnostics warnings": 0}
    assert problems == []


def test_perfetto_reads_hostile_messages_without_a_complaint(tmp_path: Path) -> None:
    hostile(tmp_path)
    export(tmp_path, "--to", "chrome", "-o", str(tmp_path / "out.json"))
    open_ended = "SELECT name FROM slice WHERE dur = -1 ORDER BY name"
    found, problems = consume("query_trace.py", str(tmp_path / "out.json"), open_ended, PROBLEMS)
    assert [row["name"] for row in found] == ["also/never", "never/answered"]
    assert problems == []


def test_opentelemetrys_protobuf_takes_every_field(tmp_path: Path) -> None:
    record_session(tmp_path)
    export(tmp_path, "--to", "otlp", "-o", str(tmp_path / "out.jsonl"))
    spans = {span["name"]: span for span in consume("read_spans.py", str(tmp_path / "out.jsonl"))}
    call, pull = spans["execute_tool edit"], spans["textDocument/diagnostic"]
    assert (pull["service"], pull["kind"], pull["elapsed_us"]) == ("pyright", "SPAN_KIND_SERVER", 2000)
    assert (pull["trace"], pull["parent"]) == (call["trace"], call["span"])
    assert (call["service"], call["kind"], len(call["trace"]), len(call["span"])) == (
        "opencode",
        "SPAN_KIND_INTERNAL",
        32,
        16,
    )


def test_opentelemetrys_protobuf_takes_hostile_messages(tmp_path: Path) -> None:
    hostile(tmp_path)
    export(tmp_path, "--to", "otlp", "-o", str(tmp_path / "out.jsonl"))
    assert len(consume("read_spans.py", str(tmp_path / "out.jsonl"))) == 12
