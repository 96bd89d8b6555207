from __future__ import annotations

from pathlib import Path

import pytest

from lsp_tap.report.tracks import Track, fold_tracks
from lsp_tap.session.history import Call
from lsp_tap.session.ownership import OwnedStep
from lsp_tap.timeline.states import find_state
from lsp_tap.timeline.steps import find_steps
from tests.golden.test_golden import FOLDERS
from tests.report.sessions import open_folder
from tests.timeline.conversation import START_US, Conversation, lsp_diagnostic

A, B = "file:///p/a.py", "file:///p/b.py"
ERROR, OTHER = lsp_diagnostic(0, "bad"), lsp_diagnostic(1, "worse")


def fold(talk: Conversation, after_ms: int = 10) -> dict[str, Track]:
    timeline = talk.timeline()
    owner = Call("c", "ses_1", "edit")
    steps = [OwnedStep(step, owner) for step in find_steps(timeline)]
    tracks = fold_tracks(timeline, steps, talk.time_us + after_ms * 1000)
    return {track.uri: track for track in tracks}


def list_stretches(track: Track) -> list[tuple[int | None, str]]:
    return [(stretch.errors, stretch.doubt) for stretch in track.stretches]


def test_before_the_first_report_there_is_a_gap_and_not_a_zero() -> None:
    talk = Conversation()
    talk.open(A, "x")
    talk.wait(100)
    talk.push(A, ERROR)
    (track,) = fold(talk).values()
    (stretch,) = track.stretches
    assert stretch.from_us == talk.time_us
    assert stretch.from_us - track.versions[0].time_us == 101_000
    assert (stretch.errors, stretch.doubt) == (1, "fresh")


def test_until_the_server_answers_a_change_the_count_is_of_the_text_before() -> None:
    talk = Conversation()
    talk.open(A, "x")
    talk.push(A, ERROR, OTHER)
    talk.change(A, "y")
    changed = talk.time_us
    talk.wait(50)
    talk.push(A)
    track = fold(talk)[A]
    assert list_stretches(track) == [(2, "fresh"), (2, "waiting"), (0, "fresh")]
    assert [track.stretches[1].from_us, track.stretches[2].from_us] == [changed, talk.time_us]
    assert [mark.altered for mark in track.versions] == [False, True]


def test_a_change_that_was_never_answered_is_stale_and_one_of_an_unknown_document_has_no_count() -> None:
    talk = Conversation()
    talk.open(A, "x")
    talk.push(A, ERROR)
    talk.open(B, "x")
    talk.change(A, "y")
    talk.change(B, "y")
    tracks = fold(talk)
    assert list_stretches(tracks[A]) == [(1, "fresh"), (1, "stale")]
    assert list_stretches(tracks[B]) == [(None, "timed-out")]


def test_a_crash_ends_what_is_known_until_the_server_is_back() -> None:
    talk = Conversation()
    talk.open(A, "x")
    talk.push(A, ERROR)
    talk.wait(10)
    talk.stop("server exited")
    died = talk.time_us
    talk.wait(500)
    talk.start()
    back = talk.time_us
    talk.open(A, "y")
    talk.push(A)
    track = fold(talk)[A]
    assert list_stretches(track) == [
        (1, "fresh"), (None, "server-dead"), (1, "stale"), (1, "waiting"), (0, "fresh"),
    ]  # fmt: skip
    assert (track.stretches[1].from_us, track.stretches[1].to_us) == (died, back)


def test_a_change_elsewhere_shows_when_the_server_says_so() -> None:
    talk = Conversation()
    for uri in (A, B):
        talk.open(uri, "x")
        talk.push(uri)
    talk.change(A, "y")
    talk.push(A)
    talk.wait(70)
    talk.push(B, ERROR)
    track = fold(talk)[B]
    assert list_stretches(track) == [(0, "fresh"), (1, "fresh")]
    assert track.stretches[1].from_us == talk.time_us


def test_two_changes_before_one_answer_wait_together() -> None:
    talk = Conversation()
    talk.open(A, "x")
    talk.push(A, ERROR)
    talk.change(A, "y")
    talk.change(A, "z")
    talk.push(A, version=2)
    track = fold(talk)[A]
    assert track.stretches[-1].errors == 0
    assert track.stretches[-1].doubt == "fresh"
    assert "fresh" not in {stretch.doubt for stretch in track.stretches[1:-1]}


def test_a_part_has_nothing_from_outside_it() -> None:
    talk = Conversation()
    talk.open(A, "x")
    talk.push(A, ERROR)
    talk.change(A, "y")
    talk.push(A)
    track = fold(talk)[A]
    middle = track.versions[1].time_us
    part = track.cut(START_US, middle)
    assert [mark.time_us for mark in part.versions] == [mark.time_us for mark in track.versions]
    assert all(START_US <= s.from_us <= s.to_us <= middle for s in part.stretches)
    assert part.stretches[0].errors == 1


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_stretches_of_a_recording_are_in_order_and_end_as_the_timeline_does(
    folder: Path,
) -> None:
    recording, builder = open_folder(folder)
    for session_id in recording.history.sessions:
        for timeline, steps in builder.list_servers(session_id):
            final = find_state(timeline, timeline.last_time_us)
            for track in fold_tracks(timeline, steps, timeline.last_time_us + 1):
                for before, after in zip(track.stretches, track.stretches[1:], strict=False):
                    assert before.from_us < before.to_us <= after.from_us
                assert all(s.errors is not None for s in track.stretches if s.doubt in ("fresh", "stale"))
                assert all(s.errors is None for s in track.stretches if s.doubt in ("timed-out", "server-dead"))
                last = track.stretches[-1] if track.stretches else None
                if last and last.doubt == "fresh" and track.uri in final:
                    assert last.errors == sum(d.severity == 1 for d in final[track.uri].diagnostics)
