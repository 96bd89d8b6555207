"""The one door through which recorded text gets onto a page: redacted, made visible, cut.

Escaping is not done here: that is the template engine's, for every value, whatever it went through before.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

TEXT_LIMIT: Final = 4_000
LINE_LIMIT: Final = 240
PAGE_LIMIT: Final = 6_000_000
"""Characters of recorded text on one page; what comes later is cut to a line."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of a text, and how many characters of it are not here."""

    text: str
    left_out: int = 0


class Texts:
    """Maps recorded texts of one page. `redact` is asked first, about whole texts, since a cut could hide a secret
    from it in halves."""

    def __init__(self, redact: Callable[[str], str] | None = None, page_limit: int = PAGE_LIMIT) -> None:
        # The same names come hundreds of times, and what one edit left is what the next one found.
        self._redact: Callable[[str], str] = lru_cache(maxsize=4096)(redact or (lambda text: text))
        self._left = page_limit

    def take(self, text: str) -> str:
        """`text` redacted, whole, on as many lines as it has; not yet made visible."""
        return self._redact(text)

    def show(self, value: object, limit: int = LINE_LIMIT) -> str:
        """A value on one line, cut at `limit` characters."""
        flat = " ".join(make_visible(self.take(_as_text(value)).replace("\r\n", "\n")).split())
        self._left -= min(len(flat), limit)
        return flat if len(flat) <= limit else flat[: limit - 1] + "…"

    def excerpt(self, value: object, limit: int = TEXT_LIMIT) -> Excerpt:
        """The first `limit` characters of a value, fewer when the page is full."""
        text = self.take(_as_text(value)).replace("\r\n", "\n")
        limit = min(limit, max(LINE_LIMIT, self._left))
        self._left -= min(len(text), limit)
        return Excerpt(make_visible(text[:limit]), max(0, len(text) - limit))

    @property
    def is_full(self) -> bool:
        return self._left <= 0

    def spend(self, characters: int) -> None:
        """Counts text that was put onto the page by other means (the lines of a diff)."""
        self._left -= characters


def make_visible(text: str) -> str:
    """Control characters, escape sequences among them, and what turns the direction of writing, as their escapes."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t\xa0" else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=str)
