"""Reading journals. Tolerant: whatever is wrong with a line is yielded as a value, and the lines after it
are read.

    for entry in read_journal(path):
        match entry:
            case Unreadable(): ...
            case Frame(message=...): ...

A large frame's parts are put back together: its `Frame` comes, whole, where its last part stood, which is
when it was complete on the wire. So entries are in order of completion, and `seq` may step back there.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, TypeAlias

import msgspec
from pydantic import ValidationError

from lsp_tap.journal.heads import DECODE_ERRORS, FrameHead
from lsp_tap.journal.heads import read_head as read_frame_head
from lsp_tap.journal.lines import decode_part, parse_json
from lsp_tap.journal.records import (
    FORMAT_VERSION,
    RECORD_BY_KIND,
    BodyPart,
    ClientStarted,
    DocumentText,
    Frame,
    ProjectObserved,
    Record,
    TapStarted,
)
from lsp_tap.journal.repeats import Restorer, find_bases, has_document, is_shortened
from lsp_tap.journal.stored import READ_ERRORS, list_journals, open_journal, plain_path

UnreadableReason: TypeAlias = Literal[
    "torn line", "not JSON", "not a record", "unknown kind", "newer format", "stray part", "unreadable file"
]
JournalKind: TypeAlias = Literal["server", "client", "observed", "verified"]

_BACK_BYTES: Final = 1 << 18
_RECORDER_NESTING: Final = 1000  # Python's default limit, the most that the recorder can have parsed
_SURROGATE_ESCAPE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A place that could not be read: `line` from 1, `offset` in bytes. `detail` is for people."""

    line: int
    offset: int
    reason: UnreadableReason
    detail: str


Entry: TypeAlias = Record | Unreadable


@dataclass(slots=True)
class _PartialFrame:
    frame: Frame
    offset: int
    body: bytearray = field(default_factory=bytearray)
    parts: int = 0

    def complete(self) -> Frame:
        fields: dict[str, object] = {}
        if self.parts != self.frame.body_parts:
            fields["error"] = f"body is incomplete: {self.parts} of {self.frame.body_parts} parts"
        else:
            fields |= _parse_body(bytes(self.body))
        return self.frame.model_copy(update=fields)


class JournalReader:
    """Reads one file as it grows: `read_new` yields what was added since the last call.

    A torn last line and a frame whose parts are not all there yet wait for the next call; `read_rest` gives
    them up. A file that became shorter or was replaced is not followed: a journal only ever grows, until it is
    compressed, which changes neither its bytes nor their offsets.
    """

    def __init__(self, path: Path, *, offset: int = 0) -> None:
        """`offset` is where a line begins, as `self.offset` was once; parts of a frame from before it are
        strays.
        """
        self.path = path
        self.offset = offset
        self.entry_offset = offset
        """Where the record begins that `step` yielded last; of a frame in parts, the first."""
        self.line_offset = offset
        """Where the line begins that `read_new_lines` yielded last."""
        self._restorer = Restorer()
        self._line = 0
        self._torn_at: int | None = None
        self._partial: dict[int, _PartialFrame] = {}
        self._stopped = False
        self._is_complete = False

    def know_bases(self) -> None:
        """Looks, for a reader from some `offset` on, for what the text of the line there builds on. Raises one of
        READ_ERRORS.
        """
        file, is_packed = open_journal(self.path)
        with file:
            file.seek(self.offset)
            line = file.readline()
            if not is_shortened(line):
                return
            back = reversed(_read_until(file, self.offset)) if is_packed else _read_back(file, self.offset)
            for base in find_bases(line, back):
                self._restorer.restore(base)

    def read_new(self) -> Iterator[Entry]:
        for line in self.read_new_lines():
            if isinstance(line, Unreadable):
                yield line
            else:
                yield from self.step(line)

    def read_wanted(self, is_wanted: Callable[[FrameHead], bool]) -> Iterator[Entry]:
        """As `read_new`, without the frames that are not wanted by their heads. Unknown fields of frames are left
        out."""
        for line in self.read_new_lines():
            if isinstance(line, Unreadable):
                yield line
                continue
            head = read_frame_head(line)
            if head is not None and not is_wanted(head):
                continue
            frame = head.read_frame() if head is not None else None
            if frame is None:
                yield from self.step(line)
            else:
                self.entry_offset = self.line_offset
                yield frame

    def read_new_lines(self) -> Iterator[bytes | Unreadable]:
        """The whole lines added since the last call, for who need not parse each of them: one that matters is given to
        `step` before the next is taken. Texts that were left out are in them again.
        """
        if self._is_complete:
            return
        try:
            file, is_finished = open_journal(self.path)
            with file:
                file.seek(self.offset)
                self._torn_at = None
                for line in file:
                    if self._stopped:
                        return
                    if not line.endswith(b"\n"):
                        self._torn_at = self.offset
                        return
                    self.line_offset = self.offset
                    self.offset += len(line)
                    self._line += 1
                    yield self._restorer.restore(line)
                self._is_complete = is_finished
        except READ_ERRORS as error:
            reason = getattr(error, "strerror", None) or str(error)
            yield Unreadable(self._line + 1, self.offset, "unreadable file", reason)

    def read_rest(self) -> Iterator[Entry]:
        """What is left when nothing more will be written: incomplete frames, then the torn line."""
        yield from self.read_new()
        yield from self.give_up()

    def give_up(self) -> Iterator[Entry]:
        """What of the lines read so far waits for others."""
        for partial in self._partial.values():
            self.entry_offset = partial.offset
            yield partial.complete()
        self._partial.clear()
        if self._torn_at is not None:
            yield Unreadable(self._line + 1, self._torn_at, "torn line", "the recorder was stopped while writing")

    def step(self, line: bytes) -> Iterator[Entry]:
        """What the line just read completes: nothing, or one entry."""
        at = self.line_offset
        record = parse_line(line, line_number=self._line, offset=at)
        self.entry_offset = at
        match record:
            case Frame(body_parts=int()):
                self._partial[record.seq] = _PartialFrame(record, at)
            case Frame(document=DocumentText() as document) if document.model_fields_set - {"slot", "at", "ascii"}:
                # Not spelled as our recorders do.
                told = record.model_dump(exclude={"document", "message"}, exclude_unset=True)
                yield Frame.model_validate(told | {"error": "its text cannot be put together"})
            case BodyPart():
                yield from self._add_part(record, at)
            case TapStarted() | ClientStarted() | ProjectObserved() if record.format > FORMAT_VERSION:
                self._stopped = True
                detail = f"format {record.format}; this lsp-tap reads up to {FORMAT_VERSION}: upgrade it"
                yield Unreadable(self._line, at, "newer format", detail)
            case None:
                pass
            case _:
                yield record

    def _add_part(self, part: BodyPart, at: int) -> Iterator[Entry]:
        partial = self._partial.get(part.of)
        if partial is None or part.part != partial.parts:
            yield Unreadable(self._line, at, "stray part", f"part {part.part} of frame {part.of} has no place")
            return
        partial.body += decode_part(part.text, part.base64)
        partial.parts += 1
        if partial.parts == partial.frame.body_parts:
            del self._partial[part.of]
            self.entry_offset = partial.offset
            yield partial.complete()


def _read_until(file: BinaryIO, offset: int) -> list[bytes]:
    """The lines before `offset` that may be bases."""
    file.seek(0)
    lines, at = [], 0
    while at < offset and (line := file.readline()):
        at += len(line)
        if has_document(line):
            lines.append(line)
    return lines


def _read_back(file: BinaryIO, offset: int) -> Iterator[bytes]:
    """The lines before `offset`, the last one first."""
    rest = b""
    while offset > 0:
        start = max(0, offset - _BACK_BYTES)
        file.seek(start)
        lines = (file.read(offset - start) + rest).split(b"\n")
        offset = start
        rest = lines.pop(0) if offset else b""
        yield from reversed(lines)


def read_journal(path: Path) -> Iterator[Entry]:
    """All of a journal. Never raises for what is in the file, nor when it cannot be opened."""
    return JournalReader(path).read_rest()


def read_lines(path: Path) -> Iterator[Entry]:
    """A journal's records as they are in the file, parts not put together."""
    offset = 0
    file, _ = open_journal(path)
    with file:
        for number, line in enumerate(file, 1):
            record = parse_line(line, line_number=number, offset=offset)
            if record is not None:
                yield record
            offset += len(line)


def parse_line(line: bytes, *, line_number: int = 1, offset: int = 0) -> Entry | None:
    """One line; None when it is blank."""

    def unreadable(reason: UnreadableReason, detail: str) -> Unreadable:
        return Unreadable(line_number, offset, reason, detail)

    try:
        fields = load_json(line)
    except (ValueError, RecursionError) as error:
        return unreadable("not JSON", str(error)) if line.strip() else None
    if not isinstance(fields, dict) or not isinstance(fields.get("kind"), str):
        return unreadable("not a record", "not an object with a kind")
    model = RECORD_BY_KIND.get(fields["kind"])
    if model is None:
        return unreadable("unknown kind", fields["kind"])
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        return unreadable("not a record", f"{fields['kind']}.{place}: {first['msg']}")


def load_json(data: bytes) -> Any:
    """The value as a reader shows it: no halves of surrogate pairs. Raises ValueError or RecursionError."""
    with suppress(*DECODE_ERRORS):  # it is the faster one, and takes less
        return msgspec.json.decode(data)
    value = _load_deep(data.decode())
    return _replace_lone_surrogates(value) if _SURROGATE_ESCAPE.search(data) else value


def _load_deep(text: str) -> Any:
    """As `json.loads`, from however deep in a program: the recorder parsed a message with nothing on its stack."""
    try:
        return json.loads(text)
    except RecursionError:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(limit + _RECORDER_NESTING)
        try:
            return json.loads(text)
        finally:
            sys.setrecursionlimit(limit)


def _replace_lone_surrogates(value: object) -> object:
    """JavaScript writes half of a surrogate pair as its escape. It is no character, and no file could hold it."""
    return json.loads(_LONE_SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False)))


def _parse_body(body: bytes) -> dict[str, object]:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        return {"error": f"not UTF-8 at byte {error.start}"}
    message, json_error = parse_json(text.removeprefix("\ufeff"))
    if _SURROGATE_ESCAPE.search(body):
        message = _replace_lone_surrogates(message)
    return {"message": message} if json_error is None else {"body": text, "error": json_error}


@dataclass(frozen=True, slots=True)
class Journal:
    """One file of a journal folder. `first` is its first record, None when that cannot be read; `is_begun`: its first
    line is there, readable or not (a recorder makes its file a moment before it writes)."""

    path: Path
    kind: JournalKind
    first: Record | None
    is_begun: bool = True

    def __iter__(self) -> Iterator[Entry]:
        return read_journal(self.path)


def read_folder(folder: Path, known: Mapping[Path, Journal] | None = None) -> list[Journal]:
    """The journals of a `tap/` folder in order of their start. Files that are none are left out; no folder,
    none. Those `known`, by the paths they were written to, are not read again.
    """
    found = ((path, (known or {}).get(plain_path(path))) for path in list_journals(folder))
    journals = [
        replace(journal, path=path)
        for path, earlier in found
        if (journal := earlier if earlier is not None else read_head(path)) is not None
    ]
    return sorted(journals, key=lambda journal: (journal.first.time_us if journal.first else 0, journal.path.name))


def read_head(path: Path) -> Journal | None:
    """What kind of journal a file is, by its name, else by its first record; None when it is no journal."""
    try:
        file, _ = open_journal(path)
        with file:
            line = file.readline()
    except READ_ERRORS:
        line = b""
    entry = parse_line(line) if line.endswith(b"\n") else None
    first = None if isinstance(entry, Unreadable) else entry
    by_name: dict[str, JournalKind] = {
        "server-": "server",
        "client-": "client",
        "observed": "observed",
        "verified-": "verified",
    }
    for prefix, kind in by_name.items():
        if path.name.startswith(prefix):
            return Journal(path, kind, first, is_begun=line.endswith(b"\n"))
    match first:
        case TapStarted():
            return Journal(path, "server", first)
        case ClientStarted():
            return Journal(path, "client", first)
        case ProjectObserved():
            return Journal(path, "observed", first)
    return None
