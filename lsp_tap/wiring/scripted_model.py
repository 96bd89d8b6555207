"""A language model that plays a script: an OpenAI-compatible chat-completions server on 127.0.0.1.

It lets the real coding agent run without a network and with a known outcome: every model call takes the next
step of a script, and a step says what the model answers (text, tool calls, an HTTP error, silence).

    with ScriptedModel([call("read", filePath="/shop/cart.py"), say("Done.")]) as model:
        ...  # point the agent at model.url, for OpenCode with model.provider_entry(["m"])
    model.requests  # what the agent sent

Calls which carry no tools are not the agent's own turn: OpenCode asks its small model for a session title that
way. They are answered with the title and never consume a step. A sub-agent's calls are told from its parent's by
their first user message: a script in `scripts` is played to the conversations whose first user message contains
its key; all others play `steps`. A call after the end of its script is answered with HTTP 400, which no client
retries, and is counted in `overruns`.

Standard library only.
"""

import itertools
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

Json = dict[str, Any]


@dataclass(frozen=True)
class Usage:
    """Token counts of one answer; `cached_tokens` are part of `input_tokens`, as OpenAI counts them."""

    input_tokens: int = 100
    output_tokens: int = 20
    cached_tokens: int = 0

    def encode(self) -> Json:
        return {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.input_tokens + self.output_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
        }


@dataclass(frozen=True)
class ToolCall:
    """One call of the agent's tool `name`. `arguments` as a string is sent as it is, so also invalid JSON."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """An answer: reasoning, then text, then tool calls (several are parallel calls).

    `finish` is the finish reason; unset it is `tool_calls` when there are calls, else `stop`.
    `delay_s` passes before the first byte.
    """

    text: str = ""
    calls: Sequence[ToolCall] = ()
    finish: str | None = None
    reasoning: str = ""
    usage: Usage = Usage()
    delay_s: float = 0.0


@dataclass(frozen=True)
class Failure:
    """An HTTP error. OpenCode retries 429 and 5xx, each retry takes another step; it gives up at once on 400."""

    status: int = 400
    message: str = "the scripted model refuses"


@dataclass(frozen=True)
class Hang:
    """Nothing but `text`, for ever: until the client hangs up or the server is closed."""

    text: str = ""


@dataclass(frozen=True)
class ModelRequest:
    """One received call: the request body, the lower-cased headers, and whether it was one without tools."""

    body: Json
    headers: Mapping[str, str]
    is_title: bool

    @property
    def model(self) -> str:
        return str(self.body.get("model"))

    @property
    def system(self) -> str:
        """All system messages, joined by a blank line."""
        return "\n\n".join(_text_of(m) for m in self._messages("system", "developer"))

    @property
    def first_user_text(self) -> str:
        return next((_text_of(m) for m in self._messages("user")), "")

    @property
    def last_user_text(self) -> str:
        return next((_text_of(m) for m in reversed(self._messages("user"))), "")

    @property
    def tool_names(self) -> list[str]:
        return [tool["function"]["name"] for tool in self.body.get("tools") or []]

    @property
    def tool_results(self) -> list[str]:
        """What the tools answered so far in this conversation, oldest first."""
        return [_text_of(m) for m in self._messages("tool")]

    def _messages(self, *roles: str) -> list[Json]:
        return [m for m in self.body.get("messages") or [] if m.get("role") in roles]


Answer = Reply | Failure | Hang
Step = Answer | Callable[[ModelRequest], Answer]


def say(text: str, *, finish: str | None = None, usage: Usage = Usage()) -> Reply:
    """A text answer that ends the turn (`finish="length"`: that was cut off)."""
    return Reply(text=text, finish=finish, usage=usage)


def call(name: str, /, **arguments: object) -> Reply:
    """An answer with one tool call."""
    return Reply(calls=(ToolCall(name, arguments),))


class ScriptedModel:
    """The server; a context manager. See the module for how calls find their step.

    `requests` and `overruns` may be read at any time, also after the end.
    """

    def __init__(
        self,
        steps: Iterable[Step] = (),
        *,
        scripts: Mapping[str, Iterable[Step]] | None = None,
        title: str = "A scripted session",
        port: int = 0,
    ) -> None:
        self.requests: list[ModelRequest] = []
        self.overruns = 0
        self._title = title
        self._steps = deque(steps)
        self._scripts = {marker: deque(script) for marker, script in (scripts or {}).items()}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._counter = itertools.count(1)
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="scripted-model", daemon=True
        )

    @property
    def url(self) -> str:
        """The base URL an OpenAI client wants: `http://127.0.0.1:PORT/v1`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def remaining(self) -> int:
        """Steps nobody asked for yet, over all scripts."""
        with self._lock:
            return len(self._steps) + sum(map(len, self._scripts.values()))

    @property
    def agent_requests(self) -> list[ModelRequest]:
        """The requests that took a step, oldest first."""
        return [request for request in self.requests if not request.is_title]

    def add(self, *steps: Step) -> None:
        """Appends steps to the default script, for a further turn."""
        with self._lock:
            self._steps.extend(steps)

    def provider_entry(self, models: Iterable[str]) -> Json:
        """The value of one `provider.<id>` in opencode.json that offers `models` from this server.

        `@ai-sdk/openai-compatible` is built into the OpenCode binary; nothing is downloaded for it.
        """
        return {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Scripted model",
            "options": {"baseURL": self.url, "apiKey": "none"},
            "models": {
                model: {
                    "name": model,
                    "tool_call": True,
                    "reasoning": True,
                    "temperature": True,
                    "limit": {"context": 128_000, "output": 8_000},
                    "cost": {"input": 1, "output": 2, "cache_read": 0.1, "cache_write": 0},
                }
                for model in models
            },
        }

    def start(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        """Ends the server and every hanging answer."""
        self._closing.set()
        if self._thread.ident is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def take_answer(self, request: ModelRequest) -> Answer:
        """Records the request and takes its step (called by the server, for each request)."""
        with self._lock:
            self.requests.append(request)
            if request.is_title:
                return say(self._title)
            opening = request.first_user_text
            script = next((s for marker, s in self._scripts.items() if marker in opening), self._steps)
            if not script:
                self.overruns += 1
                return Failure(400, "the script is over: no step is left for this call")
            step = script.popleft()
        return step(request) if callable(step) else step

    def wait_closing(self, timeout_s: float | None = None) -> bool:
        """Waits for `close`; true when it came."""
        return self._closing.wait(timeout_s)

    def next_id(self) -> int:
        return next(self._counter)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], model: ScriptedModel) -> None:
        super().__init__(address, _Handler)
        self.model = model


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._send_json(200, {"object": "list", "data": []})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(raw)
        except ValueError:
            self._send_json(400, _error("the body is not JSON"))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        model = self.server.model
        answer = model.take_answer(ModelRequest(body, headers, is_title=not body.get("tools")))
        try:
            self._send(answer, body)
        except ConnectionError:
            self.close_connection = True  # the client hung up: an aborted turn

    def _send(self, answer: Answer, body: Json) -> None:
        model = self.server.model
        if isinstance(answer, Failure):
            self._send_json(answer.status, _error(answer.message))
            return
        if isinstance(answer, Reply) and answer.delay_s:
            model.wait_closing(answer.delay_s)
        head = {"id": f"chatcmpl-{model.next_id()}", "created": 0, "model": body.get("model")}
        if isinstance(answer, Reply) and not body.get("stream"):
            self._send_json(200, {**head, "object": "chat.completion", **_completion(answer, model)})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if isinstance(answer, Hang):
            if answer.text:
                self._send_event(head, _delta({"role": "assistant", "content": answer.text}))
            while not model.wait_closing(0.5):
                self._send_line(": still thinking")  # fails once the client is gone
            return
        for chunk in _chunks(answer, model):
            self._send_event(head, chunk)
        self._send_line("data: [DONE]")

    def _send_event(self, head: Json, chunk: Json) -> None:
        self._send_line("data: " + json.dumps({**head, "object": "chat.completion.chunk", **chunk}))

    def _send_line(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\n\n")
        self.wfile.flush()

    def _send_json(self, status: int, value: Json) -> None:
        payload = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:
        pass  # the base class writes every request to stderr


def _chunks(reply: Reply, model: ScriptedModel) -> Iterable[Json]:
    if reply.reasoning:
        yield _delta({"role": "assistant", "reasoning_content": reply.reasoning})
    for piece in _halves(reply.text):
        yield _delta({"role": "assistant", "content": piece})
    for index, encoded in enumerate(_encode_calls(reply, model)):
        yield _delta({"role": "assistant", "tool_calls": [{"index": index, **encoded}]})
    finish = _delta({})
    finish["choices"][0]["finish_reason"] = _finish_of(reply)
    yield finish
    yield {"choices": [], "usage": reply.usage.encode()}


def _completion(reply: Reply, model: ScriptedModel) -> Json:
    message: Json = {"role": "assistant", "content": reply.text or None}
    if reply.calls:
        message["tool_calls"] = _encode_calls(reply, model)
    choice = {"index": 0, "message": message, "finish_reason": _finish_of(reply)}
    return {"choices": [choice], "usage": reply.usage.encode()}


def _encode_calls(reply: Reply, model: ScriptedModel) -> list[Json]:
    return [
        {
            "id": f"call_{model.next_id()}",
            "type": "function",
            "function": {
                "name": made.name,
                "arguments": made.arguments if isinstance(made.arguments, str) else json.dumps(made.arguments),
            },
        }
        for made in reply.calls
    ]


def _finish_of(reply: Reply) -> str:
    return reply.finish or ("tool_calls" if reply.calls else "stop")


def _delta(delta: Json) -> Json:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def _halves(text: str) -> list[str]:
    """Two pieces, so that a client sees a stream and not one lump."""
    middle = len(text) // 2
    return [piece for piece in (text[:middle], text[middle:]) if piece]


def _text_of(message: Json) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return "" if content is None else str(content)


def _error(message: str) -> Json:
    return {"error": {"message": message, "type": "scripted", "code": "scripted"}}
