"""A conversation over the HTTP API of `opencode serve`: several turns in one process, and what only a person does."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tests.e2e.opencode import PROVIDER

Json = dict[str, Any]
TIMEOUT_S = 60


class Conversation:
    """One session of the OpenCode at `url`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._threads = ThreadPoolExecutor(1)
        self.session_id = str(self._post("/session", {})["id"])

    def ask(self, task: str) -> Json:
        """A turn to its end; the last assistant message."""
        return self.start(task).result(TIMEOUT_S)

    def start(self, task: str) -> Future[Json]:
        """A turn that goes on while the caller does something else."""
        body = {"model": {"providerID": PROVIDER, "modelID": "m"}, "parts": [{"type": "text", "text": task}]}
        return self._threads.submit(self._post, f"/session/{self.session_id}/message", body)

    def abort(self) -> None:
        """What a person does with the escape key."""
        self._post(f"/session/{self.session_id}/abort", {})

    def _post(self, path: str, body: Json) -> Any:
        request = urllib.request.Request(
            self._url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"POST {path}: {error.code} {error.read()[:500]!r}") from error
