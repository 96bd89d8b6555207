"""Steps for a scripted model that wait, as a real model's slowness would, until the servers have had their say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lsp_tap.journal import records
from lsp_tap.journal.reader import Unreadable, read_journal
from lsp_tap.timeline.fold import ServerTimeline, fold_server
from lsp_tap.wiring.scripted_model import ModelRequest, Reply
from tests.e2e.opencode import OpenCode, wait_until


def once_reported(opencode: OpenCode, reply: Reply) -> Callable[[ModelRequest], Reply]:
    """`reply`, given when every running server has reported on the text it has of every document, and has one."""

    def answer(_: ModelRequest) -> Reply:
        wait_until(lambda: is_reported(opencode), timeout_s=40, what="report on every document")
        return reply

    return answer


def is_reported(opencode: OpenCode) -> bool:
    """Whether the running servers know a document, and each of them has reported on the text it has of each."""
    running = [timeline for path in opencode.journals("server-") if (timeline := _fold_running(path))]
    return any(timeline.changes for timeline in running) and all(map(_has_said_all, running))


def _fold_running(path: Path) -> ServerTimeline | None:
    read = [entry for entry in read_journal(path) if not isinstance(entry, Unreadable)]
    return None if any(isinstance(record, records.TapStopped) for record in read) else fold_server(path.name, read)


def _has_said_all(timeline: ServerTimeline) -> bool:
    texts = {change.uri: change.text for change in timeline.changes}
    said = {report.uri: report.change.text for report in timeline.reports if report.change}
    return texts == {uri: said.get(uri) for uri in texts}
