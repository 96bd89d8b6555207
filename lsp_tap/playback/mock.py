"""The server's side of a recording as a server: which recorded message a client's is, and what follows it. Pure.

**A request** gets the answer of the recorded request it is like: the same method and params, in the same state of the
document (after the same recorded change), not yet used, next in order; in this order of weight. Else one on the same
document, the nearest position first. Else an error that says that nothing was recorded. A request that nobody answered
in the recording gets no answer.

**What a server says by itself** follows the client's message that caused it: the first report on a text what sent (or
saved, or closed) it; the progress of a request that request; all else, as another report on the same text, the message
before it in the recording. It is sent once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from lsp_tap.playback.conversation import Conversation, Step, find_uri
from lsp_tap.playback.normal import spell_params, spell_value
from lsp_tap.playback.roots import RootMap, find_root, find_root_uri
from lsp_tap.wire.messages import Message, Notification, Request, Response, key_of_id

_METHOD_NOT_FOUND: Final = -32601
_REQUEST_FAILED: Final = -32803
_CHANGING: Final = frozenset({"textDocument/didOpen", "textDocument/didChange"})
_CAUSING: Final = _CHANGING | {"textDocument/didSave", "textDocument/didClose"}
_SINGLE: Final = frozenset({"initialize", "shutdown"})
_ASIDE: Final = frozenset({"$/cancelRequest", "$/setTrace"})
"""What a client may send at any time; nothing follows it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A message to send, `delay_us` after what caused it."""

    delay_us: int
    message: dict[str, Any]


class MockServer:
    """One connection. `hear` a client's messages in order; what it returns is to be sent, in that order."""

    def __init__(self, conversation: Conversation) -> None:
        self._root = conversation.root
        self._recorded_root_uri = find_root_uri(conversation.initialize)
        self._to_client = self._to_recorded = RootMap(None, None)
        self._alike: defaultdict[tuple[str, str], list[_Candidate]] = defaultdict(list)  # by method and params
        self._of_document: defaultdict[tuple[str, str], list[_Candidate]] = defaultdict(list)
        self._of_method: defaultdict[str, list[_Candidate]] = defaultdict(list)
        self._following: defaultdict[int, list[Step]] = defaultdict(list)
        self._asked: dict[tuple[str, object], list[Step]] = {}  # our requests that wait for the client
        self._tokens: dict[str, Any] = {}
        self._state: dict[str, int] = {}
        self.is_shut_down = False
        self.unmatched: defaultdict[str, int] = defaultdict(int)
        self._index(conversation)

    def _index(self, conversation: Conversation) -> None:
        state: dict[str, int] = {}
        unreported: dict[str, int] = {}
        previous = -1
        tokens: dict[str, int] = {}
        for step in conversation.steps:
            uri = unquote(step.uri) if step.uri is not None else None
            if step.is_client:
                if uri is not None and step.method in _CHANGING:
                    state[uri] = step.index
                if uri is not None and step.method in _CAUSING:
                    unreported[uri] = step.index
                if not isinstance(step.message, Response):
                    candidate = _Candidate(step, spell_params(step.params), uri, state.get(uri or "", -1))
                    self._alike[step.method, candidate.spelled].append(candidate)
                    self._of_document[step.method, uri or ""].append(candidate)
                    self._of_method[step.method].append(candidate)
                    for token in _list_tokens(step.params):
                        tokens[spell_value(token)] = step.index
                if not step.probe and step.method not in _ASIDE:
                    previous = step.index
            elif not step.probe and not isinstance(step.message, Response):
                self._following[_find_cause(step, uri, unreported, tokens, previous)].append(step)

    def hear(self, message: Message) -> list[Reply]:
        """What to say to it."""
        match message:
            case Request(method="initialize", params=params):
                self._to_client = RootMap(self._root, find_root(params), find_root_uri(params))
                self._to_recorded = self._to_client.reverse(self._recorded_root_uri)
            case Request(method="shutdown"):
                self.is_shut_down = True
            case Response(id=id):
                waiting = self._asked.get(key_of_id(id))
                asked = waiting.pop(0) if waiting else None
                answered = asked.answer if asked is not None else None
                return list(self._follow(answered)) if answered is not None else []
        assert not isinstance(message, Response)
        params = self._to_recorded.map(message.params)
        found = self._find(message, params)
        is_first = found is not None and not found.is_used
        if found is None:
            if message.method != "shutdown" and not message.method.startswith("$/"):
                self.unmatched[message.method] += 1
        else:
            found.is_used = True
            for recorded, given in zip(_list_tokens(found.step.params), _list_tokens(message.params), strict=False):
                self._tokens[spell_value(recorded)] = given
            if found.uri is not None and message.method in _CHANGING:
                self._state[unquote(find_uri(params) or "")] = found.step.index
        replies = list(self._follow(found.step)) if found is not None and is_first else []
        if isinstance(message, Request):
            replies += self._answer(message, found.step if found is not None else None)
        return sorted(replies, key=lambda reply: reply.delay_us)

    def _find(self, message: Request | Notification, params: Any) -> _Candidate | None:
        """The recorded message that this one is. A notification is none twice."""
        method, uri = message.method, find_uri(params)
        document = unquote(uri) if uri is not None else ""
        state = self._state.get(document, -1)
        is_request = isinstance(message, Request)

        def rank(candidate: _Candidate) -> tuple[Any, ...]:
            return (
                candidate.state != state and method not in _CHANGING,
                _measure_distance(candidate.step.params, params),
                candidate.is_used,
                # Once all are used it is the latest one again: a client that asks more often hears the last word.
                -candidate.step.index if candidate.is_used else candidate.step.index,
            )

        groups = [self._alike.get((method, spell_params(params)), [])]
        if method in _SINGLE:
            groups.append(self._of_method.get(method, []))
        elif document:
            near = self._of_document.get((method, document), [])
            groups.append([candidate for candidate in near if candidate.step.answer is not None or not is_request])
        for group in groups:
            fitting = [candidate for candidate in group if is_request or not candidate.is_used]
            if fitting:
                return min(fitting, key=rank)
        return None

    def _follow(self, step: Step) -> Iterator[Reply]:
        """What the server said by itself because of a message of the client's."""
        for said in self._following.pop(step.index, ()):
            message = said.message
            fields: dict[str, Any] = {"jsonrpc": "2.0"}
            if isinstance(message, Request):
                self._asked.setdefault(key_of_id(message.id), []).append(said)
                fields["id"] = message.id
            fields["method"] = said.method
            if said.params is not None:
                fields["params"] = self._give_tokens(self._to_client.map(said.params))
            yield Reply(said.time_us - step.time_us, fields)

    def _give_tokens(self, params: Any) -> Any:
        if isinstance(params, dict) and "token" in params:
            return {**params, "token": self._tokens.get(spell_value(params["token"]), params["token"])}
        return params

    def _answer(self, request: Request, step: Step | None) -> list[Reply]:
        if step is None:
            if request.method == "shutdown":
                return [Reply(0, {"jsonrpc": "2.0", "id": request.id, "result": None})]
            error = _describe_missing(request, request.method in self._of_method)
            return [Reply(0, {"jsonrpc": "2.0", "id": request.id, "error": error})]
        if step.answer is None or not isinstance(step.answer.message, Response):
            return []
        answer = step.answer.message
        outcome = {"result": self._to_client.map(answer.result)}
        if answer.error is not None:
            outcome = {"error": self._to_client.map(answer.error)}
        return [Reply(step.answer.time_us - step.time_us, {"jsonrpc": "2.0", "id": request.id, **outcome})]


@dataclass(slots=True, eq=False)
class _Candidate:
    """A recorded message of the client's. `state`: the change of its document before it, -1 for none."""

    step: Step
    spelled: str
    uri: str | None
    state: int
    is_used: bool = False


def _find_cause(step: Step, uri: str | None, unreported: dict[str, int], tokens: dict[str, int], previous: int) -> int:
    """The client's message that a message of the server's follows."""
    match step.message:
        case Notification(method="textDocument/publishDiagnostics"):
            return unreported.pop(uri or "", previous)
        case Notification(method="$/progress", params={"token": token}):
            return tokens.get(spell_value(token), previous)
    return previous


def _list_tokens(params: Any) -> list[Any]:
    """The tokens a client gives for progress and partial results, in the order of their names."""
    if not isinstance(params, dict):
        return []
    return [params[name] for name in ("partialResultToken", "workDoneToken") if name in params]


def _measure_distance(recorded: Any, asked: Any) -> tuple[int, int]:
    """Lines and characters between the positions, or the starts of the ranges, of two params."""
    places = [_find_position(params) for params in (recorded, asked)]
    (line, character), (other_line, other_character) = places
    return abs(line - other_line), abs(character - other_character)


def _find_position(params: Any) -> tuple[int, int]:
    match params:
        case {"position": {"line": int(line), "character": int(character)}} | {
            "range": {"start": {"line": int(line), "character": int(character)}}
        }:
            return line, character
    return 0, 0


def _describe_missing(request: Request, is_known: bool) -> dict[str, Any]:
    uri = find_uri(request.params)
    about = f" for {uri}" if uri is not None and is_known else ""
    code = _REQUEST_FAILED if is_known else _METHOD_NOT_FOUND
    like = " with such parameters" if is_known and uri is None else ""
    return {"code": code, "message": f"lsp-tap serve: no answer to {request.method}{about}{like} is recorded"}
