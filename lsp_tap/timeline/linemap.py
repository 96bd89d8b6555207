"""Where a line of an older text stands in a newer one."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cached_property, lru_cache

from lsp_tap.sequences import count_common, count_common_end
from lsp_tap.timeline.contents import Content
from lsp_tap.timeline.texts import split_lines

_NAME = re.compile(r"\w+")
_FEW = 64
"""How many words are searched for one by one."""


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of lines that the edit touched: old lines `[old_start, old_end)` became `[new_start, new_end)`."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int


@dataclass(slots=True)
class _Alignment:
    """`equal`: blocks of old lines, from and to, and the new line of the first. `moved`: other lines that are still
    there, to the new line and by how many columns the content moved right."""

    regions: list[Region] = field(default_factory=list)
    equal: list[tuple[int, int, int]] = field(default_factory=list)
    moved: dict[int, tuple[int, int]] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)


class LineMap:
    """The diff of two texts, asked by line (from 0). `None` for a text nobody knows: then every line stays put."""

    def __init__(self, old: str | None, new: str | None) -> None:
        self.old_text, self.new_text = old, new
        self._known = old is not None and new is not None and old != new

    @cached_property
    def old_lines(self) -> Sequence[str]:
        return _split(self.old_text or "")

    @cached_property
    def new_lines(self) -> Sequence[str]:
        return _split(self.new_text or "")

    @property
    def regions(self) -> Sequence[Region]:
        return self._alignment.regions

    @cached_property
    def _alignment(self) -> _Alignment:
        found = _Alignment()
        for tag, i1, i2, j1, j2 in _opcodes(self.old_lines, self.new_lines) if self._known else ():
            if tag == "equal":
                found.equal.append((i1, i2, j1))
                continue
            found.regions.append(Region(i1, i2, j1, j2))
            if tag == "delete":
                found.deleted.update(range(i1, i2))
                continue
            # A wrapped or unwrapped block keeps its lines but for their indentation (graylint compares so, too).
            olds = [line.strip() for line in self.old_lines[i1:i2]]
            news = [line.strip() for line in self.new_lines[j1:j2]]
            for inner, a1, a2, b1, b2 in _opcodes(olds, news):
                if inner == "equal":
                    for k in range(a2 - a1):
                        old, new = i1 + a1 + k, j1 + b1 + k
                        found.moved[old] = new, _indent(self.new_lines[new]) - _indent(self.old_lines[old])
                elif inner == "delete":
                    found.deleted.update(range(i1 + a1, i1 + a2))
                elif a2 - a1 == b2 - b1:
                    found.moved.update((i1 + a1 + k, (j1 + b1 + k, 0)) for k in range(a2 - a1))
        return found

    def move(self, line: int) -> tuple[int, int] | None:
        """The new line and by how many columns its content moved right; None if the line is gone."""
        if not self._known:
            return line, 0
        if line >= len(self.old_lines):  # a diagnostic at the end of the text
            return line + len(self.new_lines) - len(self.old_lines), 0
        equal = self._alignment.equal
        at = bisect_right(equal, line, key=lambda block: block[0]) - 1
        if at >= 0 and line < equal[at][1]:
            return equal[at][2] + line - equal[at][0], 0
        return self._alignment.moved.get(line)

    def is_kept(self, line: int) -> bool:
        """Whether the old line stands in the new text with the same words."""
        moved = self.move(line)
        if not self._known or moved is None or line >= len(self.old_lines):
            return moved is not None
        return self.old_lines[line].strip() == self.new_lines[moved[0]].strip()

    def is_deleted(self, line: int) -> bool:
        """Whether the old line is gone and nothing came in its place."""
        return line in self._alignment.deleted

    def old_region(self, line: int) -> Region | None:
        return next((r for r in self.regions if r.old_start <= line < r.old_end), None)

    def new_region(self, line: int) -> Region | None:
        return next((r for r in self.regions if r.new_start <= line < r.new_end), None)

    @cached_property
    def vanished_names(self) -> frozenset[str]:
        """Words of the old text that the new one has nowhere: removed or renamed."""
        return self._find_names(self.old_lines, self.new_lines)

    @cached_property
    def appeared_names(self) -> frozenset[str]:
        return self._find_names(self.new_lines, self.old_lines)

    def _find_names(self, one: Sequence[str], other: Sequence[str]) -> frozenset[str]:
        """Words of the one that the other has nowhere. Most lines are the same, and are only searched."""
        start = count_common(one, other)
        end = count_common_end(one, other, min(len(one), len(other)) - start)
        names = {*_NAME.findall("".join(one[start : len(one) - end]))}
        names -= {*_NAME.findall("".join(other[start : len(other) - end]))}
        rest = "".join((*one[:start], *one[len(one) - end :])) if names else ""
        if len(names) > _FEW:
            return frozenset(names.difference(_NAME.findall(rest)))
        return frozenset(name for name in names if not _holds_name(rest, name))


# What is the newer text of one edit is the older one of the next.
@lru_cache(maxsize=32)
def _split(text: str) -> Sequence[str]:
    return split_lines(text)


def _holds_name(text: str, name: str) -> bool:
    """Whether a word of `text` is `name`."""
    at = text.find(name)
    while at >= 0:
        begins, word = _NAME.match(text[at - 1 : at]) is None, _NAME.match(text, at)
        if word is None or (begins and word[0] == name):
            return word is not None
        at = text.find(name, word.end())
    return False


@lru_cache(maxsize=1024)
def count_changed_lines(before: Content, after: Content) -> int:
    """Lines added plus lines removed."""
    codes = _opcodes(_split(before.text), _split(after.text))
    return sum(i2 - i1 + j2 - j1 for tag, i1, i2, j1, j2 in codes if tag != "equal")


def _opcodes(old: Sequence[str], new: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    # The same start and end are cut off first: SequenceMatcher is quadratic and an edit is small.
    start = count_common(old, new)
    end = count_common_end(old, new, min(len(old), len(new)) - start)
    middle = SequenceMatcher(None, old[start : len(old) - end], new[start : len(new) - end], autojunk=False)
    codes: list[tuple[str, int, int, int, int]]
    codes = [(tag, a + start, b + start, c + start, d + start) for tag, a, b, c, d in middle.get_opcodes()]
    if start:
        codes.insert(0, ("equal", 0, start, 0, start))
    if end:
        codes.append(("equal", len(old) - end, len(old), len(new) - end, len(new)))
    return codes


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
