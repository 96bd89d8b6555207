"""Following every tap of a project as it writes, also those that start later; merged by time.

A tap's journal is some milliseconds behind its wire (`lsp_tap.tap.recorder.MAX_DELAY_S` at most). What is younger than
that is held until the next look, so that what two taps saw comes in the order of time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from lsp_tap.inspect.flows import FlowReader, Item, merge_by_time
from lsp_tap.journal.capture import Capture, is_live, open_folder
from lsp_tap.journal.place import TAP_FOLDER_NAME
from lsp_tap.journal.reader import read_head
from lsp_tap.journal.stored import list_journals, plain_path

HOLD_US: Final = 150_000
LOOK_EVERY_S: Final = 0.1


class Following:
    """The live taps of `folder` (the `.opencode-logs`) and all that start; or those of `capture` alone.

    The first look gives the `last` items that were recorded before. Who has read what was recorded gives `readers`, of
    the taps that may write more, and the journals that are `known` with them.
    """

    def __init__(
        self,
        folder: Path,
        capture: Capture | None = None,
        *,
        last: int = 10,
        readers: Iterable[FlowReader] | None = None,
        known: Iterable[Path] = (),
    ) -> None:
        self._folder = folder if capture is None else None
        if readers is not None:
            self._readers, self._known = list(readers), set(map(plain_path, known))
            self._held: list[Item] = []
            return
        taps = open_folder(folder).taps if capture is None else capture.taps
        self._known = {plain_path(tap.path) for tap in taps}
        self._readers = [FlowReader(tap) for tap in taps if capture is not None or is_live(tap)]
        earlier = merge_by_time(reader.read_new() for reader in self._readers)
        self._held = list(deque(earlier, maxlen=last))

    @property
    def readers(self) -> list[FlowReader]:
        """One a tap that is followed."""
        return self._readers

    def read_new(self, now_us: int) -> list[Item]:
        """What may be passed on by now (wall clock), in order of time."""
        if self._folder is not None:
            self._find_new(self._folder / TAP_FOLDER_NAME)
        for reader in self._readers:
            self._held += reader.read_new()
        self._held.sort(key=_time_of)
        ready = sum(item.time_us <= now_us - HOLD_US for item in self._held)
        passed, self._held = self._held[:ready], self._held[ready:]
        return passed

    def _find_new(self, folder: Path) -> None:
        for path in list_journals(folder):
            if plain_path(path) in self._known:
                continue
            journal = read_head(path)
            if journal is not None and journal.first is None:
                continue  # its first line is not whole yet
            self._known.add(plain_path(path))
            if journal is not None and journal.kind == "server":
                self._readers.append(FlowReader(journal))


def follow(following: Following, pause: Callable[[float], object] = time.sleep) -> Iterator[list[Item]]:
    """What is new, again and again, without end. `pause` waits so many seconds between two looks."""
    while True:
        yield following.read_new(time.time_ns() // 1000)
        pause(LOOK_EVERY_S)


def _time_of(item: Item) -> int:
    return item.time_us
