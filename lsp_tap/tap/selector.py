"""Whether a document is one of those that a registration is for. Pure.

https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/#documentFilter
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\*\*/?|\*|\?|\{[^{}]*\}|\[!?[^\]]+\]|.", re.DOTALL)


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
    from urllib.parse import unquote, urlsplit

    path = unquote(urlsplit(uri).path)
    if isinstance(pattern, dict):
        base = pattern.get("baseUri")
        base = base.get("uri") if isinstance(base, dict) else base
        folder = unquote(urlsplit(str(base)).path).rstrip("/") + "/"
        if not path.startswith(folder):
            return False
        path, pattern = path[len(folder) :], pattern.get("pattern")
    if not isinstance(pattern, str):
        return True
    try:
        glob = re.compile(_translate(pattern))
    except re.error:
        return True
    return glob.fullmatch(path) is not None or glob.fullmatch(path.lstrip("/")) is not None


def _translate(pattern: str) -> str:
    parts = []
    for token in _TOKEN.findall(pattern):
        if token == "**/":
            parts.append("(?:.*/)?")
        elif token == "**":
            parts.append(".*")
        elif token == "*":
            parts.append("[^/]*")
        elif token == "?":
            parts.append("[^/]")
        elif token.startswith("{") and len(token) > 1:
            parts.append("(?:" + "|".join(map(_translate, token[1:-1].split(","))) + ")")
        elif token.startswith("[") and len(token) > 1:
            parts.append("[" + token[1:-1].replace("!", "^", 1).replace("\\", "\\\\") + "]")
        else:
            parts.append(re.escape(token))
    return "".join(parts)
