"""A real Neovim and a real OpenCode, recorded with a real basedpyright: every view on that, and playing it again."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from lsp_tap.cli import main
from lsp_tap.wire.messages import Response
from lsp_tap.wiring.scripted_model import ScriptedModel, call, say
from tests.e2e.opencode import TAP, OpenCode
from tests.e2e.servers import list_servers
from tests.e2e.waiting import once_reported
from tests.playback.neovim import (
    BASEDPYRIGHT,
    OLDER_VERSION,
    Edited,
    edit,
    find_older_basedpyright,
    read_recorded,
    record,
)
from tests.playback.recorded import read

pytestmark = pytest.mark.live

Json = dict[str, Any]
FORMATS = ("lsp-recorder", "lsp-devtools", "inspector", "raw", "har", "chrome", "otlp")


@pytest.fixture(scope="module")
def neovim(tmp_path_factory: pytest.TempPathFactory) -> tuple[Edited, Path]:
    """What Neovim saw, and the journal."""
    return read_recorded(record_once(tmp_path_factory, "neovim", lambda folder: record(folder, BASEDPYRIGHT)))


@pytest.fixture(scope="module")
def opencode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of a session in which an error is mended, another one made, and that one mended."""
    folder = record_once(tmp_path_factory, "opencode", record_opencode)
    (journal,) = (folder / "project" / ".opencode-logs" / "tap").glob("server-*.jsonl")
    return journal


def record_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that one of the test processes fills, for all of them."""
    is_one_of_several = "PYTEST_XDIST_WORKER" in os.environ
    base = factory.getbasetemp().parent if is_one_of_several else factory.getbasetemp()
    folder, done = base / name, base / f"{name}.done"
    with FileLock(base / f"{name}.lock"):
        if not done.exists():
            make(folder)
            done.touch()
    return folder


def record_opencode(folder: Path) -> None:
    server = list_servers()[0]
    with ScriptedModel() as model:
        opencode = OpenCode(folder, model)
        path = str(opencode.write_file(server.file, server.broken))
        opencode.write_config(lsp=server.lsp([*TAP, "run", "--name", server.id, "--", *server.command]))
        opencode.install_plugin()
        opencode.commit()
        steps = [server.mend, ("def total", f"{server.breaks}def total"), (server.breaks, "")]
        edits = [call("edit", filePath=path, oldString=old, newString=new) for old, new in steps]
        model.add(call("read", filePath=path), *(once_reported(opencode, one) for one in (*edits, say("Done."))))
        run = opencode.run("Mend it")
        assert run.exit_code == 0, run.stderr


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert not any(line.startswith("Traceback") for line in err.splitlines()), err
    return code, out


def replay(capsys: pytest.CaptureFixture[str], journal: Path, *words: str | Path) -> tuple[int, Json]:
    code, out = run(capsys, "replay", journal, "--json", *words)
    told: Json = json.loads(out)
    return code, told


@pytest.fixture(params=["neovim", "opencode"])
def journal(request: pytest.FixtureRequest) -> Path:
    recorded = request.getfixturevalue(request.param)
    path: Path = recorded[1] if request.param == "neovim" else recorded
    return path


def test_every_view_shows_the_recording(journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, log = run(capsys, "log", journal)
    assert code == 0
    assert "textDocument/didChange" in log
    code, stats = run(capsys, "stats", journal, "--json")
    methods = {row["method"]: row["count"] for row in json.loads(stats)["methods"]}
    assert code == 0
    assert methods["textDocument/didOpen"] == 1
    code, findings = run(capsys, "doctor", journal, "--json")
    assert json.loads(findings) is not None
    assert code in (0, 1)
    for format_name in FORMATS:
        code, _ = run(capsys, "export", journal, "--to", format_name, "-o", tmp_path / format_name)
        assert code == 0
        assert (tmp_path / format_name).exists()
    code, imported = run(capsys, "import", tmp_path / "lsp-recorder", "--dir", tmp_path / "imported")
    assert code == 0
    # What the tap asked for itself is not in that format, so the journal says all that the import says, and more.
    code, _ = run(capsys, "diff", imported.strip(), journal, "--responses")
    assert code == 0
    code, _ = run(capsys, "share", journal, "-o", tmp_path / "shared.zip")
    assert code == 0
    assert len(zipfile.ZipFile(tmp_path / "shared.zip").namelist()) == 1


def test_the_same_server_gives_no_difference(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = replay(capsys, journal, "--", *BASEDPYRIGHT)
    assert (code, told["different"], told["failure"], told["notes"]) == (0, False, None, []), told
    assert told["compared"]["reports"] >= 3


def test_another_version_gives_exactly_the_changed_diagnostics(
    neovim: tuple[Edited, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "older.jsonl"
    code, told = replay(capsys, neovim[1], "-o", kept, "--", *find_older_basedpyright())
    assert code == 1
    assert told["failure"] is None
    changed = [[(one["code"], one["line"]) for one in report["gone"]] for report in told["diagnostics"]]
    assert changed == [[("reportSelfClsDefault", 7)]] * 3
    assert [report["new"] + report["reworded"] for report in told["diagnostics"]] == [[], [], []]
    versions = version("basedpyright"), OLDER_VERSION
    assert (told["a"]["server"], told["b"]["server"]) == tuple(f"basedpyright {one}" for one in versions)
    code, out = run(capsys, "diff", neovim[1], kept, "--json")
    assert code == 1
    (compared,) = json.loads(out)["connections"]
    assert compared["diagnostics"] == told["diagnostics"]


def test_a_shared_bundle_is_played_to_its_end(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names are pseudonyms, so what the server says may differ; that it takes every message may not."""
    shared = tmp_path / "shared.jsonl"
    assert run(capsys, "share", journal, "-o", shared)[0] == 0
    kept = tmp_path / "kept.jsonl"
    _, told = replay(capsys, shared, "-o", kept, "--", *BASEDPYRIGHT)
    assert told["failure"] is None
    said = [s for s in read(journal).steps if s.is_client and not s.probe and not isinstance(s.message, Response)]
    assert told["sent"] == len(said)
    errors = [[s.method for s in read(path).steps if getattr(s.message, "error", None)] for path in (journal, kept)]
    assert errors[1] == errors[0]
    assert [report["silent"] for report in told["diagnostics"]].count(True) == 0


def test_neovim_sees_from_the_mock_what_it_saw_from_the_server(neovim: tuple[Edited, Path], tmp_path: Path) -> None:
    edited, journal = neovim
    again = edit(tmp_path, [*TAP, "serve", str(journal)])
    seen = json.loads(json.dumps(edited.seen).replace(str(edited.project), str(again.project)))
    assert again.seen == seen
    assert "(function) def total" in seen["hover"]["value"]
    assert any('"prizes" is not defined' in message for message in seen["diagnostics"]["0"])
    assert seen["completion"] > 0
    assert seen["definition"]
