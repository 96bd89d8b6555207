"""The session writer of a client that runs: told of each session that comes to rest, it writes that one's files.

It lives as long as whoever tells it, who holds its standard input. So it has started, and has read what is recorded so
far, before there is something to write, and reads only what is new each time.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from lsp_tap.config import read_settings
from lsp_tap.errors import LspTapError
from lsp_tap.journal.retention import Limits
from lsp_tap.session.scope import Scope
from lsp_tap.session.writer import SessionWriter, WrittenSession

_START_US: Final = 10_000_000
"""What came to rest so long before this process had started may be for it to write."""


def follow_sessions(
    folder: Path,
    descriptor: int,
    first: Sequence[str],
    on_written: Callable[[WrittenSession], None],
    on_failed: Callable[[str], None],
) -> int:
    """Write the sessions `first`, then those named a line in the file `descriptor`, until it ends; returns how many
    could not be written.

    At the end those follow that came to rest meanwhile and were not named: who should have named them may have been
    killed. And finished journals are compressed and pruned, which a writer leaves for when nobody waits.
    """
    since_us = time.time_ns() // 1000 - _START_US
    waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    for session_id in first:
        waiting.put(session_id)
    threading.Thread(target=_read_lines, args=(descriptor, waiting.put), daemon=True).start()
    writer = SessionWriter(folder, scope=Scope())
    if not first:
        writer.read()
    failed, is_last = 0, False
    while not is_last:
        named = _take_all(waiting)
        is_last = None in named
        wanted = [name for name in named if name]
        if is_last:
            wanted += writer.list_rested(since_us)
        for session_id in dict.fromkeys(wanted):
            try:
                _write(writer, [session_id], on_written)
            except (LspTapError, OSError) as error:
                failed += 1
                on_failed(str(error))
    if (folder / "tap").is_dir():
        _write(writer, [], on_written, is_last=True)
    return failed


def _write(
    writer: SessionWriter,
    session_ids: Sequence[str],
    on_written: Callable[[WrittenSession], None],
    *,
    is_last: bool = False,
) -> None:
    settings = read_settings(writer.folder)  # they may have changed
    limits = Limits.of(settings)
    written = writer.write(
        session_ids,
        settle_limit_s=0.0 if is_last else settings.settle_limit_s,
        history_limit=settings.history_limit,
        thresholds=settings,
        limits=limits if is_last else None,
    )
    for item in written:
        on_written(item)
        del item  # before the next one is built


def _read_lines(descriptor: int, put: Callable[[str | None], None]) -> None:
    """Without a buffer, whose lock would be held while this process ends."""
    left = b""
    while data := os.read(descriptor, 1 << 16):
        *lines, left = (left + data).split(b"\n")
        for line in lines:
            put(line.decode("utf-8", "replace").strip())
    put(None)


def _take_all(waiting: queue.SimpleQueue[str | None]) -> list[str | None]:
    """All that waits, at least one."""
    taken = [waiting.get()]
    while not waiting.empty():
        taken.append(waiting.get())
    return taken
