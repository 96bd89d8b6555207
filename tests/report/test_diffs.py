from __future__ import annotations

from difflib import unified_diff

from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_tap.report.diffs import LINES_LIMIT, Diff, Line, Note, Painter, annotate
from lsp_tap.report.texts import Texts
from lsp_tap.timeline.texts import split_lines

LINES = st.lists(st.sampled_from(["a", "b", "    c", "d = 'x'", ""]), max_size=30)
ENDS = st.sampled_from(["\n", "\r\n"])


def compare(before: str, after: str, path: str = "a.py") -> Diff:
    return Painter(Texts()).compare(path, before, after)


def list_lines(diff: Diff) -> list[Line]:
    return [line for hunk in diff.hunks for line in hunk.lines]


def read(line: Line) -> str:
    return "".join(text for _, text in line.tokens)


@given(LINES, LINES, ENDS)
@settings(max_examples=150, deadline=None)
def test_a_diff_makes_the_new_text_of_the_old_one(old: list[str], new: list[str], end: str) -> None:
    before, after = "".join(line + end for line in old), "".join(line + end for line in new)
    diff = compare(before, after)
    made: list[str] = []
    at = 0
    for hunk in diff.hunks:
        made += old[at : at + hunk.skipped]
        at += hunk.skipped
        for line in hunk.lines:
            if line.side != "added":
                assert read(line) == old[at]
                assert line.old == at + 1
                at += 1
            if line.side != "removed":
                made.append(read(line))
                assert line.new == len(made)
    assert made + old[at:] == new
    assert diff.added is not None
    assert diff.removed is not None
    assert diff.added - diff.removed == len(new) - len(old)


def test_the_colours_of_a_line_depend_on_what_stands_before_it() -> None:
    text = '"""\n' + "".join(f"line {n}\n" for n in range(20)) + '"""\nx = 1\n'
    diff = compare(text, text.replace("line 15", "return 15"))
    (added,) = [line for line in list_lines(diff) if line.side == "added"]
    assert {css.split()[0] for css, _ in added.tokens} == {"hs"}


def test_what_differs_between_two_lines_is_marked_by_whole_words() -> None:
    diff = compare("total = sum(prizes) + 1\n", "total = sum(prices) + 1\n")
    marked = [[text for css, text in line.tokens if "x" in css.split()] for line in list_lines(diff)]
    assert marked == [["prizes"], ["prices"]]


def test_a_language_nobody_knows_and_a_huge_text_are_plain() -> None:
    assert {css for line in list_lines(compare("def a\n", "def b\n", "a.unheard")) for css, _ in line.tokens} <= {
        "",
        "x",
    }
    huge = "x = 'y'\n" * 30_000
    diff = compare(huge, huge + "z = 1\n")
    assert [read(line) for line in list_lines(diff)][-1] == "z = 1"
    assert {css for line in list_lines(diff) for css, _ in line.tokens} == {""}


def test_a_file_written_anew_is_cut_and_says_so() -> None:
    diff = compare("", "".join(f"{n}\n" for n in range(5000)))
    assert len(list_lines(diff)) == LINES_LIMIT
    assert diff.cut == 5000 - LINES_LIMIT
    assert diff.added == 5000


def test_two_huge_different_texts_do_not_take_forever() -> None:
    before = "".join(f"a{n}\n" for n in range(20_000))
    diff = compare(before, before.replace("a", "b"))
    assert (diff.added, diff.removed) == (20_000, 20_000)


def test_a_long_line_is_cut() -> None:
    (line,) = list_lines(compare("", "x" * 100_000))
    assert len(read(line)) < 600
    assert line.tokens[-1] == ("cut", "… line cut")


def test_a_patch_of_the_clients_keeps_its_line_numbers() -> None:
    before, after = [f"{n}\n" for n in range(40)], [f"{n}\n" for n in range(40)]
    after[3:5], after[30:30] = ["three\n"], ["new\n"]
    patch = "Index: a.py\n======\n" + "".join(unified_diff(before, after, "a.py", "a.py"))
    diff = Painter(Texts()).parse("a.py", patch, "why")
    own = compare("".join(before), "".join(after))
    assert [(line.side, line.old, line.new, read(line)) for line in list_lines(diff)] == [
        (line.side, line.old, line.new, read(line)) for line in list_lines(own)
    ]
    assert diff.doubt == "why"


def test_what_was_cleared_stands_at_the_old_line_and_what_was_introduced_at_the_new_one() -> None:
    diff = compare("bad\nok\n", "# more\ngood\noops\n")
    annotate(diff, [(1, Note("cleared", "c")), (3, Note("introduced", "i")), (99, Note("cleared", "elsewhere"))])
    noted = {read(line): [note.text for note in line.notes] for line in list_lines(diff) if line.notes}
    assert noted == {"bad": ["c"], "oops": ["i"]}


def test_lines_end_as_lsp_says() -> None:
    text = "a\x0cb\u2028c\nd\n"
    (line,) = [line for line in list_lines(compare(text, text + "e\n")) if line.side == "added"]
    assert line.new == len(split_lines(text)) + 1
