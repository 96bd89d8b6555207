import http.client
import json
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest

from lsp_tap.wiring.scripted_model import Failure, Hang, Reply, ScriptedModel, ToolCall, Usage, call, say

TOOLS = [{"type": "function", "function": {"name": "edit", "parameters": {}}}]


def ask(model: ScriptedModel, text: str = "task", **body: Any) -> tuple[int, str]:
    """One chat completion of an agent: HTTP status and body."""
    connection = http.client.HTTPConnection(urlsplit(model.url).netloc, timeout=10)
    payload = {"model": "m", "messages": [{"role": "user", "content": text}], "tools": TOOLS, **body}
    connection.request("POST", "/v1/chat/completions", json.dumps(payload))
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def read_chunks(stream: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in stream.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_a_whole_answer() -> None:
    usage = Usage(input_tokens=7, output_tokens=3, cached_tokens=5)
    with ScriptedModel([say("Done.", usage=usage)]) as model:
        status, body = ask(model)
    answer = json.loads(body)
    assert status == 200
    assert answer["choices"][0]["message"]["content"] == "Done."
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["prompt_tokens_details"] == {"cached_tokens": 5}
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["total_tokens"]) == (7, 10)


def test_a_streamed_answer_with_parallel_calls() -> None:
    calls = [ToolCall("read", {"filePath": "a"}), ToolCall("edit", "{not json")]
    with ScriptedModel([Reply(text="Hello", reasoning="Hm", calls=calls)]) as model:
        _, stream = ask(model, stream=True)
    *deltas, usage = read_chunks(stream)
    parts = [chunk["choices"][0]["delta"] for chunk in deltas]
    assert parts[0]["reasoning_content"] == "Hm"
    assert "".join(part.get("content", "") for part in parts) == "Hello"
    made = [made for part in parts for made in part.get("tool_calls", [])]
    assert [(m["index"], m["function"]["name"], m["function"]["arguments"]) for m in made] == [
        (0, "read", '{"filePath": "a"}'),
        (1, "edit", "{not json"),
    ]
    assert len({m["id"] for m in made}) == 2
    assert deltas[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert usage["usage"]["completion_tokens"] == 20


def test_titles_take_no_step() -> None:
    with ScriptedModel([say("the step")], title="A title") as model:
        assert "A title" in ask(model, tools=[])[1]
        assert model.remaining == 1
        assert "the step" in ask(model)[1]
        assert [request.is_title for request in model.requests] == [True, False]
        assert [request.tool_names for request in model.agent_requests] == [["edit"]]


def test_a_conversation_plays_the_script_whose_marker_it_opens_with() -> None:
    with ScriptedModel([say("parent")], scripts={"SUB": [say("child")]}) as model:
        assert "child" in ask(model, "do SUB now")[1]
        assert "parent" in ask(model, "do it")[1]


def test_a_step_can_answer_the_request() -> None:
    with ScriptedModel([lambda request: say(request.last_user_text.upper())]) as model:
        assert "LOUD" in ask(model, "loud")[1]
        model.add(lambda request: say(f"{request.model} {request.system}"))
        messages = [{"role": "system", "content": [{"type": "text", "text": "rules"}]}]
        assert "m rules" in ask(model, messages=messages)[1]


def test_errors_and_the_end_of_the_script() -> None:
    with ScriptedModel([Failure(500, "overloaded"), say("cut", finish="length"), call("edit")]) as model:
        status, body = ask(model)
        assert (status, json.loads(body)["error"]["message"]) == (500, "overloaded")
        assert '"finish_reason": "length"' in ask(model)[1]
        assert '"finish_reason": "tool_calls"' in ask(model)[1]
        assert model.overruns == 0
        status, body = ask(model)
        assert (status, model.overruns) == (400, 1)
        assert "the script is over" in body
    assert len(model.requests) == 4


def test_a_body_that_is_not_json() -> None:
    with ScriptedModel() as model:
        connection = http.client.HTTPConnection(urlsplit(model.url).netloc, timeout=10)
        connection.request("POST", "/v1/chat/completions", "{")
        assert connection.getresponse().status == 400
        connection.close()


@pytest.mark.parametrize("text", ["", "Thinking"])
def test_a_hang_ends_with_the_server(text: str) -> None:
    answers: list[tuple[int, str]] = []
    with ScriptedModel([Hang(text)]) as model:
        client = threading.Thread(target=lambda: answers.append(ask(model, stream=True)))
        client.start()
        client.join(0.2)
        assert client.is_alive()
    client.join(10)
    assert not client.is_alive()
    [(status, stream)] = answers
    assert status == 200
    assert text in stream
    assert "[DONE]" not in stream


def test_the_provider_entry_points_at_the_server() -> None:
    with ScriptedModel() as model:
        entry = model.provider_entry(["m", "gpt-5"])
        assert entry["options"]["baseURL"] == model.url
        assert list(entry["models"]) == ["m", "gpt-5"]
