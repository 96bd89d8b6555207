"""The project's folder in recorded messages, put in another place. Pure.

Wherever a string names the folder or something in it, as a path or as a `file:` URI (percent-encoded in whatever way),
the folder is replaced and the rest stays as it is spelled. Texts of documents stay: positions count in them.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote

from pygls.uris import from_fs_path, to_fs_path

_TEXTS: Final = frozenset({"text", "newText"})
_URI: Final = r"file://[^\s<>\"'`)\]}|]+"


def find_root(initialize: Any) -> str | None:
    """The project's folder (a path) in the params of `initialize`: of `rootUri`, `rootPath`, the first workspace folder
    the first that is there."""
    uri = find_root_uri(initialize)
    return None if uri is None else _find_path(uri)


def find_root_uri(initialize: Any) -> str | None:
    """The same as the client spells it."""
    match initialize:
        case {"rootUri": str(uri)} if uri.startswith("file:"):
            return uri
        case {"rootPath": str(path)} if path:
            return str(from_fs_path(path))
        case {"workspaceFolders": [{"uri": str(uri)}, *_]} if uri.startswith("file:"):
            return uri
    return None


class RootMap:
    """Maps values of messages from the folder `old` to the folder `new`. `new_uri`: how to spell that one in URIs. Does
    nothing where one is not known, or `old` is the root of all."""

    def __init__(self, old: str | None, new: str | None, new_uri: str | None = None) -> None:
        self.old, self.new = _strip(old), _strip(new)
        self.is_identity = not self.old or self.new is None or self.old == self.new
        self._new_uri = (new_uri or from_fs_path(self.new or "") or "").removeprefix("file://").rstrip("/")
        self._segments = (self.old or "").split("/")
        escaped = re.escape(self.old or "")
        self._pattern = re.compile(rf"{_URI}|(?<![\w/.-]){escaped}(?![\w-]|\.\w)")

    def map_uri(self, uri: str) -> str:
        """A URI, in the new folder if it was in the old one."""
        if self.is_identity or not uri.startswith("file://"):
            return uri
        given = uri.removeprefix("file://").split("/")
        count = len(self._segments)
        if [unquote(segment) for segment in given[:count]] != self._segments:
            return uri
        return "file://" + "/".join([self._new_uri, *given[count:]])

    def map_text(self, text: str) -> str:
        """A string of a message."""
        if self.is_identity:
            return text
        return self._pattern.sub(self._replace, text)

    def _replace(self, found: re.Match[str]) -> str:
        text = found[0]
        return self.map_uri(text) if text.startswith("file://") else self.new or ""

    def map(self, value: Any) -> Any:
        """A JSON value, keys included; a new one where something changed."""
        if self.is_identity:
            return value
        match value:
            case str():
                return self.map_text(value)
            case list():
                return [self.map(item) for item in value]
            case dict():
                return {
                    self.map_text(key): item if key in _TEXTS and isinstance(item, str) else self.map(item)
                    for key, item in value.items()
                }
        return value

    def reverse(self, old_uri: str | None = None) -> RootMap:
        """The way back."""
        return RootMap(self.new, self.old, old_uri)


def _strip(path: str | None) -> str | None:
    return path.rstrip("/") if path is not None else None


def _find_path(uri: str) -> str | None:
    path: str | None = to_fs_path(uri)
    return path
