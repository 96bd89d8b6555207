from __future__ import annotations

import random
import sys

from hypothesis import given
from hypothesis import strategies as st

from lsp_tap.sequences import count_common, count_common_end
from lsp_tap.timeline.contents import Content, ContentPool

texts = st.text("ab\n\u20ac\U0001f600", max_size=40)


@given(st.lists(st.tuples(texts, st.integers(0, 5)), min_size=1, max_size=20))
def test_every_text_comes_out_as_it_went_in(added: list[tuple[str, int]]) -> None:
    pool = ContentPool()
    kept: list[Content] = []
    for text, like in added:
        kept.append(pool.add(text, kept[-like:] if like else [None]))
    assert [content.text for content in kept] == [text for text, _ in added]
    for one, (text, _) in zip(kept, added, strict=True):
        for other, (other_text, _) in zip(kept, added, strict=True):
            assert (one is other) == (one == other) == (text == other_text)
        assert one == Content(text)


@given(texts, texts)
def test_what_two_texts_begin_and_end_with(old: str, new: str) -> None:
    start = count_common(old, new)
    assert old[:start] == new[:start]
    assert old[start : start + 1] != new[start : start + 1] or start == len(old) == len(new)
    end = count_common_end(old, new, min(len(old), len(new)) - start)
    assert old[len(old) - end :] == new[len(new) - end :]


def test_a_thousand_versions_take_little_more_than_one() -> None:
    chance, pool = random.Random(1), ContentPool()
    lines = [f"value_{number} = {number}\n" for number in range(1000)]
    content, made, size = None, [], 0
    for number in range(1000):
        lines[chance.randrange(1000)] = f"changed_{number} = 1\n"
        content = pool.add("".join(lines), [content])
        made.append((content, "".join(lines)))
        size += sys.getsizeof(content) + sys.getsizeof(content._middle)
    assert size < 50 * len("".join(lines))
    assert all(content.text == text for content, text in made)
