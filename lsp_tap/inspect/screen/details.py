"""One message in full: what it is, how it belongs to others, and its body in one of three views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final, Literal

from lsp_tap.inspect.flows import Item
from lsp_tap.inspect.log import ARROWS, format_bytes, format_latency, format_time, name_id
from lsp_tap.inspect.screen.body import Line, Piece, Tone, dump_bytes, indent_json, show_text
from lsp_tap.inspect.screen.rows import Rows
from lsp_tap.inspect.summary import name_document
from lsp_tap.inspect.terminal import one_line
from lsp_tap.journal.exact import ExactFrame
from lsp_tap.journal.lines import decode_part
from lsp_tap.journal.reader import Unreadable
from lsp_tap.journal.records import InvalidBytes, StderrWritten
from lsp_tap.journal.stored import READ_ERRORS

if TYPE_CHECKING:
    from lsp_tap.session.history import Call

View = Literal["pretty", "raw", "hex"]
_TONES: Final[dict[str, Tone]] = {"completed": "good", "error": "error"}
VIEWS: Final[tuple[View, ...]] = ("pretty", "raw", "hex")


@dataclass(frozen=True, slots=True)
class Wire:
    """The bytes of a message as they were; `header` is empty where there is none."""

    header: bytes
    body: bytes


def read_wire_bytes(rows: Rows, row: int) -> Wire:
    """The bytes behind a row; those of an event are its text."""
    try:
        entry = rows.read_exact(row)
    except READ_ERRORS:
        entry = None
    match entry:
        case ExactFrame():
            return Wire(entry.exact_header, entry.exact_body)
        case InvalidBytes():
            return Wire(b"", decode_part(entry.text, entry.base64))
        case StderrWritten():
            return Wire(b"", entry.text.encode("utf-8", "surrogatepass"))
        case None | Unreadable() | _:
            return Wire(b"", rows.read(row).text.encode("utf-8", "surrogatepass"))


def describe_message(rows: Rows, row: int, view: View, calls: Iterable[Call]) -> Iterator[Line]:
    """All that is shown of a message, top to bottom."""
    item = rows.read(row)
    return chain(_describe_head(rows, row, item, calls), [[Piece("")]], _show_body(rows, row, item, view))


def _describe_head(rows: Rows, row: int, item: Item, calls: Iterable[Call]) -> Iterator[Line]:
    is_answer = item.kind in ("response", "error")
    arrow = ARROWS.get((item.direction, is_answer), "·")
    name = one_line(item.method, 200) if item.method is not None else item.kind
    identity = f" {name_id(item)}" if is_answer or item.kind == "request" else ""
    probe = "  asked by lsp-tap itself" if item.probe else ""
    style: Tone = "error" if item.kind in ("error", "invalid") else "title"
    yield [Piece(f"{arrow} {name}{identity}", style), Piece(f"   {item.kind}{probe}", "dim")]
    going = {"client_to_server": "client → server", "server_to_client": "server → client", None: "the tap"}
    size = f" · {format_bytes(item.raw_length)}" if item.raw_length is not None else ""
    said = f"{one_line(item.server.name)} · {format_time(item.time_us)} · {going[item.direction]}{size}"
    yield [Piece(said, "dim"), *_describe_exchange(rows, row, item)]
    if document := name_document(item):
        yield [Piece("document  ", "dim"), Piece(one_line(document, 400))]
    for call in calls:
        state = _TONES.get(call.status, "warning")
        yield [
            Piece("call      ", "dim"),
            Piece(one_line(call.tool), "key"),
            Piece(f" {one_line(call.call_id)} ", "text"),
            Piece(one_line(call.status), state),
        ]


def _describe_exchange(rows: Rows, row: int, item: Item) -> Line:
    partner = rows.find_partner(row)
    if item.kind == "request":
        if partner is None:
            return [Piece(" · no answer", "warning")]
        latency_us = rows.read(partner).latency_us
        took = format_latency(latency_us) if latency_us is not None else "?"
        return [Piece(f" · answered after {took} (r)", "good")]
    if item.kind in ("response", "error"):
        if item.latency_us is None:
            return [Piece(" · answers nothing that was asked", "warning")]
        return [Piece(f" · answer after {format_latency(item.latency_us)} (r)", "good")]
    return []


def _show_body(rows: Rows, row: int, item: Item, view: View) -> Iterator[Line]:
    if view == "hex":
        wire = read_wire_bytes(rows, row)
        return dump_bytes(wire.header + wire.body)
    if view == "raw":
        return _show_raw(read_wire_bytes(rows, row))
    if item.message is not None or item.kind not in ("stderr", "invalid", "event"):
        return indent_json(item.body)
    if item.kind == "invalid":
        wire = read_wire_bytes(rows, row)
        reason = item.text.partition(":")[0]
        return chain([[Piece(one_line(reason), "error")], [Piece("")]], dump_bytes(wire.header + wire.body))
    return show_text(item.text.rstrip("\n"))


def _show_raw(wire: Wire) -> Iterator[Line]:
    """As it was sent: the header's lines with their ends, then the body."""
    for line in wire.header.decode("latin-1").splitlines(keepends=True):
        shown = line.replace("\r", "\\r").replace("\n", "\\n")
        yield [Piece(one_line(shown, 1000), "key")]
    yield from show_text(wire.body.decode("utf-8", "backslashreplace"))
