"""What the screen keeps of each message: where it is. 26 bytes, and the message is read when it is looked at."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import BinaryIO, Final

from lsp_tap.inspect.flows import FlowReader, Item
from lsp_tap.journal.exact import read_exact
from lsp_tap.journal.reader import Entry, Journal, Unreadable
from lsp_tap.journal.stored import READ_ERRORS

_CACHED_ITEMS: Final = 4096
_BUFFER_BYTES: Final = 1 << 14
NOBODY: Final = -1
"""In the place of a row: there is none."""


class _Opened:
    """A journal to read single lines of. It stays open: retention may compress and remove it meanwhile."""

    def __init__(self, journal: Journal) -> None:
        self.path = journal.path
        self.parser = FlowReader(journal)
        self.rows = array("I")
        self._file: BinaryIO = journal.path.open("rb", buffering=_BUFFER_BYTES)

    def read_line(self, offset: int) -> bytes:
        self._file.seek(offset)
        return self._file.readline()

    def close(self) -> None:
        self._file.close()


class Rows:
    """All messages of a capture in the order of time, as far as they are known. Rows count from 0."""

    def __init__(self) -> None:
        self._journals: list[_Opened] = []
        self._journal = array("H")
        self._offset = array("Q")
        self._time_us = array("Q")
        self._partner = array("i")
        self._items: dict[int, Item] = {}

    def __len__(self) -> int:
        return len(self._offset)

    @property
    def journals(self) -> list[_Opened]:
        return self._journals

    def add_journal(self, journal: Journal) -> None:
        """The next journal; the numbers in `add` count them. Raises OSError."""
        self._journals.append(_Opened(journal))

    def add(self, journals: array[int], offsets: array[int], times_us: array[int], requests: array[int]) -> None:
        """Messages at the end: the journal, where in it, when, and the row of the request that it answers."""
        first = len(self)
        self._journal += journals
        self._offset += offsets
        self._time_us += times_us
        self._partner += requests
        for row, number in enumerate(journals, first):
            self._journals[number].rows.append(row)
        partner = self._partner
        for row, request in enumerate(requests, first):
            if request != NOBODY:
                partner[request] = row

    def find_partner(self, row: int) -> int | None:
        """The row of a request's answer, or of an answer's request; None where there is none (so far)."""
        found = self._partner[row]
        return None if found == NOBODY else found

    def find_row(self, journal: int, ordinal: int) -> int | None:
        """The row of a journal's message with that number; None: not known so far."""
        rows = self._journals[journal].rows if journal < len(self._journals) else ()
        return rows[ordinal] if ordinal < len(rows) else None

    def find_time(self, time_us: int) -> int:
        """The first row of that time or later; the last one where there is none."""
        return max(0, min(bisect_left(self._time_us, time_us), len(self) - 1))

    def time_us(self, row: int) -> int:
        return self._time_us[row]

    def read(self, row: int) -> Item:
        """The message, out of its journal. Where that cannot be read any more, an event that says so."""
        found = self._items.get(row)
        if found is None:
            if len(self._items) >= _CACHED_ITEMS:
                self._items.clear()
            found = self._items[row] = self._read(row)
        return found

    def _read(self, row: int) -> Item:
        opened, offset = self._journals[self._journal[row]], self._offset[row]
        asked = self._partner[row]
        request = self.read(asked) if NOBODY < asked < row else None
        try:
            item = opened.parser.read_again(opened.read_line(offset), request)
            if item is None:
                entry = read_exact(opened.path, offset)
                if entry is not None and not isinstance(entry, Unreadable):
                    item = opened.parser.read_again(entry, request)
            reason = "the journal is not what it was"
        except READ_ERRORS as error:
            item, reason = None, str(error)
        if item is None:
            item = _make_unreadable(opened, self._time_us[row], reason)
        item.offset = offset
        return item

    def read_exact(self, row: int) -> Entry | None:
        """The record behind a message, a frame with its bytes. Raises one of READ_ERRORS."""
        return read_exact(self._journals[self._journal[row]].path, self._offset[row])

    def close(self) -> None:
        for opened in self._journals:
            opened.close()


def _make_unreadable(opened: _Opened, time_us: int, reason: str) -> Item:
    item = Item()
    item.server, item.seq, item.time_us, item.monotonic_us = opened.parser.server, 0, time_us, 0
    item.kind, item.probe, item.text = "event", False, f"cannot be read: {reason}"
    item.direction = item.raw_length = item.method = item.id = item.request = None
    item._message, item._line, item._message_at, item._document_at = None, b"", 0, 0
    return item


class Hits:
    """The rows that a filter or a search means, ascending, as far as it has come."""

    def __init__(self, rows: Rows) -> None:
        self.found = array("I")
        self._rows = rows
        self._early: list[tuple[int, int]] = []  # found before it was known where they are

    def __len__(self) -> int:
        return len(self.found)

    def add(self, hits: Iterable[tuple[int, int]]) -> None:
        """More of them, as journal and ordinal."""
        waiting, self._early = [*self._early, *hits], []
        for journal, ordinal in waiting:
            row = self._rows.find_row(journal, ordinal)
            if row is None:
                self._early.append((journal, ordinal))
            elif not self.found or row > self.found[-1]:
                self.found.append(row)
            else:
                insort(self.found, row)

    def contains(self, row: int) -> bool:
        at = bisect_left(self.found, row)
        return at < len(self.found) and self.found[at] == row
