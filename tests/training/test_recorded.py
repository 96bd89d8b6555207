from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_tap.redaction import Redactor
from lsp_tap.session.loading import TurnRow, Unread, parse_sources
from lsp_tap.training import examples, make_program
from lsp_tap.training.extra import MissingExtra, import_dspy
from lsp_tap.training.programs import trim_demonstrations
from lsp_tap.training.recorded import Layout, make_examples
from tests.session.test_loading import SESSION, V1_0, V1_2, draw_document
from tests.training.recordings import answer

EDIT = {"filePath": "/srv/bank/cart.py", "oldString": "x = adress\n", "newString": "x = address\n"}


def test_a_turn_is_an_example_as_in_the_seed(recordings: Path) -> None:
    found = examples(recordings)
    assert len(found) == 48
    example = found[0]
    assert set(example.inputs().keys()) == {"task", "context"}
    assert set(example.labels().keys()) == {"actions", "response", "recorded"}
    assert (example.task, example.response) == ("Fix `adress` in cart.py", answer("adress", "cart.py"))
    assert example.context["lspDiagnostics"]["errors"][0]["message"] == '"adress" is not defined'
    assert [action["tool"] for action in example.actions] == ["read", "edit"]
    told = [example.recorded[name] for name in ("sessionId", "repository", "turn", "files", "tools")]
    assert told == ["ses_bank_0", "/srv/bank", 1, ["cart.py"], ["read", "edit"]]
    assert example.recorded["evidence"]["text"] == 'Fixed: cart.py:1: "adress" is not defined (undefined).'


def test_a_step_is_an_example_with_all_that_came_before(recordings: Path) -> None:
    read, edit, last = examples(recordings, "step")[:3]
    assert set(read.inputs().keys()) == {"task", "diagnostics", "history"}
    assert (read.next_thought, read.reward) == ("I look at cart.py first.", 0)
    assert read.diagnostics == edit.diagnostics == 'cart.py:1: "adress" is not defined (undefined)'
    assert read.history.messages == []
    assert [call.name for call in read.tool_calls.tool_calls] == ["read"]
    assert [(call.name, call.args) for call in edit.tool_calls.tool_calls] == [("edit", EDIT)]
    assert (edit.next_thought, edit.reward) == ("Now I change cart.py.", 1)
    assert [message["next_thought"] for message in last.history.messages] == [read.next_thought, edit.next_thought]
    results = last.history.messages[1]["tool_calls"].tool_call_results.tool_call_results
    assert [(result.name, result.value, result.is_error) for result in results] == [("edit", "ok", False)]
    assert (last.diagnostics, last.next_thought) == ("no errors", answer("adress", "cart.py"))
    assert last.tool_calls.tool_calls == []


def test_turns_that_were_no_success_come_when_asked_for(recordings: Path) -> None:
    failed = examples(recordings, success=False)
    assert len(failed) == 12
    assert failed[0].recorded["evidence"]["introduced"] == ('tax.py:1: "nowhere" is not defined (undefined)',)
    assert len(examples(recordings, success=None)) == 60
    rewards = [example.reward for example in examples(recordings, "step", success=False)]
    assert rewards == [0, -1, 0] * 12
    assert {e.reward for e in examples(recordings, "step", success=None, min_reward=0)} == {0, 1}


def test_turns_are_chosen_by_score_and_by_any_condition(recordings: Path) -> None:
    assert len(examples(recordings, success=None, min_score=0.9)) == 48
    chosen = examples(recordings, where=lambda row: row.session_id == "ses_shop_1" and row.turn > 2)
    assert [example.recorded["turn"] for example in chosen] == [3, 4]


@pytest.mark.parametrize("document", [V1_0, V1_2])
@pytest.mark.parametrize("layout", ["task", "step"])
def test_older_layouts_are_examples_too(tmp_path: Path, document: dict[str, Any], layout: Any) -> None:
    path = tmp_path / "dspy-x.json"
    path.write_text(json.dumps(document))
    found = examples(path, layout)
    assert found[0].task == "Mend it"
    assert found[0].recorded["evidence"]["known"] is False
    assert len(found) == (1 if layout == "task" else 2)


def test_what_cannot_be_read_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    told: list[Unread] = []
    assert examples(tmp_path / "gone.json", on_unread=told.append) == []
    assert [unread.reason for unread in told] == ["no such file or folder"]
    assert examples(tmp_path / "gone.json") == []
    assert "no such file or folder" in capfd.readouterr().err
    with pytest.raises(ValueError, match="no layout 'turn'"):
        examples(tmp_path, "turn")  # type: ignore[arg-type]


@given(st.data())
@settings(max_examples=60)
def test_whatever_stands_in_a_field_there_are_examples(recordings: Path, data: st.DataObject) -> None:
    written = json.loads((recordings / "shop/.opencode-logs/dspy-ses_shop_0.json").read_bytes())
    written["examples"] = written["examples"][:1]
    for row in parse_sources([("x.json", draw_document(data, [V1_2, SESSION, written]))]):
        if isinstance(row, TurnRow):
            assert len(make_examples(row, "task")) == 1
            assert make_examples(row, "step")[-1].next_thought == row.response


def test_secrets_and_names_stay_here(recordings: Path, tmp_path: Path) -> None:
    text = (recordings / "shop/.opencode-logs/dspy-ses_shop_0.json").read_text()
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    path = tmp_path / "dspy-x.json"
    path.write_text(text.replace("Fix `", f"{secret} Fix `").replace("/srv/shop", "/home/ada/shop"))
    layouts: tuple[Layout, ...] = ("task", "step")
    for layout in layouts:
        found = examples(path, layout, redactor=Redactor(environment={}))
        shown = repr([dict(example.items()) for example in found])
        assert found
        assert "ghp_" not in shown
        assert "ada" not in shown
        assert "/home/user/shop" in shown


@pytest.mark.parametrize("layout", ["task", "step"])
def test_demonstrations_survive_saving_and_hold_no_more_than_the_model_sees(
    recordings: Path, tmp_path: Path, layout: Any
) -> None:
    dspy = import_dspy()
    given = examples(recordings, layout)
    program = dspy.LabeledFewShot(k=3).compile(make_program(layout), trainset=given)
    trim_demonstrations(program)
    program.save(str(tmp_path / "p.json"))
    assert "recorded" not in (tmp_path / "p.json").read_text()
    loaded = make_program(layout)
    loaded.load(str(tmp_path / "p.json"))
    for adapter in (dspy.ChatAdapter(), dspy.JSONAdapter()):
        shown = [adapter.format(p.signature, p.demos, dict(given[1].inputs())) for p in (program, loaded)]
        assert shown[0] == shown[1]
        replies = [message["content"] for message in shown[0] if message["role"] == "assistant"]
        assert any("Fixed `" in reply or '"edit"' in reply or "first." in reply for reply in replies[:3])


def test_without_dspy_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, recordings: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "dspy", None)
    with pytest.raises(MissingExtra) as caught:
        examples(recordings)
    assert str(caught.value) == "dspy is not installed: pip install 'lsp-tap[dspy]'"
