"""The recorder hands things on in the order in which they happened."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, cast

from lsp_tap.tap.items import CLIENT, SERVER, Chunk, Told
from lsp_tap.tap.recorder import Recorder
from lsp_tap.tap.recording import Recording


class Collecting:
    """Stands in for a `Recording`, of which the recorder uses three methods."""

    def __init__(self) -> None:
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
    chunk = Chunk(SERVER, b"abc", 1)
    parts = [Told([], None, chunk), Told([], "lsp-tap:1", chunk), Told([], None, chunk)]
    assert hand_over(*parts) == parts


def test_an_answer_that_was_queued_before_its_question_comes_after_it() -> None:
    question = Chunk(CLIENT, b"?", 1)
    answer = Chunk(SERVER, b"!", 1)
    assert hand_over(answer, question) == [question, answer]


def test_an_answer_waits_for_a_question_that_is_still_being_forwarded() -> None:
    collecting, taken = Collecting(), threading.Event()
    collecting.on_batch = taken.set
    recorder = Recorder(lambda: cast(Recording, collecting))
    recorder.start()
    recorder.put(first := Chunk(CLIENT, b"first", 1))
    assert taken.wait(10)
    recorder.is_forwarding[CLIENT] = True
    question = Chunk(CLIENT, b"?", 2)
    recorder.put(answer := Chunk(SERVER, b"!", 1))
    recorder.put(question)
    recorder.is_forwarding[CLIENT] = False
    recorder.close()
    assert collecting.steps == [first, question, answer]


def test_what_is_newer_than_the_last_complete_moment_comes_with_the_next_batch() -> None:
    recorder = Recorder(lambda: cast(Recording, Collecting()))
    recorder.put(old := Chunk(CLIENT, b"old", 1))
    complete_ns = time.monotonic_ns()
    recorder.put(new := Chunk(CLIENT, b"new", 2))
    assert recorder._split([old, new], complete_ns) == [old]
    assert recorder._later == [new]
