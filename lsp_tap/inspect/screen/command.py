"""`lsp-tap inspect` from its words to its end."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lsp_tap.errors import UsageError
from lsp_tap.inspect.filter_language import parse_filter
from lsp_tap.inspect.selection import split_words
from lsp_tap.journal.capture import open_capture


def inspect_words(words: Sequence[str], folder: Path) -> None:
    """Look until the person quits. Raises UsageError where there is no terminal, BadFilter and CaptureNotFound."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        raise UsageError("inspect needs a terminal: `lsp-tap log` prints the same messages")
    names, text = split_words(words, folder)
    parse_filter(text)
    capture = open_capture(names, folder)

    from lsp_tap.inspect.screen.app import Inspect

    Inspect(capture, None if names else folder, text).run()
