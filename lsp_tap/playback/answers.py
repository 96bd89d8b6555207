"""What a client answers to a server's requests, as it did when it was recorded. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from lsp_tap.playback.conversation import Conversation, Step
from lsp_tap.playback.normal import spell_params, spell_value
from lsp_tap.playback.roots import RootMap
from lsp_tap.wire.messages import Request, Response

_METHOD_NOT_FOUND: Final = -32601
_NULLS: Final = frozenset(
    {
        *("client/registerCapability", "client/unregisterCapability", "window/workDoneProgress/create"),
        *("window/showMessageRequest", "workspace/diagnostic/refresh", "workspace/semanticTokens/refresh"),
        *("workspace/inlayHint/refresh", "workspace/codeLens/refresh", "workspace/inlineValue/refresh"),
        *("workspace/foldingRange/refresh", "workspace/textDocumentContent/refresh"),
    }
)


class AnswerBook:
    """The recorded answers to a server's requests, in the folder that `roots` maps to.

    A request gets the next answer to the same method and params, else the last one to them; `workspace/configuration`
    else what was answered for each of its items; else the answer, where all recorded ones of the method are the same;
    else what a client without the feature says, and `notes` says so.
    """

    def __init__(self, conversation: Conversation, roots: RootMap) -> None:
        self._initialize = roots.map(conversation.initialize)
        self._waiting: defaultdict[tuple[str, str], list[Response]] = defaultdict(list)
        self._last: dict[tuple[str, str], Response] = {}
        self._of_method: defaultdict[str, dict[str, Response]] = defaultdict(dict)
        self._configuration: dict[str, Any] = {}
        self.notes: dict[str, int] = {}
        for step in conversation.steps:
            if not step.is_client and isinstance(step.message, Request) and step.answer is not None:
                self._add(step, step.answer, roots)

    def _add(self, step: Step, answer: Step, roots: RootMap) -> None:
        assert isinstance(answer.message, Response)
        response = Response(None, roots.map(answer.message.result), roots.map(answer.message.error))
        params = roots.map(step.params)
        self._waiting[step.method, spell_params(params)].append(response)
        self._of_method[step.method][spell_value([response.result, response.error])] = response
        match step.method, params, response.result:
            case "workspace/configuration", {"items": list(items)}, list(values):
                for item, value in zip(items, values, strict=False):
                    self._configuration[spell_value(item)] = value

    def answer(self, request: Request) -> Response:
        """The response to a request of the server's; its id is the request's."""
        key = request.method, spell_params(request.params)
        if self._waiting[key]:
            self._last[key] = self._waiting[key].pop(0)
        found = self._last.get(key) or self._answer_alike(request)
        if found is None:
            told = f"the server asked {request.method} as it had not when it was recorded: answered as a client without"
            self.notes[told] = self.notes.get(told, 0) + 1
            found = self._answer_by_default(request)
        return found._replace(id=request.id)

    def _answer_alike(self, request: Request) -> Response | None:
        match request:
            case Request(method="workspace/configuration", params={"items": list(items)}):
                values = [self._configuration.get(spell_value(item)) for item in items]
                known = all(spell_value(item) in self._configuration for item in items)
                return Response(None, values) if known else None
        answers = self._of_method.get(request.method, {})
        return next(iter(answers.values())) if len(answers) == 1 else None

    def _answer_by_default(self, request: Request) -> Response:
        match request:
            case Request(method="workspace/configuration", params={"items": list(items)}):
                return Response(None, [self._configuration.get(spell_value(item)) for item in items])
            case Request(method="workspace/workspaceFolders"):
                return Response(None, (self._initialize or {}).get("workspaceFolders"))
            case Request(method="workspace/applyEdit"):
                return Response(None, {"applied": False})
            case Request(method="window/showDocument"):
                return Response(None, {"success": False})
            case Request(method=method) if method in _NULLS:
                return Response(None)
        return Response(
            None, None, {"code": _METHOD_NOT_FOUND, "message": f"no answer to {request.method} is recorded"}
        )
