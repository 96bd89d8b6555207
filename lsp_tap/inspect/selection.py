"""What to look at: the words of a command -> captures and a filter -> items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lsp_tap.inspect.filter_language import ALL, And, Filter, OfSession, Or, join_arguments, parse_filter
from lsp_tap.inspect.filtering import Test, compile_filter, needs_calls
from lsp_tap.inspect.flows import FlowReader, Item, merge_by_time
from lsp_tap.journal.capture import Capture, is_capture_name, open_capture

if TYPE_CHECKING:
    from lsp_tap.inspect.calls import CallIndex


def split_words(words: Sequence[str], folder: Path) -> tuple[list[str], str]:
    """The names of captures that come first, and the filter after them."""
    count = 0
    while count < len(words) and not words[count].startswith(("~", "!", "(")) and is_capture_name(words[count], folder):
        count += 1
    return list(words[:count]), join_arguments(words[count:])


def limit_to_sessions(wanted: Filter, session_ids: Iterable[str]) -> Filter:
    """`wanted`, of those sessions only, where any is given."""
    sessions = tuple(OfSession(session_id) for session_id in session_ids)
    if not sessions:
        return wanted
    of_sessions = sessions[0] if len(sessions) == 1 else Or(sessions)
    return of_sessions if wanted == ALL else And((of_sessions, wanted))


@dataclass(slots=True)
class Selection:
    """A capture and what of it is wanted. `readers` are there for their problems once it was read."""

    capture: Capture
    wanted: Filter
    calls: CallIndex
    readers: list[FlowReader] = field(default_factory=list)

    def make_test(self) -> Test:
        """Whether an item is wanted."""
        return compile_filter(self.wanted, self.calls)

    def read(self) -> Iterator[Item]:
        """The wanted items, by time."""
        self.readers = [FlowReader(journal) for journal in self.capture.taps]
        items = merge_by_time(reader.read_rest() for reader in self.readers)
        return items if self.wanted == ALL else filter(self.make_test(), items)


def select(words: Sequence[str], folder: Path, *, with_calls: bool = False) -> Selection:
    """The selection that the words of a command mean. Tool calls are looked up where the filter, or `with_calls`, asks.

    Raises BadFilter and CaptureNotFound.
    """
    from lsp_tap.inspect.calls import CallIndex  # takes longer to import than all else here

    names, text = split_words(words, folder)
    wanted = parse_filter(text)
    capture = open_capture(names, folder)
    wanted = limit_to_sessions(wanted, capture.session_ids)
    return Selection(capture, wanted, CallIndex(capture.clients if with_calls or needs_calls(wanted) else ()))
