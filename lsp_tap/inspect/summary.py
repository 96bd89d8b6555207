"""A message in a few words: what a person scrolling by wants to know of it."""

from __future__ import annotations

import os.path
from collections.abc import Callable
from typing import Any, Final

from lsp_tap.inspect.flows import Item, decode_uri, encode_body

_SEVERITIES: Final = {1: "error", 2: "warning", 3: "information", 4: "hint"}
_MESSAGE_TYPES: Final = {1: "error", 2: "warning", 3: "info", 4: "log", 5: "debug"}
_BODY_CHARACTERS: Final = 300


def summarise(item: Item) -> str:
    """One item in words, not cleaned for a terminal. Never raises, whatever a peer made of a message."""
    if item.kind in ("stderr", "invalid", "event"):
        return item.text
    try:
        if item.kind == "error":
            error = item.message["error"]
            return f"{error.get('code')} {error.get('message')}"
        if item.kind == "response":
            about = name_document(item)
            said = _summarise_result(item, item.message.get("result"))
            return f"{about}: {said}" if about else said
        known = _BY_METHOD.get(item.method or "")
        return known(item) if known else name_document(item) + _name_position(item.params)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        return f"not as LSP has it: {item.body[:_BODY_CHARACTERS]}"


def name_document(item: Item) -> str:
    """The document as a path in the server's folder where it is in it; empty where it is about none."""
    uri = item.uri
    return "" if uri is None else name_uri(uri, item.server.cwd)


def name_uri(uri: str, folder: str) -> str:
    """A uri, short: relative to `folder`."""
    plain = decode_uri(uri)
    if not plain.startswith("file://"):
        return plain
    path = plain.removeprefix("file://")
    inside = folder.rstrip(os.sep) + os.sep
    return path.removeprefix(inside) if folder else path


def count_severities(diagnostics: list[Any]) -> str:
    """`2 errors 1 warning`; `no diagnostics`."""
    counts: dict[str, int] = {}
    for diagnostic in diagnostics:
        name = _SEVERITIES.get(diagnostic.get("severity", 1), "diagnostic")
        counts[name] = counts.get(name, 0) + 1
    order = [*_SEVERITIES.values(), "diagnostic"]
    named = [f"{n} {name}{'s' * (n != 1)}" for name in order if (n := counts.get(name))]
    return " ".join(named) or "no diagnostics"


def _versioned(item: Item) -> str:
    document = item.params.get("textDocument")
    version = document.get("version") if isinstance(document, dict) else item.params.get("version")
    return name_document(item) + (f" v{version}" if version is not None else "")


def _name_position(params: dict[str, Any]) -> str:
    """Lines and columns as editors show them, from 1."""
    place = params.get("position") or (params.get("range") or {}).get("start")
    return f" {place['line'] + 1}:{place['character'] + 1}" if place else ""


def _opened(item: Item) -> str:
    document = item.params["textDocument"]
    return f"{_versioned(item)}, {document['languageId']}, {_plural(document['text'].count(chr(10)) + 1, 'line')}"


def _changed(item: Item) -> str:
    changes = item.params["contentChanges"]
    if len(changes) == 1 and changes[0].get("range") is None:
        return f"{_versioned(item)}, whole text"
    return f"{_versioned(item)}, {_plural(len(changes), 'change')}"


def _published(item: Item) -> str:
    return f"{_versioned(item)}: {count_severities(item.params['diagnostics'])}"


def _progress(item: Item) -> str:
    value = item.params.get("value")
    if not isinstance(value, dict):
        return str(item.params.get("token"))
    percentage = f"{value['percentage']}%" if value.get("percentage") is not None else ""
    words = [value.get("kind"), value.get("title"), percentage, value.get("message")]
    return " ".join(str(word) for word in words if word)


def _message(item: Item) -> str:
    kind = _MESSAGE_TYPES.get(item.params.get("type", 0), "message")
    return f"{kind}: {item.params.get('message')}"


def _cancelled(item: Item) -> str:
    return f"#{item.params.get('id')}"


def _initialize(item: Item) -> str:
    info = item.params.get("clientInfo") or {}
    return " ".join(str(word) for word in (info.get("name"), info.get("version")) if word)


def _registered(item: Item) -> str:
    listed = item.params.get("registrations") or item.params.get("unregisterations") or []
    return ", ".join(str(entry["method"]) for entry in listed)


def _commanded(item: Item) -> str:
    return str(item.params.get("command"))


def _configuration(item: Item) -> str:
    return ", ".join(str(entry.get("section")) for entry in item.params.get("items") or [])


def _watched(item: Item) -> str:
    changes = item.params["changes"]
    return ", ".join(name_uri(change["uri"], item.server.cwd) for change in changes[:5]) + ", …" * (len(changes) > 5)


_BY_METHOD: Final[dict[str, Callable[[Item], str]]] = {
    "$/cancelRequest": _cancelled,
    "$/progress": _progress,
    "client/registerCapability": _registered,
    "client/unregisterCapability": _registered,
    "initialize": _initialize,
    "textDocument/didChange": _changed,
    "textDocument/didOpen": _opened,
    "textDocument/publishDiagnostics": _published,
    "window/logMessage": _message,
    "window/showMessage": _message,
    "window/showMessageRequest": _message,
    "workspace/configuration": _configuration,
    "workspace/didChangeWatchedFiles": _watched,
    "workspace/executeCommand": _commanded,
}


def _summarise_result(item: Item, result: Any) -> str:
    if item.method == "initialize" and isinstance(result, dict):
        info = result.get("serverInfo") or {}
        named = " ".join(str(word) for word in (info.get("name"), info.get("version")) if word)
        return named or "server unnamed"
    if item.method == "textDocument/diagnostic" and isinstance(result, dict):
        return "unchanged" if result.get("kind") == "unchanged" else count_severities(result["items"])
    if isinstance(result, dict) and isinstance(result.get("items"), list):
        return _plural(len(result["items"]), "item")
    if isinstance(result, list):
        return _plural(len(result), "item")
    if isinstance(result, dict):
        return "{" + ", ".join(map(str, result)) + "}"
    return encode_body(result)


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
