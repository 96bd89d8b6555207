"""The keys of `inspect`, in words."""

from __future__ import annotations

from typing import Final

from lsp_tap.inspect import filter_language
from lsp_tap.inspect.screen.body import Line, Piece

KEYS: Final[dict[str, dict[str, str]]] = {
    "Moving": {
        "j k  ↓ ↑": "next message, message before (in the details: lines)",
        "space b  PgDn PgUp": "a page; ctrl+d ctrl+u half a page",
        "g G  Home End": "first; last, and follow what comes",
        "F": "follow what comes, or stop that",
        "r": "from a request to its answer, and back",
        "m  M": "mark a message; go to the next mark",
    },
    "Finding": {
        "f": "filter (empty: everything); up and down recall earlier ones",
        "/  n N": "search, in the same language; next match, match before",
    },
    "Looking": {
        "enter  tab": "to the details and back; esc shows and hides them",
        "x": "body as indented JSON, as sent with its header, in hexadecimal",
        "L": "load a large body whole",
        "d": "the diagnostics of the message's document, version by version",
        "t": "tool calls",
    },
    "Taking along": {
        "c": "copy the body (through the terminal, OSC 52)",
        "s": "save the body to a file, byte for byte",
        "w": "write the marked messages, else all that are shown, as JSON lines",
    },
    "Otherwise": {
        "T": "dark and light",
        "?": "this help",
        "q  ctrl+c": "quit",
    },
}


def write_help() -> list[Line]:
    """All keys, then the filter language."""
    lines: list[Line] = []
    for title, keys in KEYS.items():
        lines.append([Piece(title, "title")])
        lines += [[Piece(f"  {key:<20} ", "key"), Piece(meaning)] for key, meaning in keys.items()]
        lines.append([Piece("")])
    lines.append([Piece("Filters and searches", "title")])
    language = (filter_language.__doc__ or "").partition("\n\n")[2].rstrip()
    for line in language.split("\n"):
        operator, gap, meaning = line.partition("  ")
        lines.append([Piece(f"  {operator}{gap}", "key"), Piece(meaning)])
    return lines
