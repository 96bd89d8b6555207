from __future__ import annotations

import pytest

from lsp_tap.wire.messages import Message, Notification, Request, Response, key_of_id, parse_message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"id": 0, "method": "shutdown"}, Request(0, "shutdown")),
        ({"id": None, "method": "m", "params": [1]}, Request(None, "m", [1])),
        ({"id": 1.5, "method": "m"}, Request(1.5, "m")),
        ({"id": "x", "method": "m", "params": {}}, Request("x", "m", {})),
        ({"method": "exit"}, Notification("exit")),
        ({"id": 0, "result": None}, Response(0)),
        ({"id": "x", "result": 0}, Response("x", 0)),
        ({"id": None, "error": {"code": -32700}}, Response(None, None, {"code": -32700})),
        ({"id": 3}, Response(3)),
        ([], None),
        ([{"id": 1, "method": "m"}], None),
        ("text", None),
        ({}, None),
        ({"method": 7, "id": 1}, None),
    ],
)
def test_tells_messages_apart(value: object, message: Message | None) -> None:
    found = parse_message(value)
    assert found == message
    assert type(found) is type(message)


def test_ids_are_the_same_when_json_says_so() -> None:
    assert key_of_id(1) == key_of_id(1.0)
    ids: list[object] = [1, "1", True, None, [1]]
    assert len({key_of_id(id) for id in ids}) == len(ids)
