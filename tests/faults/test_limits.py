"""A process that may have few files open: the tap runs, or says in one line why not."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from lsp_tap.wire.framing import encode_frame
from tests.faults.journals import read_valid_prefix
from tests.tap.tapped import Tapped, peer, tap

ENOUGH = 14
"""Standard input, output and error, the guard's pipe, both ends of the server's, and some to spare."""


def echo(tapped: Tapped, frames: bytes) -> bytes:
    """All of them come back, and all ends well. What was said on standard error."""
    sender = threading.Thread(target=tapped.send, args=(frames,))
    sender.start()
    assert tapped.read(len(frames)) == frames
    sender.join()
    out, err = tapped.finish()
    assert (out, tapped.wait()) == (b"", 0)
    return err


@pytest.mark.parametrize("limit", range(6, ENOUGH))
def test_too_few_open_files_are_told_of_in_one_line(limit: int, tmp_path: Path) -> None:
    with tap(peer("echo"), tmp_path, prepare=f"ulimit -n {limit}") as tapped:
        out, err = tapped.finish()
        assert (out, tapped.wait()) == (b"", 126)
        assert err.decode().count("\n") == 1
        assert "Too many open files" in err.decode()


@pytest.mark.parametrize("options", [(), ("--no-probe",)], ids=["with the probe", "without the probe"])
@pytest.mark.parametrize("limit", [ENOUGH, ENOUGH + 1, 20])
def test_enough_open_files_are_few(limit: int, options: tuple[str, ...], tmp_path: Path) -> None:
    """Also for a burst that is more than fits into memory."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "m", "params": "x" * 40_000}).encode()
    frames = encode_frame(body) * 100
    with tap(peer("echo"), tmp_path, prepare=f"ulimit -n {limit}", options=options) as tapped:
        err = echo(tapped, frames)
        records = read_valid_prefix(tapped.journal_path)
    dropped = sum(record["count"] for record in records if record["kind"] == "dropped")
    assert err.decode().count("\n") == (dropped > 0)
    assert sum(record["kind"] == "frame" for record in records) + dropped >= 200


STACK_KB = 100_000
"""Of each thread: so that what may be had of memory is a number of threads."""


def limit_threads(count: float) -> str:
    return f"export MALLOC_ARENA_MAX=1; ulimit -S -s {STACK_KB}; ulimit -S -v {int((count + 0.4) * STACK_KB)}"


@pytest.mark.parametrize("threads", range(4))
def test_without_the_threads_that_pass_bytes_on_no_server_runs(threads: int, tmp_path: Path) -> None:
    with tap(peer("echo"), tmp_path, prepare=limit_threads(threads)) as tapped:
        assert tapped.wait() == 126
        assert tapped.finish() == (b"", b"lsp-tap: cannot run the server: can't start new thread\n")
        assert [record["kind"] for record in read_valid_prefix(tapped.journal_path)] == ["tap_started", "tap_stopped"]


def test_without_a_thread_that_records_the_bytes_pass(tmp_path: Path) -> None:
    frames = encode_frame(b'{"jsonrpc":"2.0","method":"m"}') * 100_000
    with tap(peer("echo"), tmp_path, prepare=limit_threads(4)) as tapped:
        err = echo(tapped, frames)
        assert err == b"lsp-tap: cannot record: can't start new thread; the connection goes on, unrecorded\n"
        assert tapped.list_journals() == []
