from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.export.recording import C2S, S2C, START_US, Client, Connection, export, hostile


def export_spans(folder: Path, *words: str) -> list[dict[str, Any]]:
    """All spans, each with the name of its service."""
    spans = []
    for line in export(folder, "--to", "otlp", *words).stdout.split("\n")[:-1]:
        (resource,) = json.loads(line)["resourceSpans"]
        service = resource["resource"]["attributes"][0]["value"]["stringValue"]
        spans += [{**span, "service": service} for scope in resource["scopeSpans"] for span in scope["spans"]]
    return spans


def read_attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {item["key"]: next(iter(item["value"].values())) for item in span["attributes"]}


def test_a_request_is_a_span_of_the_server_with_the_agreed_names(tmp_path: Path) -> None:
    Connection(tmp_path).initialize()
    request, notification = export_spans(tmp_path)
    assert (request["service"], request["name"], request["kind"]) == ("pyright", "initialize", 2)
    assert int(request["startTimeUnixNano"]) == (START_US + 1000) * 1000
    assert int(request["endTimeUnixNano"]) - int(request["startTimeUnixNano"]) == 1_000_000
    attributes = read_attributes(request)
    assert attributes["rpc.system.name"] == "jsonrpc"
    assert attributes["rpc.method"] == "initialize"
    assert attributes["jsonrpc.request.id"] == "0"
    assert attributes["jsonrpc.protocol.version"] == "2.0"
    assert "status" not in request
    assert (notification["name"], "jsonrpc.request.id" in read_attributes(notification)) == ("initialized", False)
    assert (len(request["traceId"]), len(request["spanId"])) == (32, 16)


def test_a_failed_request_has_the_code_and_the_message(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    connection.ask(1, "m")
    connection.say(S2C, id=1, error={"code": -32601, "message": "no such method"})
    (span,) = export_spans(tmp_path)
    assert span["status"] == {"code": 2, "message": "no such method"}
    assert read_attributes(span)["error.type"] == read_attributes(span)["rpc.response.status_code"] == "-32601"


def test_a_request_without_an_answer_is_an_error_till_the_end(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    connection.ask(1, "m")
    connection.say(C2S, method="exit")
    (span,) = [span for span in export_spans(tmp_path) if span["name"] == "m"]
    assert read_attributes(span)["error.type"] == "unanswered"
    assert int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"]) == 1_000_000


def test_what_the_server_asks_is_a_call_out_of_it(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    connection.say(S2C, id=1, method="workspace/configuration")
    connection.say(C2S, id=1, result=[])
    assert [span["kind"] for span in export_spans(tmp_path)] == [3]


def test_a_request_during_the_only_tool_call_is_its_child(tmp_path: Path) -> None:
    connection, client = Connection(tmp_path), Client(tmp_path)
    client.start("a", "bash")
    connection.time_us = client.time_us
    connection.ask(1, "during/one")
    client.time_us = connection.time_us
    client.start("b")
    connection.time_us = client.time_us
    connection.ask(2, "during/two")
    connection.answer(1)
    connection.answer(2)
    client.time_us = connection.time_us
    client.finish("a", "bash")
    client.finish("b")
    spans = {span["name"]: span for span in export_spans(tmp_path)}
    call = spans["execute_tool bash"]
    assert spans["during/one"]["parentSpanId"] == call["spanId"]
    assert spans["during/one"]["traceId"] == call["traceId"]
    assert "parentSpanId" not in spans["during/two"]
    assert (call["service"], call["kind"]) == ("opencode", 1)


def test_the_same_capture_gives_the_same_spans_on_many_lines(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    for id in range(450):
        connection.ask(id, "m")
        connection.answer(id)
    first = export(tmp_path, "--to", "otlp").stdout
    assert first == export(tmp_path, "--to", "otlp").stdout
    assert len(first.splitlines()) == 9
    assert len({span["spanId"] for span in export_spans(tmp_path)}) == 450


def test_hostile_messages_are_spans_or_counted(tmp_path: Path) -> None:
    hostile(tmp_path)
    result = export(tmp_path, "--to", "otlp")
    assert len(export_spans(tmp_path)) == 12
    assert "frames that are not JSON (3)" in result.stderr
