from __future__ import annotations

import pytest

from lsp_tap.report.texts import Texts, make_visible


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb\u2066c", "a\\u202eb\\u2066c"),
        ("\u2028\u2029\x00\x85", "\\u2028\\u2029\\x00\\x85"),
        ("half \ud83d", "half \\ud83d"),
        ("two\nlines\tand\xa0é 😀", "two\nlines\tand\xa0é 😀"),
    ],
)
def test_what_a_reader_could_not_see_is_shown_as_its_escape(text: str, visible: str) -> None:
    assert make_visible(text) == visible


def test_a_secret_is_looked_for_before_a_cut_could_halve_it() -> None:
    asked = []

    def redact(text: str) -> str:
        asked.append(text)
        return text.replace("hunter22", "[secret]")

    texts = Texts(redact)
    assert texts.show("x" * 10 + "hunter22", 14) == "xxxxxxxxxx[se…"
    excerpt = texts.excerpt("y" * 10 + "hunter22", 12)
    assert (excerpt.text, excerpt.left_out) == ("yyyyyyyyyy[s", 6)
    assert asked == ["x" * 10 + "hunter22", "y" * 10 + "hunter22"]


def test_a_line_is_one_line_and_says_that_it_was_cut() -> None:
    texts = Texts()
    assert texts.show("a\n  b\r\n\tc") == "a b c"
    assert texts.show("a" * 300) == "a" * 239 + "…"
    assert texts.show({"b": ["é"]}) == '{ "b": [ "é" ] }'


def test_once_the_page_is_full_texts_are_cut_to_a_line() -> None:
    texts = Texts(page_limit=1000)
    assert texts.excerpt("a" * 900).left_out == 0
    late = texts.excerpt("b" * 900)
    assert (len(late.text), late.left_out) == (240, 660)
    assert texts.is_full
