"""JSON-RPC 2.0 as LSP uses it: parsed JSON -> what kind of message it is.

https://www.jsonrpc.org/specification. More tolerant than that: an id may be any JSON value (fractional,
`null`, `0`), a request needs no `params`, and a response needs no `result`, because some servers leave a
null one out.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias


class Request(NamedTuple):
    id: Any
    method: str
    params: Any = None


class Notification(NamedTuple):
    method: str
    params: Any = None


class Response(NamedTuple):
    """`error` is None when the request succeeded; then `result` may be None as well."""

    id: Any
    result: Any = None
    error: Any = None


Message: TypeAlias = Request | Notification | Response


def parse_message(value: object) -> Message | None:
    """Which message a JSON value is; None when it is none (also for a batch, which LSP does not have)."""
    if not isinstance(value, dict):
        return None
    method = value.get("method")
    if isinstance(method, str):
        params = value.get("params")
        return Request(value["id"], method, params) if "id" in value else Notification(method, params)
    if "id" in value and method is None:
        return Response(value["id"], value.get("result"), value.get("error"))
    return None


def key_of_id(id: object) -> tuple[str, object]:
    """What makes two ids the same: `1` and `1.0` are one JSON number, `1`, `"1"` and `true` are three ids."""
    match id:
        case bool():
            return "boolean", id
        case int() | float():
            return "number", id
        case str():
            return "string", id
        case None:
            return "null", None
    return "other", repr(id)
