from __future__ import annotations

from lsp_tap.wire.exchanges import Exchange, Exchanges
from lsp_tap.wire.messages import Notification, Request, Response


def test_an_answer_meets_its_question() -> None:
    exchanges: Exchanges[int] = Exchanges()
    request, response = Request(0, "initialize"), Response(0, {})
    assert exchanges.step("client_to_server", request, 10) is None
    assert exchanges.step("server_to_client", Notification("log"), 15) is None
    assert exchanges.step("server_to_client", response, 20) == Exchange("client_to_server", request, 10, response, 20)
    assert exchanges.unanswered == []


def test_both_sides_may_use_the_same_id_at_the_same_time() -> None:
    exchanges: Exchanges[str] = Exchanges()
    ours, theirs = Request(1, "textDocument/hover"), Request(1, "workspace/configuration")
    exchanges.step("client_to_server", ours, "a")
    exchanges.step("server_to_client", theirs, "b")
    answered = exchanges.step("client_to_server", Response(1, []), "c")
    assert answered is not None
    assert (answered.request, answered.direction) == (theirs, "server_to_client")
    assert exchanges.unanswered == [("client_to_server", ours, "a")]


def test_an_id_used_twice_is_answered_in_order() -> None:
    exchanges: Exchanges[int] = Exchanges()
    exchanges.step("client_to_server", Request("x", "first"), 1)
    exchanges.step("client_to_server", Request("x", "second"), 2)
    first = exchanges.step("server_to_client", Response("x"), 3)
    second = exchanges.step("server_to_client", Response("x"), 4)
    assert first is not None
    assert second is not None
    assert (first.request.method, second.request.method) == ("first", "second")


def test_an_answer_to_nothing_completes_nothing() -> None:
    exchanges: Exchanges[int] = Exchanges()
    exchanges.step("client_to_server", Request("1", "m"), 1)
    assert exchanges.step("server_to_client", Response(1), 2) is None
    assert exchanges.step("client_to_server", Response("1"), 3) is None
    assert len(exchanges.unanswered) == 1
