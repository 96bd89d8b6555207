"""A body as lines of styled pieces: JSON indented by its tokens alone, so that it shows what was sent (spelling of
numbers, order and doubles of keys), costs the same a line however large it is, and may be cut or broken anywhere.

Recorded text is cleaned here: what a terminal would obey is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, Literal, NamedTuple

from lsp_tap.inspect.terminal import clean, clean_json

Tone = Literal["key", "string", "number", "word", "mark", "text", "dim", "title", "error", "warning", "good"]


class Piece(NamedTuple):
    text: str
    style: Tone = "text"


Line = list[Piece]

_TOKEN: Final = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*"?)|(?P<open>[{\[])|(?P<close>[}\]])|(?P<comma>,)|(?P<colon>:)|(?P<space>[ \t\r\n]+)'
    r"|(?P<word>true|false|null)|(?P<number>-?\d[\d.eE+-]*)|(?P<other>.)",
    re.DOTALL,
)
_INDENT: Final = "  "
_LONG_STRING: Final = 60
"""A string longer than this is broken after the line breaks in it."""
_BREAK: Final = re.compile(r"(?<=\\n)(?=.)")
_HEX_WIDTH: Final = 16


def indent_json(text: str) -> Iterator[Line]:
    """JSON text, indented. Not only whole JSON: what is none shows as it is."""
    depth = 0
    line: Line = []
    tokens = _TOKEN.finditer(text)
    pending: list[re.Match[str]] = []

    def following() -> re.Match[str] | None:
        token = pending.pop() if pending else next(tokens, None)
        while token is not None and token.lastgroup == "space":
            token = next(tokens, None)
        return token

    while (token := following()) is not None:
        value, kind = token[0], token.lastgroup
        value = value if value.isprintable() else clean_json(value)
        if kind == "open":
            after = following()
            line.append(Piece(value, "mark"))
            if after is not None and after.lastgroup == "close":
                line.append(Piece(after[0], "mark"))
                continue
            if after is not None:
                pending.append(after)
            depth += 1
            yield line
            line = [Piece(_INDENT * depth)]
        elif kind == "close":
            depth = max(0, depth - 1)
            if line and any(piece.text.strip() for piece in line):
                yield line
            line = [Piece(_INDENT * depth), Piece(value, "mark")]
        elif kind == "comma":
            yield [*line, Piece(value, "mark")]
            line = [Piece(_INDENT * depth)]
        elif kind == "colon":
            line.append(Piece(": ", "mark"))
        elif kind == "string":
            after = following()
            if after is not None:
                pending.append(after)
            if after is not None and after.lastgroup == "colon":
                line.append(Piece(value, "key"))
            else:
                *earlier, last = _BREAK.split(value) if len(value) > _LONG_STRING else [value]
                for part in earlier:
                    yield [*line, Piece(part, "string")]
                    line = [Piece(_INDENT * (depth + 1))]
                line.append(Piece(last, "string"))
        else:
            line.append(Piece(value, "number" if kind == "number" else "word" if kind == "word" else "text"))
    if line and any(piece.text.strip() for piece in line):
        yield line


def show_text(text: str) -> Iterator[Line]:
    """Any text, as it is, line by line."""
    for line in clean(text).replace("\t", "    ").split("\n"):
        yield [Piece(line)]


def dump_bytes(data: bytes) -> Iterator[Line]:
    """Bytes in hexadecimal, and what of them is ASCII."""
    for start in range(0, len(data), _HEX_WIDTH):
        row = data[start : start + _HEX_WIDTH]
        halves = f"{row[:8].hex(' '):<23}  {row[8:].hex(' '):<23}"
        shown = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in row)
        yield [Piece(f"{start:08x}  ", "dim"), Piece(f"{halves}  ", "number"), Piece(shown, "string")]


def take(lines: Iterable[Line], count: int) -> list[Line]:
    """The first so many."""
    return list(islice(lines, count))
