from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_tap.config import Thresholds
from lsp_tap.session.loading import Json, TurnRow, Unread, group_sources, list_sources, parse_sources, read_turns
from lsp_tap.session.rescoring import rescore_row
from lsp_tap.session.writer import encode_json
from tests.session.test_sessions import begin, edit

EXAMPLE: dict[str, Any] = {
    "input": {"task": "Mend it", "context": {"workingDirectory": "/p"}, "conversationHistory": []},
    "actions": [{"step": 1, "tool": "read", "args": {"filePath": "/p/a.py"}, "result": "ok", "success": True}],
    "output": {"response": "Mended."},
    "outcome": {"success": True, "metrics": {"filesModified": 1}},
    "agent": {"model": "anthropic/claude-sonnet-4-5", "promptTokens": 1842},
}
V1_0 = {"session": "ses_old", "generated": "2025-11-27T00:00:00Z", "totalExamples": 1, "outcome": {"success": True},
        "examples": [{k: v for k, v in EXAMPLE.items() if k != "outcome"}]}  # fmt: skip
V1_2 = {"session": "ses_mid", "generated": "2025-12-01T00:00:00Z", "totalExamples": 1, "totalTurns": 2,
        "successfulTurns": 1, "overallSuccess": False, "totalToolCalls": 3, "examples": [EXAMPLE]}  # fmt: skip

SESSION = {
    "sessionId": "ses_new",
    "messages": [{"messageId": "m", "role": "user", "content": "Mend it", "timestamp": None}],
    "toolCalls": [{**EXAMPLE["actions"][0], "callID": "c", "status": "completed", "files": ["a.py"], "exitCode": 0}],
    "turns": [
        {"task": "Mend it", "messageId": "m", "actions": ["c"], **{k: EXAMPLE[k] for k in ("outcome", "output")}}
    ],
}


def write_session(folder: Path) -> None:
    """A session of two turns, the first a success, the second not."""
    recorded, _, reply = begin("bad\nworse\n", 0, 1)
    edit(recorded, reply, "e1", "bad\nworse\n", "good\nworse\n", 1)
    recorded.finish(reply, text="One is mended.")
    reply = recorded.ask('"And now the other"')
    edit(recorded, reply, "e2", "good\nworse\n", "good\nworst\nbad\n", 1, 2)
    recorded.finish(reply)
    session, training = recorded.build()
    assert training is not None
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "session-ses_1.json").write_bytes(encode_json(session))
    (folder / "dspy-ses_1.json").write_bytes(encode_json(training))


def rows(*paths: Path | str) -> list[TurnRow]:
    found = list(read_turns(paths))
    assert [row for row in found if isinstance(row, Unread)] == []
    return [row for row in found if isinstance(row, TurnRow)]


def test_a_turn_in_both_files_of_a_session_is_one_row(tmp_path: Path) -> None:
    write_session(tmp_path / ".opencode-logs")
    both = rows(tmp_path)
    assert [(row.turn, row.task, row.success, row.kind) for row in both] == [
        (1, "Mend a.py", True, "session"),
        (2, "And now the other", False, "session"),
    ]
    assert [message["content"] for message in both[1].history] == ["Mend a.py", "One is mended."]
    assert [action["step"] for action in both[1].actions] == [1]
    assert both[0].repository == "/p"


def test_the_row_of_a_training_file_is_the_row_of_its_session_file(tmp_path: Path) -> None:
    write_session(tmp_path)
    (alone,) = rows(tmp_path / "dspy-ses_1.json")
    (first, _) = rows(tmp_path / "session-ses_1.json")
    fields = ("key", "task", "context", "history", "actions", "response", "outcome", "agent", "timestamp", "duration_s")
    for name in fields:
        assert getattr(alone, name) == getattr(first, name), name


@pytest.mark.parametrize(("document", "version"), [(V1_0, "1.0"), (V1_2, "1.2")])
def test_older_layouts_are_read(tmp_path: Path, document: dict[str, Any], version: str) -> None:
    path = tmp_path / f"dspy-{document['session']}.json"
    path.write_text(json.dumps(document))
    (row,) = rows(path)
    assert (row.schema_version, row.success, row.task, row.response) == (version, True, "Mend it", "Mended.")
    assert row.model == "anthropic/claude-sonnet-4-5"
    assert row.timestamp == document["generated"]


def test_paths_are_files_folders_projects_and_patterns_and_each_file_is_read_once(tmp_path: Path) -> None:
    for project in ("one", "two"):
        write_session(tmp_path / project / ".opencode-logs")
        write_session(tmp_path / project / "node_modules" / "x")
    assert len(rows(tmp_path)) == 4
    assert len(rows(tmp_path / "one", tmp_path / "one" / ".opencode-logs" / "dspy-ses_1.json")) == 2
    assert len(rows(f"{tmp_path}/*/.opencode-logs/dspy-*.json")) == 2
    assert len(rows(f"{tmp_path}/**/session-*.json", tmp_path / "one")) == 8


def test_what_cannot_be_read_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    write_session(tmp_path)
    (tmp_path / "dspy-cut.json").write_text('{"examples": [')
    (tmp_path / "dspy-list.json").write_text("[]")
    (tmp_path / "dspy-deep.json").write_text("[" * 200_000)
    (tmp_path / "session-other.json").write_text('{"sessionId": "x"}')
    torn = V1_2 | {"examples": [EXAMPLE, {"input": {}}, "no", EXAMPLE | {"actions": [1]}, EXAMPLE | {"outcome": 1}]}
    (tmp_path / "dspy-torn.json").write_text(json.dumps(torn))
    found = list(read_turns([tmp_path, tmp_path / "gone", f"{tmp_path}/*.nothing"]))
    unread = {(Path(row.source).name, row.place): row.reason for row in found if isinstance(row, Unread)}
    assert len([row for row in found if isinstance(row, TurnRow)]) == 3
    assert unread.keys() == {
        ("gone", ""), ("*.nothing", ""), ("dspy-cut.json", ""), ("dspy-list.json", ""), ("dspy-deep.json", ""),
        ("session-other.json", ""), *(("dspy-torn.json", f"examples[{n}]") for n in (1, 2, 3, 4)),
    }  # fmt: skip
    assert unread["dspy-torn.json", "examples[1]"] == "no task"
    assert all("\n" not in str(row) for row in found if isinstance(row, Unread))


def test_an_action_that_the_session_does_not_have_is_told(tmp_path: Path) -> None:
    write_session(tmp_path)
    document = json.loads((tmp_path / "session-ses_1.json").read_bytes())
    document["turns"][0]["actions"].append("gone")
    found = list(parse_sources([("session-x.json", json.dumps(document).encode())]))
    assert [type(row) for row in found] == [Unread, TurnRow]


def test_a_training_file_stands_in_for_a_session_file_that_cannot_be_read(tmp_path: Path) -> None:
    write_session(tmp_path)
    (tmp_path / "session-ses_1.json").write_text("{")
    found = list(read_turns(tmp_path))
    assert [type(row) for row in found] == [Unread, TurnRow]


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    assert [row.reason for row in list_sources(tmp_path).unread] == ["no session-*.json or dspy-*.json in it"]


def test_groups_keep_folders_apart() -> None:
    names = ["a/dspy-1.json", "b/session-1.json", "a/session-1.json", "free.json"]
    assert group_sources(names) == [("a/session-1.json", "a/dspy-1.json"), ("b/session-1.json",), ("free.json",)]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
def test_whatever_stands_in_a_field_the_row_comes_out_or_the_reason(data: st.DataObject) -> None:
    for row in parse_sources([("x.json", draw_document(data, [V1_0, V1_2, SESSION]))]):
        if isinstance(row, TurnRow):
            assert (type(row.task), type(row.turn), type(row.context)) == (str, int, dict)
            assert isinstance(rescore_row(row, Thresholds()).after.success, bool)
        else:
            assert row.reason


@pytest.mark.parametrize("number", [-1, 10**400, 1e300, 2.5, "3"])
@pytest.mark.parametrize("field", ["filesModified", "timeToCompletion"])
def test_a_number_that_counts_nothing_is_judged_all_the_same(number: Any, field: str) -> None:
    document = json.loads(json.dumps(V1_2))
    document["examples"][0]["outcome"].setdefault("metrics", {})[field] = number
    (row,) = parse_sources([("dspy-x.json", json.dumps(document).encode())])
    assert isinstance(row, TurnRow)
    assert isinstance(rescore_row(row, Thresholds()).after.success, bool)


def draw_document(data: st.DataObject, documents: list[Json]) -> bytes:
    """One of the documents, with anything in up to three of its places."""
    document = json.loads(json.dumps(data.draw(st.sampled_from(documents))))
    places = list(_list_places(document))
    for holder, key in data.draw(st.lists(st.sampled_from(places), max_size=3)):
        holder[key] = data.draw(ANYTHING)
    return json.dumps(document).encode()


def _list_places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from _list_places(inner)


@pytest.mark.parametrize("odd", ["Infinity", "-Infinity", "NaN", "1e400", "1" + "0" * 400])
def test_a_number_that_nobody_measured_is_unknown(odd: str) -> None:
    document = json.loads(json.dumps(V1_2))
    document["examples"][0]["metadata"] = {"duration": 4711}
    document["examples"][0]["agent"]["temperature"] = 4711
    [row] = parse_sources([("dspy-x.json", json.dumps(document).replace("4711", odd).encode())])
    assert isinstance(row, TurnRow)
    assert row.duration_s is None
    assert json.loads(json.dumps(row.agent, allow_nan=False)) == row.agent
    assert rescore_row(row, Thresholds()).turn == 1
