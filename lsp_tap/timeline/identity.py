"""Which diagnostic of an older report is which one of a newer report of the same document.

A line number is no identity: an edit moves lines. Nor is a message: it quotes names and numbers the edit changed. So a
cascade, strictest first; a pair that one step finds is taken out before the next looks:

1. *exact*: same server, source, code, severity, message, and the range where the text diff put it. (SARIF result
   matching in sarif-sdk, "identical place and rule"; reviewdog and graylint map lines through the diff hunks.)
2. *reworded*: the same on the mapped line, whatever the columns, with the message normalised: numbers dropped
   (mypy-baseline does so for "defined on line N"), quoted names replaced if the edit removed (or brought) them.
3. *in order*: within one touched region of the diff, what is left by rule and shape, order kept: start column, end
   column and line count (basedpyright `baseline.ts`, which ignores message and line), then start column alone;
   never against the diff, where that knows which line became which.
4. *nearest*: same rule and message (but for numbers) in touched lines, nearest line first (betterer): moved code. Names
   stay, or any new undefined name would be the mended one "moved".

Steps 3 and 4 look at touched lines only: on a line the edit left alone, another message is another diagnostic.
Severities never mix, so that "errors" alone obey  before = persisted + cleared,  after = persisted + introduced.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lsp_tap.timeline.diagnostics import Diagnostic
from lsp_tap.timeline.linemap import LineMap, Region

_NUMBER: Final = re.compile(r"\d+")
_QUOTED: Final = re.compile(r"[\"'`‘“«]([^\"'`’”»]+)[\"'`’”»]")
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Matching:
    """`persisted` pairs (older, newer); every diagnostic given is in exactly one of the three."""

    persisted: tuple[tuple[Diagnostic, Diagnostic], ...]
    cleared: tuple[Diagnostic, ...]
    introduced: tuple[Diagnostic, ...]


def match_diagnostics(before: Iterable[Diagnostic], after: Iterable[Diagnostic], lines: LineMap) -> Matching:
    """Match two reports on one document. The order of either does not matter; duplicates are counted."""
    cascade = _Cascade(sorted(before), sorted(after), lines)
    return cascade.run()


def match_returned(lost: Iterable[Diagnostic], came: Iterable[Diagnostic], lines: LineMap) -> Matching:
    """Match what vanished over a span of edits with what came in it: only what is there again, rule, message and line.

    Which edit brought what is known there, so nothing is guessed from the shape of a touched region: steps 1, 2, then
    the same rule and message on a line of the same words (code that one edit cut and another pasted).
    """
    return _Cascade(sorted(lost), sorted(came), lines).run_strictly()


class _Cascade:
    def __init__(self, before: list[Diagnostic], after: list[Diagnostic], lines: LineMap) -> None:
        self.before, self.after, self.lines = before, after, lines
        self.pairs: list[tuple[Diagnostic, Diagnostic]] = []

    def _is_hopeless(self) -> bool:
        """Whether nothing can be paired: most of what an edit clears and introduces has no rule in common."""
        return set(map(_what, self.before)).isdisjoint(map(_what, self.after))

    def run(self) -> Matching:
        self._pair(self._exact_old, lambda new: (_what(new), new.message, _range(new)))
        if not self._is_hopeless():
            self._pair(self._reworded_old, lambda new: (_what(new), self._normalise(new, new=True), new.line))
            for shape in (_columns, lambda diagnostic: diagnostic.column):
                self._pair_in_order(shape)
            self._pair_nearest()
        return Matching(tuple(sorted(self.pairs)), tuple(self.before), tuple(self.after))

    def run_strictly(self) -> Matching:
        if self._is_hopeless():
            return Matching((), tuple(self.before), tuple(self.after))
        self._pair(self._exact_old, lambda new: (_what(new), new.message, _range(new)))
        self._pair(self._reworded_old, lambda new: (_what(new), self._normalise(new, new=True), new.line))
        self._pair(
            # A line that is still there, without its error, was mended or silenced, not moved.
            lambda old: (
                (_what(old), old.message, _words(self.lines.old_lines, old.line))
                if self.lines.move(old.line) is None
                else None
            ),
            lambda new: (_what(new), new.message, _words(self.lines.new_lines, new.line)),
        )
        return Matching(tuple(sorted(self.pairs)), tuple(self.before), tuple(self.after))

    def _exact_old(self, old: Diagnostic) -> Hashable:
        moved = self.lines.move(old.line)
        if moved is None:
            return None
        line, right = moved
        height = old.end_line - old.line
        end_right = right if height == 0 else (self.lines.move(old.end_line) or (0, 0))[1]
        span = line, old.column + right, line + height, old.end_column + end_right
        return _what(old), old.message, span

    def _reworded_old(self, old: Diagnostic) -> Hashable:
        moved = self.lines.move(old.line)
        return None if moved is None else (_what(old), self._normalise(old), moved[0])

    def _normalise(self, diagnostic: Diagnostic, *, new: bool = False) -> str:
        changed = self.lines.appeared_names if new else self.lines.vanished_names

        def blank(quoted: re.Match[str]) -> str:
            return "‹›" if changed.intersection(_WORD.findall(quoted[1])) else quoted[0]

        return _NUMBER.sub("#", " ".join(_QUOTED.sub(blank, diagnostic.message).split()))

    def _pair(self, key_of_old: Callable[[Diagnostic], Hashable], key_of_new: Callable[[Diagnostic], Hashable]) -> None:
        waiting: defaultdict[Hashable, deque[Diagnostic]] = defaultdict(deque)
        for new in self.after:
            waiting[key_of_new(new)].append(new)
        for old in list(self.before):
            key = key_of_old(old)
            if key is not None and waiting.get(key):
                self._take(old, waiting[key].popleft())

    def _pair_in_order(self, shape: Callable[[Diagnostic], Hashable]) -> None:
        olds, news = self._by_region(self.before, old=True), self._by_region(self.after, old=False)
        for region, left in olds.items():
            right = news.get(region, [])
            for old, new in _longest_common(left, right, lambda a, b: self._is_alike(a, b, shape)):
                self._take(old, new)

    def _is_alike(self, old: Diagnostic, new: Diagnostic, shape: Callable[[Diagnostic], Hashable]) -> bool:
        moved = self.lines.move(old.line)
        return _what(old) == _what(new) and shape(old) == shape(new) and (moved is None or moved[0] == new.line)

    def _pair_nearest(self) -> None:
        olds = [d for group in self._by_region(self.before, old=True).values() for d in group]
        news = [d for group in self._by_region(self.after, old=False).values() for d in group]
        near = sorted(
            (abs(old.line - new.line), old, new)
            for old in olds
            for new in news
            if _what(old) == _what(new) and _NUMBER.sub("#", old.message) == _NUMBER.sub("#", new.message)
        )
        for _, old, new in near:
            if old in self.before and new in self.after:
                self._take(old, new)

    def _by_region(self, diagnostics: Sequence[Diagnostic], *, old: bool) -> dict[Region, list[Diagnostic]]:
        regions: dict[Region, list[Diagnostic]] = {}
        for diagnostic in diagnostics:
            region = (self.lines.old_region if old else self.lines.new_region)(diagnostic.line)
            if region is not None and not (old and self.lines.is_kept(diagnostic.line)):
                regions.setdefault(region, []).append(diagnostic)
        return regions

    def _take(self, old: Diagnostic, new: Diagnostic) -> None:
        self.before.remove(old)
        self.after.remove(new)
        self.pairs.append((old, new))


def _what(diagnostic: Diagnostic) -> Hashable:
    return diagnostic.rule, diagnostic.severity


def _words(lines: Sequence[str], line: int) -> str | None:
    return lines[line].strip() if line < len(lines) else None


def _range(diagnostic: Diagnostic) -> Hashable:
    return diagnostic.line, diagnostic.column, diagnostic.end_line, diagnostic.end_column


def _columns(diagnostic: Diagnostic) -> Hashable:
    return diagnostic.column, diagnostic.end_column, diagnostic.end_line - diagnostic.line


def _longest_common(
    left: Sequence[Diagnostic], right: Sequence[Diagnostic], same: Callable[[Diagnostic, Diagnostic], bool]
) -> list[tuple[Diagnostic, Diagnostic]]:
    """The longest common subsequence of two short lists."""
    best = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in range(len(left) - 1, -1, -1):
        for j in range(len(right) - 1, -1, -1):
            best[i][j] = best[i + 1][j + 1] + 1 if same(left[i], right[j]) else max(best[i + 1][j], best[i][j + 1])
    pairs, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        if same(left[i], right[j]):
            pairs.append((left[i], right[j]))
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs
