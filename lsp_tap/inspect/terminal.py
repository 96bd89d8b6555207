"""Recorded text on a terminal: whatever a repository or a server put into it, it is shown and never obeyed."""

from __future__ import annotations

import json
import os
import shutil
import sys

from rich.console import Console
from rich.text import Text


def clean(text: object) -> str:
    """`text` with control characters (escape sequences among them) and bidirectional overrides made visible."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t\xa0" else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()


def one_line(text: object, limit: int = 200) -> str:
    """`text` cleaned, on one line, cut at `limit` characters."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def styled(text: object, style: str = "") -> Text:
    """Recorded text for rich, which would otherwise read `[...]` in it as markup."""
    return Text(clean(text), style=style)


def open_console() -> Console:
    """Standard output: colours on a terminal and unless NO_COLOR is set, full width into a pipe."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else 160)


def has_colours() -> bool:
    """Whether standard output takes colours: a terminal, and nobody set NO_COLOR (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def measure_width() -> int | None:
    """The terminal's width in cells; None where standard output is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def clean_json(text: str) -> str:
    """JSON text of the same value that is safe on a terminal: JSON itself escapes only half of what would be obeyed."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
