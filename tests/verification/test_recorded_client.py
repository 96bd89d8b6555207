from __future__ import annotations

from typing import Any

from lsp_tap.verification.recorded_client import fold_client
from tests.timeline.conversation import Conversation


def test_what_the_client_said_of_itself() -> None:
    talk = Conversation()
    talk.frame("client_to_server", {"id": 1, "method": "initialize", "params": {"initializationOptions": {"a": 1}}})
    talk.frame("client_to_server", {"method": "workspace/didChangeConfiguration", "params": {"settings": {"b": 2}}})
    talk.open("file:///p/a.py", "x")
    client = fold_client(talk.records)
    assert (client.command, client.root) == (("server",), "/p")
    assert client.initialize == {"initializationOptions": {"a": 1}}
    assert client.settings == [{"settings": {"b": 2}}]
    assert client.languages == {"file:///p/a.py": "x"}
    assert not client.answers_pulls


def test_answers_to_questions_about_the_configuration_are_kept_by_scope_and_section() -> None:
    talk = Conversation()
    items: list[Any] = [{"scopeUri": "file:///p", "section": "python"}, {"section": "words"}]
    talk.frame("server_to_client", {"id": 3, "method": "workspace/configuration", "params": {"items": items}})
    talk.frame("client_to_server", {"id": "3", "result": ["of another question"]})
    talk.frame("client_to_server", {"id": 3, "result": [{"strict": True}, None]})
    assert fold_client(talk.records).configuration == {
        ("file:///p", "python"): {"strict": True},
        (None, "words"): None,
    }


def test_a_server_answers_pulls_if_it_says_so_at_once_or_later() -> None:
    static, dynamic, neither = Conversation(), Conversation(), Conversation()
    static.frame("server_to_client", {"id": 9, "result": {"capabilities": {"diagnosticProvider": {}}}})
    registration = {"id": "d", "method": "textDocument/diagnostic"}
    dynamic.frame(
        "server_to_client",
        {"id": 1, "method": "client/registerCapability", "params": {"registrations": [registration]}},
    )
    neither.frame("server_to_client", {"id": 9, "result": {"capabilities": {"diagnosticProvider": False}}})
    assert [fold_client(talk.records).answers_pulls for talk in (static, dynamic, neither)] == [True, True, False]


def test_a_restarted_server_forgets_settings_and_keeps_languages() -> None:
    talk = Conversation()
    talk.frame("client_to_server", {"method": "workspace/didChangeConfiguration", "params": {"settings": 1}})
    talk.open("file:///p/a.py", "x")
    talk.start()
    client = fold_client(talk.records)
    assert client.settings == []
    assert client.languages == {"file:///p/a.py": "x"}
