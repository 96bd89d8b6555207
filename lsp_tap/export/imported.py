"""Recordings of other tools as journals of ours.

The journal is a tap's, so every view works on it; `tap_started.recorder` names the source, and `imported` has what the
source said of itself. What it does not know is absent; times are the source's.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

from lsp_tap._version import __version__
from lsp_tap.errors import JournalUnavailable, LspTapError
from lsp_tap.export.traffic import limit_time_us
from lsp_tap.journal.lines import encode_fields
from lsp_tap.journal.records import FORMAT_VERSION, Direction
from lsp_tap.journal.writer import JournalWriter, create_file, create_folder, name_server_journal
from lsp_tap.tap.assembler import Assembler
from lsp_tap.wire.framing import Body, Header, Splitter

END_REASON: Final = "end of the imported recording"
_RAW_LENGTH: Final = re.compile(rb'"raw_length":\d+')


class UnreadableSource(LspTapError):
    """The file at `path` is no recording that can be imported; `reason` says why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"cannot import {self.path}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a source says of one connection. `said` is kept in the journal as it is."""

    source: str
    name: str
    command: tuple[str, ...] = ()
    cwd: str = ""
    platform: str | None = None
    started_us: int = 0
    monotonic_us: int | None = None
    said: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Imported:
    """The journals written, what was left out by what it is, and `notes` for the user."""

    journals: list[Path] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


class ImportedJournal:
    """One connection being imported. Raises JournalUnavailable when it cannot be written."""

    def __init__(self, folder: Path, origin: Origin) -> None:
        inner = create_folder(str(folder))
        fd, path = create_file(inner, name_server_journal(origin.name, limit_time_us(origin.started_us), os.getpid()))
        self.path = Path(path)
        self._writer = JournalWriter(fd)
        self._time_us = limit_time_us(origin.started_us)
        self._monotonic_us = self._time_us if origin.monotonic_us is None else limit_time_us(origin.monotonic_us)
        self._raw_length: int | None = None
        directions: tuple[Direction, ...] = ("client_to_server", "server_to_client")
        self._assemblers = {direction: Assembler(direction, self._write) for direction in directions}
        self._splitters = {direction: Splitter() for direction in directions}
        self._write("tap_started", encode_fields(_describe(origin)))

    def add_frame(
        self, direction: Direction, body: bytes, time_us: int | None, header: bytes, body_length: int
    ) -> None:
        """One frame. `header` and `body_length` are the wire's; `body` may be spelled anew and have another length."""
        self._step_clock(time_us)
        usual = header == encode_header(body_length)
        self._raw_length = len(header) + body_length
        assembler = self._assemblers[direction]
        assembler.step(Header(encode_header(len(body)) if usual else header, len(body)))
        assembler.step(Body(body, True))
        self._raw_length = None

    def add_bytes(self, direction: Direction, data: bytes, time_us: int | None, monotonic_us: int | None) -> None:
        """Some bytes off the wire; none ends the direction."""
        self._step_clock(time_us, monotonic_us)
        splitter = self._splitters[direction]
        for event in splitter.feed(data) if data else splitter.close():
            self._assemblers[direction].step(event)

    def close(self) -> None:
        self._write("tap_stopped", encode_fields({"reason": END_REASON}))
        self._writer.close(self._time_us, self._monotonic_us)
        if self._writer.lost_count:
            self.discard()
            raise JournalUnavailable(str(self.path), self._writer.lost_reason)

    def discard(self) -> None:
        with suppress(OSError):
            self.path.unlink()

    def _step_clock(self, time_us: int | None, monotonic_us: int | None = None) -> None:
        self._time_us = self._time_us if time_us is None else limit_time_us(time_us)
        now_us = self._time_us if monotonic_us is None else limit_time_us(monotonic_us)
        self._monotonic_us = max(self._monotonic_us, now_us)

    def _write(self, kind: str, fields: bytes) -> int:
        if kind == "frame" and self._raw_length is not None:
            fields = _RAW_LENGTH.sub(b'"raw_length":%d' % self._raw_length, fields, count=1)
        return self._writer.write(kind, fields, self._time_us, self._monotonic_us)


OpenJournal: TypeAlias = Callable[[Origin], ImportedJournal]
"""Starts the journal of one connection."""


def _describe(origin: Origin) -> dict[str, object]:
    described: dict[str, object] = {
        "format": FORMAT_VERSION,
        "recorder": f"{origin.source}, imported by lsp-tap {__version__}",
        "name": origin.name,
        "command": list(origin.command),
        "cwd": origin.cwd,
        "pid": os.getpid(),
    }
    if origin.platform is not None:
        described["platform"] = origin.platform
    return described | {"probe": False, "imported": {"source": origin.source, **origin.said}}


def encode_header(body_length: int) -> bytes:
    """The usual header block."""
    return b"Content-Length: %d\r\n\r\n" % body_length


def parse_time_us(value: object) -> int | None:
    """An ISO 8601 time as microseconds since the Unix epoch; without a zone it is UTC. None when it is none."""
    if not isinstance(value, str):
        return None
    # Haskell writes picoseconds, which `fromisoformat` cannot read.
    text = re.sub(r"(\.\d{6})\d+", r"\1", value)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    since = aware - datetime.fromtimestamp(0, UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
