"""Texts of documents: lines as LSP counts them, positions, and the state of one open document.

Lines end with LF, CRLF or CR and nothing else (LSP 3.17, "Text Documents"); Python's `splitlines` also splits at form
feeds and U+2028, which would move every later diagnostic of such a file.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any


def split_lines(text: str) -> list[str]:
    """The lines of `text`, their ends kept."""
    return io.StringIO(text, newline="").readlines()


class OpenDocument:
    """A document as the server sees it, in the position encoding the two sides agreed on.

    `encoding` is a `PositionEncodingKind`: `utf-8`, `utf-16` (the default of the protocol) or `utf-32`.
    """

    def __init__(self, text: str, encoding: str) -> None:
        self.text, self._encoding = text, encoding

    def apply(self, changes: Sequence[Any]) -> None:
        """Apply the `contentChanges` of one didChange, in order. Raises KeyError or TypeError on a malformed one."""
        for change in changes:
            text, span = change["text"], change.get("range")
            if not isinstance(text, str):
                raise TypeError("text is no string")
            self.text = text if span is None or _spans_all(span, self.text) else self._replace(span, text)

    def _replace(self, span: Any, text: str) -> str:
        # Most of a second and 15 MB to import, for clients that send ranges: OpenCode does not.
        from lsp_tap.timeline.ranges import replace_range

        return replace_range(self.text, span, text, self._encoding)


def _spans_all(span: Any, text: str) -> bool:
    """Whether a range is known to be the whole text, as OpenCode names it, without splitting that into lines."""
    start, end = span["start"], span["end"]
    if start["line"] != 0 or start["character"] != 0 or "\r" in text:
        return False
    last_line = text.count("\n")
    if end["line"] != last_line:
        return bool(end["line"] > last_line)
    return bool(end["character"] >= 4 * (len(text) - text.rfind("\n") - 1))


def count_code_points(line: str, character: int, encoding: str) -> int:
    """The code points before offset `character` of `line`, which counts code units of `encoding`.

    An offset past the line's end means its end; one inside a code point means its start (LSP 3.17, "Position").
    """
    if encoding == "utf-32" or line.isascii():
        return min(character, len(line))
    units = 0
    for index, point in enumerate(line):
        width = len(point.encode("utf-8", "surrogatepass")) if encoding == "utf-8" else 1 + (ord(point) > 0xFFFF)
        if units + width > character:
            return index
        units += width
    return len(line)
