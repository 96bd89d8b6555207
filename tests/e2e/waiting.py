"""Steps for a scripted model that wait, as a real model's slowness would, until the servers have had their say."""

from __future__ import annotations

from collections.abc import Callable

from lsp_tap.session.recording import Recording
from lsp_tap.wiring.scripted_model import ModelRequest, Reply
from tests.e2e.opencode import OpenCode, wait_until


def once_reported(opencode: OpenCode, reply: Reply) -> Callable[[ModelRequest], Reply]:
    """`reply`, given when every server has reported on the text it has of every document, and has one."""

    def answer(_: ModelRequest) -> Reply:
        recording = Recording(opencode.logs)

        def is_reported() -> bool:
            recording.read()
            texts = {(t.name, c.uri): c.text for t in recording.timelines for c in t.changes}
            said = {(t.name, r.uri): r.change.text for t in recording.timelines for r in t.reports if r.change}
            return bool(texts) and texts == {key: said.get(key) for key in texts}

        wait_until(is_reported, timeout_s=40, what="report on every document")
        return reply

    return answer
