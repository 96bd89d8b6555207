from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.export.recording import S2C, START_US, Client, Connection, export, hostile


def export_events(folder: Path, *words: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(export(folder, "--to", "chrome", *words).stdout)["traceEvents"]
    return events


def of_phase(events: list[dict[str, Any]], phase: str) -> list[dict[str, Any]]:
    return [event for event in events if event["ph"] == phase]


def test_a_request_is_an_event_as_long_as_it_took(tmp_path: Path) -> None:
    Connection(tmp_path).initialize()
    (event,) = of_phase(export_events(tmp_path), "X")
    assert (event["name"], event["ts"], event["dur"]) == ("initialize", START_US + 1000, 1000)
    assert event["args"]["id"] == "0"


def test_requests_at_the_same_time_are_on_different_lanes(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    for id in (1, 2, 3):
        connection.ask(id, "m")
    for id in (2, 1):
        connection.answer(id)
    connection.ask(4, "m")
    for id in (3, 4):
        connection.answer(id)
    events = of_phase(export_events(tmp_path), "X")
    assert len({event["tid"] for event in events}) == 3
    for lane in {event["tid"] for event in events}:
        on_lane = sorted((e["ts"], e["ts"] + e["dur"]) for e in events if e["tid"] == lane)
        assert all(before[1] <= after[0] for before, after in pairwise(on_lane))


def test_a_request_without_an_answer_begins_and_does_not_end(tmp_path: Path) -> None:
    Connection(tmp_path).ask(1, "m")
    (event,) = of_phase(export_events(tmp_path), "B")
    assert event["args"]["unanswered"] is True


def test_the_count_of_errors_is_a_counter_of_the_server(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    connection.publish("file:///a", 1, 1, 2)
    connection.publish("file:///b", 1)
    connection.ask(1, "textDocument/diagnostic", {"textDocument": {"uri": "file:///c"}})
    connection.answer(1, {"kind": "full", "items": [{"message": "no severity is an error"}, {"severity": 2}]})
    connection.ask(2, "workspace/diagnostic", {})
    connection.answer(2, {"items": [{"kind": "full", "uri": "file:///c", "items": []}, {"kind": "unchanged"}, 5]})
    connection.publish("file:///a")
    connection.say(S2C, method="textDocument/publishDiagnostics", params={"uri": 1, "diagnostics": None})
    counters = of_phase(export_events(tmp_path), "C")
    counts = [(event["args"]["errors"], event["args"]["warnings"]) for event in counters]
    assert counts == [(2, 1), (3, 1), (4, 2), (3, 1), (1, 0)]


def test_tool_calls_are_a_track_of_the_client(tmp_path: Path) -> None:
    Connection(tmp_path).initialize()
    client = Client(tmp_path)
    client.start("a")
    client.start("b", "bash")
    client.finish("a")
    client.finish("b", "bash")
    client.start("c", session="ses_two")
    events = export_events(tmp_path)
    calls = [event for event in of_phase(events, "X") if event["pid"] == 2]
    assert [(event["name"], event["dur"], event["tid"]) for event in calls] == [("edit", 2000, 0), ("bash", 2000, 1)]
    assert [event["args"]["call"] for event in of_phase(events, "B")] == ["c"]
    names = [event["args"]["name"] for event in of_phase(events, "M")]
    assert names[:2] == ["pyright (server)", "opencode (client)"]
    assert names.count("tool calls") == 2


def test_only_the_calls_of_the_session_that_was_named(tmp_path: Path) -> None:
    Connection(tmp_path).initialize()
    client = Client(tmp_path)
    client.record("session_updated", session_id="ses_child", parent_id="ses_one")
    for call, session in (("a", "ses_one"), ("b", "ses_two"), ("c", "ses_child")):
        client.start(call, session=session)
        client.finish(call, session=session)
    calls = [event for event in of_phase(export_events(tmp_path, "ses_one"), "X") if event["name"] == "edit"]
    assert [event["args"]["call"] for event in calls] == ["a", "c"]


def test_hostile_messages_are_named_and_counted(tmp_path: Path) -> None:
    hostile(tmp_path)
    events = export_events(tmp_path)
    marks = [event["name"] for event in of_phase(events, "i")]
    assert marks.count("invalid bytes") == 3
    assert marks.count("frame without a message") == 6
    assert marks.count("response without a request") == 2
    assert "stderr" in marks
