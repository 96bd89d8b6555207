from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from lsp_tap.timeline.linemap import LineMap

words = st.text("aé_1", min_size=1, max_size=3)
lines = st.lists(words, max_size=4).map(lambda found: ".".join(found))
texts = st.lists(lines, max_size=8).map("\n".join)


@given(texts, texts)
@example("a\nb", "b\naa")
@example("\n".join(f"name_{n}" for n in range(100)), "name_7 name_100")
def test_words_that_one_text_has_and_the_other_has_nowhere(old: str, new: str) -> None:
    names, found = [set(re.findall(r"\w+", text)) for text in (old, new)], LineMap(old, new)
    assert found.vanished_names == names[0] - names[1]
    assert found.appeared_names == names[1] - names[0]


@given(texts, texts, texts)
def test_words_of_an_edit_between_the_same_lines(start: str, middle: str, end: str) -> None:
    old, new = f"{start}\n{middle}\n{end}", f"{start}\n{end}"
    found = LineMap(old, new)
    assert found.vanished_names == set(re.findall(r"\w+", middle)) - set(re.findall(r"\w+", f"{start} {end}"))
    assert not found.appeared_names
