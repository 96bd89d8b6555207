"""Two texts of a file as the lines around what changed between them, coloured by pygments.

A text is coloured from its beginning, since a line alone does not tell whether it is inside a string. Large texts stay
plain, and so does everything once enough was coloured for one page: pygments does some 150 KB a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import groupby, pairwise
from typing import Any, Final, Literal

from lsp_tap.report.texts import Texts, make_visible
from lsp_tap.timeline.texts import split_lines

CONTEXT_LINES: Final = 3
LINES_LIMIT: Final = 300
"""Lines of one diff; a file that a call wrote anew is mostly read elsewhere."""
_LINE_LENGTH_LIMIT: Final = 500
_COLOURED_FILE_LIMIT: Final = 120_000
_COLOURED_PAGE_LIMIT: Final = 1_000_000
_ALIGNED_LINES_LIMIT: Final = 4_000
"""Of the changed middle of two texts: aligning costs the product of both."""
_HUNK: Final = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")

Token = tuple[str, str]
Side = Literal["same", "removed", "added"]


@dataclass(frozen=True, slots=True)
class Note:
    """What a server said of a line. `kind`: `cleared` or `introduced`."""

    kind: str
    text: str


@dataclass(slots=True)
class Line:
    """`old` and `new` are its numbers, from 1; None where it is not. `tokens`: (CSS class or "", text)."""

    side: Side
    old: int | None
    new: int | None
    tokens: Sequence[Token] = ()
    notes: list[Note] = field(default_factory=list)


@dataclass(slots=True)
class Hunk:
    """`skipped`: unchanged lines between the hunk before (or the file's beginning) and this one."""

    skipped: int
    lines: list[Line] = field(default_factory=list)


@dataclass(slots=True)
class Diff:
    """`kind`: what became of the file. `cut`: changed lines that are not shown. `doubt`: why it may not be all."""

    path: str
    kind: Literal["changed", "created", "deleted", "moved", "unchanged", "unknown"]
    hunks: list[Hunk] = field(default_factory=list)
    added: int | None = None
    removed: int | None = None
    cut: int = 0
    origin: str | None = None
    doubt: str | None = None


class Painter:
    """Makes the diffs of one page."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._left = _COLOURED_PAGE_LIMIT

    def compare(self, path: str, before: str, after: str, kind: Literal["changed", "moved"] = "changed") -> Diff:
        """The diff of two known texts. `path` decides the language."""
        old, new = split_lines(self._texts.take(before)), split_lines(self._texts.take(after))
        diff, shown = self._cut(path, kind, list(_align(old, new)))
        last_old = max((line.old or 0 for line in shown if line.side == "removed"), default=0)
        last_new = max((line.new or 0 for line in shown if line.side != "removed"), default=0)
        old_tokens, new_tokens = self._colour(path, old[:last_old]), self._colour(path, new[:last_new])
        for line in shown:
            line.tokens = old_tokens[(line.old or 1) - 1] if line.side == "removed" else new_tokens[(line.new or 1) - 1]
        self._finish(shown)
        return diff

    def parse(self, path: str, patch: str, doubt: str) -> Diff:
        """A unified diff that somebody else made, where the texts themselves are not known."""
        diff, shown = self._cut(path, "changed", list(_parse_patch(self._texts.take(patch))))
        diff.doubt = doubt
        self._finish(shown)
        return diff

    def _cut(self, path: str, kind: Literal["changed", "moved"], lines: Sequence[Line]) -> tuple[Diff, list[Line]]:
        """The diff without the lines that are far from any change, and without all beyond the limits; what is left."""
        sides = [line.side for line in lines]
        diff = Diff(self._texts.show(path), kind, added=sides.count("added"), removed=sides.count("removed"))
        limit = LINES_LIMIT if not self._texts.is_full else 0
        shown: list[Line] = []
        last = -1
        for number in _find_near([side != "same" for side in sides]):
            line = lines[number]
            if len(shown) >= limit:
                diff.cut += line.side != "same"
                continue
            if not diff.hunks or number != last + 1 or _jumps(lines[last], line):
                diff.hunks.append(Hunk(number - last - 1))
            diff.hunks[-1].lines.append(line)
            shown.append(line)
            last = number
        return diff, shown

    def _finish(self, shown: Sequence[Line]) -> None:
        _mark_pairs(shown)
        for line in shown:
            line.tokens = _cut_line(line.tokens)
            self._texts.spend(60 + sum(len(text) for _, text in line.tokens))

    def _colour(self, path: str, lines: Sequence[str]) -> Sequence[Sequence[Token]]:
        """The tokens of the first lines of a text: what follows them cannot change their colours."""
        text = "".join(lines)
        lexer = _find_lexer(path.rpartition("/")[2]) if len(text) <= min(_COLOURED_FILE_LIMIT, self._left) else None
        coloured = _colour(lexer, text) if lexer else None
        if coloured is None or len(coloured) != len(lines):
            return [[("", make_visible(line.rstrip("\r\n")))] for line in lines]
        self._left -= len(text)
        return coloured


def annotate(diff: Diff, notes: Iterable[tuple[int, Note]]) -> None:
    """Put what was cleared at its line of the old text (from 1), what was introduced at its line of the new one."""
    by_old, by_new = {}, {}
    for line in (line for hunk in diff.hunks for line in hunk.lines):
        if line.side != "added":
            by_old[line.old] = line
        if line.side != "removed":
            by_new[line.new] = line
    for number, note in notes:
        found = (by_old if note.kind == "cleared" else by_new).get(number)
        if found is not None:
            found.notes.append(note)


def _align(before: Sequence[str], after: Sequence[str]) -> Iterable[Line]:
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    middle_old, middle_new = before[start : len(before) - end], after[start : len(after) - end]
    for n in range(start):
        yield Line("same", n + 1, n + 1)
    if len(middle_old) + len(middle_new) > _ALIGNED_LINES_LIMIT:
        codes = [("replace", 0, len(middle_old), 0, len(middle_new))]
    else:
        codes = list(SequenceMatcher(None, middle_old, middle_new, autojunk=False).get_opcodes())
    for tag, i1, i2, j1, j2 in codes:
        if tag == "equal":
            for k in range(i2 - i1):
                yield Line("same", start + i1 + k + 1, start + j1 + k + 1)
            continue
        for i in range(i1, i2):
            yield Line("removed", start + i + 1, None)
        for j in range(j1, j2):
            yield Line("added", None, start + j + 1)
    for k in range(end, 0, -1):
        yield Line("same", len(before) - k + 1, len(after) - k + 1)


def _mark_pairs(lines: Sequence[Line]) -> None:
    """Where as many lines were added as were removed, put what differs between the two of a pair into the class `x`."""
    runs = [(side, list(run)) for side, run in groupby(lines, key=lambda line: line.side)]
    for (side, removed), (next_side, added) in pairwise(runs):
        if (side, next_side) == ("removed", "added") and len(removed) == len(added):
            for old, new in zip(removed, added, strict=True):
                old.tokens, new.tokens = _mark_pair(old.tokens, new.tokens)


def _mark_pair(old: Sequence[Token], new: Sequence[Token]) -> tuple[Sequence[Token], Sequence[Token]]:
    before, after = ("".join(text for _, text in tokens) for tokens in (old, new))
    shorter = min(len(before), len(after))
    start = next((n for n in range(shorter) if before[n] != after[n]), shorter)
    end = next((n for n in range(shorter - start) if before[-1 - n] != after[-1 - n]), shorter - start)
    if 2 * (start + end) < shorter:  # two different lines
        return old, new
    while start and _is_word(before[start - 1]):
        start -= 1
    while end and _is_word(before[-end]):
        end -= 1
    return _mark(old, start, len(before) - end), _mark(new, start, len(after) - end)


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _mark(tokens: Sequence[Token], start: int, end: int) -> Sequence[Token]:
    marked: list[Token] = []
    at = 0
    for css, text in tokens:
        a, b = max(0, start - at), max(0, end - at)
        parts = ((css, text[:a]), (f"{css} x".strip(), text[a:b]), (css, text[max(a, b) :]))
        marked += [part for part in parts if part[1]]
        at += len(text)
    return marked


def _parse_patch(patch: str) -> Iterable[Line]:
    old = new = 0
    for raw in patch.split("\n"):
        text = raw.rstrip("\r")
        if found := _HUNK.match(text):
            old, new = int(found[1]), int(found[2])
        elif not old and not new:
            continue  # before the first hunk: names of files
        elif text.startswith("-"):
            yield Line("removed", old, None, [("", make_visible(text[1:]))])
            old += 1
        elif text.startswith("+"):
            yield Line("added", None, new, [("", make_visible(text[1:]))])
            new += 1
        elif text.startswith(" "):
            yield Line("same", old, new, [("", make_visible(text[1:]))])
            old, new = old + 1, new + 1


def _find_near(changed: Sequence[bool]) -> list[int]:
    """The numbers of the changed lines and of those next to them."""
    near: dict[int, None] = {}
    for number, is_changed in enumerate(changed):
        if is_changed:
            first, last = max(0, number - CONTEXT_LINES), min(len(changed), number + CONTEXT_LINES + 1)
            near.update(dict.fromkeys(range(first, last)))
    return list(near)


def _jumps(before: Line, line: Line) -> bool:
    """Whether lines are missing between two that follow each other (in a patch, between two hunks)."""
    pairs = ((before.old, line.old), (before.new, line.new))
    return any(a is not None and b is not None and b > a + 1 for a, b in pairs)


def _cut_line(tokens: Sequence[Token]) -> Sequence[Token]:
    if sum(len(text) for _, text in tokens) <= _LINE_LENGTH_LIMIT:
        return tokens
    kept: list[Token] = []
    left = _LINE_LENGTH_LIMIT
    for css, text in tokens:
        kept.append((css, text[:left]))
        left -= len(text)
        if left <= 0:
            break
    return [*kept, ("cut", "… line cut")]


@lru_cache(maxsize=256)
def _find_lexer(name: str) -> Any:
    from pygments.lexers import get_lexer_for_filename
    from pygments.util import ClassNotFound

    try:
        return get_lexer_for_filename(name, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def _colour(lexer: Any, text: str) -> list[list[Token]] | None:
    """The tokens of each line; lines are counted by the caller, as pygments knows only LF."""
    lines: list[list[Token]] = [[]]
    for kind, value in lexer.get_tokens(text.replace("\r\n", "\n")):
        css = _find_class(kind)
        for number, part in enumerate(value.split("\n")):
            if number:
                lines.append([])
            if not part:
                continue
            if lines[-1] and lines[-1][-1][0] == css:
                part = lines[-1].pop()[1] + part
            lines[-1].append((css, part))
    if not lines[-1]:
        lines.pop()
    return [[(css, make_visible(part)) for css, part in line] for line in lines]


@lru_cache(maxsize=512)
def _find_class(kind: Any) -> str:
    """The style's few classes for pygments' many kinds."""
    from pygments.token import Comment, Keyword, Name, Number, String

    for group, css in (
        (Comment, "hc"), (String, "hs"), (Number, "hn"), (Keyword, "hk"), (Name.Function, "hf"), (Name.Class, "hf"),
        (Name.Decorator, "hd"), (Name.Builtin, "hb"), (Name.Tag, "hk"), (Name.Attribute, "hf"), (Name.Exception, "hb"),
    ):  # fmt: skip
        if kind in group:
            return css
    return ""
