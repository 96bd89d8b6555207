"""An item on one line of the list: columns for a width, as pieces named by what they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lsp_tap.inspect.flows import Item
from lsp_tap.inspect.log import ARROWS, format_bytes, format_latency, format_time, name_id
from lsp_tap.inspect.summary import summarise
from lsp_tap.inspect.terminal import clean, one_line

_SUMMARY_CHARACTERS: Final = 400
_SLOW_US: Final = 1_000_000
_NARROW_CELLS: Final = 105
_SERVERS: Final = 5
"""So many colours servers have."""


@dataclass(frozen=True, slots=True)
class Part:
    """`style` names what it is; `width` in cells (0: the rest), the text to the right of it with `is_right`."""

    text: str
    style: str
    width: int = 0
    is_right: bool = False


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of the list are, for a width and the names in it."""

    server: int
    method: int
    has_calls: bool
    is_narrow: bool

    @classmethod
    def fit(cls, width: int, server_names: list[str], *, has_calls: bool) -> Columns:
        is_narrow = width < _NARROW_CELLS
        server = min(8 if is_narrow else 14, max((len(clean(name)) for name in server_names), default=0))
        return cls(server, 20 if is_narrow else 31, has_calls, is_narrow)


def describe_item(item: Item, columns: Columns, server_number: int, call: str | None, mark: str) -> list[Part]:
    """The parts of its line. `call` is what stands in the calls' column; `mark` before everything."""
    is_answer = item.kind in ("response", "error")
    arrow = ARROWS.get((item.direction, is_answer), "·")
    time = format_time(item.time_us)
    tone = "probe" if item.probe else ""
    parts = [
        Part(mark, "mark", 1 if columns.is_narrow else 2),
        Part(time[:8] if columns.is_narrow else time, "time", 9 if columns.is_narrow else 13),
        Part(clean(item.server.name), tone or f"server-{server_number % _SERVERS}", columns.server + 1),
    ]
    if columns.has_calls:
        parts.append(Part(call or "", "call", 6 if columns.is_narrow else 8))
    going = "sent" if item.direction == "client_to_server" else "received"
    if item.kind in ("stderr", "invalid", "event"):
        parts += [Part(f"{arrow} ", tone or item.kind, 2), Part(item.kind, item.kind, 9)]
    else:
        parts += [Part(f"{arrow} ", tone or going, 2), *_describe_method(item, columns, tone)]
        latency_us = item.latency_us
        latency = format_latency(latency_us) if latency_us is not None else ""
        slow = "slow" if latency_us is not None and latency_us > _SLOW_US else "size"
        parts.append(Part(latency, slow, 9, is_right=True))
        if not columns.is_narrow:
            parts.append(Part(format_bytes(item.raw_length or 0), "size", 9, is_right=True))
        parts.append(Part("", "size", 2))
    style = {"error": "error", "invalid": "invalid", "stderr": "stderr", "event": "event"}.get(item.kind, "summary")
    parts.append(Part(one_line(summarise(item), _SUMMARY_CHARACTERS), tone or _shade(item, style)))
    return parts


def _describe_method(item: Item, columns: Columns, tone: str) -> list[Part]:
    """The method, its last part in front; and the id."""
    if item.method is None:
        return [Part("answer to nothing asked", "error", columns.method)]
    group, slash, name = one_line(item.method, 80).rpartition("/") if columns.is_narrow else _split_group(item.method)
    if group == "textDocument" or (columns.is_narrow and group != "$"):
        group = slash = ""
    identity = "" if item.kind == "notification" else f" {name_id(item)}"
    style = tone or {"request": "request", "error": "error"}.get(item.kind, "method")
    room = columns.method - len(identity) - len(group) - len(slash) - 1
    shown = name if len(name) <= room else name[: max(1, room - 1)] + "…"
    head = [Part(group + slash, tone or "group", len(group) + 1)] if slash else []
    rest = columns.method - len(group) - len(slash) - len(shown)
    return [*head, Part(shown, style, len(shown)), Part(identity, tone or "size", max(len(identity) + 1, rest))]


def _split_group(method: str) -> tuple[str, str, str]:
    group, slash, name = one_line(method, 80).partition("/")
    return (group, slash, name) if slash else ("", "", group)


def _shade(item: Item, style: str) -> str:
    """Diagnostics show at a glance how bad they are."""
    if item.method not in ("textDocument/publishDiagnostics", "textDocument/diagnostic") or style != "summary":
        return style
    summary = summarise(item)
    if " error" in summary:
        return "summary-errors"
    return "summary-warnings" if " warning" in summary else "summary-clean" if "no diag" in summary else style
