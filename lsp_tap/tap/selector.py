"""Whether a document is one of those that a registration is for. Pure.

https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/#documentFilter
"""

from __future__ import annotations

import re
from functools import lru_cache  # `re` has it

_TOKEN = re.compile(r"\*\*/?|\*|\?|\{[^{}]*\}|\[!?[^\]]+\]|.", re.DOTALL)
_RANGE = re.compile(r"(.)(?:-(.))?", re.DOTALL)

MAX_PATTERN = 1000
"""A longer one is taken to match. Real ones have under 100 characters."""


def matches_selector(selector: object, uri: str, language: str) -> bool:
    """`selector` as it came: no list selects everything; a filter must match in all that it names."""
    if not isinstance(selector, list):
        return True
    return any(_matches_filter(document_filter, uri, language) for document_filter in selector)


def _matches_filter(document_filter: object, uri: str, language: str) -> bool:
    if isinstance(document_filter, str):  # a language, as before LSP 3
        return document_filter in ("*", language)
    if not isinstance(document_filter, dict) or "notebook" in document_filter:
        return False
    wanted_language = document_filter.get("language")
    if wanted_language not in (None, "*", language):
        return False
    scheme, _, _ = uri.partition(":")
    if document_filter.get("scheme") not in (None, scheme):
        return False
    pattern = document_filter.get("pattern")
    return pattern is None or matches_pattern(pattern, uri)


def matches_pattern(pattern: object, uri: str) -> bool:
    """A glob, or one relative to a folder. A pattern that is neither matches, since asking once too often
    is harmless.
    """
    path = _find_path(uri)
    if isinstance(pattern, dict):
        base = pattern.get("baseUri")
        base = base.get("uri") if isinstance(base, dict) else base
        folder = _find_path(str(base)).rstrip("/") + "/"
        if not path.startswith(folder):
            return False
        path, pattern = path[len(folder) :], pattern.get("pattern")
    if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
        return True
    return _matches_path(pattern, path) or _matches_path(pattern, path.lstrip("/"))


@lru_cache(1024)
def _matches_path(pattern: str, path: str) -> bool:
    return len(path) in _pass(pattern, path, {0})


def _find_path(uri: str) -> str:
    from urllib.parse import unquote, urlsplit

    try:
        return unquote(urlsplit(uri).path)
    except ValueError:  # such as an address with half a bracket
        return uri


def _pass(pattern: str, path: str, starts: set[int]) -> set[int]:
    """Where in `path` the pattern can end if it begins at one of `starts`.

    Not by a regular expression: for some patterns one takes for ever, and holds the interpreter, and so the wire.
    """
    for token in _TOKEN.findall(pattern):
        if not starts:
            break
        if token == "**/":
            first = min(starts)
            starts = starts | {at + 1 for at in range(first, len(path)) if path[at] == "/"}
        elif token == "**":
            starts = set(range(min(starts), len(path) + 1))
        elif token == "*":
            starts = _pass_names(path, starts)
        elif token.startswith("{") and len(token) > 1:
            starts = {end for choice in token[1:-1].split(",") for end in _pass(choice, path, starts)}
        else:
            starts = {at + 1 for at in starts if at < len(path) and _is_one_of(token, path[at])}
    return starts


def _pass_names(path: str, starts: set[int]) -> set[int]:
    ends: set[int] = set()
    for at in sorted(starts):
        while at not in ends:
            ends.add(at)
            if at < len(path) and path[at] != "/":
                at += 1
    return ends


def _is_one_of(token: str, character: str) -> bool:
    if token == "?":
        return character != "/"
    if not token.startswith("[") or len(token) == 1:
        return token == character
    is_negated = token[1] == "!"
    ranges = _RANGE.findall(token[1 + is_negated : -1])
    return is_negated != any(low <= character <= (high or low) for low, high in ranges)
