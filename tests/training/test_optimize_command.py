"""`lsp-tap optimize`, from recordings to files that OpenCode uses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.cli import main
from lsp_tap.session.observing import write_observation
from lsp_tap.training import make_program
from lsp_tap.training.extra import import_dspy
from lsp_tap.training.prompts import Prompt, encode_agent, write_prompt
from lsp_tap.wiring.scripted_model import ScriptedModel, say
from tests.e2e.opencode import OpenCode, settle_dependencies
from tests.training.models import RULE, AnsweringModel

MARKED = "kept-as-a-mark-only"
SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


def run(model: AnsweringModel, output: Path, *arguments: str) -> int:
    models = ["--student", "openai/student", "--student-api-base", model.url]
    models += ["--teacher", "openai/teacher", "--teacher-api-base", model.url]
    return main(["optimize", *models, "--no-cache", "-o", str(output), *arguments])


def test_it_says_what_it_measured_and_writes_what_opencode_can_use(
    recordings: Path, model: AnsweringModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(model, out, "--optimizer", "mipro", "--budget", "64", "--name", "mender", str(recordings)) == 0
    said, errors = capsys.readouterr()
    assert errors == ""
    assert said.splitlines()[:2] == [
        "16 examples to learn from, 16 to compare on, 16 held out; split by repository",
        "held-out score: 0.000 before, 1.000 optimised",
    ]
    (results,) = out.glob("results-*.json")
    paths = [out / "program.json", out / ".opencode/agent/mender.md", out / "mender.instructions.md",
             out / "opencode.json", results]  # fmt: skip
    assert said.splitlines()[2:] == [*map(str, paths), 'try it: opencode run --agent mender "..."']
    assert json.loads((out / "opencode.json").read_text())["instructions"] == ["mender.instructions.md"]
    text = (out / "mender.instructions.md").read_text()
    assert text.startswith(RULE)
    assert "## Example 1\n\nTask: Fix `" in text
    agent = (out / ".opencode/agent/mender.md").read_text()
    assert agent.startswith(
        '---\ndescription: "Optimised by lsp-tap (mipro) on 16 recorded examples"\nmode: primary\n---\n'
    )
    assert agent.endswith(f"\n\n{text}")
    loaded = make_program("task")
    loaded.load(str(out / "program.json"))
    assert loaded.signature.instructions == RULE


def test_a_run_leaves_its_results_beside_those_before_it(
    recordings: Path, model: AnsweringModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert run(model, tmp_path, "--optimizer", "labeled", "--json", str(recordings)) == 0
        printed = json.loads(capsys.readouterr().out)
    found = sorted(tmp_path.glob("results-*.json"))
    assert len(found) == 2
    results: Any = json.loads(found[-1].read_text())
    assert printed["files"][-1] == str(found[-1])
    assert results["baseline"] == {"score": 0, "spread": 0, "examples": 16, "failed": 0}
    assert (results["optimised"]["score"], results["gain"], results["exported"]) == (1, 1, True)
    assert results["plan"]["optimiser"] == "labeled"
    units = [results["split"][part]["repository"] for part in ("train", "validation", "heldOut")]
    assert sorted(unit for part in units for unit in part) == ["/srv/bank", "/srv/game", "/srv/shop"]
    assert {(row["before"], row["after"]) for row in results["heldOut"]} == {(0, 1)}
    assert len(results["prompt"]["demonstrations"]) == 4


def test_what_is_no_better_is_not_exported_unless_asked_for(
    recordings: Path, model: AnsweringModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--optimizer", "labeled", "--demonstrations", "0", str(recordings))
    assert run(model, tmp_path, *arguments) == 0
    assert "no better than before: the prompt is not exported" in capsys.readouterr().out
    assert {path.suffix for path in tmp_path.iterdir()} == {".json"}
    assert not (tmp_path / "opencode.json").exists()
    assert run(model, tmp_path, "--even-if-no-better", *arguments) == 0
    assert (tmp_path / ".opencode/agent/optimised.md").is_file()


@pytest.mark.parametrize("redact", [True, False])
def test_neither_a_model_nor_a_file_gets_a_secret(
    recordings: Path, model: AnsweringModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redact: bool
) -> None:
    source = tmp_path / "source"
    shutil.copytree(recordings, source)
    for path in source.rglob("*.json"):
        text = path.read_text().replace("Fix `", f"{SECRET} /home/ada/x s3cr3t-by-name {MARKED} Fix `")
        path.write_text(text.replace("/srv/", "/home/ada/"))
    monkeypatch.setenv("ADA_API_TOKEN", "s3cr3t-by-name")
    monkeypatch.setattr("lsp_tap.session.observing.KEY_FOLDER", tmp_path / "key")
    for repository in ("shop", "bank", "game"):  # what the recorded client's environment held, and nobody's does now
        logs = source / repository / ".opencode-logs"
        write_observation(logs, tmp_path, "s", "m", environment={"OLD_API_TOKEN": MARKED})
    arguments = ["--optimizer", "mipro", "--budget", "64", str(source), *([] if redact else ["--no-redact"])]
    assert run(model, tmp_path / "out", *arguments) == 0
    sent = json.dumps([request.body for request in model.requests])
    written = "".join(path.read_text() for path in (tmp_path / "out").rglob("*.*") if path.is_file())
    for text in (sent, written):
        for secret in ("ghp_", "s3cr3t", "/home/ada", MARKED):
            assert (secret in text) is not redact, secret
    (results,) = (tmp_path / "out").glob("results-*.json")
    assert bool(json.loads(results.read_text())["redacted"]) is redact


@pytest.mark.parametrize(
    ("arguments", "exit_code", "reason"),
    [
        (["--name", "../x"], 2, "'../x' is no name for an agent"),
        (["--budget", "0"], 2, "'0' is neither light, medium, heavy nor a number"),
        (["--held-out", "0.6", "--validation", "0.4"], 2, "leave nothing to learn from"),
        (["gone"], 1, "examples of 0 sessions found, and it takes 3"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    model: AnsweringModel, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], exit_code: int,
    reason: str,
) -> None:  # fmt: skip
    assert run(model, tmp_path / "out", *arguments) == exit_code
    out, err = capsys.readouterr()
    assert out == ""
    assert reason in err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_without_dspy_it_says_what_to_install(
    model: AnsweringModel, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import_dspy()
    monkeypatch.setitem(__import__("sys").modules, "dspy", None)
    assert run(model, tmp_path) == 1
    assert capsys.readouterr().err == "lsp-tap: dspy is not installed: pip install 'lsp-tap[dspy]'\n"


PROMPT = Prompt('Say "ready": always.\n--- not a front matter', ("Task: {env:HOME} {file:./x}\n\nAnswer: one",))


def test_a_description_and_a_prompt_of_any_text_stay_in_their_places() -> None:
    text = encode_agent(PROMPT, 'a "quoted": one\n---')
    assert text.splitlines()[:4] == ["---", 'description: "a \\"quoted\\": one\\n---"', "mode: primary", "---"]


@pytest.mark.live
def test_opencode_uses_the_agent_and_the_instructions(tmp_path: Path) -> None:
    with ScriptedModel([say("one"), say("two")]) as scripted:
        opencode = OpenCode(tmp_path, scripted)
        paths = write_prompt(tmp_path / "out", "mender", PROMPT, "mends")
        shutil.copytree(tmp_path / "out/.opencode", opencode.project / ".opencode")
        settle_dependencies(opencode.project / ".opencode")
        assert opencode.run("Mend it", agent="mender").exit_code == 0
        assert PROMPT.render().strip() in scripted.agent_requests[0].system
        shutil.copy(paths[1], opencode.project)
        opencode.write_config(instructions=json.loads(paths[2].read_text())["instructions"])
        assert opencode.run("Mend it").exit_code == 0
        assert PROMPT.render().strip() in scripted.agent_requests[1].system
        assert "mender" not in scripted.agent_requests[0].system.partition(PROMPT.instructions)[0]
