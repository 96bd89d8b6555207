"""What passed a tap, one `Item` a message, and each answer with the request it answers. Fast: a million of them is an
ordinary recording.

Most lines of a journal are a frame as our own recorder writes it around a message as most peers write it. There the
beginning of the line tells the kind, the method and the id, and JSON is parsed only when somebody looks inside. Where
the beginning does not prove it (other orders of keys, escapes, an `id` or `error` that may still come) the message is
parsed; where the line is no such frame, the tolerant reader takes it.
"""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import unquote

from lsp_tap.journal import records
from lsp_tap.journal.reader import Journal, JournalReader, Unreadable, load_json, parse_line
from lsp_tap.journal.repeats import is_shortened
from lsp_tap.wire.exchanges import Direction, Exchanges
from lsp_tap.wire.messages import Notification, Request, Response, parse_message

ItemKind: TypeAlias = Literal["request", "notification", "response", "error", "stderr", "invalid", "event"]
KINDS: Final[tuple[ItemKind, ...]] = ("request", "notification", "response", "error", "stderr", "invalid", "event")
"""`error` is an answer that reports one; `invalid` what is no message; `event` what the tap itself had to say."""

_FRAME: Final = re.compile(
    rb'\{"seq":(\d+),"time_us":(\d+),"monotonic_us":(\d+),"kind":"frame",'
    rb'"direction":"(client_to_server|server_to_client)","raw_length":(\d+)(,"probe":true)?,"message":'
)
_HEAD: Final = re.compile(
    rb'\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*(?:"id"\s*:\s*(?:(-?\d{1,18})|"([^"\\]*)")\s*,\s*)?'
    rb'(?:"method"\s*:\s*"([^"\\]*)"\s*[,}]|"result"\s*:\s*(?!null)|("error"\s*:\s*\{))'
)
_DOCUMENT: Final = re.compile(rb'\s*"params"\s*:\s*\{\s*(?:"textDocument"\s*:\s*\{\s*)?"uri"\s*:\s*"([^"\\]*)"')
_UNPARSED: Final = object()
_ESCAPE: Final = re.compile(r"\\[u/]")


@dataclass(frozen=True, slots=True)
class Server:
    """A tap, as its journal's first record has it. `client_pid` is its client's process, None when not known."""

    name: str
    path: Path
    cwd: str = ""
    client_pid: int | None = None


class Item:
    """Something that passed, or that the tap noted. Times in microseconds; `method` of an answer is its request's.

    `request` is the request that an answer belongs to; None where nobody asked.
    """

    __slots__ = (
        "_document_at", "_line", "_message", "_message_at", "direction", "id", "kind", "method", "monotonic_us",
        "offset", "probe", "raw_length", "request", "seq", "server", "text", "time_us",
    )  # fmt: skip

    server: Server
    offset: int
    """Where its record begins in the journal."""
    seq: int
    time_us: int
    monotonic_us: int
    kind: ItemKind
    direction: Direction | None
    raw_length: int | None
    probe: bool
    method: str | None
    id: Any
    request: Item | None
    text: str
    """What stands for the body where there is no message."""
    _line: bytes
    _message_at: int
    _document_at: int
    _message: Any

    @property
    def line(self) -> bytes:
        """Its line in the journal; empty where it was put together from several records."""
        return self._line

    @property
    def message(self) -> Any:
        """The message as parsed JSON; None where there is none."""
        if self._message is _UNPARSED:
            self._message = None
            try:
                self._message = load_json(self._line[self._message_at : -2])
            except (ValueError, RecursionError) as error:
                self.text = f"not JSON: {error}"
        return self._message

    @property
    def body(self) -> str:
        """The message's JSON as text, no character escaped that need not be; else `text`."""
        if self._message_at:
            found = self._line[self._message_at : -2].decode("utf-8", "replace")
            if not _ESCAPE.search(found):
                return found
        return self.text if self.message is None else encode_body(self.message)

    @property
    def latency_us(self) -> int | None:
        """From request to answer."""
        return self.monotonic_us - self.request.monotonic_us if self.request is not None else None

    @property
    def uri(self) -> str | None:
        """The document it is about; of an answer, the request's."""
        if self.request is not None:
            return self.request.uri
        if self._document_at:
            found = _DOCUMENT.match(self._line, self._document_at)
            if found:
                return found[1].decode("utf-8", "replace")
        params = self.params
        document = params.get("textDocument")
        uri = document.get("uri") if isinstance(document, dict) else params.get("uri")
        return uri if isinstance(uri, str) else None

    @property
    def params(self) -> dict[str, Any]:
        """A request's or notification's parameters; empty where they are no object."""
        message = self.message
        params = message.get("params") if isinstance(message, dict) else None
        return params if isinstance(params, dict) else {}


class FlowReader:
    """Reads one tap's journal as it grows; what cannot be read is counted in `problems`."""

    def __init__(self, journal: Journal) -> None:
        first = journal.first
        self.server = Server(journal.path.stem, journal.path)
        if isinstance(first, records.TapStarted):
            client_pid = first.client_pid if first.client_pid is not None else first.parent_pid
            self.server = Server(first.name, journal.path, first.cwd, client_pid)
        self.problems: list[Unreadable] = []
        self._reader = JournalReader(journal.path)
        self._exchanges: Exchanges[Item] = Exchanges()

    @property
    def offset(self) -> int:
        """How far the journal was read."""
        return self._reader.offset

    @property
    def unanswered(self) -> list[Item]:
        """The requests that have no answer so far."""
        return [item for _, _, item in self._exchanges.unanswered]

    def read_new(self) -> Iterator[Item]:
        """What was added since the last call."""
        for line in self._reader.read_new_lines():
            if isinstance(line, Unreadable):
                self.problems.append(line)
                continue
            item = self._read_frame(line)
            if item is not None:
                item.offset = self._reader.line_offset
                yield item
                continue
            yield from self._read_entries(self._reader.step(line))

    def read_rest(self) -> Iterator[Item]:
        """All that is left, when nothing more will be written."""
        yield from self.read_new()
        yield from self._read_entries(self._reader.give_up())

    def read_again(self, record: bytes | records.Record, request: Item | None = None) -> Item | None:
        """One item out of its order, from its line or its record; `request` is what it answers. None where a line is
        none of its own: the first of a frame in parts, one that builds on others (`repeats`), or nothing of LSP
        traffic. A reader that does this reads on no more: it forgets what is unanswered."""
        self._exchanges = Exchanges()
        if isinstance(record, bytes) and is_shortened(record):
            return None
        item = self._read_frame(record) if isinstance(record, bytes) else None
        if item is None:
            entry = parse_line(record) if isinstance(record, bytes) else record
            if entry is None or isinstance(entry, Unreadable):
                return None
            if isinstance(record, bytes) and isinstance(entry, records.Frame) and entry.body_parts is not None:
                return None
            item = self._read_record(entry)
        if item is not None and request is not None and item.kind in ("response", "error"):
            item.request, item.method = request, request.method
        return item

    def _read_entries(self, entries: Iterable[records.Record | Unreadable]) -> Iterator[Item]:
        for entry in entries:
            if isinstance(entry, Unreadable):
                self.problems.append(entry)
            else:
                item = self._read_record(entry)
                if item is not None:
                    item.offset = self._reader.entry_offset
                    yield item

    def _read_frame(self, line: bytes) -> Item | None:
        found = _FRAME.match(line)
        if found is None or not line.endswith(b"}\n"):
            return None
        item = Item()
        item.server = self.server
        seq, time_us, monotonic_us, direction, raw_length, probe = found.groups()
        item.seq, item.time_us, item.monotonic_us, item.raw_length = (
            int(seq), int(time_us), int(monotonic_us), int(raw_length),
        )  # fmt: skip
        item.direction = "client_to_server" if direction[0] == 99 else "server_to_client"  # 99 is "c"
        item.probe = probe is not None
        item.text = ""
        item.request = None
        item._message, item._line, item._message_at, item._document_at = _UNPARSED, line, found.end(), 0
        head = _HEAD.match(line, item._message_at)
        if head is None:
            return self._classify(item)
        number, string, method, error = head.groups()
        identifier = (
            int(number) if number is not None else string.decode("utf-8", "replace") if string is not None else None
        )
        if method is not None:
            if identifier is None and line.find(b'"id"', item._message_at) >= 0:
                return self._classify(item)
            item._document_at = head.end()
            item.method = method.decode("utf-8", "replace")
            item.id = identifier
            if identifier is None:
                item.kind = "notification"
            else:
                item.kind = "request"
                self._exchanges.step(item.direction, Request(identifier, item.method), item)
            return item
        # A second glance: a peer may write both, one of them null, or (which is nonsense) a method after a result.
        other = b'"result"' if error is not None else b'"error"'
        if identifier is None or line.find(other, head.end()) >= 0 or line.find(b'"method"', head.end()) >= 0:
            return self._classify(item)
        self._answer(item, identifier, is_error=error is not None)
        return item

    def _classify(self, item: Item) -> Item:
        """Tells from the parsed message what it is."""
        item.method = item.id = None
        match parse_message(item.message):
            case Request(id=identifier, method=method) as request:
                item.kind, item.id, item.method = "request", identifier, method
                if item.direction is not None:
                    self._exchanges.step(item.direction, request, item)
            case Notification(method=method):
                item.kind, item.method = "notification", method
            case Response(id=identifier, error=error):
                self._answer(item, identifier, is_error=error is not None)
            case None:
                item.kind = "invalid"
                item.text = item.text or f"not a JSON-RPC message: {encode_body(item.message)}"
        return item

    def _answer(self, item: Item, identifier: Any, *, is_error: bool) -> None:
        item.kind = "error" if is_error else "response"
        item.id, item.method = identifier, None
        exchange = self._exchanges.step(item.direction or "server_to_client", Response(identifier), item)
        if exchange is not None:
            item.request, item.method = exchange.asked, exchange.request.method

    def _read_record(self, record: records.Record) -> Item | None:
        item = Item()
        item.server = self.server
        item.seq, item.time_us, item.monotonic_us = record.seq, record.time_us, record.monotonic_us
        item.direction = item.raw_length = item.method = item.id = item.request = None
        item._message, item._line, item._message_at, item._document_at = None, b"", 0, 0
        item.probe, item.text, item.kind = False, "", "event"
        match record:
            case records.Frame():
                item.direction, item.raw_length, item.probe = record.direction, record.raw_length, record.probe
                item._message = record.message
                if record.has_message:
                    return self._classify(item)
                item.kind = "invalid"
                item.text = f"{record.error}: {record.body or record.body_base64 or ''}"
            case records.InvalidBytes():
                item.kind, item.direction, item.raw_length = "invalid", record.direction, record.raw_length
                item.text = f"{record.reason}: {record.text if record.text is not None else record.base64}"
            case records.StderrWritten():
                item.kind, item.direction, item.text = "stderr", "server_to_client", record.text
                item.raw_length = len(record.text.encode("utf-8", "surrogatepass"))
            case _:
                text = describe_event(record)
                if text is None:
                    return None
                item.text = text
        return item


def describe_problems(readers: Iterable[FlowReader]) -> list[str]:
    """What could not be read, a line each."""
    return [
        f"{reader.server.path.name}:{problem.line}: {problem.reason}: {problem.detail}"
        for reader in readers
        for problem in reader.problems
    ]


def describe_event(record: records.Record) -> str | None:
    """What the tap noted, in words; None for what is not said of LSP traffic."""
    match record:
        case records.TapStarted():
            return f"tap started: {' '.join(record.command)}"
        case records.ServerStarted():
            return f"server started, process {record.pid}"
        case records.ProbingStopped():
            return f"probe stopped: {record.reason}"
        case records.Dropped():
            return f"{record.count} records lost while recording: {record.reason or 'reason not known'}"
        case records.ServerExited():
            return f"server exited, {f'signal {record.signal}' if record.signal is not None else f'code {record.code}'}"
        case records.TapStopped():
            return f"tap stopped: {record.reason}"
    return None


def encode_body(message: Any, *, indent: int | None = None) -> str:
    """A message as JSON text; on one line, unless an indent is given."""
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(message, ensure_ascii=False, separators=separators, indent=indent)


def merge_by_time(sources: Iterable[Iterable[Item]]) -> Iterator[Item]:
    """The items of several taps by wall clock; those of one stay in its order, whatever its clock did."""

    def key(index: int, items: Iterable[Item]) -> Iterator[tuple[int, int, int, Item]]:
        latest_us = 0
        for number, item in enumerate(items):
            latest_us = max(latest_us, item.time_us)
            yield latest_us, index, number, item

    listed = list(sources)
    if len(listed) == 1:
        return iter(listed[0])
    return (item for _, _, _, item in heapq.merge(*(key(index, items) for index, items in enumerate(listed))))


@lru_cache(maxsize=4096)
def decode_uri(uri: str) -> str:
    """A uri without percent escapes."""
    return unquote(uri)
