"""What secrets look like: `rules.json` (derived from gitleaks, whose licence is in it) and our own `own_rules.json`.

A rule's patterns are compiled when one of its keywords is first seen: all of them at once would take half a second.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from math import log2
from typing import Any, Final

_ASSIGNED: Final = r"""(?:[ \t\w.-]{0,20})[\s'"\\\]]{0,6}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=\\]{0,6}"""
"""Between a name and its value, as gitleaks has it; here also where it is in a string of another language."""
_VALUE_ENDS: Final = r"(?![\w(\[{]|[+/=~.-]+\w)"
_IDENTIFIERS: Final = re.compile(
    r"(?=(?:\D*\d){0,3}\D*\Z)(?=.*[_.=])[_.]*(?:(?:[A-Z]?+[a-z]{2,}+|[A-Z]{2,}+|[a-zA-Z](?![A-Za-z]))\d{0,3}+[_.=-]{0,2}+)+\Z",
    re.ASCII,
)
"""`self.counter_key`, `default_value=None`: code, not a value; words, dots or underscores, and hardly a digit."""
_LAST: Final = ("password", "generic-api-key")
_WORDS_SHARE: Final = 0.3
"""A secret passes as words when this much of it is words. gitleaks lets one word do, and 40 random letters have one."""


@dataclass(frozen=True)
class Rule:
    """One kind of secret. `rank`: what says more of a secret is first. `keywords`: small letters; a text with none of
    them has no match.

    `starts_with_keyword`: a match begins where a keyword is. `has_border`: no letter or digit may be before it.
    """

    kind: str
    rank: int
    keywords: tuple[str, ...]
    source: str
    starts_with_keyword: bool
    has_border: bool
    entropy: float
    allowed_sources: tuple[str, ...]
    allowed_match_sources: tuple[str, ...]
    allowed_words: tuple[str, ...]
    when: str | None
    within: str | None

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(self.source, re.ASCII)

    @cached_property
    def when_pattern(self) -> re.Pattern[str] | None:
        return re.compile(self.when, re.ASCII) if self.when else None

    @cached_property
    def within_pattern(self) -> re.Pattern[str] | None:
        return re.compile(self.within, re.ASCII) if self.within else None

    @cached_property
    def _allowed(self) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(source, re.ASCII) for source in self.allowed_sources)

    @cached_property
    def _allowed_matches(self) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(source, re.ASCII) for source in self.allowed_match_sources)

    def is_secret(self, secret: str, match: str) -> bool:
        """Whether what matched is random enough, and none of what the rule lets pass."""
        if self.entropy and measure_entropy(secret) <= self.entropy:
            return False
        if any(pattern.search(secret) for pattern in (*self._allowed, *read_rules().allowed)):
            return False
        if any(pattern.search(match) for pattern in self._allowed_matches):
            return False
        if self.kind in _LAST and _IDENTIFIERS.match(secret):
            return False
        lowered = secret.lower()
        if any(word in lowered for word in read_rules().allowed_words):
            return False
        words = sum(len(word) for word in self.allowed_words if word in lowered)
        return words < _WORDS_SHARE * len(secret)


@dataclass(frozen=True, slots=True)
class Rules:
    """`allowed`, `allowed_words`: what no rule takes for a secret. `left_out`: gitleaks' rules that are not here."""

    rules: tuple[Rule, ...]
    by_keyword: dict[str, tuple[Rule, ...]]
    allowed: tuple[re.Pattern[str], ...]
    allowed_words: tuple[str, ...]
    left_out: dict[str, str]


@cache
def read_rules() -> Rules:
    """The rules that come with the package. About 2 ms."""
    folder = files("lsp_tap.redaction")
    derived = json.loads(folder.joinpath("rules.json").read_text("utf-8"))
    own = json.loads(folder.joinpath("own_rules.json").read_text("utf-8"))
    listed = sorted((*derived["rules"], *own["rules"]), key=lambda fields: fields["id"] in _LAST)
    rules = tuple(_parse_rule(rank, fields) for rank, fields in enumerate(listed))
    by_keyword: dict[str, tuple[Rule, ...]] = {}
    for rule in rules:
        for keyword in rule.keywords:
            by_keyword[keyword] = (*by_keyword.get(keyword, ()), rule)
    return Rules(
        rules,
        by_keyword,
        tuple(re.compile(source, re.ASCII) for source in derived["allowed"]),
        tuple(derived["allowed_words"]),
        derived["left_out"],
    )


def _parse_rule(rank: int, fields: dict[str, Any]) -> Rule:
    names = fields.get("names")
    if names:
        # `any_case` is said of the value; the name has its own flags.
        value = f"(?i:{fields['secret']})" if fields.get("any_case") else fields["secret"]
        source = rf"(?i:(?:{names}){_ASSIGNED})(?P<secret>{value}){_VALUE_ENDS}"
    else:
        source = fields["pattern"]
    return Rule(
        kind=fields["id"],
        rank=rank,
        keywords=tuple(fields["keywords"]),
        source=source,
        starts_with_keyword=bool(names),
        has_border=bool(fields.get("border")),
        entropy=fields.get("entropy", 0.0),
        allowed_sources=tuple(fields.get("allowed", ())),
        allowed_match_sources=tuple(fields.get("allowed_matches", ())),
        allowed_words=tuple(fields.get("allowed_words", ())),
        when=fields.get("when"),
        within=fields.get("within"),
    )


def measure_entropy(text: str) -> float:
    """Shannon's, in bits a character."""
    size = len(text)
    return -sum(count / size * log2(count / size) for count in Counter(text).values()) if size else 0.0
