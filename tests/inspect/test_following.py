"""`log -f`: taps that run and taps that start, as they write."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lsp_tap.inspect.flows import Item
from lsp_tap.inspect.following import HOLD_US, Following
from lsp_tap.inspect.log_output import Wanted, follow_log
from lsp_tap.journal.capture import open_capture
from tests.inspect.recorded import RecordedClient, RecordedTap
from tests.tap.tapped import peer, tap, wait_until


class Enough(Exception):
    """Raised by a test's pause to end following, as Ctrl-C does."""


def describe(items: list[Item]) -> list[str]:
    return [f"{item.server.name} {item.method or item.kind}" for item in items]


def live(folder: Path, name: str, at_ms: float = 0, pid: int | None = None) -> RecordedTap:
    """A tap whose process runs: this one's, or its parent's."""
    return RecordedTap(folder, name, at_ms=at_ms, pid=pid or os.getpid())


def test_what_two_taps_write_comes_by_time_and_once(tmp_path: Path) -> None:
    alpha, beta = live(tmp_path, "alpha"), live(tmp_path, "beta", at_ms=10, pid=os.getppid())
    following = Following(tmp_path, last=0)
    now_us = beta.time_us + 10_000_000
    assert following.read_new(now_us) == []
    beta.at_ms = 49
    beta.ask("x/second")
    alpha.at_ms = 29
    alpha.ask("x/first")
    assert describe(following.read_new(now_us)) == ["alpha x/first", "beta x/second"]
    assert following.read_new(now_us) == []


def test_what_is_young_waits_for_what_another_tap_is_still_writing(tmp_path: Path) -> None:
    alpha, beta = live(tmp_path, "alpha"), live(tmp_path, "beta", pid=os.getppid())
    following = Following(tmp_path, last=0)
    alpha.at_ms = 100
    alpha.ask("x/later")
    assert following.read_new(alpha.time_us) == []
    beta.at_ms = 50
    beta.ask("x/earlier")
    assert describe(following.read_new(alpha.time_us + HOLD_US)) == ["beta x/earlier", "alpha x/later"]


def test_an_answer_finds_the_request_that_was_recorded_before(tmp_path: Path) -> None:
    alpha = live(tmp_path, "alpha")
    asked = alpha.ask("textDocument/hover")
    following = Following(tmp_path, last=0)
    alpha.answer(asked, {})
    assert describe(following.read_new(alpha.time_us + HOLD_US)) == ["alpha textDocument/hover"]


def test_taps_that_ended_are_left_out_and_those_that_start_are_followed(tmp_path: Path) -> None:
    RecordedTap(tmp_path, "ended", pid=os.getpid()).stop()
    live(tmp_path, "alpha", at_ms=5)
    following = Following(tmp_path)
    started = live(tmp_path, "started", at_ms=20)
    started.ask("x/y")
    assert describe(following.read_new(started.time_us + HOLD_US)) == ["alpha event", "started event", "started x/y"]


def test_a_capture_that_is_named_is_followed_alone_from_its_last_lines(tmp_path: Path) -> None:
    alpha, beta = live(tmp_path, "alpha"), live(tmp_path, "beta", pid=os.getppid())
    for number in range(5):
        alpha.ask(f"x/{number}")
    following = Following(tmp_path, open_capture([str(alpha.path)], tmp_path), last=2)
    beta.ask("x/other")
    assert describe(following.read_new(alpha.time_us + HOLD_US)) == ["alpha x/3", "alpha x/4"]


def test_lines_are_filtered_by_calls_that_start_meanwhile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alpha, client = live(tmp_path, "alpha"), RecordedClient(tmp_path)
    looks = 0

    def pause(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            client.call("call_1", "edit", 100, 200, "/p/cart.py")
            alpha.at_ms = 150
            alpha.ask("x/inside", "file:///p/cart.py")
            alpha.at_ms = 300
            alpha.ask("x/outside", "file:///p/cart.py")
        if looks == 3:
            raise Enough

    with pytest.raises(Enough):
        follow_log(Wanted(("~t", "edit"), tmp_path, template="{method} {calls}"), pause)
    assert capsys.readouterr().out.splitlines() == ["x/inside call_1"]


def test_a_real_tap_is_followed_until_ctrl_c(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    command = [sys.executable, "-u", "-m", "lsp_tap", "log", "-f", "--dir", str(folder), "--format", "{arrow} {method}"]
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen([*command, "~m *"], stdout=out, stderr=subprocess.PIPE)
    try:
        with tap(peer("echo"), folder) as tapped:
            tapped.send_message({"id": 1, "method": "x/echo"})
            wait_until(lambda: "→ x/echo" in (tmp_path / "out").read_text(), "the request to be shown")
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, error) == (130, b"")
