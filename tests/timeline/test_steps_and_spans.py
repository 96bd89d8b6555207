from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lsp_tap.timeline.fold import Change
from lsp_tap.timeline.span import Span, fold_span
from lsp_tap.timeline.steps import READ, FirstSight, Mark, Step, find_steps
from tests.timeline.conversation import Conversation, lsp_diagnostic

A, B = "file:///p/a.py", "file:///p/b.py"


class Seen:
    """Knows what every first sight was."""

    def __init__(
        self,
        kind: Literal["read", "created", "written", "moved"],
        marks: Sequence[Mark] = (),
        patience_us: int | None = None,
    ) -> None:
        self._kind: Literal["read", "created", "written", "moved"] = kind
        self._marks, self._patience_us = marks, patience_us

    def find_first_sight(self, change: Change) -> FirstSight:
        return FirstSight(self._kind) if self._kind != "read" else READ

    def find_patience(self, change: Change) -> int | None:
        return self._patience_us

    def list_marks(self) -> Sequence[Mark]:
        return self._marks


def sizes(span: Span) -> tuple[int, int, int, int, int]:
    return len(span.before), len(span.after), len(span.cleared), len(span.introduced), len(span.persisted)


def steps_of(talk: Conversation) -> list[Step]:
    return find_steps(talk.timeline())


def test_an_edit_that_mends_one_of_two_errors_clears_one_and_leaves_one() -> None:
    talk = Conversation()
    talk.open(A, "bad\nworse\n")
    talk.answer(talk.ask(A, probe=True), lsp_diagnostic(0, "bad"), lsp_diagnostic(1, "worse"))
    talk.change(A, "good\nworse\n")
    talk.answer(talk.ask(A), lsp_diagnostic(1, "worse"))
    (step,) = steps_of(talk)
    assert step.freshness == "fresh"
    assert sizes(fold_span([step])) == (2, 1, 1, 0, 1)


def test_a_late_answer_to_a_pull_counts_for_the_text_that_was_there_when_it_was_asked() -> None:
    talk = Conversation()
    talk.open(A, "bad\n")
    early = talk.ask(A, probe=True)
    talk.change(A, "good\n")
    late = talk.ask(A)
    talk.answer(late)
    talk.answer(early, lsp_diagnostic(0, "bad"))
    (step,) = steps_of(talk)
    assert sizes(fold_span([step])) == (1, 0, 1, 0, 0)


def test_a_push_that_names_an_older_version_counts_for_that_version() -> None:
    talk = Conversation()
    version = talk.open(A, "bad\n")
    talk.change(A, "good\n")
    talk.push(A, lsp_diagnostic(0, "bad"), version=version)
    (step,) = steps_of(talk)
    assert step.freshness == "stale"
    talk.push(A, version=1)
    (step,) = steps_of(talk)
    assert step.freshness == "fresh"
    assert sizes(fold_span([step])) == (1, 0, 1, 0, 0)


def test_a_server_that_says_nothing_is_never_taken_for_a_clean_file() -> None:
    talk = Conversation()
    talk.open(A, "bad\n")
    talk.change(A, "good\n")
    (step,) = steps_of(talk)
    assert step.freshness == "timed-out"
    assert fold_span([step]).known == set()


def test_an_error_introduced_and_removed_in_one_span_is_neither() -> None:
    talk = Conversation()
    talk.open(A, "bad\n")
    talk.push(A, lsp_diagnostic(0, "bad"))
    for text, errors in (("bad\nworse\n", (0, 1)), ("bad\n", (0,)), ("good\n", ())):
        talk.change(A, text)
        talk.push(A, *(lsp_diagnostic(n, ("bad", "worse")[n]) for n in errors))
    steps = steps_of(talk)
    assert [sizes(fold_span([step]))[2:4] for step in steps] == [(0, 1), (1, 0), (1, 0)]
    assert sizes(fold_span(steps)) == (1, 0, 1, 0, 0)


def test_an_error_removed_and_brought_back_in_one_span_persisted() -> None:
    talk = Conversation()
    talk.open(A, "bad\n")
    talk.push(A, lsp_diagnostic(0, "bad"))
    talk.change(A, "good\n")
    talk.push(A)
    talk.change(A, "x\nbad\n")
    talk.push(A, lsp_diagnostic(1, "bad"))
    assert sizes(fold_span(steps_of(talk))) == (1, 1, 0, 0, 1)


def test_an_edit_of_one_file_that_breaks_another_introduces_the_other_ones_error() -> None:
    talk = Conversation()
    talk.open(A, "def f(): ...\n")
    talk.open(B, "from a import f\n")
    talk.push(A)
    talk.push(B)
    talk.change(A, "def g(): ...\n")
    talk.push(A)
    talk.push(B, lsp_diagnostic(0, "no f in a"))
    (step,) = steps_of(talk)
    span = fold_span([step])
    assert [traced.diagnostic.uri for traced in span.introduced] == [B]


def test_a_file_written_before_the_server_ever_saw_it_counts_on_neither_side() -> None:
    talk = Conversation()
    talk.open(A, "good\n")
    talk.push(A, lsp_diagnostic(0, "still one"))
    steps = find_steps(talk.timeline(), Seen("written"))
    span = fold_span(steps)
    assert sizes(span) == (0, 0, 0, 0, 0)
    assert span.blind == {A}


def test_a_created_file_was_empty_before_so_its_errors_are_introduced() -> None:
    talk = Conversation()
    talk.open(A, "bad\n")
    talk.push(A, lsp_diagnostic(0, "bad"))
    assert sizes(fold_span(find_steps(talk.timeline(), Seen("created")))) == (0, 1, 0, 1, 0)


def test_reading_a_file_again_is_no_step() -> None:
    talk = Conversation()
    talk.open(A, "bad\n")
    talk.push(A, lsp_diagnostic(0, "bad"))
    talk.change(A, "bad\n")
    assert steps_of(talk) == []


def test_two_edits_within_one_debounce_give_the_second_what_the_server_says_of_both() -> None:
    talk = Conversation()
    talk.open(A, "bad\nworse\n")
    talk.push(A, lsp_diagnostic(0, "bad"), lsp_diagnostic(1, "worse"))
    talk.change(A, "good\nworse\n")
    talk.change(A, "good\nbetter\n")
    talk.push(A)
    first, second = steps_of(talk)
    assert (first.freshness, second.freshness) == ("stale", "fresh")
    assert sizes(fold_span([first]))[2] == 0
    assert sizes(fold_span([first, second])) == (2, 0, 2, 0, 0)


def test_a_server_that_died_before_it_answered_is_dead_and_not_clean() -> None:
    talk = Conversation()
    talk.open(A, "bad\n")
    talk.push(A, lsp_diagnostic(0, "bad"))
    talk.change(A, "good\n")
    talk.stop("server exited")
    (step,) = steps_of(talk)
    assert step.freshness == "server-dead"


def test_a_restarted_server_goes_on_from_what_the_old_one_said() -> None:
    talk = Conversation()
    talk.open(A, "bad\n")
    talk.push(A, lsp_diagnostic(0, "bad"))
    talk.stop("server exited")
    talk.start()
    talk.open(A, "good\n")
    talk.push(A)
    (step,) = steps_of(talk)
    assert sizes(fold_span([step])) == (1, 0, 1, 0, 0)


def test_what_push_and_pull_both_say_counts_once() -> None:
    talk = Conversation()
    talk.open(A, "bad\n")
    talk.push(A, lsp_diagnostic(0, "bad"))
    talk.answer(talk.ask(A, probe=True), lsp_diagnostic(0, "bad"))
    talk.change(A, "good\n")
    talk.push(A)
    talk.answer(talk.ask(A))
    (step,) = steps_of(talk)
    assert sizes(fold_span([step])) == (1, 0, 1, 0, 0)


def test_a_failed_pull_says_nothing() -> None:
    talk = Conversation()
    talk.open(A, "bad\n")
    talk.answer(talk.ask(A), lsp_diagnostic(0, "bad"))
    talk.change(A, "good\n")
    talk.fail(talk.ask(A), -32801)
    (step,) = steps_of(talk)
    assert step.freshness == "stale"


def test_columns_are_code_points_whatever_the_encoding() -> None:
    for encoding, character in (("utf-8", 6), ("utf-16", 4), ("utf-32", 3), (None, 4)):
        talk = Conversation(encoding=encoding)
        talk.open(A, "𝕏=é\n")
        talk.push(A, lsp_diagnostic(0, "m", columns=(character, character)))
        column = talk.timeline().reports[0].diagnostics[0].column
        assert column == (2 if encoding == "utf-8" else 3), encoding


def _is_altered(change: Change) -> bool:
    return change.altered


def test_incremental_changes_are_applied_in_lines_as_lsp_counts_them() -> None:
    talk = Conversation()
    talk.open(A, "a\x0cb\r\nc\u2028d\rlast")
    edit = {"range": {"start": {"line": 2, "character": 0}, "end": {"line": 2, "character": 4}}, "text": "end"}
    params = {"textDocument": {"uri": A, "version": 1}, "contentChanges": [edit]}
    talk.frame("client_to_server", {"method": "textDocument/didChange", "params": params})
    change = talk.timeline().changes[-1]
    assert _is_altered(change)
    assert change.text == "a\x0cb\r\nc\u2028d\rend"


def test_of_two_files_changed_at_once_each_report_belongs_to_its_own_change() -> None:
    talk = Conversation()
    for uri in (A, B):
        talk.open(uri, "bad\n")
        talk.push(uri, lsp_diagnostic(0, "bad"))
    talk.change(A, "good\n")
    talk.change(B, "good\n")
    talk.push(A)
    talk.push(B)
    steps = steps_of(talk)
    assert [[traced.diagnostic.uri for traced in fold_span([step]).cleared] for step in steps] == [[A], [B]]


def test_a_second_report_while_the_call_still_waits_belongs_to_its_change() -> None:
    talk = Conversation()
    for uri in (A, B):
        talk.open(uri, "ok\n")
        talk.push(uri)
    talk.change(A, "bad\n")
    talk.change(B, "fine\n")
    talk.push(A)  # syntax only
    talk.push(B)
    talk.push(A, lsp_diagnostic(0, "bad"))
    sums = [
        [len(fold_span([step]).introduced) for step in find_steps(talk.timeline(), Seen("read", (), patience))]
        for patience in (None, talk.time_us)
    ]
    assert sums == [[0, 1], [1, 0]]


def test_what_a_command_does_to_documents_it_never_touched_is_a_step_of_its_own() -> None:
    talk = Conversation()
    talk.open(A, "import missing\n")
    talk.push(A, lsp_diagnostic(0, "no module"))
    talk.change(A, "import missing  # pip install missing\n")
    talk.push(A, lsp_diagnostic(0, "no module"))
    talk.wait(5)
    mark = Mark(talk.time_us, "call")
    talk.push(A)
    edit, command = find_steps(talk.timeline(), Seen("read", [mark]))
    assert sizes(fold_span([edit]))[2] == 0
    assert command.cause is mark
    assert sizes(fold_span([command]))[2] == 1


def test_a_deleted_file_takes_its_errors_with_it() -> None:
    talk = Conversation()
    talk.open(A, "bad\n")
    talk.push(A, lsp_diagnostic(0, "bad"))
    talk.wait(5)
    (step,) = find_steps(talk.timeline(), Seen("read", [Mark(talk.time_us, "call", (A,))]))
    assert sizes(fold_span([step])) == (1, 0, 1, 0, 0)


def test_a_moved_file_keeps_its_errors_under_its_new_name() -> None:
    talk = Conversation()
    talk.open(A, "bad\nworse\n")
    talk.push(A, lsp_diagnostic(0, "bad"), lsp_diagnostic(1, "worse"))
    talk.open(B, "bad\nbetter\n")
    talk.push(B, lsp_diagnostic(0, "bad"))

    class Moved(Seen):
        def find_first_sight(self, change: Change) -> FirstSight:
            return FirstSight("moved", A) if change.uri == B else READ

    (step,) = find_steps(talk.timeline(), Moved("read"))
    assert sizes(fold_span([step])) == (2, 1, 1, 0, 1)
