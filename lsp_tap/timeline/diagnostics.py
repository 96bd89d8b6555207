"""A diagnostic as one server reported it, in positions that do not depend on who encoded them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from lsp_tap.timeline.texts import count_code_points


class Severity(IntEnum):
    """LSP 3.17, `DiagnosticSeverity`."""

    ERROR = 1
    WARNING = 2
    INFORMATION = 3
    HINT = 4


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """Lines and columns count from 0; columns are code points of the text the server looked at."""

    uri: str
    line: int
    column: int
    end_line: int
    end_column: int
    severity: Severity
    server: str
    source: str
    code: str
    message: str

    @property
    def rule(self) -> tuple[str, str, str]:
        return self.server, self.source, self.code


def parse_diagnostics(
    items: Iterable[Any], *, uri: str, server: str, lines: Sequence[str] | None, encoding: str
) -> tuple[Diagnostic, ...]:
    """LSP `Diagnostic` objects, sorted, each distinct one once; what is not one is left out.

    `lines` is the text they speak of (None where nobody sent it: then columns stay code units of `encoding`).
    """
    parsed = set()
    for item in items:
        try:
            parsed.add(_parse_diagnostic(item, uri, server, lines, encoding))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            continue
    return tuple(sorted(parsed))


def _parse_diagnostic(item: Any, uri: str, server: str, lines: Sequence[str] | None, encoding: str) -> Diagnostic:
    def place(position: Any) -> tuple[int, int]:
        line, character = int(position["line"]), int(position["character"])
        if lines is None or line >= len(lines):
            return line, character
        return line, count_code_points(lines[line].rstrip("\r\n"), character, encoding)

    message = item["message"]
    code = item.get("code")
    # "If omitted it is up to the client to interpret": an error, as editors do.
    severity = item.get("severity")
    return Diagnostic(
        uri,
        *place(item["range"]["start"]),
        *place(item["range"]["end"]),
        Severity(severity) if severity is not None else Severity.ERROR,
        server,
        str(item.get("source") or ""),
        "" if code is None else str(code),
        str(message["value"] if isinstance(message, dict) else message),
    )
