"""Changes of ranges, which pygls applies. Apart from `texts`: it takes long to import what only some clients need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lsprotocol.types import Position, Range, TextDocumentContentChangePartial
from pygls.workspace import PositionCodec, TextDocument

from lsp_tap.timeline.texts import split_lines


class _Document(TextDocument):
    @property
    def lines(self) -> Sequence[str]:
        return tuple(split_lines(self.source))


def replace_range(text: str, span: Any, new: str, encoding: str) -> str:
    """`text` with `new` in the place of a `Range` in `encoding`. Raises KeyError or TypeError on a malformed one."""
    document = _Document("", text, position_codec=PositionCodec(encoding))
    start, end = (Position(**span[name]) for name in ("start", "end"))
    document.apply_change(TextDocumentContentChangePartial(range=Range(start, end), text=new))
    return document.source
