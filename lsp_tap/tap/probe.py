"""Which diagnostics to ask the server for, and when. Pure: messages and a clock in, requests out; the
recorder does the rest.

A server that pushes says what it knows by itself. One that is asked says it only then, and a client need
not ask: the state *before* an edit is what nobody asks for. So for every document that is opened or
changed:

1. It is due `SETTLE_MS` later, once for each registration (or static provider) that is for such documents.
2. If the client asks first, nothing is due.
3. An answer that says "not now" (ServerCancelled, ContentModified) makes it due again, later and later,
while the
   document stays as it is.
4. When nothing is left to do for the changed document, the other open ones are asked for, one at a time,
since an edit
   breaks and mends what it does not touch. The same when the server says that everything may be different
   (workspace/diagnostic/refresh).

Nothing is asked before `initialized`, nothing after `shutdown`.
https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/#textDocument_pullDiagnostics
"""

from __future__ import annotations

from lsp_tap.tap.selector import matches_selector
from lsp_tap.wire.messages import Notification, Request, Response, key_of_id, parse_message

SETTLE_MS = 25.0
"""Clients that ask by themselves do so within a few milliseconds of the change; a model takes hundreds
between reading and editing, a scripted one some tens. In between there is room for one question."""

RETRY_MS = 100.0
MAX_TRIES = 8
"""100 ms, 200 ms ... together 25 s; a server that loads for longer announces its end with a refresh."""

MAX_OTHERS = 8
"""Other documents asked for after a change, most recently touched first."""

REFRESH_MS = 200.0
MAX_REFRESHES = 6
"""Refreshes followed after one change, each at double the distance: asking can itself make a server send
one.
"""

CLIENT_PATIENCE_MS = 5000.0
"""How long a question of the client keeps us from asking for other documents."""

MAX_OPEN_REQUESTS = 8

MAX_REGISTRATIONS = 50
"""More are ignored: each is kept, and matched with every document. Servers have a dozen at most."""

_PULL = "textDocument/diagnostic"


class Ask:
    """A request to send: `id` is new, `uri` the document, `identifier` the registration's or None."""

    __slots__ = ("id", "identifier", "key", "uri")

    def __init__(self, id: str, uri: str, identifier: str | None, key: _Key) -> None:
        self.id = id
        self.uri = uri
        self.identifier = identifier
        self.key = key

    def as_message(self) -> dict[str, object]:
        params: dict[str, object] = {"textDocument": {"uri": self.uri}}
        if self.identifier is not None:
            params["identifier"] = self.identifier
        return {"jsonrpc": "2.0", "id": self.id, "method": _PULL, "params": params}


_Key = tuple[str, str]  # document, registration


class _Registration:
    def __init__(self, options: dict[str, object]) -> None:
        identifier = options.get("identifier")
        self.identifier = identifier if isinstance(identifier, str) else None
        self.selector = options.get("documentSelector")


class _Document:
    def __init__(self, language: str) -> None:
        self.language = language
        self.revision = 0
        self.is_related_asked = False  # since the last change of any: two that name each other would never end


class _Pull:
    """One document asked for under one registration. `due_ms` is None when there is nothing to ask."""

    def __init__(self) -> None:
        self.due_ms: float | None = None
        self.is_urgent = False
        self.tries = 0


class Probe:
    """One connection. `prefix` starts every id and must be this process's own."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._count = 0
        self._is_ready = False
        self.stopped: str | None = None
        """Why nothing is asked any more."""
        self._documents: dict[str, _Document] = {}  # most recently touched last
        self._registrations: dict[str, _Registration] = {}
        self._pulls: dict[_Key, _Pull] = {}
        self._open: dict[str, tuple[Ask, int]] = {}  # our requests by id, with the document's revision
        self._client_pulls: dict[tuple[str, object], tuple[list[_Key], float]] = {}
        self._initialize_id: tuple[str, object] | None = None
        self._refreshes = 0
        self._refresh_due_ms: float | None = None

    def stop(self, reason: str) -> None:
        self.stopped = self.stopped or reason

    def see_client(self, value: object, now_ms: float) -> None:
        """A message of the client's, in order."""
        match parse_message(value):
            case Request(id=id, method="initialize"):
                self._initialize_id = key_of_id(id)
            case Request(method="shutdown"):
                self.stop("shutdown")
            case Request(id=id, method="textDocument/diagnostic", params={"textDocument": {"uri": str(uri)}} as params):
                self._note_client_pull(key_of_id(id), uri, params.get("identifier"), now_ms)
            case Notification(method="initialized"):
                self._is_ready = True
            case Notification(method="exit"):
                self.stop("exit")
            case Notification(
                method="textDocument/didOpen",
                params={"textDocument": {"uri": str(uri), "languageId": str(language)}},
            ):
                self._documents.pop(uri, None)
                self._documents[uri] = _Document(language)
                self._touch(uri, now_ms)
            case Notification(method="textDocument/didChange", params={"textDocument": {"uri": str(uri)}}):
                if uri in self._documents:
                    self._documents[uri] = self._documents.pop(uri)
                    self._touch(uri, now_ms)
            case Notification(method="textDocument/didClose", params={"textDocument": {"uri": str(uri)}}):
                self._forget(uri)

    def see_server(self, value: object, now_ms: float) -> None:
        """A message of the server's that the client got, in order."""
        match parse_message(value):
            case Response(id=id) as response:
                key = key_of_id(id)
                if key == self._initialize_id:
                    self._initialize_id = None
                    self._note_static(response.result, now_ms)
                elif key in self._client_pulls:
                    pulled, _ = self._client_pulls.pop(key)
                    self._follow_related(response.result, pulled[0][0] if pulled else None, now_ms)
                    if response.error is not None and _is_not_now(response.error):
                        for pull in pulled:
                            self._retry(pull, now_ms)
            case Request(method="client/registerCapability", params={"registrations": list(registrations)}):
                for registration in registrations:
                    match registration:
                        case {"id": str(id), "method": "textDocument/diagnostic"}:
                            self._register(id, registration.get("registerOptions"), now_ms)
            case Request(method="client/unregisterCapability", params={"unregisterations": list(gone)}):
                for registration in gone:
                    match registration:
                        case {"id": str(id), "method": "textDocument/diagnostic"}:
                            self._unregister(id)
            case Request(method="workspace/diagnostic/refresh"):
                if self._refresh_due_ms is None and self._refreshes < MAX_REFRESHES:
                    self._refresh_due_ms = now_ms + REFRESH_MS * 2**self._refreshes
                    self._refreshes += 1

    def see_answer(self, request_id: str, value: object, now_ms: float) -> None:
        """The server's answer to one of ours; `value` is None when it was too large to look at."""
        ask, revision = self._open.pop(request_id, (None, 0))
        if ask is None:
            return
        document = self._documents.get(ask.uri)
        match parse_message(value):
            case Response(error=error) if error is not None and _is_not_now(error):
                if document is not None and document.revision == revision:
                    self._retry(ask.key, now_ms)
            case Response(result=result):
                self._follow_related(result, ask.uri, now_ms)

    def next_ask(self, now_ms: float) -> Ask | None:
        """What to ask now. It counts as asked when `note_sent` says so."""
        self._follow_refresh(now_ms)
        if self.stopped is not None or not self._is_ready or len(self._open) >= MAX_OPEN_REQUESTS:
            return None
        due = [
            (pull.due_ms, key)
            for key, pull in self._pulls.items()
            if pull.due_ms is not None and pull.due_ms <= now_ms and pull.is_urgent
        ]
        if not due and not self._is_busy(now_ms):
            due = [
                (0.0, (uri, registration))
                for uri in reversed(self._documents)
                for registration in self._registrations
                if (waiting := self._pulls.get((uri, registration))) is not None
                and waiting.due_ms is not None
                and waiting.due_ms <= now_ms
            ][:1]
        if not due:
            return None
        key = min(due)[1]
        ask_id = f"{self._prefix}{self._count + 1}"
        return Ask(ask_id, key[0], self._registrations[key[1]].identifier, key)

    def note_sent(self, ask: Ask) -> None:
        self._count += 1
        self._pulls[ask.key].due_ms = None
        self._open[ask.id] = (ask, self._documents[ask.uri].revision)

    def note_skipped(self, ask: Ask) -> None:
        """It cannot be sent, now or later."""
        self._pulls[ask.key].due_ms = None

    def next_due_ms(self, now_ms: float) -> float | None:
        """When to call `next_ask` again if no message comes before; None when there is nothing to wait for."""
        if self.stopped is not None:
            return None
        due = [pull.due_ms for pull in self._pulls.values() if pull.due_ms is not None]
        if self._refresh_due_ms is not None:
            due.append(self._refresh_due_ms)
        if not due or not self._is_ready:
            return None
        earliest = min(due)
        # What is due and was not asked waits for an answer, or for the client's patience to end.
        return earliest if earliest > now_ms else now_ms + SETTLE_MS

    def _touch(self, uri: str, now_ms: float) -> None:
        self._documents[uri].revision += 1
        self._refreshes = 0
        for document in self._documents.values():
            document.is_related_asked = False
        self._schedule(uri, now_ms + SETTLE_MS, is_urgent=True)
        self._schedule_others(uri, now_ms + SETTLE_MS)

    def _schedule(self, uri: str, due_ms: float, *, is_urgent: bool) -> None:
        language = self._documents[uri].language
        for id, registration in self._registrations.items():
            if matches_selector(registration.selector, uri, language):
                pull = self._pulls.setdefault((uri, id), _Pull())
                if is_urgent or pull.due_ms is None:
                    pull.due_ms, pull.is_urgent, pull.tries = due_ms, is_urgent, 0

    def _schedule_others(self, uri: str | None, due_ms: float) -> None:
        others = [other for other in reversed(self._documents) if other != uri]
        for other in others[:MAX_OTHERS]:
            self._schedule(other, due_ms, is_urgent=False)

    def _is_busy(self, now_ms: float) -> bool:
        """Whether something more urgent than the other documents is under way."""
        return (
            bool(self._open)
            or any(pull.is_urgent and pull.due_ms is not None for pull in self._pulls.values())
            or any(since + CLIENT_PATIENCE_MS > now_ms for _, since in self._client_pulls.values())
        )

    def _follow_refresh(self, now_ms: float) -> None:
        if self._refresh_due_ms is not None and self._refresh_due_ms <= now_ms:
            self._refresh_due_ms = None
            self._schedule_others(None, now_ms)

    def _follow_related(self, result: object, uri: str | None, now_ms: float) -> None:
        """Ask for the open documents that an answer names as related: what it says of them may not be all."""
        match result:
            case {"relatedDocuments": dict(related)}:
                for other in list(related)[:MAX_OTHERS]:
                    document = self._documents.get(other)
                    if other != uri and document is not None and not document.is_related_asked:
                        document.is_related_asked = True
                        self._schedule(other, now_ms, is_urgent=False)

    def _retry(self, key: _Key, now_ms: float) -> None:
        pull = self._pulls.get(key)
        if pull is not None and pull.due_ms is None and pull.tries < MAX_TRIES:
            pull.due_ms = now_ms + RETRY_MS * 2**pull.tries
            pull.tries += 1

    def _note_client_pull(self, id: tuple[str, object], uri: str, identifier: object, now_ms: float) -> None:
        keys = [
            key for key in self._pulls if key[0] == uri and identifier in (None, self._registrations[key[1]].identifier)
        ]
        for key in keys:
            self._pulls[key].due_ms = None
        self._client_pulls[id] = (keys, now_ms)

    def _note_static(self, result: object, now_ms: float) -> None:
        match result:
            case {"capabilities": {"diagnosticProvider": dict(options)}}:
                self._register(str(options.get("id", "")), options, now_ms)
            case {"capabilities": {"diagnosticProvider": True}}:
                self._register("", {}, now_ms)

    def _register(self, id: str, options: object, now_ms: float) -> None:
        if len(self._registrations) >= MAX_REGISTRATIONS and id not in self._registrations:
            return
        self._registrations[id] = _Registration(options if isinstance(options, dict) else {})
        for uri in self._documents:
            self._schedule(uri, now_ms + SETTLE_MS, is_urgent=True)

    def _unregister(self, id: str) -> None:
        self._registrations.pop(id, None)
        self._pulls = {key: pull for key, pull in self._pulls.items() if key[1] != id}

    def _forget(self, uri: str) -> None:
        self._documents.pop(uri, None)
        self._pulls = {key: pull for key, pull in self._pulls.items() if key[0] != uri}


def _is_not_now(error: object) -> bool:
    """ServerCancelled (-32802), unless it says for good, or ContentModified (-32801)."""
    match error:
        case {"code": -32802, "data": {"retriggerRequest": False}}:
            return False
        case {"code": -32801 | -32802}:
            return True
    return False
