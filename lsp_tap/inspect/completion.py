"""What a shell offers for the words of `log`: operators, and after one of them its values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lsp_tap.inspect.filter_language import OPERATORS
from lsp_tap.inspect.flows import KINDS
from lsp_tap.journal.capture import open_folder
from lsp_tap.journal.records import TapStarted

_MEANINGS = dict(
    line.split(maxsplit=1)
    for line in """
    ~m method
    ~d direction
    ~k kind
    ~s server
    ~u document
    ~i request id
    ~l latency
    ~t tool call
    ~session session
    ~b body
    ~p the tap's own requests
    ~all everything
    """.strip().splitlines()
)


def complete_word(earlier: Sequence[str], incomplete: str, folder: Path) -> list[tuple[str, str | None]]:
    """The words that may stand here, with what they mean; none where anything may."""
    before = earlier[-1] if earlier else ""
    found: Sequence[tuple[str, str | None]]
    match before:
        case "~m":
            from lsprotocol.types import METHOD_TO_TYPES

            found = [(method, None) for method in sorted(METHOD_TO_TYPES)]
        case "~s":
            names = {tap.first.name for tap in open_folder(folder).taps if isinstance(tap.first, TapStarted)}
            found = [(name, None) for name in sorted(names)]
        case "~k":
            found = [(kind, None) for kind in KINDS]
        case "~d":
            found = [("c2s", "client to server"), ("s2c", "server to client")]
        case _ if incomplete.startswith("~"):
            found = [(operator, _MEANINGS[operator]) for operator in OPERATORS]
        case _:
            found = [("last", "the last session")] if incomplete else []
    return [(value, meaning) for value, meaning in found if value.startswith(incomplete)]
