"""A capture without secrets, user names and home paths, for exporters that read journals as ever.

Its journals are copies in a temporary folder. A message is spelled as it was but for what was replaced; where its
length is another then, its header says so, so what is exported can still be played back. Positions in a line behind
something that was replaced are no longer right (a secret of several lines leaves its line breaks, so lines are). A
secret that was typed a few letters at a time is in no message whole and is not found.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lsp_tap.export.json_strings import Path as JsonPath
from lsp_tap.export.json_strings import rewrite_strings
from lsp_tap.journal.capture import Capture
from lsp_tap.journal.exact import ExactFrame, ExactJournal
from lsp_tap.journal.lines import (
    PART_BYTES,
    count_parts,
    decode_part,
    encode_fields,
    encode_frame,
    encode_frame_head,
    encode_invalid,
    encode_line,
    encode_part,
    parse_json,
)
from lsp_tap.journal.reader import Entry, Journal, Unreadable, read_head
from lsp_tap.journal.records import InvalidBytes, Record, TapStarted
from lsp_tap.journal.stored import plain_path
from lsp_tap.redaction import Redactor

_LENGTH: Final = re.compile(rb"(?i)(content-length[ \t]*:[ \t]*)\d+")
_UNREADABLE_LINE: Final = b"not readable\n"
_ENVELOPE: Final = ("seq", "time_us", "monotonic_us", "kind")


@contextmanager
def redact_capture(capture: Capture, redactor: Redactor) -> Iterator[Capture]:
    """The same capture, redacted, until the block ends. One message at a time is in memory. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix="lsp-tap-") as folder:
        copies: list[list[Journal]] = []
        for kind, journals in (("taps", capture.taps), ("clients", capture.clients)):
            places = (Path(folder) / kind / str(number) for number in range(len(journals)))
            copies.append([_copy(journal, place, redactor) for journal, place in zip(journals, places, strict=True)])
        yield Capture(tuple(copies[0]), tuple(copies[1]), capture.session_ids)


def find_directories(capture: Capture) -> list[str]:
    """Where its servers ran, so whose homes are in it."""
    return [journal.first.cwd for journal in capture.taps if isinstance(journal.first, TapStarted)]


def _copy(journal: Journal, folder: Path, redactor: Redactor) -> Journal:
    folder.mkdir(parents=True, mode=0o700)
    path = folder / plain_path(journal.path).name
    with path.open("wb") as file:
        for entry in ExactJournal(journal.path, journal.kind, journal.first):
            file.writelines(_encode_entry(entry, redactor))
    copied = read_head(path)
    return Journal(path, journal.kind, copied.first if copied is not None else None)


def _encode_entry(entry: Entry, redactor: Redactor) -> Iterator[bytes]:
    match entry:
        case Unreadable():
            yield _UNREADABLE_LINE  # the copy's reader counts it, too
        case ExactFrame():
            yield from _encode_frame(entry, redactor)
        case InvalidBytes():
            data = _redact_bytes(decode_part(entry.text, entry.base64), redactor)
            yield _encode_line(entry, encode_invalid(entry.direction, data, entry.reason))
        case _:
            fields = entry.model_dump(mode="json", exclude_unset=True, exclude=set(_ENVELOPE))
            yield _encode_line(entry, encode_fields(redactor.value(fields)))


def _encode_line(record: Record, fields: bytes) -> bytes:
    return encode_line(record.seq, record.time_us, record.monotonic_us, record.kind, fields)


def _encode_frame(frame: ExactFrame, redactor: Redactor) -> Iterator[bytes]:
    body = _redact_bytes(frame.exact_body, redactor)
    header = frame.exact_header
    if len(body) != len(frame.exact_body):
        header = _LENGTH.sub(rb"\g<1>%d" % len(body), header)
    if not frame.is_exact and frame.has_message:  # its spelling is known, its length on the wire is only told
        raw_length = frame.raw_length + len(body) - len(frame.exact_body)
        told: dict[str, object] = {"direction": frame.direction, "raw_length": raw_length}
        if frame.probe:
            told["probe"] = True
        yield _encode_line(frame, encode_fields(told) + b',"message":' + body)
        return
    if len(body) <= PART_BYTES:
        yield _encode_line(frame, encode_frame(frame.direction, header, body, probe=frame.probe)[0])
        return
    yield _encode_line(frame, encode_frame_head(frame.direction, header, len(body), probe=frame.probe))
    for part in range(count_parts(len(body))):
        data = body[part * PART_BYTES : (part + 1) * PART_BYTES]
        fields = encode_part(frame.seq, part, data)
        yield encode_line(frame.seq, frame.time_us, frame.monotonic_us, "body_part", fields)


def _redact_bytes(data: bytes, redactor: Redactor) -> bytes:
    """JSON string by string, anything else as text."""
    text = data.decode("utf-8", "surrogateescape")
    _, error = parse_json(text.removeprefix("\ufeff"))
    if error is not None:
        new = redactor.text(text)
    else:
        new = rewrite_strings(text, lambda path, string, is_key: _redact_string(path, string, is_key, redactor))
    return data if new == text else new.encode("utf-8", "surrogateescape")


def _redact_string(path: JsonPath, text: str, is_key: bool, redactor: Redactor) -> str:
    return redactor.text(text) if is_key or not path else redactor.named(path[-1], text)
