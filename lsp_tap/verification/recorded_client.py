"""What a recorded client told a server of itself: enough to stand in for it. Pure: journal records in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lsp_tap.journal import records

CLIENTS_OWN: Final = frozenset({"OPENCODE", "OPENCODE_PID"})
"""What in a server's environment says who its client is."""


@dataclass(slots=True)
class RecordedClient:
    """`configuration` holds the answers to `workspace/configuration` by (scopeUri, section); `settings` what the client
    sent as `workspace/didChangeConfiguration`. `answers_pulls`: the server offered to be asked for diagnostics."""

    command: tuple[str, ...] = ()
    root: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    initialize: Mapping[str, Any] | None = None
    languages: dict[str, str] = field(default_factory=dict)
    configuration: dict[tuple[str | None, str | None], Any] = field(default_factory=dict)
    settings: list[Any] = field(default_factory=list)
    answers_pulls: bool = False


def fold_client(recorded: Iterable[records.Record]) -> RecordedClient:
    """The client's side of one server's journals, all processes in time order; the latest word counts."""
    client = RecordedClient()
    asked: dict[tuple[str, Any], list[Any]] = {}
    for record in recorded:
        match record:
            case records.TapStarted():
                client.command, client.root = record.command, record.cwd
                client.environment = {n: v for n, v in record.environment.items() if n not in CLIENTS_OWN}
                client.settings.clear()
                asked.clear()
            case records.Frame(message=dict(message)):
                if record.direction == "client_to_server":
                    _hear_client(client, message, asked)
                else:
                    _hear_server(client, message, asked)
            case _:
                pass
    return client


def _hear_client(client: RecordedClient, message: dict[str, Any], asked: dict[tuple[str, Any], list[Any]]) -> None:
    match message:
        case {"method": "initialize", "params": dict(params)}:
            client.initialize = params
        case {"method": "textDocument/didOpen", "params": {"textDocument": {"uri": str(uri), "languageId": str(id)}}}:
            client.languages[uri] = id
        case {"method": "workspace/didChangeConfiguration", "params": params}:
            client.settings.append(params)
        case {"method": _}:
            pass
        case {"id": str() | int() as id, "result": list(answers)}:
            for item, answer in zip(asked.pop((type(id).__name__, id), ()), answers, strict=False):
                if isinstance(item, dict):
                    client.configuration[item.get("scopeUri"), item.get("section")] = answer


def _hear_server(client: RecordedClient, message: dict[str, Any], asked: dict[tuple[str, Any], list[Any]]) -> None:
    match message:
        case {"method": "workspace/configuration", "id": str() | int() as id, "params": {"items": list(items)}}:
            asked[type(id).__name__, id] = items
        case {"method": "client/registerCapability", "params": {"registrations": list(registrations)}}:
            methods = [r.get("method") for r in registrations if isinstance(r, dict)]
            client.answers_pulls |= "textDocument/diagnostic" in methods
        case {"result": {"capabilities": {"diagnosticProvider": dict() | True}}}:
            client.answers_pulls = True
