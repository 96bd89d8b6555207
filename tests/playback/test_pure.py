"""The parts that need no process: folders, forms to compare by, answers, causality."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lsp_tap.playback.answers import AnswerBook
from lsp_tap.playback.causality import Causality
from lsp_tap.playback.handed import Handed
from lsp_tap.playback.normal import spell_params, spell_result
from lsp_tap.playback.roots import RootMap, find_root
from lsp_tap.wire.messages import Notification, Request
from tests.inspect.recorded import CLIENT, SERVER, RecordedTap
from tests.playback.recorded import read

PUBLISH = "textDocument/publishDiagnostics"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("file:///home/ada/my%20shop/cart.py", "file:///srv/a%20b/cart.py"),
        ("file:///home/ada/my%20shop", "file:///srv/a%20b"),
        ("file:///home/%61da/my%20shop/c%61rt.py", "file:///srv/a%20b/c%61rt.py"),
        ("/home/ada/my shop/cart.py", "/srv/a b/cart.py"),
        ("see /home/ada/my shop/cart.py:3.", "see /srv/a b/cart.py:3."),
        ("[cart](file:///home/ada/my%20shop/cart.py#L3)", "[cart](file:///srv/a%20b/cart.py#L3)"),
        ("file:///home/ada/my%20shop2/cart.py", "file:///home/ada/my%20shop2/cart.py"),
        ("/home/ada/my shop.bak", "/home/ada/my shop.bak"),
        ("/x/home/ada/my shop", "/x/home/ada/my shop"),
        ("file:///usr/lib/cart.py", "file:///usr/lib/cart.py"),
        ("untitled:/home/ada", "untitled:/home/ada"),
    ],
)
def test_the_projects_folder_is_put_elsewhere_however_it_is_spelled(old: str, new: str) -> None:
    assert RootMap("/home/ada/my shop", "/srv/a b").map(old) == new


def test_keys_are_mapped_and_texts_of_documents_are_not() -> None:
    roots = RootMap("/p", "/q")
    edit = {"changes": {"file:///p/a.py": [{"newText": "open('/p/b')"}]}, "text": "/p/c", "label": "/p/d"}
    mapped = {"changes": {"file:///q/a.py": [{"newText": "open('/p/b')"}]}, "text": "/p/c", "label": "/q/d"}
    assert roots.map(edit) == mapped
    assert roots.reverse().map(mapped) == edit


@pytest.mark.parametrize(("old", "new"), [("/", "/q"), (None, "/q"), ("/p", None), ("/p", "/p/")])
def test_an_unknown_folder_and_the_root_of_all_are_left_alone(old: str | None, new: str | None) -> None:
    assert RootMap(old, new).map({"uri": "file:///p/a.py"}) == {"uri": "file:///p/a.py"}


@pytest.mark.parametrize(
    ("params", "root"),
    [
        ({"rootUri": "file:///a%20b", "rootPath": "/c"}, "/a b"),
        ({"rootUri": None, "rootPath": "/c"}, "/c"),
        ({"workspaceFolders": [{"uri": "file:///d", "name": "d"}]}, "/d"),
        ({"rootUri": None}, None),
        (None, None),
    ],
)
def test_the_folder_is_what_the_client_says(params: Any, root: str | None) -> None:
    assert find_root(params) == root


def test_what_a_process_makes_up_is_left_aside() -> None:
    assert spell_params({"workDoneToken": 1, "a": 1.0}) == spell_params({"a": 1, "workDoneToken": "x"})
    assert spell_params(None) == spell_params({})
    items = [{"label": "a", "data": 1}, {"label": "b"}]
    assert spell_result("textDocument/completion", {"items": items}) == spell_result(
        "textDocument/completion", {"items": [{"label": "b"}, {"label": "a", "data": 2}]}
    )
    edits = [{"newText": "a"}, {"newText": "b"}]
    assert spell_result("textDocument/formatting", edits) != spell_result("textDocument/formatting", edits[::-1])


def test_semantic_tokens_are_data_that_says_something() -> None:
    tokens = [spell_result("textDocument/semanticTokens/full", {"data": [0, 1, n], "resultId": n}) for n in (1, 2)]
    assert tokens[0] != tokens[1]


def test_data_is_given_back_as_this_process_gave_it() -> None:
    handed = Handed()
    recorded = {"items": [{"label": "a", "data": {"n": 1}}, {"label": "b", "data": {"n": 2}}], "resultId": "r1"}
    new = {"items": [{"label": "b", "data": {"n": 8}}, {"label": "a", "data": {"n": 7}}], "resultId": "r9"}
    handed.learn(recorded, new)
    assert handed.map({"label": "b", "data": {"n": 2}}) == {"label": "b", "data": {"n": 8}}
    assert handed.map({"previousResultId": "r1", "data": {"n": 3}}) == {"previousResultId": "r9", "data": {"n": 3}}
    assert handed.map({"previousResultIds": [{"uri": "u", "value": "r1"}]})["previousResultIds"][0]["value"] == "r9"


# Answers to the server


def ask(method: str, params: Any = None) -> Request:
    return Request("new", method, params)


def section(*names: str) -> dict[str, Any]:
    return {"items": [{"section": name} for name in names]}


@pytest.fixture
def book(tmp_path: Path) -> AnswerBook:
    tap = RecordedTap(tmp_path)
    tap.say(
        CLIENT, id=1, method="initialize", params={"rootUri": "file:///p", "workspaceFolders": [{"uri": "file:///p"}]}
    )
    for id, (params, result) in enumerate(
        [(section("a", "b"), [{"x": 1}, {"path": "/p/y"}]), (section("a", "b"), [{"x": 2}, {}])]
    ):
        tap.say(SERVER, id=id, method="workspace/configuration", params=params)
        tap.say(CLIENT, id=id, result=result)
    tap.say(SERVER, id=8, method="toy/choose", params={"n": 1})
    tap.say(CLIENT, id=8, error={"code": -1, "message": "no"})
    tap.say(SERVER, id=9, method="workspace/applyEdit", params={"edit": {}})
    tap.say(CLIENT, id=9, result={"applied": True})
    return AnswerBook(read(tap.path), RootMap("/p", "/q"))


def test_answers_come_in_their_order_and_the_last_one_stays(book: AnswerBook) -> None:
    said = [book.answer(ask("workspace/configuration", section("a", "b"))) for _ in range(3)]
    assert [answer.result for answer in said] == [[{"x": 1}, {"path": "/q/y"}], [{"x": 2}, {}], [{"x": 2}, {}]]
    assert {answer.id for answer in said} == {"new"}
    assert book.notes == {}


def test_configuration_is_known_item_by_item(book: AnswerBook) -> None:
    assert book.answer(ask("workspace/configuration", section("b", "a"))).result == [{}, {"x": 2}]
    assert book.notes == {}
    assert book.answer(ask("workspace/configuration", section("a", "c"))).result == [{"x": 2}, None]
    assert len(book.notes) == 1


def test_an_answer_that_was_always_the_same_is_the_answer(book: AnswerBook) -> None:
    assert book.answer(ask("workspace/applyEdit", {"edit": {"documentChanges": []}})).result == {"applied": True}
    assert book.answer(ask("toy/choose", {"n": 2})).error == {"code": -1, "message": "no"}
    assert book.notes == {}


def test_what_was_never_asked_is_answered_as_a_client_without_it_would(book: AnswerBook) -> None:
    assert book.answer(ask("client/registerCapability", {"registrations": []})).error is None
    assert book.answer(ask("workspace/workspaceFolders")).result == [{"uri": "file:///q"}]
    assert book.answer(ask("window/showDocument", {"uri": "x"})).result == {"success": False}
    assert book.answer(ask("toy/other")).error["code"] == -32601
    assert len(book.notes) == 4


# Causality


def report(uri: str, version: int | None, *messages: str) -> Notification:
    params = {"uri": uri, "version": version, "diagnostics": [{"message": message} for message in messages]}
    return Notification(PUBLISH, params)


@pytest.fixture
def causality(tmp_path: Path) -> Causality:
    """Two reports on version 1 of /q/a are recorded, the latter with an error."""
    tap = RecordedTap(tmp_path)
    for diagnostics in ([], [{"message": "m"}]):
        tap.say(SERVER, method=PUBLISH, params={"uri": "file:///p/a", "version": 1, "diagnostics": diagnostics})
    causality = Causality(RootMap("/p", "/q"))
    causality.send("textDocument/didOpen", {"textDocument": {"uri": "file:///q/a", "version": 1}})
    for step in read(tap.path).steps:
        causality.pass_recorded(step)
    return causality


def test_a_document_is_settled_when_as_much_is_said_and_the_same(causality: Causality) -> None:
    assert causality.find_readiness() == "waiting"
    causality.hear(report("file:///q/a", 1))
    assert causality.find_readiness() == "waiting"
    causality.hear(report("file:///q/a", 1, "m"))
    assert causality.find_readiness() == "ready"


def test_with_one_of_the_two_it_nearly_is(causality: Causality) -> None:
    causality.hear(report("file:///q/%61", 1, "m"))
    assert causality.find_readiness() == "nearly"
    causality.hear(report("file:///q/a", 1, "other"))
    assert causality.find_readiness() == "nearly"
    assert causality.forgive() == []
    assert causality.find_readiness() == "ready"


def test_a_report_on_an_older_text_does_not_count(causality: Causality) -> None:
    causality.hear(report("file:///q/a", 0, "m"))
    causality.hear(report("file:///q/b", 1, "m"))
    assert causality.find_readiness() == "waiting"
    assert causality.forgive() == [f"no {PUBLISH} as recorded on file:///q/a version 1"]


def test_a_change_ends_what_is_waited_for(causality: Causality) -> None:
    causality.send("textDocument/didChange", {"textDocument": {"uri": "file:///q/a", "version": 2}})
    assert causality.find_readiness() == "ready"


def test_answers_are_waited_for_but_not_those_to_what_was_taken_back(tmp_path: Path) -> None:
    tap = RecordedTap(tmp_path)
    taken, kept = tap.ask("textDocument/hover", "file:///a"), tap.ask("textDocument/hover", "file:///a")
    tap.say(CLIENT, method="$/cancelRequest", params={"id": taken})
    tap.answer(taken, error={"code": -32800, "message": "cancelled"})
    tap.answer(kept, None)
    causality = Causality(RootMap(None, None))
    for step in read(tap.path).steps:
        if not step.is_client:
            causality.pass_recorded(step)
    assert list(causality.answers) == [1]
    causality.hear_answer(1)
    assert not causality.answers


def test_as_many_questions_of_the_server_are_waited_for(tmp_path: Path) -> None:
    tap = RecordedTap(tmp_path)
    tap.say(SERVER, id=1, method="client/registerCapability", params={"registrations": []})
    tap.say(SERVER, id=2, method="workspace/diagnostic/refresh")
    tap.say(SERVER, method="window/logMessage", params={"type": 3, "message": "m"})
    causality = Causality(RootMap(None, None))
    for step in read(tap.path).steps:
        causality.pass_recorded(step)
    assert causality.find_readiness() == "waiting"
    causality.hear(Request(7, "client/registerCapability", {}))
    assert causality.find_readiness() == "ready"


def progress(token: Any, kind: str, title: str | None = None) -> Notification:
    return Notification("$/progress", {"token": token, "value": {"kind": kind, "title": title}})


def test_work_is_waited_for_by_its_title_and_until_there_is_none(tmp_path: Path) -> None:
    tap = RecordedTap(tmp_path)
    for message in (
        progress(1, "begin", "Indexing"),
        progress(1, "end"),
        progress(2, "begin", "a"),
        progress(2, "end"),
    ):
        tap.say(SERVER, method=message.method, params=message.params)
    causality = Causality(RootMap(None, None))
    for step in read(tap.path).steps:
        causality.pass_recorded(step)
    for message in (progress("x", "begin", "a"), progress("x", "end"), progress("y", "begin", "Indexing")):
        causality.hear(message)
        assert causality.find_readiness() == "waiting"
    causality.hear(progress("y", "end"))
    assert causality.find_readiness() == "ready"
    causality.hear(progress("z", "begin", "more"))
    assert causality.forgive() == ["the work 'more' does not end"]
    assert causality.find_readiness() == "ready"
