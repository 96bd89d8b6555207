"""Where in a text secrets are. Pure.

One pass for the keywords of all rules; a rule is tried only where one of its keywords is. What matched is then widened
to the borders of its token: a rule that knows 36 characters of 40 would leave four behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lsp_tap.redaction.rules import Rule, read_rules

PLACEHOLDER: Final = re.compile(r"\[REDACTED:[\w .-]+:\d+\]")
_ESCAPES: Final = frozenset("nrtbfv0")
_TOKEN: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_PADDING: Final = frozenset("+/=")
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_NAME_BEFORE: Final = re.compile(r"[\w.-]{0,50}\Z", re.ASCII)
_COLOUR: Final = re.compile(r"\[[0-9;]{0,12}m\Z")


@dataclass(frozen=True, slots=True)
class Found:
    """`text[start:end]` is a secret of that kind."""

    start: int
    end: int
    kind: str


def find_secrets(text: str) -> list[Found]:
    """In the order of the text. Of overlapping ones there is one, which covers them all."""
    found = [hit for rule, places in _find_rules(text) for hit in _apply(rule, text, places)]
    return merge(found)


def merge(found: list[Found]) -> list[Found]:
    """Overlapping ones as one: of the kind of the longest, and of equally long ones of the first."""
    merged: list[Found] = []
    longest = 0
    for hit in sorted(found, key=lambda hit: (hit.start, -hit.end)):
        if not merged or hit.start >= merged[-1].end:
            merged.append(hit)
            longest = hit.end - hit.start
            continue
        last = merged[-1]
        if hit.end - hit.start > longest:
            longest = hit.end - hit.start
            last = Found(last.start, last.end, hit.kind)
        merged[-1] = Found(last.start, max(last.end, hit.end), last.kind)
    return merged


def lower_ascii(text: str) -> str:
    """Small letters, of the same length as `text`: some letters become two when lowered."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(character.lower() if character < "\x80" else character for character in text)


def _find_rules(text: str) -> Iterator[tuple[Rule, list[int]]]:
    """The rules that may match, each with where its keywords are if matches begin there."""
    lowered = lower_ascii(text)
    places: dict[Rule, list[int]] = {}
    by_keyword = read_rules().by_keyword
    for keyword, rules in by_keyword.items():
        at = lowered.find(keyword)
        if at < 0:
            continue
        starts: list[int] = []
        if any(rule.starts_with_keyword for rule in rules):
            while at >= 0:
                starts.append(at)
                at = lowered.find(keyword, at + 1)
        for rule in rules:
            places.setdefault(rule, []).extend(starts)
    yield from sorted(places.items(), key=lambda item: item[0].rank)


def _apply(rule: Rule, text: str, places: list[int]) -> Iterator[Found]:
    if rule.when_pattern and not rule.when_pattern.search(text):
        return
    if rule.within_pattern:
        for region in rule.within_pattern.finditer(text):
            start, end = region.span(region.re.groups)
            yield from _judge(rule, text, rule.pattern.finditer(text, start, end))
    elif rule.starts_with_keyword:
        yield from _judge(rule, text, (match for at in sorted(places) if (match := rule.pattern.match(text, at))))
    else:
        yield from _judge(rule, text, rule.pattern.finditer(text))


def _judge(rule: Rule, text: str, matches: Iterator[re.Match[str]]) -> Iterator[Found]:
    reached = 0
    for match in matches:
        start, end = _find_span(rule, match)
        if start < reached:
            continue  # within the token of the match before, which is found whole
        if start == end or (rule.has_border and not is_border(text, match.start())):
            continue
        before = _NAME_BEFORE.search(text, max(0, match.start() - 50), match.start())
        whole = text[before.start() if before else match.start() : match.end()]
        if rule.is_secret(text[start:end], whole):
            start, reached = widen(text, start, end)
            yield Found(start, reached, rule.kind)


def _find_span(rule: Rule, match: re.Match[str]) -> tuple[int, int]:
    if rule.starts_with_keyword:
        return match.span("secret")
    for group in range(1, match.re.groups + 1):
        if match[group]:
            return match.span(group)
    return match.span()


def is_border(text: str, at: int) -> bool:
    """Whether a token may begin here: behind no letter or digit but those of an escape (`\\n`, `%20`, a colour)."""
    if at == 0 or text[at - 1] not in _TOKEN or text[at - 1] in "_-":
        return True
    return _is_escape_end(text, at)


def _is_escape_end(text: str, at: int) -> bool:
    if at >= 2 and text[at - 2] == "\\" and text[at - 1] in _ESCAPES:
        return True
    if at >= 3 and text[at - 3] == "%" and text[at - 2] in _HEX and text[at - 1] in _HEX:
        return True
    return text[at - 1] == "m" and _COLOUR.search(text, max(0, at - 16), at) is not None


def widen(text: str, start: int, end: int) -> tuple[int, int]:
    """To the borders of the token that this is a part of."""
    has_padding = any(character in _PADDING for character in text[start:end])
    while start > 0 and text[start - 1] in _TOKEN and text[start] in _TOKEN and not _is_escape_end(text, start):
        start -= 1
    while end < len(text) and (text[end] in _TOKEN or (has_padding and text[end] in _PADDING)):
        end += 1
    return start, end
