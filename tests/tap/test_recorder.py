"""The recorder hands things on in the order in which they happened."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from lsp_tap.journal.records import Frame
from lsp_tap.tap import recorder as recorder_module
from lsp_tap.tap.items import CLIENT, SERVER, Chunk, Item, Lost, Told
from lsp_tap.tap.recorder import Recorder
from lsp_tap.tap.recording import Recording
from tests.tap.tapped import python, tap


class Collecting:
    """Stands in for a `Recording`, of which the recorder uses three methods."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = None if folder is None else str(folder)
        self.steps: list[Any] = []
        self.on_batch: Callable[[], None] = lambda: None

    def step(self, item: Any) -> None:
        self.steps.append(item)

    def end_batch(self) -> float | None:
        self.on_batch()
        return None

    def close(self) -> None:
        pass


def hand_over(*items: Any) -> list[Any]:
    collecting = Collecting()
    recorder = Recorder(lambda: cast(Recording, collecting))
    for item in items:
        recorder.put(item)
    recorder.start()
    recorder.close()
    return collecting.steps


def test_what_one_chunk_was_cut_into_keeps_its_order() -> None:
    chunk = Chunk(SERVER, 1, b"abc")
    parts = [Told([], None, chunk), Told([], "lsp-tap:1", chunk), Told([], None, chunk)]
    assert hand_over(*parts) == parts


def test_an_answer_that_was_queued_before_its_question_comes_after_it() -> None:
    question = Chunk(CLIENT, 1, b"?")
    answer = Chunk(SERVER, 1, b"!")
    assert hand_over(answer, question) == [question, answer]


def test_an_answer_waits_for_a_question_that_is_still_being_forwarded() -> None:
    collecting, taken = Collecting(), threading.Event()
    collecting.on_batch = taken.set
    recorder = Recorder(lambda: cast(Recording, collecting))
    recorder.start()
    recorder.put(first := Chunk(CLIENT, 1, b"first"))
    assert taken.wait(10)
    recorder.forwarding_since_ns[CLIENT] = time.monotonic_ns()
    question = Chunk(CLIENT, 2, b"?")
    recorder.put(answer := Chunk(SERVER, 1, b"!"))
    recorder.put(question)
    assert recorder.forwarding_since_ns[CLIENT] == 0
    recorder.close()
    assert collecting.steps == [first, question, answer]


def test_what_is_newer_than_the_last_complete_moment_comes_with_the_next_batch() -> None:
    recorder = Recorder(lambda: cast(Recording, Collecting()))
    recorder.put(old := Chunk(CLIENT, 1, b"old"))
    complete_ns = time.monotonic_ns()
    recorder.put(new := Chunk(CLIENT, 2, b"new"))
    assert recorder._split([old, new], complete_ns) == [old]
    assert recorder._later == [new]


def make_chunks(count: int, size_bytes: int) -> list[Chunk]:
    return [Chunk(SERVER, number, number.to_bytes(4, "big") * (size_bytes // 4)) for number in range(count)]


def read_numbers(steps: list[Any]) -> list[int]:
    assert all(item.data == item.number.to_bytes(4, "big") * (len(item.data) // 4) for item in steps)
    return [item.number for item in steps]


def test_what_does_not_fit_into_memory_goes_to_the_spool_and_comes_back_in_order(tmp_path: Path) -> None:
    collecting = Collecting(tmp_path)
    recorder = Recorder(lambda: cast(Recording, collecting))
    recorder.start()
    peak_bytes = 0
    for chunk in make_chunks(400, 1 << 16):
        recorder.put(chunk)
        peak_bytes = max(peak_bytes, recorder._waiting_bytes())
    recorder.close()
    assert read_numbers(collecting.steps) == list(range(400))
    assert peak_bytes <= recorder_module.QUEUE_BYTES + (1 << 17)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["not there", None], ids=["no room on the disk", "nothing to write to"])
def test_without_a_spool_memory_is_bounded_and_the_pumps_wait(folder: str | None, tmp_path: Path) -> None:
    collecting = Collecting(None if folder is None else tmp_path / folder)
    recorder = Recorder(lambda: cast(Recording, collecting))
    recorder.start()
    peak_bytes = 0
    for chunk in make_chunks(200, 1 << 16):
        recorder.put(chunk)
        peak_bytes = max(peak_bytes, recorder._waiting_bytes())
    recorder.close()
    assert read_numbers(collecting.steps) == list(range(200))
    assert peak_bytes <= recorder_module.QUEUE_BYTES + (1 << 17)


def test_a_stuck_disk_stops_the_journal_and_not_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "STALL_S", 0.02)
    collecting, disk = Collecting(), threading.Event()
    recorder = Recorder(lambda: cast(Recording, collecting))

    def step_when_it_works(item: Item) -> None:
        disk.wait(20)
        collecting.steps.append(item)

    monkeypatch.setattr(collecting, "step", step_when_it_works)
    recorder.start()
    for chunk in make_chunks(100, 1 << 16):
        recorder.put(chunk)
    disk.set()
    recorder.close()
    kept = [item for item in collecting.steps if isinstance(item, Chunk)]
    (lost,) = [item for item in collecting.steps if isinstance(item, Lost)]
    assert len(kept) + lost.count == 100
    assert lost.count > 50
    assert lost.lost_bytes == lost.count << 16
    assert lost.has_chunks


def test_a_recording_that_breaks_off_is_told_of_and_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recorder_module, "STALL_S", 1000)

    def open_nothing() -> Recording:
        raise ValueError("of no kind that was thought of\n")

    recorder = Recorder(open_nothing)
    recorder.start()
    for chunk in make_chunks(100, 1 << 16):
        recorder.put(chunk)
    recorder.close()
    assert not recorder._thread.is_alive()
    told = capfd.readouterr().err
    assert told.count("\n") == 1
    assert "of no kind that was thought of" in told


def test_an_end_that_is_not_written_in_time_is_told_of(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recorder_module, "CLOSE_S", 0.05)
    collecting, disk = Collecting(), threading.Event()
    monkeypatch.setattr(collecting, "step", lambda _: disk.wait(20))
    recorder = Recorder(lambda: cast(Recording, collecting))
    recorder.start()
    recorder.put(Chunk(CLIENT, 1, b"x"))
    recorder.close()
    disk.set()
    recorder._thread.join(20)
    assert capfd.readouterr().err == "lsp-tap: the end of the journal was not written in time and is lost\n"


def test_what_a_slow_disk_leaves_in_the_spool_at_the_end_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "MAX_CLOSE_S", 0.05)
    collecting, closing = Collecting(tmp_path), threading.Event()
    recorder = Recorder(lambda: cast(Recording, collecting))

    def step_slowly(item: Item) -> None:
        collecting.steps.append(item)
        if isinstance(item, Chunk) and not recorder._is_late:
            closing.wait(0.01)

    monkeypatch.setattr(collecting, "step", step_slowly)
    recorder.start()
    for chunk in make_chunks(300, 1 << 16):
        recorder.put(chunk)
    recorder.close()
    recorder._thread.join(10)
    kept = [item for item in collecting.steps if isinstance(item, Chunk)]
    lost = [item for item in collecting.steps if isinstance(item, Lost)]
    assert 0 < len(kept) < 300
    assert len(kept) + sum(item.count for item in lost) == 300
    assert {item.source for item in lost if item.has_chunks} == {CLIENT, SERVER}


def test_an_answer_to_what_is_forwarded_in_part_comes_after_its_question(tmp_path: Path) -> None:
    code = (
        "import os, select\n"
        "read = b''\n"
        "while b'?' not in read: read += os.read(0, 1)\n"
        "os.write(1, b'Content-Length: 3\\r\\n\\r\\n\"!\"')\n"
        "select.select([], [], [], 0.3)\n"
        "while os.read(0, 65536): pass\n"
    )
    question = b'Content-Length: 3\r\n\r\n"?"'
    rest = b"Content-Length: 1000000\r\n\r\n" + b" " * 1_000_000
    with tap(python(code), tmp_path) as tapped:
        sender = threading.Thread(target=tapped.send, args=(question + rest,))
        sender.start()
        assert tapped.read(len(question)).endswith(b'"!"')
        sender.join()
        tapped.finish()
        frames = [entry for entry in tapped.read_journal() if isinstance(entry, Frame)]
        assert [frame.message for frame in frames[:2]] == ["?", "!"]
