"""However a session ends, nothing is left of it, and the journal says how."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lsp_tap.journal.reader import Entry
from lsp_tap.journal.records import Frame, ServerExited, TapStopped
from lsp_tap.tap.recorder import Recorder
from lsp_tap.tap.relay import ClientPump
from tests.tap.tapped import Tapped, is_alive, peer, python, tap, wait_until

SPEAK_AND_WAIT = "import os, sys; os.write(1, b'%d\\n' % os.getpid()); sys.stdin.buffer.read(); "


def read_pids(tapped: Tapped) -> list[int]:
    line = b""
    while not line.endswith(b"\n"):
        line += tapped.read(1)
    return [int(word) for word in line.split()]


def last(entries: list[Entry]) -> tuple[ServerExited, TapStopped]:
    exited, stopped = entries[-2:]
    assert isinstance(exited, ServerExited)
    assert isinstance(stopped, TapStopped)
    return exited, stopped


@contextlib.contextmanager
def ends_within(seconds: float, at_least: float = 0.0) -> Iterator[None]:
    start_s = time.monotonic()
    yield
    assert at_least <= time.monotonic() - start_s < seconds


@pytest.mark.parametrize("code", [0, 9, 255])
def test_exits_with_the_code_of_the_server(code: int, tmp_path: Path) -> None:
    with tap(python(f"import sys; sys.exit({code})"), tmp_path) as tapped:
        assert tapped.wait() == code
        exited, stopped = last(tapped.read_journal())
        assert (exited.code, exited.signal) == (code, None)
        assert (stopped.reason, stopped.exit_code) == ("server exited", code)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_server_killed_by_a_signal_gives_128_and_its_number(number: signal.Signals, tmp_path: Path) -> None:
    with tap(python(f"import os; os.kill(os.getpid(), {int(number)})"), tmp_path) as tapped:
        assert tapped.wait() == 128 + number
        exited, _ = last(tapped.read_journal())
        assert (exited.code, exited.signal) == (None, number)


def test_what_a_server_says_last_is_passed_on(tmp_path: Path) -> None:
    code = "import os; os.write(1, b'Content-Length: 2\\r\\n\\r\\n{}'); os.write(2, b'bye'); os._exit(4)"
    with tap(python(code), tmp_path) as tapped:
        assert tapped.finish() == (b"Content-Length: 2\r\n\r\n{}", b"bye")
        assert tapped.wait() == 4
        assert tapped.read_kinds()[2:-2] in (["frame", "stderr"], ["stderr", "frame"])


def test_when_the_client_closes_the_server_may_finish(tmp_path: Path) -> None:
    code = SPEAK_AND_WAIT + "import select; select.select([], [], [], 0.4); os.write(1, b'done'); sys.exit(5)"
    with tap(python(code), tmp_path) as tapped:
        read_pids(tapped)
        out, _ = tapped.finish()
        assert (out, tapped.wait()) == (b"done", 5)
        assert last(tapped.read_journal())[1].reason == "client closed"


def test_that_the_client_closed_is_told_before_the_server_can_exit_for_it() -> None:
    """Or a server that is quick would seem to have left by itself."""
    ours, client = os.pipe()
    server, theirs = os.pipe()
    os.set_blocking(server, False)
    os.close(client)
    told: list[str] = []

    def report(event: str) -> None:
        told.append(event)
        with pytest.raises(BlockingIOError):  # neither a byte nor the end
            os.read(server, 1)

    ClientPump(ours, theirs, Recorder(lambda: pytest.fail("it is not started")), report).run()
    assert told == ["client closed"]
    assert os.read(server, 1) == b""
    os.close(ours)
    os.close(server)


def test_a_server_that_works_on_while_it_is_listened_to_is_not_cut_off(tmp_path: Path) -> None:
    code = SPEAK_AND_WAIT + "import select\nfor _ in range(6): select.select([], [], [], 0.4); os.write(1, b'x')"
    with tap(python(code), tmp_path) as tapped:
        read_pids(tapped)
        with ends_within(4.5, at_least=2.0):
            assert tapped.finish()[0] == b"xxxxxx"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_both(number: signal.Signals, tmp_path: Path) -> None:
    with tap(python(SPEAK_AND_WAIT), tmp_path) as tapped:
        (pid,) = read_pids(tapped)
        with ends_within(2.0):
            tapped.signal(number)
            assert tapped.wait() == 128 + number
        assert not is_alive(pid)
        assert last(tapped.read_journal())[1].reason == f"signal {number:d}"


@pytest.mark.parametrize("words", [[], ["deaf"], ["loud"]], ids=["", "deaf", "loud"])
@pytest.mark.parametrize("how", ["signal", "close"])
def test_a_stubborn_server_is_killed(words: list[str], how: str, tmp_path: Path) -> None:
    with tap(peer("stubborn", *words), tmp_path, stdout=None) as tapped:
        (pid,) = read_pids(tapped)
        with ends_within(5.0, at_least=1.9):
            if how == "signal":
                tapped.signal(signal.SIGTERM)
            else:
                # A client that is gone reads no more either.
                tapped.stdin.close()
                assert tapped.process.stdout is not None
                tapped.process.stdout.close()
            assert tapped.wait() == (143 if how == "signal" else 137)
        assert not is_alive(pid)
        assert last(tapped.read_journal())[0].signal == signal.SIGKILL


def test_a_second_signal_kills_at_once(tmp_path: Path) -> None:
    with tap(peer("stubborn"), tmp_path) as tapped:
        (pid,) = read_pids(tapped)
        with ends_within(1.5, at_least=0.4):
            tapped.signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                tapped.wait(0.4)
            tapped.signal(signal.SIGTERM)
            assert tapped.wait() == 143
        assert not is_alive(pid)


@pytest.mark.parametrize("how", ["close", "signal"])
def test_what_the_server_started_ends_with_it(how: str, tmp_path: Path) -> None:
    with tap(peer("stubborn", "child"), tmp_path) as tapped:
        pids = read_pids(tapped)
        with ends_within(5.0):
            if how == "close":
                tapped.stdin.close()
            else:
                tapped.signal(signal.SIGTERM)
            assert tapped.wait() == (3 if how == "close" else 143)
        assert [pid for pid in pids if is_alive(pid)] == []


def test_a_client_that_dies_while_the_server_does_not_read_ends_both(tmp_path: Path) -> None:
    """The pump is stuck in a write then, and never comes to read the end of its input."""
    code = f"""
import os, subprocess, sys
tap = subprocess.Popen([sys.executable, "-m", "lsp_tap", "run", "--dir", {str(tmp_path)!r}, "--",
                        *{peer("stubborn", "deaf")!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
print(tap.pid, tap.stdout.readline().decode(), end="", flush=True)
while True:
    os.write(tap.stdin.fileno(), b"x" * 65536)
    print("written", flush=True)
"""
    client = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert client.stdout is not None
    pids = [int(word) for word in client.stdout.readline().split()]
    # What two pipes hold, and as much again that the pump has taken and cannot get rid of.
    for _ in range(3):
        assert client.stdout.readline() == b"written\n"
    with ends_within(5.0):
        client.kill()
        client.wait()
        wait_until(lambda: not any(map(is_alive, pids)), "tap and server to be gone")
    client.stdout.close()


def test_a_killed_tap_leaves_no_server(tmp_path: Path) -> None:
    with tap(peer("stubborn", "child"), tmp_path) as tapped:
        pids = read_pids(tapped)
        wait_until(lambda: tapped.read_kinds()[:2] == ["tap_started", "server_started"], "the journal's beginning")
        with ends_within(5.0):
            tapped.signal(signal.SIGKILL)
            tapped.wait()
            wait_until(lambda: not any(map(is_alive, pids)), "the guard to end the server")


def test_the_guard_goes_with_the_tap(tmp_path: Path) -> None:
    with tap(peer("echo"), tmp_path) as tapped:
        tapped.send_message({"method": "m"})
        tapped.read_message()
        children = Path(f"/proc/{tapped.process.pid}/task/{tapped.process.pid}/children").read_text().split()
        assert len(children) == 2
        tapped.finish()
        wait_until(lambda: not any(is_alive(int(pid)) for pid in children), "both children to be gone")


def test_everything_said_before_a_kill_is_in_the_journal(tmp_path: Path) -> None:
    with tap(peer("echo"), tmp_path) as tapped:
        for number in range(50):
            tapped.send_message({"id": number, "method": "m"})
            tapped.read_message()
        wait_until(lambda: tapped.read_kinds().count("frame") == 100, "the journal")
        tapped.signal(signal.SIGKILL)
        tapped.wait()
        ids = [entry.message["id"] for entry in tapped.read_journal() if isinstance(entry, Frame)]
        assert sorted(ids) == sorted([*range(50), *range(50)])


def test_a_server_that_closes_its_output_closes_ours(tmp_path: Path) -> None:
    code = "import os, sys; os.close(1); sys.stdin.buffer.read(); os._exit(6)"
    with tap(python(code), tmp_path) as tapped:
        assert tapped.process.stdout is not None
        assert os.read(tapped.process.stdout.fileno(), 10) == b""
        assert tapped.process.poll() is None
        tapped.stdin.close()
        assert tapped.wait() == 6


def test_a_server_that_closes_its_input_does_not_end_the_session(tmp_path: Path) -> None:
    code = (
        "import os, signal; os.close(0)\n"
        "signal.signal(signal.SIGUSR1, lambda *_: os._exit(os.write(1, b'alive') + 2))\n"
        "os.write(1, b'%d\\n' % os.getpid()); signal.pause()"
    )
    with tap(python(code), tmp_path) as tapped:
        (pid,) = read_pids(tapped)
        for _ in range(5):
            tapped.send(b"x" * 100_000)
        os.kill(pid, signal.SIGUSR1)
        assert tapped.read(5) == b"alive"
        assert tapped.wait() == 7


def test_a_hang_up_that_was_ignored_stays_ignored(tmp_path: Path) -> None:
    with tap(peer("echo"), tmp_path, prepare="trap '' HUP") as tapped:
        tapped.send(b"a")
        tapped.read(1)
        tapped.signal(signal.SIGHUP)
        tapped.send(b"b")
        assert tapped.read(1) == b"b"
        tapped.finish()
        assert tapped.wait() == 0


def test_the_server_gets_no_ignored_signals_from_python(tmp_path: Path) -> None:
    # Python itself ignores SIGPIPE, so another program has to look.
    command = ["grep", "SigIgn", "/proc/self/status"]
    with tap(command, tmp_path) as tapped:
        out, _ = tapped.finish()
        assert int(out.split()[1], 16) & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1) == 0


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_what_was_closed_at_the_start_does_not_become_the_journal(closed: str, tmp_path: Path) -> None:
    """The lowest free number goes to the next file that is opened, and the journal is one of the first."""
    up, go = tmp_path / "up", tmp_path / "go"
    os.mkfifo(go)
    code = (
        f"import os; os.close(os.open({str(up)!r}, os.O_CREAT)); os.read(os.open({str(go)!r}, os.O_RDONLY), 1)\n"
        "os.write(1, b'{}'); os.write(2, b'note'); os.read(0, 1)"
    )
    with tap(python(code), tmp_path, prepare=f"exec {closed}") as tapped:
        wait_until(lambda: up.exists() and tapped.read_kinds() == ["tap_started", "server_started"], "the journal")
        go.write_bytes(b"x")
        wait_until(lambda: {"stderr", "invalid"} <= set(tapped.read_kinds()), "what the server says")
        tapped.stdin.close()
        assert tapped.wait() == 0
        assert tapped.read_kinds()[-2:] == ["server_exited", "tap_stopped"]
        assert "unreadable" not in tapped.read_kinds()
