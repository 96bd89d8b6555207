"""JSON with comments, read with the place of every value, so that an edit can leave all other bytes alone.

The dialect is the one OpenCode reads its configuration with (Microsoft's jsonc-parser with trailing commas
allowed): `//` and `/* */` comments, a comma before a closing bracket, of a repeated key the last value. No
library on PyPI edits such text in place without Node.js or a reformat, hence this small reader.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Literal

Json = bool | int | float | str | None | list["Json"] | dict[str, "Json"]

_BLANK = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z0-9_$]+")
_WORDS: dict[str, Json] = {"true": True, "false": False, "null": None}
_DEEPEST = 200  # far beyond any configuration, well below Python's recursion limit


class JsoncError(ValueError):
    """The text is not JSON with comments. `line` and `column` count from 1, columns in characters."""

    def __init__(self, reason: str, line: int, column: int) -> None:
        super().__init__(f"{reason} at line {line}, column {column}")
        self.reason = reason
        self.line = line
        self.column = column


@dataclass(frozen=True)
class Member:
    """One `"key": value` of an object. `comma` is the offset of the comma after it, None when there is none."""

    key: str
    start: int
    value: Node
    comma: int | None


@dataclass(frozen=True)
class Node:
    """A value at `text[start:end]`."""

    kind: Literal["object", "array", "string", "other"]
    start: int
    end: int
    scalar: Json = None
    members: tuple[Member, ...] = ()
    items: tuple[Node, ...] = field(default=())

    def find(self, *path: str) -> Node | None:
        """The value at `path`, following the last of repeated keys as every JSON reader does."""
        node: Node | None = self
        for key in path:
            member = node.find_member(key) if node else None
            node = member.value if member else None
        return node

    def find_member(self, key: str) -> Member | None:
        return next((member for member in reversed(self.members) if member.key == key), None)

    @property
    def value(self) -> Json:
        """The value as Python data."""
        if self.kind == "object":
            return {member.key: member.value.value for member in self.members}
        if self.kind == "array":
            return [item.value for item in self.items]
        return self.scalar


def parse_jsonc(text: str) -> Node:
    """Parse a whole document; a byte order mark in front is skipped. Raises JsoncError."""
    return _Parser(text).parse_document()


def find_position(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, both from 1."""
    line_start = max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1
    line_breaks = len(re.findall(r"\r\n?|\n", text[:line_start]))
    return line_breaks + 1, offset - line_start + 1


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 1 if text.startswith("\ufeff") else 0

    def parse_document(self) -> Node:
        self.skip_blank()
        node = self.parse_value(0)
        self.skip_blank()
        if self.at < len(self.text):
            raise self.error("something after the end of the document")
        return node

    def error(self, reason: str) -> JsoncError:
        return JsoncError(reason, *find_position(self.text, self.at))

    def skip_blank(self) -> None:
        blank = _BLANK.match(self.text, self.at)
        assert blank is not None
        self.at = blank.end()
        if self.text.startswith("/*", self.at):
            raise self.error("a comment without an end")

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def parse_value(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise self.error(f"nested deeper than {_DEEPEST}")
        start, character = self.at, self.peek()
        if character == "{":
            return self.parse_object(depth)
        if character == "[":
            return self.parse_array(depth)
        if character == '"':
            value = self.parse_string()
            return Node("string", start, self.at, value)
        if number := _NUMBER.match(self.text, start):
            self.at = number.end()
            return Node("other", start, self.at, json.loads(number[0]))
        word = _WORD.match(self.text, start)
        if word is None or word[0] not in _WORDS:
            raise self.error("expected a value")
        self.at = word.end()
        return Node("other", start, self.at, _WORDS[word[0]])

    def parse_string(self) -> str:
        string = _STRING.match(self.text, self.at)
        if string is None:
            raise self.error("a string that does not end or holds a bad character")
        self.at = string.end()
        value: str = json.loads(string[0])
        return value

    def parse_object(self, depth: int) -> Node:
        start = self.at
        members: list[Member] = []
        self.at += 1
        self.skip_blank()
        while self.peek() != "}":
            key_start = self.at
            if self.peek() != '"':
                raise self.error('expected a key in double quotes or "}"')
            key = self.parse_string()
            self.skip_blank()
            if self.peek() != ":":
                raise self.error('expected ":"')
            self.at += 1
            self.skip_blank()
            value = self.parse_value(depth + 1)
            members.append(Member(key, key_start, value, self.skip_comma("}")))
        self.at += 1
        return Node("object", start, self.at, members=tuple(members))

    def parse_array(self, depth: int) -> Node:
        start = self.at
        items: list[Node] = []
        self.at += 1
        self.skip_blank()
        while self.peek() != "]":
            items.append(self.parse_value(depth + 1))
            self.skip_comma("]")
        self.at += 1
        return Node("array", start, self.at, items=tuple(items))

    def skip_comma(self, closing: str) -> int | None:
        self.skip_blank()
        if self.peek() == ",":
            comma = self.at
            self.at += 1
            self.skip_blank()
            return comma
        if self.peek() != closing:
            raise self.error(f'expected "," or "{closing}"')
        return None
