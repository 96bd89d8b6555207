"""How long after a text was sent its server first spoke of it: the rules of `fold`, without texts and diagnostics.

`fold` keeps every text of a recording and parses every diagnostic, since it must tell what was cleared. Who only asks
when a version was first reported needs neither, and a recording may be a million messages long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from lsp_tap.wire.messages import key_of_id


@dataclass(slots=True, eq=False)
class Sent:
    """A text of a document that a server was told of. `altered`: an edit; a document opened, or the same text sent
    again, is none. `fresh_us`: wall clock of the first report on it, None so far."""

    uri: str
    version: int | None
    time_us: int
    is_open: bool
    altered: bool
    order: int
    fresh_us: int | None = None
    channel: Literal["pull", "push"] | None = None


class FreshnessFold:
    """Feed it one server process's document messages, in order. Raises nothing for a malformed one: it is left out."""

    def __init__(self) -> None:
        self._order = 0
        self._current: dict[str, Sent] = {}
        self._by_version: dict[tuple[str, int | None], Sent] = {}
        self._text_hashes: dict[str, int | None] = {}
        self._open: set[str] = set()
        self._pulls: dict[tuple[str, object], tuple[int, str, str, Sent | None]] = {}
        self._reported: set[tuple[str, str]] = set()

    def step_client(self, message: Any, time_us: int) -> Sent | None:
        """A message of the client's: the text it sent, if it did."""
        self._order += 1
        try:
            params = message["params"]
            document = params["textDocument"]
            match message["method"]:
                case "textDocument/didOpen":
                    return self._opened(document, time_us)
                case "textDocument/didChange":
                    return self._changed(document, params["contentChanges"], time_us)
                case "textDocument/didClose":
                    self._open.discard(document["uri"])
                case "textDocument/diagnostic":
                    uri, identifier = document["uri"], str(params.get("identifier") or "")
                    self._pulls[key_of_id(message["id"])] = self._order, uri, identifier, self._current.get(uri)
        except (KeyError, TypeError, AttributeError, IndexError):
            pass
        return None

    def step_server(self, message: Any, time_us: int) -> list[Sent]:
        """A message of the server's: the texts it is the first report on."""
        self._order += 1
        try:
            if "method" not in message:
                return self._answered(message, time_us)
            if message["method"] == "textDocument/publishDiagnostics":
                return self._published(message["params"], time_us)
        except (KeyError, TypeError, AttributeError):
            pass
        return []

    def _opened(self, document: dict[str, Any], time_us: int) -> Sent:
        uri, text_hash = document["uri"], hash(document["text"])
        self._open.add(uri)
        altered = uri in self._text_hashes and self._text_hashes[uri] != text_hash
        self._text_hashes[uri] = text_hash
        return self._send(Sent(uri, document.get("version"), time_us, True, altered, self._order))

    def _changed(self, document: dict[str, Any], changes: list[dict[str, Any]], time_us: int) -> Sent | None:
        uri = document["uri"]
        if uri not in self._open:
            return None
        is_whole = bool(changes) and changes[-1].get("range") is None
        text_hash = hash(changes[-1]["text"]) if is_whole else None
        altered = text_hash is None or text_hash != self._text_hashes.get(uri)
        self._text_hashes[uri] = text_hash
        return self._send(Sent(uri, document.get("version"), time_us, False, altered, self._order))

    def _send(self, sent: Sent) -> Sent:
        self._current[sent.uri] = self._by_version[sent.uri, sent.version] = sent
        return sent

    def _published(self, params: dict[str, Any], time_us: int) -> list[Sent]:
        uri, version = params["uri"], params.get("version")
        sent = self._current.get(uri)
        if sent is None:
            return []
        if version is not None and version != sent.version:
            sent = self._by_version.get((uri, version), sent)
        if uri not in self._open and not params["diagnostics"]:
            return []
        return self._report([sent], time_us, "push")

    def _answered(self, message: dict[str, Any], time_us: int) -> list[Sent]:
        pull = self._pulls.pop(key_of_id(message["id"]), None)
        result = message.get("result")
        if pull is None or not isinstance(result, dict):
            return []
        order, uri, identifier, sent = pull
        if result.get("kind") == "unchanged" and (uri, identifier) not in self._reported:
            return []
        self._reported.add((uri, identifier))
        related = [self._current.get(other) for other in result.get("relatedDocuments") or {}]
        found = [sent, *(other for other in related if other is not None and other.order <= order)]
        return self._report([one for one in found if one is not None], time_us, "pull")

    def _report(self, sents: list[Sent], time_us: int, channel: Literal["pull", "push"]) -> list[Sent]:
        first = [sent for sent in dict.fromkeys(sents) if sent.fresh_us is None]
        for sent in first:
            sent.fresh_us, sent.channel = time_us, channel
        return first
