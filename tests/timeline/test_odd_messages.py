"""Messages with anything in the place of each of their values."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from typing import Any

import pytest

from lsp_tap.journal.records import Frame, Record
from lsp_tap.timeline.fold import fold_server
from lsp_tap.timeline.freshness import FreshnessFold
from lsp_tap.timeline.steps import find_steps
from tests.fuzz.odd_records import ODD
from tests.timeline.conversation import Conversation, lsp_diagnostic

URI = "file:///etc/hostname"
"""A file that is there, should anybody look."""


def talk() -> list[Record]:
    said = Conversation(encoding="utf-8")
    version = said.open(URI, "bad\n")
    said.answer(said.ask(URI), lsp_diagnostic(0, "error"))
    said.push(URI, lsp_diagnostic(0, "error"), version=version)
    said.change(URI, "bad\nworse\n")
    said.answer(said.ask(URI, probe=True), lsp_diagnostic(1, "error"))
    ends = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 3}}
    document = {"textDocument": {"uri": URI, "version": 9}, "contentChanges": [{"range": ends, "text": "good"}]}
    said.frame("client_to_server", {"method": "textDocument/didChange", "params": document})
    said.push(URI, version=9)
    return said.records


TALK = talk()


def list_places(value: Any) -> Iterator[tuple[Any, ...]]:
    """The keys that lead to each value in it."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (key,)
        yield from ((key, *rest) for rest in list_places(item))


@pytest.mark.parametrize("number", [n for n, record in enumerate(TALK) if isinstance(record, Frame)])
def test_whatever_stands_in_a_message_the_fold_goes_on_and_opens_no_file(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a file was opened")

    frame = TALK[number]
    assert isinstance(frame, Frame)
    monkeypatch.setattr("builtins.open", fail)
    monkeypatch.setattr(io, "open", fail)
    for place in list_places(frame.message):
        for odd in ODD:
            message = copy.deepcopy(frame.message)
            holder: Any = message
            for key in place[:-1]:
                holder = holder[key]
            holder[place[-1]] = odd
            records = [*TALK[:number], frame.model_copy(update={"message": message}), *TALK[number + 1 :]]
            find_steps(fold_server("server", records))
            freshness = FreshnessFold()
            for record in records:
                if isinstance(record, Frame):
                    step = freshness.step_client if record.direction == "client_to_server" else freshness.step_server
                    step(record.message, record.time_us)
