"""`lsp-tap log`: an item a line, as text, by a template, or as JSON.

    10:22:33.123  pyright  → textDocument/hover #5                  123 B  cart.py 3:10
    10:22:33.135  pyright  ⇐ textDocument/hover #5    12.0 ms     1.2 kB  cart.py: {contents}

`→` client to server, `←` server to client; `⇒` and `⇐` are answers. The tap's own messages are marked `probe`.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len, set_cell_size

from lsp_tap.errors import UsageError
from lsp_tap.inspect.flows import Item, encode_body
from lsp_tap.inspect.summary import summarise
from lsp_tap.inspect.terminal import clean, clean_json, one_line

if TYPE_CHECKING:
    from lsp_tap.inspect.calls import CallIndex

_RESET: Final = "\x1b[0m"
_STYLES: Final = {
    "dim": "\x1b[2m", "bold": "\x1b[1m", "red": "\x1b[31m", "green": "\x1b[32m", "yellow": "\x1b[33m",
    "blue": "\x1b[34m", "magenta": "\x1b[35m", "cyan": "\x1b[36m",
}  # fmt: skip
_SERVER_STYLES: Final = ("cyan", "magenta", "green", "blue", "yellow")
ARROWS: Final = {
    ("client_to_server", False): "→", ("server_to_client", False): "←",
    ("client_to_server", True): "⇒", ("server_to_client", True): "⇐", (None, False): "·",
}  # fmt: skip
_SUMMARY_CHARACTERS: Final = 400
_HIGHLIGHT: Final = re.compile(
    r'(?P<name>"(?:[^"\\]|\\.)*")(?P<colon>:)|(?P<text>"(?:[^"\\]|\\.)*")|\b(?:true|false|null)\b|-?\d[\d.eE+-]*'
)
_ALIGNED: Final = re.compile(r"(?P<fill>(?:.?[<>^])?)(?P<width>\d*)")

FIELDS: Final[dict[str, str]] = {
    "time": "time of day, local", "iso": "date and time, UTC", "seconds": "since the first line, as a number",
    "time_us": "microseconds since the Unix epoch", "server": "the server's name", "direction": "c2s, s2c or empty",
    "arrow": "as in the ordinary line", "kind": "request, notification, response, error, stderr, invalid, event",
    "method": "the method, of an answer its request's", "id": "the request's id", "latency_ms": "of an answer",
    "bytes": "size on the wire, header included", "probe": "`probe` for the tap's own, else empty",
    "uri": "the document", "summary": "what it says, in words", "calls": "tool calls it belongs to",
    "session": "sessions it belongs to", "body": "the message's JSON, on one line",
    "journal": "the journal's file name", "seq": "the record's number in it",
}  # fmt: skip
"""The fields of `--format`, with what they hold; one that does not apply is `-`."""

_NUMBERS: Final[dict[str, float]] = {"seconds": 0.0, "time_us": 0, "latency_ms": 0.0, "bytes": 0, "seq": 0}

Writer = Callable[[Item], str]


@dataclass(frozen=True, slots=True)
class Look:
    """How lines look. `width`: of the terminal, None where nothing is cut. `since_us`: times count from there."""

    colour: bool = False
    width: int | None = None
    is_relative: bool = False
    is_verbose: bool = False
    server_width: int = 0


class LineWriter:
    """The ordinary lines: an item as text, without the line break at its end."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._first_us: int | None = None
        self._server_styles: dict[str, str] = {}

    def __call__(self, item: Item) -> str:
        look = self._look
        if self._first_us is None:
            self._first_us = item.time_us
        time = f"{(item.time_us - self._first_us) / 1e6:+11.3f}" if look.is_relative else format_time(item.time_us)
        server = clean(item.server.name)
        name = f"{server:<{look.server_width}}"
        parts = [(time, "dim"), (name, self._server_style(server)), *_describe(item)]
        line = self._fit(parts, one_line(summarise(item), _SUMMARY_CHARACTERS), item)
        if look.is_verbose:
            shown = format_body(item, colour=look.colour)
            return f"{line}\n{shown}" if shown else line
        return line

    def _server_style(self, name: str) -> str:
        return self._server_styles.setdefault(name, _SERVER_STYLES[len(self._server_styles) % len(_SERVER_STYLES)])

    def _fit(self, parts: list[tuple[str, str]], summary: str, item: Item) -> str:
        text = "  ".join(part for part, _ in parts)
        if self._look.width is not None:
            room = self._look.width - cell_len(text) - 2
            if cell_len(summary) > room:
                summary = set_cell_size(summary, room - 1) + "…" if room > 1 else ""
        if not self._look.colour:
            return f"{text}  {summary}".rstrip()
        styled = "  ".join(_paint(part, "dim" if item.probe else style) for part, style in parts)
        return f"{styled}  {_paint(summary, _summary_style(item))}" if summary else styled


def _describe(item: Item) -> list[tuple[str, str]]:
    """The columns between the server's name and the summary."""
    is_answer = item.kind in ("response", "error")
    arrow = ARROWS.get((item.direction, is_answer), "·")
    if item.kind in ("stderr", "invalid", "event"):
        return [(f"{arrow} {item.kind}", "red" if item.kind == "invalid" else "yellow")]
    identity = "" if item.kind == "notification" else f" {name_id(item)}"
    method = one_line(item.method, 80) if item.method is not None else "answer to nothing asked"
    style = "red" if item.kind == "error" else "bold" if item.kind == "request" else ""
    latency_us = item.latency_us
    latency = format_latency(latency_us) if latency_us is not None else ""
    return [
        (f"{f'{arrow} {method}{identity}':<40}", style),
        (f"{latency:>9}", "yellow" if latency_us is not None and latency_us > 1_000_000 else "dim"),
        (f"{format_bytes(item.raw_length or 0):>8}", "dim"),
    ]


def name_id(item: Item) -> str:
    """The tap's own ids are long, so that they are nobody else's; their last part tells them apart."""
    return f"probe {one_line(str(item.id).rpartition(':')[2], 40)}" if item.probe else f"#{one_line(item.id, 40)}"


def _summary_style(item: Item) -> str:
    if item.probe:
        return "dim"
    return {"error": "red", "invalid": "red", "stderr": "yellow", "event": "dim"}.get(item.kind, "")


def _paint(text: str, style: str) -> str:
    return f"{_STYLES[style]}{text}{_RESET}" if style else text


def format_time(time_us: int) -> str:
    """Wall clock, in the time zone of whoever looks."""
    return f"{_format_second(time_us // 1_000_000)}.{time_us // 1000 % 1000:03}"


@lru_cache(maxsize=64)
def _format_second(second: int) -> str:
    return datetime.fromtimestamp(second).strftime("%H:%M:%S")


def format_latency(latency_us: float) -> str:
    """Milliseconds up to ten seconds, then seconds."""
    return f"{latency_us / 1000:.1f} ms" if latency_us < 10_000_000 else f"{latency_us / 1e6:.1f} s"


def format_bytes(size_bytes: int) -> str:
    """In steps of a thousand, one decimal."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def format_body(item: Item, *, colour: bool) -> str:
    """The message as indented JSON, highlighted where colours are wanted; or the text that stands for it, where the
    summary is not all of it."""
    if item.message is None:
        lines = clean(item.text.rstrip("\n")).split("\n")
        is_told = len(lines) == 1 and len(lines[0]) < _SUMMARY_CHARACTERS
        return "" if is_told else "\n".join(f"    {line}" for line in lines)
    shown = clean(encode_body(item.message, indent=2))
    if colour:
        shown = _HIGHLIGHT.sub(_highlight, shown)
    return "\n".join(f"    {line}" for line in shown.split("\n"))


def _highlight(found: re.Match[str]) -> str:
    if found["name"]:
        return f"{_paint(found['name'], 'blue')}{found['colon']}"
    return _paint(found[0], "green" if found["text"] else "cyan")


def list_fields(item: Item, calls: CallIndex) -> dict[str, Any]:
    """An item as plain values, for programs; None where a field does not apply."""
    latency_us = item.latency_us
    return {
        "time": datetime.fromtimestamp(item.time_us / 1e6, UTC).isoformat(timespec="microseconds"),
        "time_us": item.time_us,
        "server": item.server.name,
        "direction": item.direction,
        "kind": item.kind,
        "method": item.method,
        "id": item.id,
        "latency_ms": latency_us / 1000 if latency_us is not None else None,
        "bytes": item.raw_length,
        "probe": item.probe,
        "uri": item.uri,
        "summary": summarise(item),
        "calls": [call.call_id for call in calls.find_calls(item)],
        "sessions": calls.find_sessions(item),
        "journal": str(item.server.path),
        "seq": item.seq,
    }


def write_json(calls: CallIndex, *, is_verbose: bool) -> Writer:
    """JSON lines; the message, or the text in its place, is in them where bodies are wanted."""

    def write(item: Item) -> str:
        fields = list_fields(item, calls)
        if is_verbose:
            fields |= {"message": item.message} if item.message is not None else {"text": item.text}
        return clean_json(json.dumps(fields, ensure_ascii=False))

    return write


class TemplateWriter:
    """`--format`: a template with fields in braces, as Python's `str.format` has them: `{method:<30} {latency_ms:.1f}`.

    Raises UsageError for a template that cannot be filled.
    """

    def __init__(self, template: str, calls: CallIndex) -> None:
        self._calls = calls
        self._first_us: int | None = None
        self._pieces = list(_parse_template(template.replace("\\t", "\t").replace("\\n", "\n")))
        self.fields = {field for _, field, _ in self._pieces if field is not None}

    def __call__(self, item: Item) -> str:
        if self._first_us is None:
            self._first_us = item.time_us
        return "".join(
            literal if field is None else literal + _fill(self._value(field, item), spec, is_number=field in _NUMBERS)
            for literal, field, spec in self._pieces
        )

    def _value(self, field: str, item: Item) -> str | int | float | None:
        match field:
            case "time":
                return format_time(item.time_us)
            case "iso":
                return datetime.fromtimestamp(item.time_us / 1e6, UTC).isoformat(timespec="microseconds")
            case "seconds":
                return (item.time_us - (self._first_us or 0)) / 1e6
            case "time_us" | "seq" | "kind" | "method" | "uri":
                value: str | int | None = getattr(item, field)
                return value
            case "server":
                return item.server.name
            case "direction":
                return {"client_to_server": "c2s", "server_to_client": "s2c", None: ""}[item.direction]
            case "arrow":
                return ARROWS.get((item.direction, item.kind in ("response", "error")), "·")
            case "id":
                return str(item.id) if item.kind in ("request", "response", "error") else None
            case "latency_ms":
                return item.latency_us / 1000 if item.latency_us is not None else None
            case "bytes":
                return item.raw_length
            case "probe":
                return "probe" if item.probe else ""
            case "summary":
                return one_line(summarise(item), _SUMMARY_CHARACTERS)
            case "calls":
                return ",".join(call.call_id for call in self._calls.find_calls(item)) or None
            case "session":
                return ",".join(self._calls.find_sessions(item)) or None
            case "body":
                return item.body
        return item.server.path.name


def _fill(value: str | float | None, spec: str, *, is_number: bool) -> str:
    if value is None:
        # The field's width and alignment, without what only numbers take.
        found = _ALIGNED.match(spec)
        fill, width = found.group("fill", "width") if found else ("", "")
        return format("-", f"{fill or ('>' if is_number else '')}{width}")
    return clean(format(value, spec)) if isinstance(value, str) else format(value, spec)


def _parse_template(template: str) -> Iterator[tuple[str, str | None, str]]:
    try:
        for literal, field, spec, conversion in string.Formatter().parse(template):
            if field is not None:
                _check_field(field, spec or "", conversion)
            yield literal, field, spec or ""
    except ValueError as error:
        raise UsageError(f"--format: {error}") from error


def _check_field(field: str, spec: str, conversion: str | None) -> None:
    if field not in FIELDS:
        raise UsageError(f"--format: no field {field!r}: there are {' '.join(FIELDS)}")
    if conversion:
        raise UsageError(f"--format: {field}!{conversion}: no conversions")
    try:
        format(_NUMBERS.get(field, ""), spec)
    except ValueError as error:
        raise UsageError(f"--format: {field}:{spec}: {error}") from error
