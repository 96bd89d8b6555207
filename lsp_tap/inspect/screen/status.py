"""The two lines that say what is looked at and what is going on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from lsp_tap.inspect.terminal import one_line

_SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


@dataclass(frozen=True, slots=True)
class Status:
    """`place` counts from 1; `search`: its words and how many messages it found so far; `doings`: what takes time."""

    place: int
    shown: int
    total: int
    filter_text: str
    is_filtered: bool
    search: tuple[str, int] | None
    marked: int
    is_following: bool
    problems: int
    doings: list[str]


def write_title(servers: Iterable[str], where: str) -> Text:
    """The servers, each once, and the session or folder."""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(" lsp-tap inspect ", "bold reverse")
    text.append(f"  {one_line(', '.join(dict.fromkeys(servers)), 80)}", "bold")
    text.append(f"  {one_line(where, 80)}", "dim")
    return text


def write_status(status: Status, tick: int) -> Text:
    """`tick` turns the wheel before what takes time."""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" {_group(status.place)} of {_group(status.shown)} ", "bold")
    if status.is_filtered:
        text.append(f"of {_group(status.total)} ", "dim")
    for doing in status.doings:
        text.append(f"  {_SPINNER[tick % len(_SPINNER)]} {doing} ", "italic")
    if status.is_following:
        text.append("  ● following ", "bold")
    if status.filter_text:
        text.append("  filter ", "dim")
        text.append(f"{one_line(status.filter_text, 60)} ", "bold")
    if status.search is not None:
        words, found = status.search
        text.append("  search ", "dim")
        text.append(one_line(words, 40), "bold")
        text.append(f" {_group(found)} ", "dim")
    if status.marked:
        text.append(f"  ★ {status.marked} ")
    if status.problems:
        text.append(f"  ⚠ {status.problems} unreadable", "bold")
    return text


def _group(number: int) -> str:
    return f"{number:,}".replace(",", " ")
