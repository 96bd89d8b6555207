"""The inspector's parser is on no registry. `parse_log` reads what it reads, and fails where it gives up."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.export.recording import C2S, S2C, Connection, export, hostile

FIRST_LINE = re.compile(r"\[Trace - (.*)\] (.*)")
SECOND_LINE = re.compile(r"(?:Params|Result): (.*)")
TITLES = {
    "Sending notification": r"'([^\u2028]*)'",
    "Received notification": r"'([^\u2028]*)'",
    "Sending request": r"'(.*) - \(([0-9a-zA-Z-]+)\)'",
    "Received request": r"'(.*) - \(([0-9a-zA-Z-]+)\)'",
    "Sending response": r"'(.*) - \(([0-9a-zA-Z-]+)\)'.*took (\d+ms)",
    "Received response": r"'(.*) - \(([0-9a-zA-Z-]+)\)' in (\d+ms)",
}


def parse_log(log: str) -> list[tuple[Any, ...]]:
    """(title, method, id, latency, params or result) of each entry."""
    assert "\r\n" not in log
    entries = []
    for text in log.split("\n\n\n"):
        begin = text.rfind("[Trace")
        if begin < 0:
            continue
        first, second, *rest = text[begin:].split("\n")
        title = FIRST_LINE.fullmatch(first)
        value = SECOND_LINE.match(second)
        assert title, first
        assert value, second
        assert not {"\u2028", "\u2029"} & set(second), "JavaScript's dot stops there"
        kind = next(kind for kind in TITLES if title[2].startswith(kind))
        parts = re.match(f"{kind} {TITLES[kind]}", title[2])
        assert parts, title[2]
        named = [*parts.groups(), None, None][:3]
        entries.append((kind, *named, json.loads("\n".join([value[1], *rest]))))
    return entries


def test_every_kind_of_message_is_an_entry_from_the_clients_side(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    connection.initialize()
    connection.say(S2C, id="b-1", method="workspace/configuration", params={"items": []})
    connection.say(C2S, id="b-1", result=[None])
    connection.publish("file:///p/a.py", 1)
    connection.ask(2, "shutdown")
    connection.say(S2C, id=2, error={"code": -32803, "message": "no"})
    log = export(tmp_path, "--to", "inspector").stdout
    assert parse_log(log) == [
        ("Sending request", "initialize", "0", None, {"rootUri": "file:///p"}),
        (
            "Received response",
            "initialize",
            "0",
            "1ms",
            {"capabilities": {}, "serverInfo": {"name": "pyright", "version": "1.1"}},
        ),
        ("Sending notification", "initialized", None, None, {}),
        ("Received request", "workspace/configuration", "b-1", None, {"items": []}),
        ("Sending response", "workspace/configuration", "b-1", "1ms", [None]),
        (
            "Received notification",
            "textDocument/publishDiagnostics",
            None,
            None,
            {"uri": "file:///p/a.py", "diagnostics": [{"message": "m", "severity": 1}]},
        ),
        ("Sending request", "shutdown", "2", None, None),
        ("Received response", "shutdown", "2", "1ms", {"code": -32803, "message": "no"}),
    ]
    assert "[Trace - 16:00:00.001] Sending request 'initialize - (0)'.\n" in log
    assert "Request failed (-32803)." in log


def test_hostile_messages_take_nothing_else_with_them(tmp_path: Path) -> None:
    hostile(tmp_path)
    result = export(tmp_path, "--to", "inspector")
    entries = parse_log(result.stdout)
    assert len(entries) == 15
    assert (entries[4][0], entries[4][3], entries[4][4]["message"][-1]) == ("Received response", "1ms", "\u2028")
    assert entries[-1][4] == {"text": "é" * 700_000}
    assert "responses without a request (2)" in result.stderr


def test_ids_that_differ_stay_different(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    ids = [1, "a:1", "a;1", 1.5, -1, None, "", {"a": 1}, "é"]
    for id in ids:
        connection.ask(id, "m")
    shown = [entry[2] for entry in parse_log(export(tmp_path, "--to", "inspector").stdout)]
    assert len(set(shown)) == len(ids)


def test_what_the_tap_asked_for_itself_is_there_only_when_wanted(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    connection.ask("lsp-tap:1", "textDocument/diagnostic", probe=True)
    connection.answer("lsp-tap:1", probe=True)
    assert parse_log(export(tmp_path, "--to", "inspector").stdout) == []
    assert len(parse_log(export(tmp_path, "--to", "inspector", "--probe-messages").stdout)) == 2
