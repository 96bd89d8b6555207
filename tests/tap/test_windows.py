"""The branches for Windows: with what Windows lacks taken away, and its command lines as text. Nothing here has run on
Windows itself.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lsp_tap.journal.records import ServerExited, TapStarted
from lsp_tap.tap.spawn import NotStarted, encode_batch_command, is_batch_file
from tests.tap.tapped import is_alive, peer, python, tap, wait_until
from tests.tap.test_endings import read_pids

PRETENDED = Path(__file__).parent / "peers" / "windows"
SHELL = r"C:\Windows\system32\cmd.exe"
MESSAGE = {"id": 1, "method": "m", "params": {"text": "x" * 100_000}}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a tap that takes itself to be on Windows."""
    taskkill = tmp_path / "bin" / "taskkill"
    taskkill.parent.mkdir()
    taskkill.write_text('#!/bin/sh\n[ "$1 $2 $3" = "/T /F /PID" ] && kill -9 "$4"\n')
    taskkill.chmod(0o755)
    return {"PYTHONPATH": str(PRETENDED), "PATH": f"{taskkill.parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("options", [("--no-probe",), ()], ids=["without the probe", "with the probe"])
def test_a_session(options: tuple[str, ...], environment: dict[str, str], tmp_path: Path) -> None:
    with tap(peer("echo"), tmp_path / "logs", options=options, environment=environment) as tapped:
        for _ in range(20):
            tapped.send_message(MESSAGE)
            assert tapped.read_message()["id"] == 1
        assert tapped.finish() == (b"", b"")
        assert tapped.wait() == 0
        entries = tapped.read_journal()
        assert isinstance(entries[0], TapStarted)
        assert entries[0].platform == "win32"
        assert tapped.read_kinds().count("frame") == 40
        assert tapped.read_kinds()[-1] == "tap_stopped"


def test_a_server_that_exits_and_one_that_is_not_there(environment: dict[str, str], tmp_path: Path) -> None:
    with tap(python("import sys; sys.exit(7)"), tmp_path / "1", environment=environment) as tapped:
        assert tapped.wait() == 7
    with tap(["no-such-server"], tmp_path / "2", environment=environment) as tapped:
        out, err = tapped.finish()
        assert (out, tapped.wait()) == (b"", 127)
        assert err.decode().count("\n") == 1
        assert "cannot run no-such-server" in err.decode()


def test_a_server_that_will_not_go_is_ended(environment: dict[str, str], tmp_path: Path) -> None:
    with tap(peer("stubborn"), tmp_path / "logs", environment=environment) as tapped:
        (pid,) = read_pids(tapped)
        tapped.stdin.close()
        tapped.wait()
        wait_until(lambda: not is_alive(pid), "the server to end")
        (exited,) = [entry for entry in tapped.read_journal() if isinstance(entry, ServerExited)]
        assert exited.code is not None


def test_batch_files_are_run_by_the_shell_with_every_word_in_quotes() -> None:
    assert is_batch_file(r"C:\npm\pyright-langserver.CMD")
    assert is_batch_file("server.bat")
    assert not is_batch_file(r"C:\bin\clangd.exe")
    command = encode_batch_command(r"C:\Program Files\npm\ls.cmd", ["--stdio", "a b", "x&calc"], SHELL)
    assert command == rf'"{SHELL}" /d /s /v:off /c ""C:\Program Files\npm\ls.cmd" "--stdio" "a b" "x&calc""'


@pytest.mark.parametrize("word", ['"', "%PATH%", "a\nb", "a\rb"])
def test_what_the_shell_would_make_something_else_of_is_refused(word: str) -> None:
    with pytest.raises(NotStarted, match="a batch file cannot be given the argument"):
        encode_batch_command("ls.cmd", [word], SHELL)
