"""The worker process behind the screen: reads journals, says where messages are, or which of them a filter means.

    python -m lsp_tap.inspect.screen.feed

Its first line of input is an ORDER, a JSON object, for which it waits; more lines may follow (`{"journal": PATH}`: one that started since).
When its input ends, so does it. Its output is chunks: a letter, the length (32 bits), that many bytes.

| chunk | content |
|---|---|
| `J` | a JSON object: `{"journal": PATH}` the next one, `{"unpacking": NAME}`, `{"problems": [LINE...]}`, `{"read": n, "size": n, "done": bool}` in bytes, `{"history": ...}` |
| `R` | messages, in four columns: journal (16 bits), offset (64), time (64), row of the request it answers (32, signed) |
| `H` | hits, in two columns: journal (16 bits), number of the message in it (32) |

ORDER is `{"role": "index", "taps": [...], "live": [...], "folder": PATH or null, "unpack": PATH}`, where `folder` is
watched for taps that start; `{"role": "filter", "taps": [...], "clients": [...], "folder": ..., "filter": TEXT}`; or of
`lsp_tap.inspect.screen.document`.
"""  # noqa: E501

from __future__ import annotations

import json
import os
import select
import shutil
import struct
import sys
import time
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lsp_tap.inspect.filter_language import parse_filter
from lsp_tap.inspect.filtering import Test, compile_filter, needs_calls
from lsp_tap.inspect.flows import FlowReader, Item, describe_problems, merge_by_time
from lsp_tap.inspect.following import LOOK_EVERY_S, Following
from lsp_tap.inspect.screen.rows import NOBODY
from lsp_tap.journal.capture import Capture, is_live, open_folder
from lsp_tap.journal.reader import Journal, read_head
from lsp_tap.journal.stored import READ_ERRORS, is_compressed, open_journal, plain_path

if TYPE_CHECKING:
    from lsp_tap.inspect.calls import CallIndex

HEAD: Final = struct.Struct("<cI")
_BATCH_ROWS: Final = 5000
_FIRST_ROWS: Final = 200
_SEND_EVERY_S: Final = 0.15
_LOOK_AT_CLOCK_EVERY: Final = 256
_COPIED_BYTES: Final = 1 << 20
_NICENESS: Final = 2
"""Below the screen, which answers keys."""


class Output:
    """Chunks to standard output."""

    def send(self, letter: bytes, payload: bytes) -> None:
        data = memoryview(HEAD.pack(letter, len(payload)) + payload)
        while data:
            data = data[os.write(1, data) :]

    def send_json(self, **fields: Any) -> None:
        self.send(b"J", json.dumps(fields).encode())


class Input:
    """Lines of standard input, without waiting longer than wanted."""

    def __init__(self) -> None:
        self._buffer = b""

    def read_line(self, patience_s: float | None = None) -> bytes | None:
        """The next line; None where none came in time. Raises EOFError when there will be none."""
        while b"\n" not in self._buffer:
            if not select.select([0], [], [], patience_s)[0]:
                return None
            data = os.read(0, 1 << 16)
            if not data:
                raise EOFError
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


class Sources:
    """The journals of an order, numbered in the order in which they are found."""

    def __init__(self, paths: Iterable[str], live: Iterable[str] | None = None) -> None:
        """`live`: those that may grow; None: find out."""
        journals = [journal for path in paths if (journal := read_head(Path(path))) is not None]
        growing = {str(j.path) for j in journals if is_live(j)} if live is None else set(live)
        self.readers = [FlowReader(journal) for journal in journals]
        self.growing = [r for r in self.readers if str(r.server.path) in growing]
        self.size = sum(journal.path.stat().st_size for journal in journals)
        self.numbers = {id(reader.server): number for number, reader in enumerate(self.readers)}

    def add(self, reader: FlowReader) -> None:
        self.numbers[id(reader.server)] = len(self.readers)
        self.readers.append(reader)

    def read_recorded(self) -> Iterator[Item]:
        """All that is there, by time."""
        growing = {id(reader) for reader in self.growing}
        parts = (reader.read_new() if id(reader) in growing else reader.read_rest() for reader in self.readers)
        return merge_by_time(parts)

    def number_of(self, item: Item) -> int:
        return self.numbers[id(item.server)]


class _Sending(ABC):
    """Sends what `take_batch` gives, in batches that are small at first and never late."""

    def __init__(self, output: Output, sources: Sources) -> None:
        self.output, self.sources = output, sources
        self._sent_s = time.monotonic()
        self._seen = 0
        self._told_problems = 0

    @abstractmethod
    def step(self, item: Item) -> None: ...

    @abstractmethod
    def flush(self) -> None: ...

    def run(self, items: Iterable[Item]) -> None:
        for item in items:
            self.step(item)
            self._seen += 1
            if self._seen % _LOOK_AT_CLOCK_EVERY == 0 or self._seen == _FIRST_ROWS:
                now_s = time.monotonic()
                if self._seen == _FIRST_ROWS or now_s - self._sent_s > _SEND_EVERY_S:
                    self._sent_s = now_s
                    self.flush()
                    self._tell_progress(is_done=False)
        self.flush()

    def finish(self) -> None:
        self._tell_progress(is_done=True)
        problems = describe_problems(self.sources.readers)
        if len(problems) > self._told_problems:
            self._told_problems = len(problems)
            self.output.send_json(problems=problems)

    def _tell_progress(self, *, is_done: bool) -> None:
        read = sum(reader.offset for reader in self.sources.readers)
        self.output.send_json(read=read, size=self.sources.size, done=is_done)


class _Indexing(_Sending):
    def __init__(self, output: Output, sources: Sources) -> None:
        super().__init__(output, sources)
        self._count = 0
        self._asked: dict[tuple[int, int], int] = {}
        self._clear()

    def _clear(self) -> None:
        self._columns = array("H"), array("Q"), array("Q"), array("i")

    def step(self, item: Item) -> None:
        number = self.sources.number_of(item)
        request = NOBODY
        if item.kind == "request":
            self._asked[number, item.seq] = self._count
        elif item.request is not None:
            request = self._asked.pop((number, item.request.seq), NOBODY)
        self._count += 1
        journals, offsets, times, requests = self._columns
        journals.append(number)
        offsets.append(item.offset)
        times.append(item.time_us)
        requests.append(request)

    def flush(self) -> None:
        if self._columns[0]:
            self.output.send(b"R", b"".join(column.tobytes() for column in self._columns))
            self._clear()


class _Filtering(_Sending):
    def __init__(self, output: Output, sources: Sources, test: Test) -> None:
        super().__init__(output, sources)
        self._test = test
        self._ordinals = [0] * len(sources.readers)
        self._columns = array("H"), array("I")

    def step(self, item: Item) -> None:
        number = self.sources.number_of(item)
        while number >= len(self._ordinals):
            self._ordinals.append(0)
        ordinal = self._ordinals[number]
        self._ordinals[number] += 1
        if self._test(item):
            self._columns[0].append(number)
            self._columns[1].append(ordinal)

    def flush(self) -> None:
        if self._columns[0]:
            self.output.send(b"H", b"".join(column.tobytes() for column in self._columns))
            self._columns = array("H"), array("I")


def index(order: dict[str, Any], commands: Input, output: Output) -> None:
    """Say where every message is, and go on as they come."""
    taps = [_unpack(Path(path), Path(order["unpack"]), output) for path in order["taps"]]
    sources = Sources(map(str, taps), order["live"])
    for reader in sources.readers:
        output.send_json(journal=str(reader.server.path))
    sending = _Indexing(output, sources)
    sending.run(sources.read_recorded())
    sending.finish()
    folder = order["folder"]
    if not sources.growing and folder is None:
        return
    following = Following(
        Path(folder or "."),
        None if folder else Capture(()),
        readers=sources.growing,
        known=map(Path, order["taps"]),
    )
    while True:
        for item in following.read_new(time.time_ns() // 1000):
            if id(item.server) not in sources.numbers:
                reader = next(reader for reader in following.readers if reader.server is item.server)
                sources.add(reader)
                output.send_json(journal=str(reader.server.path))
            sending.step(item)
        sending.flush()
        commands.read_line(LOOK_EVERY_S)


def _unpack(path: Path, folder: Path, output: Output) -> Path:
    """Where the journal can be read from any place."""
    if not is_compressed(path) or plain_path(path).exists():
        return plain_path(path)
    output.send_json(unpacking=path.name)
    inner = folder / str(len(list(folder.iterdir())))  # two folders' journals may have one name
    inner.mkdir()
    unpacked = inner / plain_path(path).name
    packed, _ = open_journal(path)
    with packed, unpacked.open("xb") as file, suppress(*READ_ERRORS):  # of a damaged one, what is left
        shutil.copyfileobj(packed, file, _COPIED_BYTES)
    return unpacked


def find(order: dict[str, Any], commands: Input, output: Output) -> None:
    """Say which messages a filter means, and go on as they come."""
    wanted = parse_filter(order["filter"])
    reads_calls = needs_calls(wanted)
    calls = _make_calls()
    if reads_calls:
        calls.read(list_clients(order))
    sources = Sources(order["taps"])
    sending = _Filtering(output, sources, compile_filter(wanted, calls))
    sending.run(sources.read_recorded())
    sending.finish()
    held: list[Item] = []
    while True:
        line = commands.read_line(LOOK_EVERY_S)
        if line is not None and (journal := _read_new_journal(json.loads(line))) is not None:
            reader = FlowReader(journal)
            sources.add(reader)
            sources.growing.append(reader)
        for reader in sources.growing:
            held += reader.read_new()
        if held and reads_calls:
            calls.read(list_clients(order))
        for item in held:
            sending.step(item)
        held.clear()
        sending.flush()


def list_clients(order: dict[str, Any]) -> list[Journal]:
    """The clients' journals of an order, also those that were begun since where a folder is watched."""
    if order["folder"] is not None:
        return list(open_folder(Path(order["folder"])).clients)
    return [journal for path in order["clients"] if (journal := read_head(Path(path))) is not None]


def _make_calls() -> CallIndex:
    from lsp_tap.inspect.calls import CallIndex  # takes longer to import than all else

    return CallIndex()


def _read_new_journal(command: dict[str, Any]) -> Journal | None:
    return read_head(Path(command["journal"]))


def main() -> int:
    if sys.platform != "win32":
        os.nice(_NICENESS)
    commands, output = Input(), Output()
    try:
        line = commands.read_line(0)
        if line is None:  # a spare one: what takes long to import is there when it is needed
            line = commands.read_line()
        order = json.loads(line or b"null")
        match order["role"]:
            case "index":
                index(order, commands, output)
            case "filter":
                find(order, commands, output)
            case "document":
                from lsp_tap.inspect.screen.document import tell_document

                tell_document(list(map(Path, order["taps"])), list_clients(order), order, output)
    except (EOFError, BrokenPipeError):
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
