"""Texts as what is new in each: the versions of a document differ by an edit, and a recording has thousands of them.

A text that is like one already kept is its difference from that: what is between the same beginning and the same end.
So a recording takes the memory of its documents and its edits, however often whole texts crossed the wire.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from lsp_tap.sequences import count_common, count_common_end

_MAX_DEPTH: Final = 32
"""How many differences are at most between a text and one that is kept whole."""

_ALIKE: Final = 0.9
"""Two texts that share more than this are versions of one: nobody looks for a better match."""

_RECENT_CHARACTERS: Final = 2 << 20


class Content:
    """A text. Equal contents have equal texts; in one pool they are one object. `text` may have to be put together."""

    __slots__ = ("_base", "_depth", "_end", "_hash", "_length", "_middle", "_start")

    def __init__(self, text: str, base: Content | None = None, start: int = 0, end: int = 0) -> None:
        """`text` or, with `base`, that of `base` where all but its first `start` and last `end` characters is what
        stands there in `text`.
        """
        self._hash, self._length = hash(text), len(text)
        self._base, self._start, self._end = base, start, end
        self._middle = text if base is None else text[start : len(text) - end]
        self._depth: int = 0 if base is None else base._depth + 1

    @property
    def text(self) -> str:
        return self._middle if self._base is None else _recent.read(self)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other or not isinstance(other, Content):
            return self is other
        return self._hash == other._hash and self._length == other._length and self.text == other.text


class ContentPool:
    """The contents of one recording."""

    def __init__(self) -> None:
        self._contents: dict[Content, Content] = {}

    def add(self, text: str, like: Iterable[Content | None] = ()) -> Content:
        """The content of `text`. It is kept as the difference from the most similar of `like`, if that is less."""
        whole = Content(text)
        known = self._contents.get(whole)
        if known is not None:
            return known
        kept = _subtract(text, like) or whole
        self._contents[kept] = kept
        _recent.keep(kept, text)
        return kept


def _subtract(text: str, like: Iterable[Content | None]) -> Content | None:
    best: tuple[int, Content, int, int] | None = None
    for base in like:
        if base is None or base._depth >= _MAX_DEPTH:
            continue
        old = base.text
        start = count_common(old, text)
        end = count_common_end(old, text, min(len(old), len(text)) - start)
        if best is None or start + end > best[0]:
            best = start + end, base, start, end
            if best[0] > _ALIKE * len(text):
                break
    if best is None or best[0] * 2 < len(text):
        return None
    _, base, start, end = best
    return Content(text, base, start, end)


class _Recent:
    """The texts that were put together last."""

    def __init__(self) -> None:
        self._texts: OrderedDict[int, tuple[Content, str]] = OrderedDict()
        self._characters = 0

    def read(self, content: Content) -> str:
        chain: list[Content] = []
        at, found = content, self._texts.get(id(content))
        while found is None and at._base is not None:
            chain.append(at)
            at = at._base
            found = self._texts.get(id(at))
        text = at._middle if found is None else found[1]
        for later in reversed(chain):
            text = text[: later._start] + later._middle + text[len(text) - later._end :]
        self.keep(content, text)
        return text

    def keep(self, content: Content, text: str) -> None:
        if content._base is None:
            return
        if id(content) in self._texts:
            self._texts.move_to_end(id(content))
            return
        self._texts[id(content)] = content, text
        self._characters += len(text)
        while self._characters > _RECENT_CHARACTERS:
            _, (_, dropped) = self._texts.popitem(last=False)
            self._characters -= len(dropped)


_recent = _Recent()
EMPTY_CONTENT: Final = Content("")
