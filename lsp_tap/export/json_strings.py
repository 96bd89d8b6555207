"""JSON text with other strings in it and every other byte as it was: blanks, spelling of numbers, escapes. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final, TypeAlias

Path: TypeAlias = tuple[str, ...]
"""The keys that lead to a value; `*` stands for a place in a list."""
Replace: TypeAlias = Callable[[Path, str, bool], str]
"""A string's path, itself, and whether it is a key (at its object's path) -> as many characters, each of the same
length in UTF-8 and UTF-16."""

_TOKEN: Final = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"|([{}\[\],])', re.DOTALL)
_UNIT: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]", re.DOTALL
)


def rewrite_strings(text: str, replace: Replace) -> str:
    """`text` is JSON; each string in it, decoded, goes through `replace`, and is spelled as it was."""
    pieces: list[str] = []
    at = 0
    path: list[str | None] = []  # None: an object before its next key
    in_list: list[bool] = []
    for token in _TOKEN.finditer(text):
        match token[2]:
            case "{":
                path.append(None)
                in_list.append(False)
            case "[":
                path.append("*")
                in_list.append(True)
            case "}" | "]":
                path.pop()
                in_list.pop()
            case ",":
                if not in_list[-1]:
                    path[-1] = None
            case _:
                raw = token[1]
                is_key = bool(path) and path[-1] is None
                decoded = raw if "\\" not in raw else json.loads(f'"{raw}"', strict=False)
                place = tuple(name for name in (path[:-1] if is_key else path) if name is not None)
                new = replace(place, decoded, is_key)
                if is_key:
                    path[-1] = decoded
                if new != decoded:
                    pieces += text[at : token.start(1)], new if decoded is raw else _respell(raw, new)
                    at = token.end(1)
    pieces.append(text[at:])
    return "".join(pieces)


def _respell(raw: str, new: str) -> str:
    units = _UNIT.findall(raw)
    if len(units) != len(new):
        return json.dumps(new)[1:-1]
    return "".join(_spell(unit, character) for unit, character in zip(units, new, strict=True))


def _spell(unit: str, character: str) -> str:
    """A character as `unit`, which stood for another perhaps, was spelled."""
    if unit[0] != "\\":
        return character
    if json.loads(f'"{unit}"') == character:
        return unit
    escaped = json.dumps(character)[1:-1]
    return f"\\u{ord(character):04x}" if unit[1] == "u" and escaped == character else escaped
