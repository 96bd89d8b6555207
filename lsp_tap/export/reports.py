"""How many errors and warnings a server reports, as its reports come: pushed, pulled, or for the whole workspace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lsp_tap.wire.exchanges import Exchange
from lsp_tap.wire.messages import Message, Notification

_ERROR, _WARNING = 1, 2


class ReportedCounts:
    """The sum over all documents of one connection. A pushed and a pulled report of one document are two."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], tuple[int, int]] = {}
        self.errors = 0
        self.warnings = 0

    def step(self, message: Message | None, done: Exchange[Any] | None) -> bool:
        """Whether that was a report."""
        reported = False
        for uri, channel, items in _find_reports(message, done):
            severities = [item.get("severity", _ERROR) for item in items if isinstance(item, dict)]
            before = self._counts.get((uri, channel), (0, 0))
            now = severities.count(_ERROR), severities.count(_WARNING)
            self._counts[uri, channel] = now
            self.errors += now[0] - before[0]
            self.warnings += now[1] - before[1]
            reported = True
        return reported


def _find_reports(message: Message | None, done: Exchange[Any] | None) -> Iterator[tuple[str, str, list[Any]]]:
    match message:
        case Notification("textDocument/publishDiagnostics", {"uri": str(uri), "diagnostics": [*items]}):
            yield uri, "pushed", items
    if done is None:
        return
    match done.request.method, done.request.params, done.response.result:
        case "textDocument/diagnostic", {"textDocument": {"uri": str(uri)}}, {"items": [*items], **rest}:
            yield uri, _name_channel(done.request.params), items
            yield from _find_related(rest)
        case "workspace/diagnostic", _, {"items": [*reports]}:
            for report in reports:
                match report:
                    case {"uri": str(uri), "items": [*items]}:
                        yield uri, _name_channel(done.request.params), items


def _find_related(rest: dict[Any, Any]) -> Iterator[tuple[str, str, list[Any]]]:
    related = rest.get("relatedDocuments")
    for uri, report in related.items() if isinstance(related, dict) else ():
        match report:
            case {"items": [*items]}:
                yield str(uri), "pulled ", items


def _name_channel(params: Any) -> str:
    identifier = params.get("identifier") if isinstance(params, dict) else None
    return f"pulled {identifier or ''}"
