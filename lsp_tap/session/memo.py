"""What was computed before, and holds still."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Memo:
    """Results of pure functions, each kept for as long as every round asks for it."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[tuple[object, ...], Any]] = {}
        self._asked: dict[Hashable, tuple[tuple[object, ...], Any]] = {}
        self._settled: dict[Hashable, Any] = {}

    def begin_round(self) -> None:
        """Forget what nobody asked for since the last round began."""
        self._kept, self._asked = self._asked, {}

    def recall(self, compute: Callable[[], T], key: tuple[Hashable, ...], *objects: object) -> T:
        """What `compute` gives, or gave for the same.

        `key` names the function, and all that its result depends on: values, and what grows in place with its revision
        (`lsp_tap.session.history`). `objects` are more of that which never changes, and are the same if they are one.
        """
        whole = key, *map(id, objects)
        entry = self._kept.pop(whole, None) or self._asked.get(whole)
        if entry is None:
            entry = objects, compute()  # as long as the objects are kept, nothing else has their ids
        self._asked[whole] = entry
        result: T = entry[1]
        return result

    def settle(self, name: Hashable, result: T) -> T:
        """What was the result under that name before, if it is equal: then what was made of it holds as well."""
        known: T = self._settled.setdefault(name, result)
        if known is not result and known != result:
            self._settled[name] = known = result
        return known
