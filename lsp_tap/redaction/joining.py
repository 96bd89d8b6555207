"""Tokens that source code has in pieces: `"ghp_abc" + "def"`, `'abc''def'`, a backslash at the end of a line. Pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final

from lsp_tap.redaction.finding import Found, find_secrets

_BLANK: Final = r"(?:[ \t]|\\?\r?\n|\\r|\\n)*+"
_JOINT: Final = re.compile(
    r"(?<=[\w+/=.-])"
    rf"(?:\\?[\"'`]{_BLANK}(?:\+|\.\.?|\|\||&)?{_BLANK}[rbfuRBFU]?\\?[\"'`]"
    r"|\\\r?\n[ \t]*+"
    r"|=\r?\n)"  # quoted-printable
    r"(?=[\w+/=.-])",
    re.ASCII,
)


def join(text: str) -> str:
    """The text with its pieces put together."""
    return _JOINT.sub("", text)


def find_joined_secrets(text: str) -> list[Found]:
    """Those that come out when the pieces are put together; each from its first piece to its last."""
    joints = [match.span() for match in _JOINT.finditer(text)]
    if not joints:
        return []
    pieces: list[str] = []
    starts: list[int] = []  # in the joined text, of each piece
    offsets: list[int] = []  # from there to the text
    at = size = 0
    for start, end in (*joints, (len(text), len(text))):
        pieces.append(text[at:start])
        starts.append(size)
        offsets.append(at - size)
        size += start - at
        at = end
    seams = starts[1:]
    found = []
    for hit in find_secrets("".join(pieces)):
        if bisect_right(seams, hit.start) == bisect_right(seams, hit.end - 1):
            continue  # it lies within one piece, and is found without us
        first = bisect_right(starts, hit.start) - 1
        last = bisect_right(starts, hit.end - 1) - 1
        found.append(Found(hit.start + offsets[first], hit.end + offsets[last], hit.kind))
    return found
