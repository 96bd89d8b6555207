"""Edits of JSON with comments as replacements of text: what is not edited stays byte for byte."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from lsp_tap.wiring.jsonc import Json, Member, Node

_SAME_LINE_COMMENTS = re.compile(r"(?:[ \t]*(?://[^\r\n]*|/\*[^\r\n]*?\*/))*")
_BLANKS = " \t\r\n"


@dataclass(frozen=True)
class Edit:
    """`text[start:end]` becomes `new_text`."""

    start: int
    end: int
    new_text: str


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Apply edits that do not overlap; of several insertions at one place the first given comes first."""
    pieces: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        assert edit.start >= at, "overlapping edits"
        pieces += [text[at : edit.start], edit.new_text]
        at = edit.end
    return "".join([*pieces, text[at:]])


def insert_items(array: Node, values: Iterable[str]) -> list[Edit]:
    """Put strings in front of the first item of an array that has one."""
    new_text = "".join(f"{_dump(value)}, " for value in values)
    first = array.items[0].start
    return [Edit(first, first, new_text)]


def remove_items(array: Node, count: int) -> list[Edit]:
    """Take the first `count` items away from an array that has more: the inverse of `insert_items`."""
    return [Edit(array.items[0].start, array.items[count].start, "")]


def replace_value(text: str, root: Node, node: Node, value: Json) -> list[Edit]:
    """Put another value in the place of `node`."""
    return [Edit(node.start, node.end, _render(text, root, value, _line_indent(text, node.start)))]


def insert_member(text: str, root: Node, obj: Node, key: str, value: Json) -> list[Edit]:
    """Add a member at the end of an object, in the style of the text: its line breaks, its indentation,
    a comma after the last member only if there was one."""
    if not obj.members:
        return _insert_only_member(text, root, obj, key, value)
    first, last = obj.members[0], obj.members[-1]
    if "\n" not in text[obj.start : first.start]:
        tail = last.value.end if last.comma is None else last.comma + 1
        before, after = (",", "") if last.comma is None else ("", ",")
        return [Edit(tail, tail, f"{before} {_dump(key)}: {_dump(value)}{after}")]
    indent = _line_indent(text, first.start)
    rendered = f"{_line_break(text)}{indent}{_dump(key)}: {_render(text, root, value, indent)}"
    if last.comma is None:
        tail = _skip_same_line_comments(text, last.value.end)
        return [Edit(last.value.end, last.value.end, ","), Edit(tail, tail, rendered)]
    tail = _skip_same_line_comments(text, last.comma + 1)
    return [Edit(tail, tail, rendered + ",")]


def remove_member(text: str, obj: Node, member: Member) -> list[Edit]:
    """Take a member away with the blanks before it and the comma after it; comments stay."""
    index = obj.members.index(member)
    end = member.value.end if member.comma is None else member.comma + 1
    start = len(text[: member.start].rstrip(_BLANKS))
    if len(obj.members) == 1 and not (text[obj.start + 1 : start] + text[end : obj.end - 1]).strip(_BLANKS):
        return [Edit(obj.start + 1, obj.end - 1, "")]
    if "\n" in text[start : member.start] and not re.match(r"[ \t]*\r?\n", text[end:]):
        start = member.start  # the line break may be the end of a comment
    edits = [Edit(start, end, "")]
    if member.comma is None and index > 0:
        comma = obj.members[index - 1].comma
        assert comma is not None
        edits.append(Edit(comma, comma + 1, ""))
    return edits


def _insert_only_member(text: str, root: Node, obj: Node, key: str, value: Json) -> list[Edit]:
    outer = _line_indent(text, obj.start)
    inner = outer + _indent_unit(text, root)
    at = obj.start + len(text[obj.start : obj.end - 1].rstrip(_BLANKS))
    line_break = _line_break(text)
    new_text = f"{line_break}{inner}{_dump(key)}: {_render(text, root, value, inner)}"
    if "\n" not in text[at : obj.end - 1]:
        new_text += line_break + outer
    return [Edit(at, at, new_text)]


def _render(text: str, root: Node, value: Json, indent: str) -> str:
    if not isinstance(value, dict) or not value:
        return _dump(value)
    line_break, inner = _line_break(text), indent + _indent_unit(text, root)
    members = [f"{inner}{_dump(key)}: {_render(text, root, member, inner)}" for key, member in value.items()]
    return "{" + line_break + f",{line_break}".join(members) + line_break + indent + "}"


def _dump(value: Json) -> str:
    dumped = json.dumps(value, ensure_ascii=False)
    # Half a surrogate pair can be written in JSON but not in UTF-8.
    return dumped if dumped.isascii() or not re.search("[\ud800-\udfff]", dumped) else json.dumps(value)


def _line_break(text: str) -> str:
    return "\r\n" if re.search(r"\r?\n", text + "\n")[0] == "\r\n" else "\n"  # type: ignore[index]


def _line_indent(text: str, offset: int) -> str:
    line_start = text.rfind("\n", 0, offset) + 1
    indent = re.compile(r"[ \t]*").match(text, line_start)
    assert indent is not None
    return indent[0]


def _indent_unit(text: str, root: Node) -> str:
    if root.members and "\n" in text[root.start : root.members[0].start]:
        return _line_indent(text, root.members[0].start) or "  "
    return "  "


def _skip_same_line_comments(text: str, offset: int) -> int:
    comments = _SAME_LINE_COMMENTS.match(text, offset)
    assert comments is not None
    return comments.end()
