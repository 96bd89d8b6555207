from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

from tests.export.recording import C2S, S2C, Connection, export, hostile


def export_entries(folder: Path, *words: str) -> list[dict[str, Any]]:
    archive = json.loads(export(folder, "--to", "har", *words).stdout)
    assert archive["log"]["version"] == "1.2"
    entries: list[dict[str, Any]] = archive["log"]["entries"]
    return entries


def test_a_request_and_its_response_are_an_entry(tmp_path: Path) -> None:
    connection = Connection(tmp_path, "ruff server")
    connection.ask(1, "textDocument/hover", {"x": 1})
    connection.answer(1, {"contents": "</script>"})
    (entry,) = export_entries(tmp_path)
    request, response = entry["request"], entry["response"]
    assert entry["startedDateTime"] == "2025-11-24T16:00:00.001000Z"
    assert entry["time"] == entry["timings"]["wait"] == 1.0
    assert (request["method"], request["url"]) == ("POST", "lsp://ruff%20server/textDocument/hover")
    assert json.loads(request["postData"]["text"])["params"] == {"x": 1}
    assert (response["status"], response["content"]["size"]) == (200, response["bodySize"])
    assert json.loads(response["content"]["text"])["result"] == {"contents": "</script>"}
    assert request["headers"] == [{"name": "Content-Length", "value": str(request["bodySize"])}]
    assert request["headersSize"] + request["bodySize"] == len(connection.wire[C2S])


def test_failures_have_a_status_and_the_code(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    for id, error in enumerate([{"code": -32800, "message": "c"}, {"code": -32601, "message": "n"}, "odd"]):
        connection.ask(id, "m")
        connection.say(S2C, id=id, error=error)
    responses = [entry["response"] for entry in export_entries(tmp_path)]
    assert [(response["status"], response["statusText"]) for response in responses] == [
        (499, "JSON-RPC error -32800"),
        (500, "JSON-RPC error -32601"),
        (500, "JSON-RPC error null"),
    ]


def test_what_has_no_pair_is_a_web_socket_message(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    connection.say(C2S, method="initialized")
    connection.ask(1, "never/answered")
    connection.say(S2C, id=9, result=1)
    connection.put(S2C, b"print\n")
    connection.put(S2C, b"\xff\n")
    (entry,) = export_entries(tmp_path)
    assert (entry["_resourceType"], entry["response"]["status"]) == ("websocket", 101)
    messages = entry["_webSocketMessages"]
    assert [(m["type"], m["opcode"]) for m in messages] == [
        ("send", 1),
        ("receive", 1),
        ("receive", 1),
        ("receive", 2),
        ("send", 1),
    ]
    assert [m.get("_unpaired") for m in messages] == [None, "response", None, None, "request"]
    assert b64decode(messages[3]["data"]) == b"\xff\n"
    assert messages[2]["_invalid"] == "not a header"


def test_what_the_tap_asked_for_itself_is_marked(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    connection.ask("lsp-tap:1", "textDocument/diagnostic", probe=True)
    connection.answer("lsp-tap:1", probe=True)
    assert [entry["_probe"] for entry in export_entries(tmp_path)] == [True]
    assert export_entries(tmp_path, "--no-probe-messages") == []


def test_hostile_messages_are_in_it_whole(tmp_path: Path) -> None:
    hostile(tmp_path)
    *pairs, others = export_entries(tmp_path)
    assert len(pairs) == 3
    assert len(others["_webSocketMessages"]) == 20
