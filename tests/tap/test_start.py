"""A start is light, and a wrong one says in a line what is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lsp_tap.errors import UsageError
from lsp_tap.journal.records import TapStarted, TapStopped
from lsp_tap.tap.command import Options
from tests.tap.tapped import peer, python, tap

HEAVY = (
    "pydantic",
    "lsprotocol",
    "pygls",
    "cattrs",
    "attrs",
    "anyio",
    "asyncio",
    "click",
    "platformdirs",
    "git",
    "rich",
    "typing",
    "base64",
    "pickle",
)
NOT_BEFORE_THE_SERVER = (
    "enum",
    "re",
    "subprocess",
    "argparse",
    "dataclasses",
    "inspect",
    "shutil",
    "logging",
    "tempfile",
)


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    """With a whole session in it: initialize, a document, the probe, the journal."""
    message = b'{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}'
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lsp_tap", "run", "--dir", str(tmp_path), "--", *peer("echo")],
        input=b"Content-Length: %d\r\n\r\n%s" % (len(message), message),
        capture_output=True,
        check=True,
        timeout=60,
    )
    imported = re.findall(r"import time:.*\| +([\w.]+)", run.stderr.decode())
    ours = imported[imported.index("site") :]
    assert "lsp_tap.tap.recording" in ours
    assert [name for name in ours if name.partition(".")[0] in HEAVY] == []
    before = ours[: ours.index("lsp_tap.tap.lifecycle")]
    assert [name for name in before if name in NOT_BEFORE_THE_SERVER] == []


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, lsp_tap; print([name for name in sys.modules if name.startswith('lsp_tap')])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert run.stdout.strip() == "['lsp_tap._version', 'lsp_tap']"


def test_every_public_name_is_there() -> None:
    import lsp_tap

    for name in lsp_tap.__all__:
        assert getattr(lsp_tap, name) is not None
    assert set(lsp_tap.__all__) <= set(dir(lsp_tap))
    with pytest.raises(AttributeError, match="nothing"):
        _ = lsp_tap.nothing


def test_says_what_was_started(tmp_path: Path) -> None:
    environment = {"OPENCODE_PID": "77", "OPENCODE": "1", "LANG": "C.UTF-8", "SECRET_TOKEN": "hunter2"}
    command = peer("echo", "größe")
    with tap(command, tmp_path, environment=environment, cwd=tmp_path, options=("--name", "pyright")) as tapped:
        tapped.finish()
        started = tapped.read_journal()[0]
        assert isinstance(started, TapStarted)
        assert (started.name, started.command, started.cwd) == ("pyright", tuple(command), str(tmp_path))
        assert (started.pid, started.parent_pid) == (tapped.process.pid, os.getpid())
        assert (started.client, started.client_pid, started.probe) == ("opencode", 77, True)
        assert started.executable == os.path.abspath(command[0])
        assert started.environment["LANG"] == "C.UTF-8"
        assert "hunter2" not in tapped.journal_path.read_text()
        assert tapped.journal_path.name.startswith("server-pyright-")
        assert tapped.journal_path.name.endswith(f"-{tapped.process.pid}.jsonl")


def test_is_named_after_the_command_unless_told(tmp_path: Path) -> None:
    with tap(["cat"], tmp_path) as tapped:
        tapped.finish()
        started = tapped.read_journal()[0]
        assert isinstance(started, TapStarted)
        assert (started.name, started.client, started.probe) == ("cat", None, False)


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["no-such-server"], 127, "cannot run no-such-server: it is not on the PATH"),
        (["/no/such/server"], 127, "cannot run /no/such/server: no such file"),
        (["./"], 126, "cannot run ./: it is a folder"),
        (["./plain"], 126, "is not executable"),
        (["./no-interpreter"], 127, "the interpreter of"),
        (["./no-program"], 126, "cannot run ./no-program: Exec format error"),
    ],
)
def test_a_server_that_cannot_be_run_is_named_in_one_line(
    command: list[str], code: int, words: str, tmp_path: Path
) -> None:
    for name, text in (("plain", ""), ("no-interpreter", "#!/no/such/program\n"), ("no-program", "\x7fELF no")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o644 if name == "plain" else 0o755)
    with tap(command, tmp_path / "logs", cwd=tmp_path) as tapped:
        out, err = tapped.finish()
        assert out == b""
        assert err.decode().count("\n") == 1
        assert words in err.decode()
        assert tapped.wait() == code
        started, stopped = tapped.read_journal()
        assert isinstance(started, TapStarted)
        assert started.executable is None
        assert isinstance(stopped, TapStopped)
        assert stopped.reason == ("server not found" if code == 127 else "server not executable")
        assert stopped.exit_code == code


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "which server?"),
        (["--"], "which server?"),
        (["--", ""], "which server?"),
        (["pyright"], "after --"),
        (["--nmae", "x", "--", "y"], "no option --nmae"),
        (["--name", "--", "y"], "--name needs a value"),
        (["--dir=", "--", "y"], "--dir needs a value"),
        (["--dir"], "--dir needs a value"),
    ],
)
def test_wrong_words_are_told_of_in_one_line(words: list[str], complaint: str) -> None:
    run = subprocess.run([sys.executable, "-m", "lsp_tap", "run", *words], capture_output=True, check=False, text=True)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1
    assert complaint in run.stderr
    with pytest.raises(UsageError):
        Options(words)


def test_words_for_the_server_are_its_own() -> None:
    options = Options(["--name=ruff", "--dir", "logs", "--no-probe", "--", "ruff", "server", "--", "--name", "x"])
    assert options.command == ["ruff", "server", "--", "--name", "x"]
    assert (options.name, options.folder, options.is_probing) == ("ruff", "logs", False)


def test_help_is_on_standard_output() -> None:
    run = subprocess.run([sys.executable, "-m", "lsp_tap", "run", "--help"], capture_output=True, check=True, text=True)
    assert run.stdout.startswith("usage: lsp-tap run")
    assert run.stderr == ""


def test_the_server_sees_the_environment_and_folder_of_the_client(tmp_path: Path) -> None:
    code = "import os; os.write(1, f'{os.getcwd()} {os.environ[\"FROM_CLIENT\"]}'.encode())"
    with tap(python(code), tmp_path / "logs", cwd=tmp_path, environment={"FROM_CLIENT": "yes"}) as tapped:
        assert tapped.finish()[0].decode() == f"{tmp_path} yes"
