"""kill -9 at random points: what was journalled is whole, nobody is left behind, and the rest can be computed."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from lsp_tap.session.recording import read_recording
from lsp_tap.wire.framing import Frame, FrameSplitter, encode_frame
from tests.faults.journals import list_bodies, read_valid_prefix
from tests.faults.processes import find_server, wait_all_gone
from tests.faults.seeds import list_rounds, told_of
from tests.faults.talking import Talking
from tests.soak.load import pause
from tests.tap.tapped import Tapped, peer, tap, wait_until

END_S = 8.0
"""A tap is gone within five seconds of its client, and the guard of a killed tap gives its server two."""


def rounds(short: int, full: int) -> pytest.MarkDecorator:
    long = pytest.param(full, id="full", marks=[pytest.mark.soak, pytest.mark.timeout(3600)])
    return pytest.mark.parametrize("count", [pytest.param(short, id="short"), long])


@rounds(8, 330)
def test_a_killed_tap_server_or_client_leaves_whole_journals_and_nobody_behind(count: int, tmp_path: Path) -> None:
    longest_s, frames = 0.0, 0
    for name, randomness in list_rounds(count):
        folder = tmp_path / name.replace("/", "-")
        folder.mkdir()
        with told_of(name):
            ended_s, journalled = play_and_kill(folder, randomness)
        longest_s, frames = max(longest_s, ended_s), frames + journalled
    assert frames > 10 * count, "the rounds ended before anything was said"
    sys.stdout.write(f"{frames} frames journalled; all processes gone {longest_s:.1f} s after a kill at the latest\n")


def play_and_kill(folder: Path, randomness: random.Random) -> tuple[float, int]:
    """One conversation and its end; how long the others took to end, and how many frames are in the journal."""
    victims = randomness.choice((("tap",), ("server",), ("client",), ("tap", "server"), ("server", "client")))
    delay_s = randomness.choice((0.06, 0.3, 0.8)) * randomness.random()
    words = [randomness.choice(("static", "dynamic")), *randomness.sample(("chatty", "pieces", "id-last"), 1)]
    server = peer("pull_server", str(folder / "received"), *words)
    with tap(server, folder / "logs", options=(), cwd=folder) as tapped:
        talking = Talking(tapped, randomness)
        pause(delay_s)
        if "server" in victims:
            wait_until(lambda: find_server(folder, "pull_server.py") is not None, "the server")
        start_s = time.monotonic()
        for victim in victims:
            kill(victim, tapped, talking, folder)
        wait_all_gone(folder, END_S)
        ended_s = time.monotonic() - start_s
        if "client" not in victims:
            talking.wait()
        tapped.wait()
    journals = list((folder / "logs").glob("tap/*"))
    if not journals:
        assert "tap" in victims
        return ended_s, 0
    (path,) = journals
    return ended_s, check_journal(path, talking, is_whole="tap" not in victims)


def kill(victim: str, tapped: Tapped, talking: Talking, folder: Path) -> None:
    if victim == "tap":
        tapped.process.kill()
    elif victim == "client":
        talking.die()
    else:
        pid = find_server(folder, "pull_server.py")
        if pid is not None:  # a killed tap's guard may have been quicker
            os.kill(pid, signal.SIGKILL)


def check_journal(path: Path, talking: Talking, *, is_whole: bool) -> int:
    records = read_valid_prefix(path)
    asked, answered = list_bodies(path, "client_to_server"), list_bodies(path, "server_to_client")
    assert asked == talking.sent[: len(asked)]
    recorded = b"".join(map(encode_frame, answered))
    assert recorded.startswith(talking.heard) or talking.heard.startswith(recorded)
    if is_whole:
        assert records[-1]["kind"] == "tap_stopped"
        assert not any(record["kind"] == "dropped" for record in records)
        rest = talking.heard[len(recorded) :]
        assert not any(isinstance(event, Frame) for event in FrameSplitter().feed(rest)), "heard and not journalled"
    texts = [text for record in records if (text := find_text(record)) is not None]
    recording = read_recording(path.parents[1])
    assert [change.text for timeline in recording.timelines for change in timeline.changes] == texts
    return len(asked) + len(answered)


def find_text(record: dict[str, object]) -> str | None:
    """What a frame of the client's says a document holds now."""
    match record:
        case {"message": {"method": "textDocument/didOpen", "params": {"textDocument": {"text": str(text)}}}}:
            return text
        case {"message": {"method": "textDocument/didChange", "params": {"contentChanges": [{"text": str(text)}]}}}:
            return text
    return None
