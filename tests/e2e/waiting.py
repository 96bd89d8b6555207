"""Steps for a scripted model that wait, as a real model's slowness would, until the servers have had their say."""

from __future__ import annotations

from collections.abc import Callable

from lsp_tap.journal import records
from lsp_tap.journal.reader import read_journal
from lsp_tap.timeline.fold import ServerTimeline, fold_server
from lsp_tap.wiring.scripted_model import ModelRequest, Reply
from tests.e2e.opencode import OpenCode, wait_until


def once_reported(opencode: OpenCode, reply: Reply) -> Callable[[ModelRequest], Reply]:
    """`reply`, given when every running server has reported on the text it has of every document, and has one."""

    def answer(_: ModelRequest) -> Reply:
        wait_until(lambda: is_reported(opencode), timeout_s=40, what="report on every document")
        return reply

    return answer
