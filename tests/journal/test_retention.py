from __future__ import annotations

import fcntl
import json
import os
import random
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from lsp_tap.journal.reader import Journal, JournalReader, Unreadable, read_folder, read_head, read_journal
from lsp_tap.journal.records import Frame, Pruned, SessionUpdated, TapStarted, TapStopped
from lsp_tap.journal.retention import (
    HEAD_FRAMES,
    Candidate,
    Limits,
    compress_finished,
    is_finished,
    measure_usage,
    plan_pruning,
    prune_journal,
)
from lsp_tap.journal.stored import open_journal
from lsp_tap.journal.writer import create_file

LONG_AGO_S = 946_684_800
"""2000: before this machine was started."""


def encode_record(seq: int, kind: str, **fields: Any) -> bytes:
    return json.dumps({"seq": seq, "time_us": 1000 + seq, "monotonic_us": seq, "kind": kind, **fields}).encode() + b"\n"


def encode_start(pid: int = 1) -> bytes:
    named = {"format": 1, "recorder": "t", "name": "x", "command": ["x"], "cwd": "/p"}
    return encode_record(0, "tap_started", pid=pid, **named)


def encode_message(seq: int, direction: str, **message: Any) -> bytes:
    return encode_record(seq, "frame", direction=direction, raw_length=1, message={"jsonrpc": "2.0", **message})


def encode_changes(first: int, count: int) -> list[bytes]:
    shuffled = random.Random(1)
    lines = [f"line {shuffled.random()}" for _ in range(200)]
    records = []
    for seq in range(first, first + count):
        lines[shuffled.randrange(200)] = f"changed {shuffled.random()}"
        params = {"textDocument": {"uri": "file:///p/a"}, "contentChanges": [{"text": "\n".join(lines)}]}
        records.append(encode_message(seq, "client_to_server", method="textDocument/didChange", params=params))
    return records


def encode_whole() -> list[bytes]:
    """A finished tap's journal."""
    return [
        encode_start(),
        encode_record(1, "server_started", pid=2),
        encode_message(2, "client_to_server", id=0, method="initialize", params={}),
        encode_message(3, "server_to_client", id=0, result={"capabilities": {}}),
        encode_message(4, "client_to_server", method="initialized", params={}),
        encode_message(5, "server_to_client", id=0, method="client/registerCapability", params={"registrations": []}),
        encode_message(6, "client_to_server", id=0, result=None),
        encode_message(7, "server_to_client", id="c", method="workspace/configuration", params={"items": [{}]}),
        encode_message(8, "client_to_server", id="c", result=[{"strict": True}]),
        *encode_changes(9, 50),
        encode_message(59, "client_to_server", id=1, method="shutdown"),
        encode_message(60, "server_to_client", id=1, result=None),
        encode_record(61, "server_exited", code=0, signal=None),
        encode_record(62, "tap_stopped", reason="client closed", exit_code=0),
    ]


def write(path: Path, lines: list[bytes]) -> Journal:
    path.write_bytes(b"".join(lines))
    journal = read_head(path)
    assert journal is not None
    return journal


def read_bytes(path: Path) -> bytes:
    file, _ = open_journal(path)
    with file:
        return file.read()


def end_process() -> int:
    """The id of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "server-x.jsonl"


def test_a_finished_journal_is_compressed_and_reads_the_same(path: Path) -> None:
    write(path, encode_whole())
    os.utime(path, ns=(5, 7))
    before, entries = path.read_bytes(), list(read_journal(path))
    (packed,) = compress_finished(path.parent)
    assert packed == path.with_name("server-x.jsonl.zst")
    assert not path.exists()
    assert read_bytes(packed) == before
    assert list(read_journal(packed)) == list(read_journal(path)) == entries
    assert [journal.path for journal in read_folder(path.parent)] == [packed]
    status = packed.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o600, 7)
    assert len(before) / status.st_size > 20, "every text is there fifty times"
    assert compress_finished(path.parent) == []


@given(st.lists(st.binary(max_size=30), max_size=20))
def test_every_byte_comes_back(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("tap") / "server-x.jsonl"
    content = b"\n".join([*pieces, encode_record(1, "tap_stopped", reason="r")])
    path.write_bytes(content)
    assert len(compress_finished(path.parent)) == 1
    assert read_bytes(path) == content


def test_what_was_finished_lately_stays_plain(path: Path) -> None:
    write(path, [encode_start(end_process()), *encode_changes(1, 2)])
    assert compress_finished(path.parent, 3600, 1 << 20) == []
    os.utime(path, (path.stat().st_mtime - 3601,) * 2)
    assert len(compress_finished(path.parent, 3600, 1 << 20)) == 1


def test_of_what_was_finished_lately_only_so_much_stays_plain(path: Path) -> None:
    """The oldest goes first, and what still grows does not count."""
    body = encode_changes(1, 2)
    running = path.with_name("server-running.jsonl")
    write(running, [encode_start(os.getpid()), *encode_changes(1, 9)])
    paths = [path.with_name(f"server-{name}.jsonl") for name in "bca"]
    for age_s, each in zip((30, 20, 10), paths, strict=True):
        write(each, [encode_start(end_process()), *body])
        os.utime(each, (time.time() - age_s,) * 2)
    size_bytes = path.with_name("server-a.jsonl").stat().st_size
    assert compress_finished(path.parent, 3600, 3 * size_bytes + 10) == []
    assert [each.name for each in compress_finished(path.parent, 3600, 2 * size_bytes + 10)] == ["server-b.jsonl.zst"]
    assert len(compress_finished(path.parent, 3600, 0)) == 2
    assert running.exists()


def test_what_a_recorder_may_still_write_to_is_left_alone(path: Path) -> None:
    gone, body = end_process(), encode_changes(1, 2)
    assert not is_finished(write(path, [encode_start(os.getpid()), *body]))
    assert is_finished(write(path, [encode_start(gone), *body]))
    assert is_finished(write(path, [encode_start(gone), *body, b'{"seq":3,"ti']))
    started = {"format": 1, "recorder": "t", "pid": gone}
    client = path.with_name("client-x.jsonl")
    assert not is_finished(write(client, [encode_record(0, "client_started", **started)])), "perhaps in a container"
    stopped = encode_record(1, "client_stopped")
    assert is_finished(write(client, [encode_record(0, "client_started", **started), stopped]))
    assert not is_finished(write(client, [encode_record(0, "client_started", **started)]))
    os.utime(client, (time.time() - 7200, time.time() - 7200))
    assert is_finished(write_again(client))
    observed = path.with_name("observed.jsonl")
    observed.write_bytes(b"")
    os.utime(observed, (LONG_AGO_S, LONG_AGO_S))
    assert not is_finished(write_again(observed))
    compress_finished(path.parent)
    assert observed.exists()


def write_again(path: Path) -> Journal:
    journal = read_head(path)
    assert journal is not None
    return journal


def test_a_process_id_that_was_given_again_after_a_restart_is_another_process(path: Path) -> None:
    write(path, [encode_start(os.getpid())])
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    assert is_finished(write_again(path))


def test_a_journal_that_a_tap_has_open_is_left_alone_whatever_it_says(tmp_path: Path) -> None:
    """Process ids mean nothing across containers; the lock does."""
    descriptor, name = create_file(str(tmp_path), "server-x")
    os.write(descriptor, encode_start(end_process()))
    assert compress_finished(tmp_path) == []
    os.write(descriptor, encode_record(1, "stderr", text="still here"))
    os.close(descriptor)
    assert len(compress_finished(tmp_path)) == 1
    assert read_bytes(Path(name)).endswith(b'"still here"}\n')


def test_a_lock_is_no_hindrance_to_reading(tmp_path: Path) -> None:
    descriptor, name = create_file(str(tmp_path), "server-x")
    os.write(descriptor, encode_start())
    with Path(name).open("rb") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert len(list(read_journal(Path(name)))) == 1
    os.close(descriptor)


def test_a_followed_journal_that_is_compressed_is_not_read_twice(path: Path) -> None:
    lines = encode_whole()
    write(path, lines[:-3])
    reader = JournalReader(path)
    assert len(list(reader.read_new())) == len(lines) - 3
    write(path, lines)
    compress_finished(path.parent)
    assert [getattr(entry, "seq", None) for entry in reader.read_new()] == [60, 61, 62]
    assert list(reader.read_new()) == []
    assert list(reader.read_rest()) == []
    assert len(list(JournalReader(path, offset=len(b"".join(lines[:10]))).read_rest())) == len(lines) - 10


def test_while_both_files_are_there_the_first_one_counts(path: Path) -> None:
    write(path, encode_whole())
    compress_finished(path.parent)
    write(path, [encode_start(), encode_record(1, "tap_stopped", reason="later")])
    (journal,) = read_folder(path.parent)
    assert journal.path == path
    assert len(list(journal)) == 2
    assert len(compress_finished(path.parent)) == 1
    assert read_bytes(path).endswith(b'"later"}\n')


def test_a_damaged_file_is_told_of_and_what_was_before_the_damage_is_read(path: Path) -> None:
    noise = encode_record(63, "stderr", text=random.Random(2).randbytes(900_000).hex())
    lines = [*encode_whole(), noise, encode_record(64, "tap_stopped", reason="end")]
    write(path, lines)
    (packed,) = compress_finished(path.parent)
    whole = packed.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:-4] + b"zstd", b"nonsense", b""):
        packed.write_bytes(damaged)
        entries = list(read_journal(packed))
        if damaged:
            assert isinstance(entries[-1], Unreadable)
            assert entries[-1].reason == "unreadable file"
        (journal,) = read_folder(path.parent)
        assert journal.kind == "server"
    packed.write_bytes(whole[: len(whole) // 2])
    assert sum(isinstance(entry, Frame) for entry in read_journal(packed)) > 50
    with pytest.raises(EOFError):
        prune_journal(packed, "age", [])
    assert packed.read_bytes() == whole[: len(whole) // 2]


def test_pruning_keeps_the_head_and_says_what_was_cut(path: Path) -> None:
    lines = encode_whole()
    write(path, lines)
    os.utime(path, ns=(5, 7))
    target = prune_journal(path, "size", ["ses_2", "ses_1"])
    assert [path.name for path in path.parent.iterdir()] == [target.name] == ["server-x.jsonl.zst"]
    assert target.stat().st_mtime_ns == 7
    kept = read_bytes(path).splitlines(keepends=True)
    assert kept[:9] == lines[:9]
    assert kept[10:] == lines[-2:]
    entries = list(read_journal(path))
    assert isinstance(entries[0], TapStarted)
    assert isinstance(entries[-1], TapStopped)
    (cut,) = [entry for entry in entries if isinstance(entry, Pruned)]
    assert (cut.seq, cut.count, cut.bytes) == (9, 52, len(b"".join(lines[9:61])))
    assert (cut.reason, cut.session_ids) == ("size", ("ses_1", "ses_2"))


def test_pruning_a_clients_journal_keeps_the_last_word_on_each_session(tmp_path: Path) -> None:
    path = tmp_path / "client-x.jsonl"
    write(
        path,
        [
            encode_record(0, "client_started", format=1, recorder="t", pid=1),
            encode_record(1, "session_updated", session_id="a", title="old"),
            encode_record(2, "text_stored", sha256="0", text="secret"),
            encode_record(3, "session_updated", session_id="b", title="other"),
            encode_record(4, "session_updated", session_id="a", title="new"),
            encode_record(5, "dropped", count=3),
            encode_record(6, "client_stopped"),
            b'{"seq":7,"to',
        ],
    )
    prune_journal(path, "age", ["a", "b"])
    entries = list(read_journal(path))
    assert [getattr(entry, "kind", None) for entry in entries] == [
        "client_started", "pruned", "session_updated", "session_updated", "dropped", "client_stopped",
    ]  # fmt: skip
    assert [entry.title for entry in entries if isinstance(entry, SessionUpdated)] == ["other", "new"]
    assert isinstance(entries[1], Pruned)
    assert (entries[1].seq, entries[1].count) == (1, 3)


def test_a_head_is_small_whatever_the_server_asked(path: Path) -> None:
    asked = [
        encode_message(seq, "server_to_client", id=seq, method="workspace/configuration", params={"items": ["x" * 100]})
        for seq in range(1, 5000)
    ]
    long = encode_message(5000, "client_to_server", id="i", method="initialize", params={"text": "x" * 2_000_000})
    write(path, [encode_start(), *asked, long, b"nonsense\n", encode_record(5002, "tap_stopped", reason="r")])
    target = prune_journal(path, "age", [])
    entries = list(read_journal(target))
    assert len([entry for entry in entries if isinstance(entry, Frame)]) == HEAD_FRAMES
    assert target.stat().st_size < 10_000


def test_the_oldest_go_first_and_no_more_of_them_than_must() -> None:
    day_us = 86_400 * 1_000_000
    candidates = [Candidate(Path(f"server-{age}"), (100 - age) * day_us, 10) for age in (1, 95, 50, 91)]
    limits = Limits(age_s=90 * 86_400, size_bytes=25)

    def plan(size_bytes: int) -> list[tuple[str, str]]:
        chosen = plan_pruning(candidates, limits, now_us=100 * day_us, size_bytes=size_bytes)
        return [(candidate.path.name, reason) for candidate, reason in chosen]

    old = [("server-95", "age"), ("server-91", "age")]
    assert plan(0) == plan(45) == old
    assert plan(46) == [*old, ("server-50", "size")]
    assert plan(1000) == [*old, ("server-50", "size"), ("server-1", "size")]


def test_what_it_all_takes(tmp_path: Path) -> None:
    write(tmp_path / "server-a.jsonl", encode_whole())
    compress_finished(tmp_path)
    write(tmp_path / "server-b.jsonl", [encode_start(os.getpid())])
    usage = measure_usage(tmp_path)
    assert (usage.journals, usage.compressed_journals) == (2, 1)
    assert usage.compressed_bytes == (tmp_path / "server-a.jsonl.zst").stat().st_size
    assert usage.size_bytes == usage.compressed_bytes + (tmp_path / "server-b.jsonl").stat().st_size
    assert measure_usage(tmp_path / "none").journals == 0


def test_a_verification_is_left_alone_while_another_one_runs(tmp_path: Path) -> None:
    path = tmp_path / "verified-a-b-c.jsonl"
    write(path, [*encode_whole(), encode_record(63, "verification_finished")])
    with FileLock(tmp_path / ".verify.lock"):
        assert compress_finished(tmp_path) == []
        with pytest.raises(OSError):
            prune_journal(path, "age", [])
    assert len(compress_finished(tmp_path)) == 1
    prune_journal(path, "age", ["ses_1"])
    assert [type(entry) for entry in read_journal(path)].count(Pruned) == 1


KILLED = """
import os, sys
from pathlib import Path
from lsp_tap.journal.retention import compress_finished, prune_journal
folder, what, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def die(event, arguments):
    global count
    if event in ("open", "os.rename", "os.remove", "os.utime", "tempfile.mkstemp", "fcntl.flock"):
        count -= 1
        if count == 0:
            os._exit(9)
sys.addaudithook(die)
if what == "compress":
    compress_finished(folder)
else:
    prune_journal(folder / "server-x.jsonl", "age", ["ses_1"])
"""


@pytest.mark.parametrize("what", ["compress", "prune"])
def test_killed_at_any_step_nothing_is_lost(path: Path, what: str) -> None:
    lines = encode_whole()
    for steps in range(1, 50):
        for left in path.parent.iterdir():
            left.unlink()
        write(path, lines)
        killed = subprocess.run([sys.executable, "-c", KILLED, str(path.parent), what, str(steps)], check=False)
        (journal,) = read_folder(path.parent)
        content = read_bytes(journal.path)
        if killed.returncode == 0:
            break
        assert killed.returncode == 9
        assert content == b"".join(lines) or (what == "prune" and not path.exists())
        compress_finished(path.parent)
        (only,) = path.parent.iterdir()
        assert only.name == "server-x.jsonl.zst"
        assert read_bytes(only) == content
    assert steps > 5
    assert (content == b"".join(lines)) == (what == "compress")
