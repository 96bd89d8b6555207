"""Whatever a repository, a server or a model put into a recording is shown and never obeyed by a terminal."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.cli import main
from lsp_tap.inspect.terminal import clean_json

GOLDEN = Path(__file__).parents[1] / "golden"
EVIL = "\x1b]0;pwned\x07\x1b[2J\x9b31m\x90\r\b\x7f‮⁦\x00"
"""Sets the title, clears the screen, C1 controls, overprints, and writes from right to left."""
STRUCTURE = frozenset(
    {
        "kind",
        "direction",
        "jsonrpc",
        "method",
        "role",
        "status",
        "text_kind",
        "finish",
        "step",
        "sha256",
        "tool",
        "recorder",
    }
)
Run = Callable[..., tuple[str, str]]


def poison(value: Any, key: str = "") -> Any:
    """Every text gets the sequences, the same everywhere, so that what refers to what still does."""
    match value:
        case dict():
            return {name: poison(item, name) for name, item in value.items()}
        case list():
            return [poison(item, key) for item in value]
        case str() if key not in STRUCTURE:
            return value + EVIL
        case _:
            return value


@pytest.fixture(params=["noqa-is-a-suppression", "what-a-sub-agent-mended-counts-for-the-task-and-for-itself"])
def project(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a hostile recording."""
    root = tmp_path / "project"
    tap = root / ".opencode-logs" / "tap"
    tap.mkdir(parents=True)
    for path in (GOLDEN / request.param / "tap").iterdir():
        records = [poison(json.loads(line)) for line in path.read_text("utf-8").splitlines()]
        if path.name.startswith("client-"):
            dead = {
                **records[-1],
                "kind": "session_error",
                "session_id": None,
                "error": {"name": EVIL, "message": EVIL},
            }
            records += [{**dead, "seq": 9998}, {**dead, "kind": f"kind {EVIL}", "seq": 9999}]
        (tap / path.name).write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    shutil.copy(next(tap.glob("server-*")), tap / f"server-{EVIL.replace(chr(0), '')}.jsonl")
    monkeypatch.chdir(root)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("LSP_TAP_DIR", raising=False)
    return root


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str) -> tuple[str, str]:
        capfd.readouterr()
        main(list(words))
        captured = capfd.readouterr()
        for stream in captured:
            obeyed = {
                c for c in stream if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs") and c not in "\n\t"
            }
            assert not obeyed, f"{sorted(obeyed)!r} in {stream!r}"
        return captured.out, captured.err

    return call


@pytest.mark.parametrize(
    "words",
    [
        ["sessions"], ["sessions", "--json"], ["show", "last"], ["show", "last", "--json"], ["show", f"no {EVIL}"],
        ["log"], ["log", "-v"], ["log", "--json"], ["log", "--json", "-v"], ["log", "~s", f"*{EVIL}*"],
        ["log", f"~x {EVIL}"],
        ["log", "--format", "{server} {uri} {summary} {calls} {session} {body}"], ["stats"], ["stats", "--json"],
        ["write"], ["write", "--json"], ["verify", "last"], ["verify", "last", "--json"], ["write", f"no {EVIL}"],
        [f"no {EVIL}"], ["sessions", "--dir", f"no {EVIL[:-1]}"],
    ],
    ids=ascii,
)  # fmt: skip
def test_no_command_passes_them_on(project: Path, run: Run, words: list[str]) -> None:
    out, err = run(*words)
    assert out or err


def test_the_check_would_see_them(project: Path, run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = run("show", "last")
    assert "\\x1b]0;pwned" in out
    capfd.readouterr()
    print(EVIL)  # noqa: T201
    assert EVIL[:3] in capfd.readouterr().out


def test_json_for_programs_is_the_same_json(project: Path, run: Run) -> None:
    out, _ = run("show", "last", "--json")
    main(["write"])
    written = {
        json.loads(path.read_text())["sessionId"]: path for path in Path(".opencode-logs").glob("session-*.json")
    }
    shown = json.loads(out)
    assert shown == json.loads(written[shown["sessionId"]].read_text())
    assert EVIL in shown["sessionId"]
    assert json.loads(clean_json(json.dumps([EVIL, "é𝕏 "], ensure_ascii=False))) == [EVIL, "é𝕏 "]


def test_init_and_doctor_show_hostile_configuration(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    entry = {"command": [f"no-such-server{EVIL}", EVIL], "extensions": [f".x{EVIL}"]}
    Path("opencode.json").write_text(json.dumps({"lsp": {f"evil{EVIL}": entry}}))
    for words in (["init", "--dry-run"], ["init", "--dry-run", "--json"], ["doctor"], ["doctor", "--json"], ["init"]):
        out, err = run(*words)
        assert out or err
    Path("opencode.json").write_text('{"lsp": \x1b]0;pwned\x07')
    for words in (["init", "--dry-run"], ["doctor"]):
        run(*words)


def test_the_log_for_people_holds_none(project: Path, run: Run) -> None:
    run("write")
    text = Path(".opencode-logs/plugin.log").read_text()
    assert "SUCCESS=" in text
    assert all(character.isprintable() or character == "\n" for character in text)
