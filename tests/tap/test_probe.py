"""When the tap asks, and when it holds its tongue. Pure: time is a number here."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from lsp_tap.tap.probe import MAX_OTHERS, MAX_REFRESHES, MAX_REGISTRATIONS, MAX_TRIES, SETTLE_MS, Ask, Probe

CANCELLED = {"code": -32802, "message": "later"}


class Play:
    """A conversation with a probe in it, at a time in milliseconds."""

    def __init__(self, *, provider: object = None, initialized: bool = True) -> None:
        self.probe = Probe("lsp-tap:ab:")
        self.now_ms = 1000.0
        self.client(id=0, method="initialize", params={})
        capabilities = {} if provider is None else {"diagnosticProvider": provider}
        self.server(id=0, result={"capabilities": capabilities})
        if initialized:
            self.client(method="initialized", params={})

    def client(self, **message: Any) -> None:
        self.probe.see_client(message, self.now_ms)

    def server(self, **message: Any) -> None:
        self.probe.see_server(message, self.now_ms)

    def register(self, id: str = "r1", **options: Any) -> None:
        registration = {"id": id, "method": "textDocument/diagnostic", "registerOptions": options}
        self.server(id=9, method="client/registerCapability", params={"registrations": [registration]})

    def open(self, uri: str = "file:///a.py", language: str = "python") -> None:
        self.client(
            method="textDocument/didOpen",
            params={"textDocument": {"uri": uri, "languageId": language, "version": 0, "text": ""}},
        )

    def change(self, uri: str = "file:///a.py") -> None:
        self.client(method="textDocument/didChange", params={"textDocument": {"uri": uri, "version": 1}})

    def pull(self, uri: str = "file:///a.py", id: object = 50, **params: Any) -> None:
        self.client(id=id, method="textDocument/diagnostic", params={"textDocument": {"uri": uri}, **params})

    def wait(self, milliseconds: float) -> list[Ask]:
        """What is asked within that time."""
        asked: list[Ask] = []
        end_ms = self.now_ms + milliseconds
        while True:
            while (ask := self.probe.next_ask(self.now_ms)) is not None:
                self.probe.note_sent(ask)
                asked.append(ask)
            due_ms = self.probe.next_due_ms(self.now_ms)
            if due_ms is None or due_ms > end_ms:
                self.now_ms = end_ms
                return asked
            self.now_ms = max(due_ms, self.now_ms)

    def answer(self, ask: Ask, **message: Any) -> None:
        self.probe.see_answer(ask.id, {"id": ask.id, **(message or {"result": {"items": []}})}, self.now_ms)

    def settle(self, **result: Any) -> list[str]:
        """Waits and answers (with `result`) until nothing more is asked; the documents asked for."""
        uris: list[str] = []
        for _ in range(100):
            asked = self.wait(SETTLE_MS + 1)
            if not asked:
                return uris
            for ask in asked:
                uris.append(ask.uri)
                self.answer(ask, result={"items": [], **result})
        raise AssertionError("it never stops asking")


def test_asks_a_moment_after_a_document_was_opened() -> None:
    play = Play(provider={"identifier": "x"})
    play.open()
    assert play.wait(SETTLE_MS - 1) == []
    (ask,) = play.wait(1)
    assert ask.as_message() == {
        "jsonrpc": "2.0",
        "id": "lsp-tap:ab:1",
        "method": "textDocument/diagnostic",
        "params": {"textDocument": {"uri": "file:///a.py"}, "identifier": "x"},
    }
    play.answer(ask)
    assert play.wait(100_000) == []


def test_asks_without_an_identifier_where_there_is_none() -> None:
    play = Play(provider=True)
    play.open()
    (ask,) = play.wait(SETTLE_MS)
    assert ask.as_message()["params"] == {"textDocument": {"uri": "file:///a.py"}}


def test_asks_once_when_changes_come_fast() -> None:
    play = Play(provider=True)
    play.open()
    for _ in range(5):
        assert play.wait(SETTLE_MS - 1) == []
        play.change()
    assert len(play.wait(SETTLE_MS)) == 1


def test_asks_no_server_that_only_pushes() -> None:
    play = Play()
    play.open()
    assert play.wait(100_000) == []


@pytest.mark.parametrize("provider", [False, None, "yes"])
def test_asks_no_server_that_does_not_offer_it(provider: object) -> None:
    play = Play(provider=provider)
    play.open()
    assert play.wait(100_000) == []


def test_asks_nothing_before_the_client_is_initialized() -> None:
    play = Play(provider=True, initialized=False)
    play.open()
    assert play.wait(1000) == []
    play.client(method="initialized", params={})
    assert len(play.wait(1000)) == 1


@pytest.mark.parametrize("last", [{"id": 9, "method": "shutdown"}, {"method": "exit"}])
def test_asks_nothing_after_shutdown(last: dict[str, Any]) -> None:
    play = Play(provider=True)
    play.open()
    play.client(**last)
    assert play.wait(100_000) == []


def test_asks_for_documents_that_were_open_when_the_server_registered() -> None:
    play = Play()
    play.open()
    play.wait(1000)
    play.register(identifier="late")
    (ask,) = play.wait(SETTLE_MS)
    assert ask.identifier == "late"


def test_asks_once_for_each_registration_that_selects_the_document() -> None:
    play = Play()
    play.register("r1", identifier="one")
    play.register("r2", identifier="two", documentSelector=[{"language": "python"}])
    play.register("r3", identifier="three", documentSelector=[{"language": "c"}])
    play.open()
    assert [ask.identifier for ask in play.wait(SETTLE_MS)] == ["one", "two"]


def test_a_server_that_registers_without_end_is_asked_for_some_of_it() -> None:
    play = Play()
    play.open()
    for number in range(10 * MAX_REGISTRATIONS):
        play.register(f"r{number}", identifier=f"i{number}")
    assert len(play.settle()) == MAX_REGISTRATIONS


def test_asks_no_longer_what_was_unregistered() -> None:
    play = Play()
    play.register()
    gone = [{"id": "r1", "method": "textDocument/diagnostic"}]
    play.server(id=9, method="client/unregisterCapability", params={"unregisterations": gone})
    play.open()
    assert play.wait(1000) == []


def test_does_not_ask_what_the_client_asked() -> None:
    play = Play(provider={"identifier": "x"})
    play.open()
    play.wait(SETTLE_MS / 2)
    play.pull()
    assert play.wait(100_000) == []
    play.change()
    play.pull(identifier="x")
    assert play.wait(100_000) == []


def test_asks_what_the_client_asked_before_the_change() -> None:
    play = Play(provider=True)
    play.open()
    play.pull()
    play.change()
    assert len(play.wait(SETTLE_MS)) == 1


def test_asks_under_the_identifiers_that_the_client_left_out() -> None:
    play = Play()
    play.register("r1", identifier="one")
    play.register("r2", identifier="two")
    play.open()
    play.pull(identifier="one")
    assert [ask.identifier for ask in play.wait(SETTLE_MS)] == ["two"]


def test_asks_itself_when_the_client_was_told_not_now_and_asks_no_more() -> None:
    play = Play(provider=True)
    play.open()
    play.pull(id="c1")
    play.server(id="c1", error=CANCELLED)
    assert len(play.wait(1000)) == 1


@pytest.mark.parametrize("code", [-32801, -32802])
def test_asks_again_when_the_server_says_not_now(code: int) -> None:
    play = Play(provider=True)
    play.open()
    (ask,) = play.wait(SETTLE_MS)
    gaps = []
    for _ in range(MAX_TRIES):
        play.answer(ask, error={"code": code})
        asked_ms = play.now_ms
        while not (asked := play.wait(10)):
            assert play.now_ms < asked_ms + 100_000
        gaps.append(play.now_ms - asked_ms)
        (ask,) = asked
    play.answer(ask, error={"code": code})
    assert play.wait(1_000_000) == []
    assert all(later > earlier for earlier, later in pairwise(gaps))


@pytest.mark.parametrize("error", [{"code": -32802, "data": {"retriggerRequest": False}}, {"code": -32603}, "broken"])
def test_does_not_ask_again_when_the_server_says_no(error: object) -> None:
    play = Play(provider=True)
    play.open()
    (ask,) = play.wait(SETTLE_MS)
    play.answer(ask, error=error)
    assert play.wait(1_000_000) == []


def test_an_answer_about_an_older_text_changes_nothing() -> None:
    play = Play(provider=True)
    play.open()
    (old,) = play.wait(SETTLE_MS)
    play.change()
    play.answer(old, error=CANCELLED)
    (new,) = play.wait(SETTLE_MS)
    play.answer(new)
    assert play.wait(100_000) == []


def test_asks_for_the_other_documents_when_the_changed_one_is_answered() -> None:
    play = Play(provider=True)
    for name in "abc":
        play.open(f"file:///{name}.py")
    play.settle()
    play.change("file:///b.py")
    (changed,) = play.wait(1000)
    assert changed.uri == "file:///b.py"
    assert play.wait(10_000) == []
    play.answer(changed)
    assert play.settle() == ["file:///c.py", "file:///a.py"]


def test_asks_for_other_documents_one_at_a_time_and_for_some_of_them_only() -> None:
    play = Play(provider=True)
    for number in range(MAX_OTHERS + 5):
        play.open(f"file:///{number}.py")
    play.settle()
    play.change("file:///0.py")
    (changed,) = play.wait(1000)
    play.answer(changed)
    asked = []
    while len(found := play.wait(100)) == 1:
        asked.append(found[0].uri)
        play.answer(found[0])
    assert asked == [f"file:///{number}.py" for number in range(MAX_OTHERS + 4, 4, -1)]


def test_a_change_goes_before_the_other_documents() -> None:
    play = Play(provider=True)
    for name in "abc":
        play.open(f"file:///{name}.py")
    play.settle()
    play.change("file:///a.py")
    (changed,) = play.wait(100)
    play.answer(changed)
    play.change("file:///b.py")
    (first,) = play.wait(SETTLE_MS + 1)
    assert first.uri == "file:///b.py"
    play.answer(first)
    assert play.settle() == ["file:///a.py", "file:///c.py"]


def test_waits_with_the_others_while_the_client_asks() -> None:
    play = Play(provider=True)
    play.open("file:///a.py")
    play.open("file:///b.py")
    play.settle()
    play.change("file:///a.py")
    play.pull("file:///a.py", id=51)
    assert play.wait(1000) == []
    play.server(id=51, result={"items": []})
    assert play.settle() == ["file:///b.py"]


def test_asks_for_everything_when_the_server_says_that_all_may_be_different() -> None:
    play = Play(provider=True)
    play.open("file:///a.py")
    play.open("file:///b.py")
    play.settle()
    play.server(id=3, method="workspace/diagnostic/refresh")
    play.server(id=4, method="workspace/diagnostic/refresh")
    play.wait(0)
    assert sorted(ask_all(play)) == ["file:///a.py", "file:///b.py"]


def ask_all(play: Play) -> list[str]:
    """Every question within the next minutes, answered at once."""
    asked = []
    end_ms = play.now_ms + 300_000
    while play.now_ms < end_ms:
        for ask in play.wait(20):
            asked.append(ask.uri)
            play.answer(ask)
    return asked


def test_a_server_that_refreshes_because_it_was_asked_is_not_asked_for_ever() -> None:
    play = Play(provider=True)
    play.open()
    play.settle()
    count = 0
    end_ms = play.now_ms + 300_000
    while play.now_ms < end_ms:
        play.server(id=1, method="workspace/diagnostic/refresh")
        for ask in play.wait(20):
            count += 1
            play.answer(ask)
    assert count == MAX_REFRESHES
    play.change()
    play.settle()
    play.server(id=1, method="workspace/diagnostic/refresh")
    assert ask_all(play) == ["file:///a.py"]


def test_forgets_a_closed_document() -> None:
    play = Play(provider=True)
    play.open()
    play.client(method="textDocument/didClose", params={"textDocument": {"uri": "file:///a.py"}})
    assert play.wait(100_000) == []
    play.change()
    assert play.wait(100_000) == []


def test_an_answer_for_a_document_closed_meanwhile_is_let_be() -> None:
    play = Play(provider=True)
    play.open()
    (ask,) = play.wait(SETTLE_MS)
    play.client(method="textDocument/didClose", params={"textDocument": {"uri": "file:///a.py"}})
    play.answer(ask, error=CANCELLED)
    assert play.wait(100_000) == []


def test_ids_never_repeat() -> None:
    play = Play(provider=True)
    play.open()
    ids = []
    for _ in range(20):
        play.change()
        for ask in play.wait(SETTLE_MS):
            ids.append(ask.id)
            play.answer(ask)
    assert len(set(ids)) == len(ids) == 20


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"method": "textDocument/didOpen"},
        {"method": "textDocument/didOpen", "params": []},
        {"method": "textDocument/didOpen", "params": {"textDocument": {"uri": 7}}},
        {"method": "textDocument/didChange", "params": {"textDocument": {"uri": "file:///unknown"}}},
        {"id": [1], "method": "initialize"},
        {"id": {}, "result": 3},
        {"id": 1, "method": "client/registerCapability", "params": {"registrations": [None]}},
        {"id": 1, "method": "textDocument/diagnostic", "params": {"textDocument": {}}},
    ],
)
def test_nonsense_is_passed_by(message: dict[str, Any]) -> None:
    play = Play(provider=True)
    play.client(**message)
    play.server(**message)
    play.open()
    assert len(play.wait(SETTLE_MS)) == 1


def test_asks_for_open_documents_that_an_answer_names_as_related() -> None:
    play = Play(provider={})
    uris = [f"file:///{number}.py" for number in range(MAX_OTHERS + 3)]
    for uri in uris:
        play.open(uri)
        play.settle()
    play.change(uris[-1])
    (first,) = play.wait(SETTLE_MS)
    related = {uris[0]: {"kind": "full", "items": []}, "file:///not-open.py": {"kind": "full", "items": []}}
    play.answer(first, result={"items": [], "relatedDocuments": related})
    asked = play.settle(relatedDocuments={uris[-1]: {"kind": "unchanged", "resultId": "1"}})
    assert uris[0] in asked, "too long ago touched to be among the others"
    assert "file:///not-open.py" not in asked
    assert len(asked) < 2 * len(uris), "two documents that name each other come to an end"
