"""The page as data and as HTML, without a browser."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.report import build_report, render_report
from lsp_tap.report.build import TRACKS_LIMIT, Report
from lsp_tap.report.render import show_count, show_many, show_seconds, show_size
from tests.golden.test_golden import FOLDERS, GOLDEN
from tests.report.sessions import (
    HOSTILE,
    SESSION,
    open_folder,
    report_folder,
    tell_hostile_story,
    tell_long_story,
    write_folder,
)
from tests.session.recorded import PROJECT, Recorded
from tests.session.test_sessions import A, begin, edit
from tests.timeline.conversation import Conversation, lsp_diagnostic


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the data block."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.data: list[dict[str, Any]] = []
        self._in_data = False
        self.feed(html.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._in_data = tag == "script" and ("id", "data") in attrs

    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.data = json.loads(data)
            self._in_data = False


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return render_report(report_folder(write_folder(tell_hostile_story(), tmp_path_factory.mktemp("hostile"))))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_recording_has_a_page_that_says_what_its_session_file_says(folder: Path) -> None:
    recording, builder = open_folder(folder)
    for session_id in recording.history.sessions:
        session = builder.build_session(session_id)
        report = build_report(recording, builder, session)
        html = render_report(report)
        ids = [attrs["id"] for _, attrs in Elements(html).found if "id" in attrs]
        assert len(ids) == len(set(ids))
        assert [turn.numbers.after for turn in report.turns] == [
            turn.outcome.metrics.lsp.errors_after for turn in session.turns
        ]
        assert sum(len(turn.calls) for turn in report.turns) == len(session.tool_calls)
        deltas = [delta for action in session.tool_calls if (delta := getattr(action, "lsp_delta", None))]
        views = [call.delta for turn in report.turns for call in turn.calls if call.delta]
        assert [len(view.cleared) for view in views] == [len(delta.cleared) for delta in deltas]
        assert [len(view.introduced) for view in views] == [len(delta.introduced) for delta in deltas]


def test_the_same_journals_give_the_same_bytes() -> None:
    folder = GOLDEN / "two-servers-on-one-file-have-two-findings"
    assert render_report(report_folder(folder)) == render_report(report_folder(folder))


def test_recorded_texts_make_no_elements_of_their_own(hostile: bytes) -> None:
    elements = Elements(hostile)
    tags = [tag for tag, _ in elements.found]
    assert tags.count("script") == 2
    assert tags.count("style") == 1
    assert not {"img", "svg", "iframe", "link", "base", "object", "embed", "form"}.intersection(tags)
    attributes = {name for _, attrs in elements.found for name in attrs}
    assert not {name for name in attributes if name.startswith("on")}
    assert "src" not in attributes
    links = [attrs["href"] or "" for tag, attrs in elements.found if tag == "a"]
    assert all(link.startswith("#") for link in links)
    assert b"{{ 7 * 7 }}" in hostile


def test_no_control_character_and_no_turned_writing_gets_onto_the_page(hostile: bytes) -> None:
    text = hostile.decode()
    assert {c for c in text if not c.isprintable()} <= {"\n", "\t"} | set(" \u2003\u2002\u202f")
    assert "\\x1b]0;owned\\x07" in text
    assert "\\u202e\\u2066" in text


def test_the_data_for_the_script_cannot_end_early(hostile: bytes) -> None:
    block = re.search(rb'id="data">(.*?)</script>', hostile, re.DOTALL)
    assert block
    assert not re.search(rb"[<>&\x80-\xff]", block[1])
    labels = {call["label"] for turn in Elements(hostile).data for call in turn["calls"]}
    assert any(HOSTILE[0] in label for label in labels)


def test_every_recorded_text_goes_through_the_redaction(tmp_path: Path) -> None:
    texts = tuple(f"{text} hunter22 {'x' * 300} hunter22" for text in HOSTILE)
    folder = write_folder(tell_hostile_story(texts), tmp_path)
    recording, builder = open_folder(folder)
    session = builder.build_session(SESSION)

    def render(**kwargs: Any) -> str:
        return render_report(build_report(recording, builder, session, **kwargs)).decode()

    assert render().count("hunter22") > 100
    redacted = render(redact=lambda text: text.replace("hunter22", "[secret]"))
    assert "hunter22" not in redacted
    assert "Secrets were replaced" in redacted


def report(recorded: Recorded, tmp_path: Path) -> Report:
    return report_folder(write_folder(recorded, tmp_path))


def test_an_edit_shows_its_diff_and_where_it_cleared_and_introduced(tmp_path: Path) -> None:
    recorded, _, reply = begin("bad\nok\n", 0)
    edit(recorded, reply, "e1", "bad\nok\n", "good\noops\n", 1)
    recorded.finish(reply)
    (turn,) = report(recorded, tmp_path).turns
    read, call = turn.calls
    assert (read.kind, call.kind) == ("read", "edit")
    assert call.delta
    assert [one.place for one in call.delta.cleared] == ["a.py:1:1"]
    assert [one.place for one in call.delta.introduced] == ["a.py:2:1"]
    (diff,) = call.diffs
    assert (diff.path, diff.added, diff.removed) == ("a.py", 2, 2)
    noted = {line.old or line.new: note.kind for line in diff.hunks[0].lines for note in line.notes}
    assert noted == {1: "cleared", 2: "introduced"}


def test_what_became_of_a_file_is_told(tmp_path: Path) -> None:
    recorded, _, reply = begin("ok\n")
    for call, before, after in (("new", None, "x\n"), ("gone", "x\n", None), ("same", "x\n", "x\n")):
        recorded.start_call(reply, call, "write", {}, before={"b.py": before})
        recorded.end_call(reply, call, "write", after={"b.py": after})
    recorded.finish(reply)
    (turn,) = report(recorded, tmp_path).turns
    assert [diff.kind for call in turn.calls for diff in call.diffs] == ["created", "deleted", "unchanged"]


def test_without_the_texts_the_clients_own_diff_is_shown_and_named(tmp_path: Path) -> None:
    recorded, _, reply = begin("ok\n")
    args = {"filePath": f"{PROJECT}/b.py", "oldString": "a", "newString": "b"}
    recorded.start_call(reply, "e1", "edit", args)
    recorded.end_call(reply, "e1", "edit", metadata={"diff": "@@ -7,1 +7,1 @@\n-old\n+new\n"})
    recorded.start_call(reply, "e2", "edit", args)
    recorded.end_call(reply, "e2", "edit")
    recorded.start_call(reply, "e3", "write", {"filePath": f"{PROJECT}/b.py"})
    recorded.end_call(reply, "e3", "write")
    recorded.finish(reply)
    (turn,) = report(recorded, tmp_path).turns
    found = [diff for call in turn.calls for diff in call.diffs]
    assert [line.old for line in found[0].hunks[0].lines] == [7, None]
    assert [diff.doubt is not None for diff in found] == [True, True, True]
    assert found[2].kind == "unknown"


def test_what_a_command_wrote_is_shown_as_a_server_was_told_of_it() -> None:
    report = report_folder(GOLDEN / "what-sed-wrote-belongs-to-the-command-once-the-file-is-read")
    (command,) = [call for turn in report.turns for call in turn.calls if call.kind == "command"]
    (diff,) = command.diffs
    assert diff.doubt == "as a language server was told of it"
    assert diff.added


def test_every_version_says_whose_it_is() -> None:
    whose = {
        "two-sessions-that-share-a-server-are-each-credited-with-their-own": {"session", "other"},
        "what-a-person-broke-unseen-is-not-charged-to-the-edit-that-showed-it": {"session", "same"},
        "an-edit-that-mends-another-file-counts-with-a-server-that-is-asked-in-two-ways": {"session", "same"},
    }
    for name, expected in whose.items():
        versions = [v for turn in report_folder(GOLDEN / name).turns for track in turn.tracks for v in track.versions]
        assert expected <= {version.who for version in versions}, name
        assert all((version.who == "session") == (version.call is not None) for version in versions)


def test_a_sub_agents_work_is_named_by_its_session() -> None:
    report = report_folder(GOLDEN / "what-a-sub-agent-mended-counts-for-the-task-and-for-itself")
    children = {call.child_session for turn in report.turns for call in turn.calls if call.child_session}
    assert children == set(report.children)
    assert children


def test_a_crash_is_told_with_what_the_server_wrote() -> None:
    report = report_folder(GOLDEN / "a-server-that-dies-in-the-middle-of-a-turn-knows-nothing-of-what-follows")
    (server,) = report.servers
    assert server.crashes == 1
    assert server.stderr
    (track,) = report.turns[0].tracks
    assert track.last
    assert (track.last.errors, track.last.doubt) == (None, "server-dead")
    html = render_report(report).decode()
    assert "a crash: nobody had asked it to end" in html


def test_the_slowest_requests_come_first_with_who_asked_and_what_was_never_answered(tmp_path: Path) -> None:
    talk = Conversation("slow")
    recorded = Recorded(talk)
    reply = recorded.ask("go")
    talk.open(A, "x\n")
    for ms, probe in ((30, False), (2000, True), (400, False)):
        asked = talk.ask(A, probe=probe)
        talk.wait(ms)
        talk.answer(asked, lsp_diagnostic(0, "bad"))
    talk.frame("client_to_server", {"id": "h", "method": "textDocument/hover", "params": {}})
    recorded.wait(4000)
    recorded.finish(reply)
    found = report(recorded, tmp_path)
    assert [(one.latency_ms, one.asked_by) for one in found.slowest] == [
        (2001.0, "lsp-tap"), (401.0, "the client"), (31.0, "the client"),
    ]  # fmt: skip
    assert found.slowest[0].document == "a.py"
    assert [(one.method, one.latency_ms) for one in found.unanswered] == [("textDocument/hover", None)]
    assert "never answered" in render_report(found).decode()


def test_the_turns_chart_waits_for_the_answer_to_its_last_edit(tmp_path: Path) -> None:
    recorded, talk, reply = begin("bad\n", 0)
    recorded.start_call(reply, "e1", "edit", {"filePath": f"{PROJECT}/a.py"}, before={"a.py": "bad\n"})
    talk.change(A, "good\n")
    recorded.end_call(reply, "e1", "edit", after={"a.py": "good\n"})
    recorded.finish(reply)
    talk.wait(3000)
    talk.push(A)
    (turn,) = report(recorded, tmp_path).turns
    assert turn.span_s > 3
    assert [stretch.doubt for stretch in turn.tracks[0].stretches] == ["fresh", "waiting", "fresh"]
    assert turn.numbers.after == 0


def test_an_unknown_number_is_a_question_mark() -> None:
    report = report_folder(GOLDEN / "a-file-written-over-unread-has-no-known-before")
    assert report.turns[0].numbers.before is None
    assert '<dd class="big"><span class="unknown" title="nobody observed it">?</span>' in render_report(report).decode()


def test_thousands_of_actions_make_a_page_of_some_megabytes_with_few_charts(tmp_path: Path) -> None:
    found = report(tell_long_story(2, 150), tmp_path)
    html = render_report(found)
    assert len(html) < 1_500_000
    assert {len(turn.tracks) for turn in found.turns} == {TRACKS_LIMIT}
    assert all(turn.more_tracks for turn in found.turns)
    assert b"left out of the charts" in html


def test_a_huge_result_is_cut_with_a_note(tmp_path: Path) -> None:
    recorded, _, reply = begin("ok\n")
    recorded.start_call(reply, "b1", "search", {"query": "x" * 1_000_000})
    recorded.end_call(reply, "b1", "search")
    recorded.finish(reply, text="y" * 1_000_000)
    html = render_report(report(recorded, tmp_path))
    assert len(html) < 400_000
    assert html.count(b"more characters, left out here") == 2


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (show_count(None), "?"), (show_count(0), "0"), (show_count(1234567), "1\u202f234\u202f567"),
        (show_many(1, "edit"), "1 edit"), (show_many(0, "edit"), "0 edits"), (show_many(None, "edit"), "? edits"),
        (show_seconds(None), "?"), (show_seconds(0.04), "40 ms"), (show_seconds(119.94), "119.9 s"),
        (show_seconds(125), "2 min 5 s"), (show_seconds(7_320), "2 h 2 min"),
        (show_size(999), "999 B"), (show_size(1500), "1.5 KB"), (show_size(2_500_000_000), "2.5 GB"),
    ],
)  # fmt: skip
def test_numbers_are_written_for_people(shown: str, expected: str) -> None:
    assert shown == expected
