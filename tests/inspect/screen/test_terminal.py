"""The real command on a real terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.golden.test_golden import GOLDEN
from tests.inspect.recorded import RecordedTap
from tests.inspect.screen.scenes import write_small
from tests.inspect.screen.terminal import PATIENCE_S, Terminal
from tests.tap.tapped import peer, tap

RECORDED = str(GOLDEN / "two-servers-on-one-file-have-two-findings")


def test_it_opens_answers_keys_typed_ahead_and_quits() -> None:
    with Terminal(["inspect", RECORDED, "~s", "ruff"]) as terminal:
        terminal.wait_for(r"1 of \d+ of 97")
        terminal.press("f" + "\x08" * 10 + "~k notification & hint\x08\x08\x08\x08~m didOpen\rq")
        assert terminal.wait() == 0
        assert terminal.is_restored
        assert "Traceback" not in terminal.text


def test_what_a_tap_writes_appears_and_so_does_a_tap_that_starts(tmp_path: Path) -> None:
    alpha = RecordedTap(tmp_path, "alpha", pid=os.getpid())
    with Terminal(["inspect", "--dir", str(tmp_path)]) as terminal:
        terminal.wait_for("following")
        alpha.ask("x/while-looking")
        terminal.wait_for("x/while-looking")
        with tap(peer("echo"), tmp_path) as tapped:
            tapped.send_message({"id": 1, "method": "x/of-a-new-tap"})
            terminal.wait_for("x/of-a-new-tap")
        terminal.press("f")
        terminal.wait_for("filter:")
        terminal.press("~m *later\r")
        terminal.wait_for("0 of 0 of")
        alpha.ask("x/later")
        terminal.wait_for("later #2")
        terminal.signal(signal.SIGINT)
        assert terminal.wait() == 0
        assert terminal.is_restored


def test_ctrl_c_ends_it_cleanly_while_it_asks(tmp_path: Path) -> None:
    write_small(tmp_path)
    with Terminal(["inspect", str(tmp_path)], environment={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("of 15")
        terminal.press("/")
        terminal.wait_for("search:")
        terminal.press("\x03")
        assert terminal.wait() == 0
        assert terminal.is_restored
        assert b"\x1b[38" not in terminal.raw
        assert b"\x1b[48" not in terminal.raw


def test_a_terminal_that_is_gone_ends_it() -> None:
    with Terminal(["inspect", RECORDED]) as terminal:
        terminal.wait_for("of 97")
        terminal.hang_up()
        terminal.process.wait(PATIENCE_S)


def test_into_a_pipe_it_says_what_to_use_instead() -> None:
    command = [sys.executable, "-m", "lsp_tap", "inspect", RECORDED]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "lsp-tap: inspect needs a terminal: `lsp-tap log` prints the same messages\n"


def test_what_is_wrong_is_said_before_the_screen_opens(tmp_path: Path) -> None:
    for words, reason in ((["nothing.jsonl"], "no such file"), ([RECORDED, "~k", "x"], "~k is one of")):
        with Terminal(["inspect", *words, "--dir", str(tmp_path)]) as terminal:
            assert terminal.wait() in (1, 2)
            assert reason in terminal.text
            assert b"\x1b[?1049h" not in terminal.raw
