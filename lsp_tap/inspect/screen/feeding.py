"""The screen's side of a worker process: its start, what it says, its end."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from array import array
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lsp_tap.inspect.screen.feed import HEAD
from lsp_tap.inspect.screen.rows import Hits

_ERROR_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Told:
    """A JSON object."""

    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Indexed:
    """Messages: the journal, where in it, when, and the row of the request each answers."""

    journals: array[int]
    offsets: array[int]
    times_us: array[int]
    requests: array[int]


@dataclass(frozen=True, slots=True)
class Found:
    """Hits: the journal and the number of the message in it."""

    journals: array[int]
    ordinals: array[int]


Chunk = Told | Indexed | Found


class Feed:
    """A worker process. It starts at once, before there is an event loop, and waits for its order."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lsp_tap.inspect.screen.feed"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C on the terminal is for the screen
        )
        self._is_read = self._is_stopped = False

    def tell(self, command: Mapping[str, Any]) -> None:
        """Its order, or one more line of its input; nothing where it has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
        except OSError:
            return

    async def read(self) -> AsyncIterator[Chunk]:
        """What it says, until its end. Raises ChildProcessError where that is no proper one."""
        if self._was_stopped():
            return
        reader = asyncio.StreamReader()
        self._is_read = True
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), self._process.stdout)
        try:
            while True:
                try:
                    letter, length = HEAD.unpack(await reader.readexactly(HEAD.size))
                    yield _parse(letter, await reader.readexactly(length))
                except asyncio.IncompleteReadError:
                    break
        finally:
            transport.close()
        if self._was_stopped():
            return
        assert self._process.stderr is not None
        complaint = self._process.stderr.read(_ERROR_BYTES).decode("utf-8", "replace").strip()
        if self._process.wait():
            raise ChildProcessError(complaint.rpartition("\n")[2] or "the worker process ended")

    def _was_stopped(self) -> bool:
        return self._is_stopped

    def stop(self) -> None:
        """End it now, whatever it does."""
        self._is_stopped = True
        self._process.kill()
        self._process.wait()
        # Who reads closes what is read: its number could be another pipe's before the loop has forgotten it.
        for pipe in (self._process.stdin, self._process.stderr, *(() if self._is_read else (self._process.stdout,))):
            if pipe is not None:
                pipe.close()


class Workers:
    """All that run, and a spare one: it takes as long to start as a small recording takes to filter."""

    def __init__(self) -> None:
        self._running: set[Feed] = set()
        self._spare: Feed | None = None

    def send(self, order: Mapping[str, Any]) -> Feed:
        """A worker with an order."""
        feed, self._spare = self._spare or Feed(), None
        self._running.add(feed)
        feed.tell(order)
        return feed

    def keep_spare(self) -> None:
        """Have one ready for the next order."""
        if self._spare is None:
            self._spare = Feed()

    def stop(self, feed: Feed) -> None:
        self._running.discard(feed)
        feed.stop()

    def stop_all(self) -> None:
        for feed in (*self._running, *([self._spare] if self._spare is not None else ())):
            feed.stop()
        self._running.clear()
        self._spare = None


@dataclass(slots=True)
class Seeking:
    """A filter or a search: its words, the worker that looks, what it found."""

    text: str
    feed: Feed
    hits: Hits
    percent: int = 0
    is_done: bool = False


def _parse(letter: bytes, payload: bytes) -> Chunk:
    if letter == b"J":
        return Told(json.loads(payload))
    if letter == b"R":
        journals, offsets, times_us, requests = _split(payload, "HQQi")
        return Indexed(journals, offsets, times_us, requests)
    journals, ordinals = _split(payload, "HI")
    return Found(journals, ordinals)


def _split(payload: bytes, codes: str) -> list[array[int]]:
    columns = [array(code) for code in codes]
    count = len(payload) // sum(column.itemsize for column in columns)
    at = 0
    for column in columns:
        size = count * column.itemsize
        column.frombytes(payload[at : at + size])
        at += size
    return columns
