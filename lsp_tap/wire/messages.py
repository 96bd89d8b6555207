"""JSON-RPC 2.0 as LSP uses it: parsed JSON -> what kind of message it is.

https://www.jsonrpc.org/specification. More tolerant than that: an id may be any JSON value (fractional,
`null`, `0`), a request needs no `params`, and a response needs no `result`, because some servers leave a
null one out.
"""

from __future__ import annotations

from collections import namedtuple  # `typing.NamedTuple` is this, and a megabyte that a tap need not hold

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias


class Request(namedtuple("Request", ("id", "method", "params"), defaults=(None,))):
    __slots__ = ()
    method: str


class Notification(namedtuple("Notification", ("method", "params"), defaults=(None,))):
    __slots__ = ()
    method: str


class Response(namedtuple("Response", ("id", "result", "error"), defaults=(None, None))):
    """`error` is None when the request succeeded; then `result` may be None as well."""

    __slots__ = ()


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
