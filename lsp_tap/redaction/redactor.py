"""Texts and JSON values with placeholders for what must not leave: `[REDACTED:github-pat:1]`."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from lsp_tap.redaction.environment import Exact, Marks
from lsp_tap.redaction.finding import PLACEHOLDER, Found, find_secrets, merge
from lsp_tap.redaction.homes import Homes, find_users
from lsp_tap.redaction.joining import find_joined_secrets, join
from lsp_tap.redaction.rules import read_rules

HOME_PATH: Final = "home path"
_LEAST_LENGTH: Final = 8
"""No rule knows a shorter secret."""
_SHORT: Final = 256
_LONG: Final = 1 << 16
_ONE_WORD: Final = re.compile(r"\S{8,4096}")


class Redactor:
    """Replaces secrets by placeholders, and user names in paths by `user`.

    `environment`: of the process that exports; its secrets are replaced wherever they are, and its user's name.
    `directories`: whose users' names are known (those of the recorded sessions). `marks`: of recorded environments.

    Within one output (see `start_output`) the same secret has the same placeholder, and numbers count from 1 in the
    order of what is redacted. A secret of several lines leaves its line breaks, so that numbers of lines stay right.
    What is redacted already stays as it is. `report` counts what was replaced, by its kind.
    """

    def __init__(
        self,
        *,
        environment: Mapping[str, str] | None = None,
        directories: Iterable[str] = (),
        marks: Marks | None = None,
    ) -> None:
        environment = dict(environment or {})
        self.report: Counter[str] = Counter()
        self._exact = Exact.of(environment)
        self._marks = marks
        self._users = find_users(environment)
        self._directories = tuple(directories)
        self.start_output()

    def start_output(self, directories: Iterable[str] = ()) -> None:
        """Numbers count from 1 again. `directories` are known beside those that always are."""
        self._numbers: dict[str, dict[str, int]] = {}
        self._homes = Homes([*directories, *self._directories], self._users)

    def text(self, text: str) -> str:
        """The text without its secrets. The same again for what comes out."""
        return self._homes.rewrite(self._replace_secrets(text), self._note_home)

    def value(self, value: Any) -> Any:
        """JSON with every string and key redacted. A key that names a secret makes its value one, as in code."""
        return self._redact(value, None)

    def _redact(self, value: Any, name: str | None) -> Any:
        if isinstance(value, str):
            return self.named(name, value)
        if isinstance(value, dict):
            label = value.get("name", value.get("key"))
            named = label if isinstance(label, str) and "value" in value else None
            redacted: dict[str, Any] = {}
            for key, item in value.items():
                new = self.text(key)
                while new in redacted:  # of two homes that became one
                    new += "'"
                redacted[new] = self._redact(item, named if named is not None and key == "value" else key)
            return redacted
        if isinstance(value, list | tuple):
            return [self._redact(item, name) for item in value]
        return value

    def named(self, name: str | None, text: str) -> str:
        """A text that has a name: if that names a secret, all of it is one."""
        if name is not None and _may_name_secret(name) and _ONE_WORD.fullmatch(text) and not PLACEHOLDER.search(text):
            before = f'{name}="'
            for hit in find_secrets(f'{before}{text}"'):
                if hit.end > len(before) and hit.start >= len(before):
                    return self._hold_place(hit.kind, text)
        return self.text(text)

    def _note_home(self) -> None:
        self.report[HOME_PATH] += 1

    def _replace_secrets(self, text: str) -> str:
        """Again until nothing more is found: a rule may see one of several secrets at a time."""
        while found := self._find(text):
            pieces: list[str] = []
            at = 0
            for hit in found:
                pieces += text[at : hit.start], self._hold_place(hit.kind, text[hit.start : hit.end])
                at = hit.end
            pieces.append(text[at:])
            text = "".join(pieces)
        return text

    def _find(self, text: str) -> list[Found]:
        known = self._exact.find(text)
        if self._marks is not None:
            known += self._marks.find(text)
        find = _find_in_short if len(text) <= _SHORT else _find_in_long if len(text) <= _LONG else _find_by_rules
        found = [*known, *find(text)]
        if not found:
            return []
        held = [match.span() for match in PLACEHOLDER.finditer(text)]
        starts, ends = [start for start, _ in held], [end for _, end in held]
        # No placeholder begins before the hit's end and ends behind its start: as many have ended as have begun.
        return [hit for hit in merge(found) if bisect_left(starts, hit.end) == bisect_right(ends, hit.start)]

    def _hold_place(self, kind: str, secret: str) -> str:
        numbers = self._numbers.setdefault(kind, {})
        number = numbers.setdefault(join(secret), len(numbers) + 1)
        self.report[kind] += 1
        return f"[REDACTED:{kind}:{number}]" + "\n" * secret.count("\n")


def _find_by_rules(text: str) -> tuple[Found, ...]:
    if len(text) < _LEAST_LENGTH:
        return ()
    return *find_secrets(text), *find_joined_secrets(text)


# The same short texts (keys, names, words of enumerations) come again and again; of the long ones those of a session's
# history do, once a turn.
_find_in_short = lru_cache(1 << 15)(_find_by_rules)
_find_in_long = lru_cache(256)(_find_by_rules)


@lru_cache(4096)
def _may_name_secret(name: str) -> bool:
    lowered = name.lower()
    return any(
        rule.starts_with_keyword and any(word in lowered for word in rule.keywords) for rule in read_rules().rules
    )
