"""What exporters read: the connections of a capture, and their records by time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from lsp_tap.errors import UsageError
from lsp_tap.journal.capture import Capture, read_merged
from lsp_tap.journal.exact import ExactFrame, ExactJournal
from lsp_tap.journal.reader import Journal, Unreadable
from lsp_tap.journal.records import ClientNamed, ClientStarted, Dropped, InvalidBytes, Record, StderrWritten, TapStarted
from lsp_tap.journal.stored import plain_path
from lsp_tap.wire.messages import Message, parse_message

LAST_US: Final = 253_402_300_799_999_999
"""The end of the year 9999."""

_EPOCH: Final = datetime.fromtimestamp(0, UTC)

NOT_JSON: Final = "frames that are not JSON"
NO_MESSAGE: Final = "frames that are no JSON-RPC message"
INVALID: Final = "runs of bytes outside any frame"
STDERR: Final = "pieces of stderr"
STRAY: Final = "responses without a request"
UNREADABLE: Final = "unreadable places of a journal"
LOST: Final = "records lost while recording"


@dataclass(eq=False, slots=True)
class Connection:
    """One process that recorded, with a clock that never goes back, and agrees with the wall clock where it started."""

    number: int
    journal: Journal
    _anchor_us: int | None = None

    @property
    def started(self) -> TapStarted | None:
        return self.journal.first if isinstance(self.journal.first, TapStarted) else None

    @property
    def name(self) -> str:
        match self.journal.first:
            case TapStarted(name=name) | ClientStarted(client=ClientNamed(name=name)):
                return name
        return name_stem(self.journal.path)

    def find_time_us(self, record: Record) -> int:
        """When it was, microseconds since the Unix epoch."""
        if self._anchor_us is None:
            first = self.journal.first or record
            self._anchor_us = first.time_us - first.monotonic_us
        return limit_time_us(self._anchor_us + record.monotonic_us)


@dataclass(slots=True)
class Traffic:
    """`left_out` counts what the format has no place for, by what it is."""

    connections: tuple[Connection, ...]
    clients: tuple[Connection, ...]
    session_ids: tuple[str, ...]
    probe_messages: bool
    left_out: Counter[str] = field(default_factory=Counter)

    def only_connection(self, format_name: str) -> Connection:
        """Raises UsageError when there are several: ids of different connections would mix."""
        if len(self.connections) > 1:
            listed = ", ".join(str(connection.journal.path) for connection in self.connections)
            raise UsageError(f"{format_name} holds one connection and this capture has several, name one of: {listed}")
        return self.connections[0]

    def leave_out(self, what: str, count: int = 1) -> None:
        self.left_out[what] += count

    def leave_out_other(self, entry: Record) -> None:
        """For formats of messages alone: counts what carries bytes of the connection and is none."""
        match entry:
            case InvalidBytes():
                self.leave_out(INVALID)
            case StderrWritten():
                self.leave_out(STDERR)

    def leave_out_unread(self, entry: Unreadable | Dropped) -> None:
        """Counts what no format can have: it is not in the journal."""
        if isinstance(entry, Dropped):
            self.leave_out(LOST, entry.count)
        else:
            self.leave_out(UNREADABLE)

    def read(self, *, with_clients: bool = False) -> Iterator[tuple[Connection, Record]]:
        """All records by time. Frames are `ExactFrame`s; those of the probe come only if they are wanted."""
        sources = self.connections + (self.clients if with_clients else ())
        connection_of = {id(connection.journal): connection for connection in sources}
        for journal, entry in read_merged(connection.journal for connection in sources):
            match entry:
                case Unreadable() | Dropped():
                    self.leave_out_unread(entry)
                case ExactFrame(probe=True) if not self.probe_messages:
                    pass
                case _:
                    yield connection_of[id(journal)], entry

    def read_messages(self) -> Iterator[tuple[Connection, ExactFrame, Message | None]]:
        """The frames that are JSON, each with the JSON-RPC message it is; the rest is counted as left out."""
        for connection, entry in self.read():
            if not isinstance(entry, ExactFrame):
                self.leave_out_other(entry)
            elif not entry.has_message:
                self.leave_out(NOT_JSON)
            else:
                yield connection, entry, parse_message(entry.message)


def find_traffic(capture: Capture, servers: Sequence[str], *, probe_messages: bool) -> Traffic:
    """The traffic with the named servers, or with all. Raises UsageError where there is none."""
    taps = [Connection(number, _exactly(journal)) for number, journal in enumerate(capture.taps, 1)]
    names = sorted({tap.name for tap in taps})
    unknown = [server for server in servers if server not in names]
    if unknown:
        raise UsageError(f"no server {unknown[0]!r} in this capture; there are: {', '.join(names)}")
    clients = tuple(
        Connection(len(taps) + number, _exactly(journal)) for number, journal in enumerate(capture.clients, 1)
    )
    chosen = tuple(tap for tap in taps if not servers or tap.name in servers)
    return Traffic(chosen, clients, capture.session_ids, probe_messages)


def _exactly(journal: Journal) -> Journal:
    return ExactJournal(journal.path, journal.kind, journal.first)


def encode_json(value: Any) -> bytes:
    """Compact JSON as UTF-8. A lone surrogate becomes its escape."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def find_moment(time_us: int) -> datetime:
    """A time of a record, UTC; the nearest one that a calendar has."""
    return _EPOCH + timedelta(microseconds=limit_time_us(time_us))


def limit_time_us(time_us: int) -> int:
    """The nearest time between 1970 and 9999: other tools' clocks end somewhere, and a number in a file need not."""
    return min(max(time_us, 0), LAST_US)


def parse_header(block: bytes) -> list[tuple[str, str]]:
    """The fields of a header block, in order."""
    fields = (line.partition(":") for line in block.decode("latin-1").splitlines() if line.strip())
    return [(name.strip(), value.strip()) for name, _, value in fields]


def show_id(id: object) -> str:
    """A request's id as text. Any JSON value can be one."""
    return id if isinstance(id, str) else json.dumps(id)


def name_stem(path: Path) -> str:
    """What the files of a connection are named after."""
    return plain_path(path).name.removesuffix(".jsonl")
