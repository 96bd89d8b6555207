"""The recorder hands things on in the order in which they happened."""

from __future__ import annotations

from typing import Any, cast

from lsp_tap.tap.items import CLIENT, SERVER, Chunk, Told
from lsp_tap.tap.recorder import Recorder
from lsp_tap.tap.recording import Recording


class Collecting:
    """Stands in for a `Recording`, of which the recorder uses three methods."""

    def __init__(self) -> None:
        self.steps: list[Any] = []

    def step(self, item: Any) -> None:
        self.steps.append(item)

    def end_batch(self) -> float | None:
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
