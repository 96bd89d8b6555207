from __future__ import annotations

import sys
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_tap.session.history import Call, Details
from lsp_tap.session.packing import Packed, Packer

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab\ud800\u20ac\U0001f600"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)
repeats = st.sampled_from([0, 1, 30_000])  # so that blocks become full in between


@settings(max_examples=50)
@given(st.lists(st.tuples(json_values, repeats), max_size=12), st.randoms(use_true_random=False))
def test_every_value_comes_out_as_it_went_in_in_any_order(added: list[tuple[Any, int]], chance: Any) -> None:
    packer = Packer()
    values = [[value] * count for value, count in added]
    packed = [(packer.pack(value), value) for value in values]
    chance.shuffle(packed)
    for kept, value in packed:
        assert isinstance(kept, Packed)
        assert repr(kept.unpack()) == repr(value)  # of which NaN is equal to itself


def json_nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_a_value_that_is_nested_too_deeply_is_kept_as_it_is() -> None:
    deep = json_nested(100_000)
    call, packer = Call("call", "ses", "edit"), Packer()
    assert packer.pack(deep) is None
    for args in (["shallow"], deep, json_nested(100_000)):
        call.add(Details(args), packer)
        assert call.args is args or args == ["shallow"]


def test_a_thousand_alike_take_a_tenth_of_their_size() -> None:
    packer = Packer()
    texts = ["".join(f"{line:05}| value_{line} = {number}\n" for line in range(80)) for number in range(1000)]
    packed = [packer.pack(text) for text in texts]
    blocks = {id(one._block): one._block for one in packed if one is not None}
    taken = sum(sys.getsizeof(block._compressed) + sys.getsizeof(block._raw) for block in blocks.values())
    assert taken < sum(map(len, texts)) / 10
    assert [one.unpack() for one in packed if one is not None] == texts


def test_what_becomes_known_of_a_call_later_is_added_to_what_is_packed() -> None:
    call, packer = Call("call", "ses", "bash"), Packer()
    call.add(Details({"filePath": "a.py"}, None, {"exit": None, "sessionId": "ses_2"}), None)
    call.add(Details(None, "done"), packer)
    assert (call.path, call.was_cut_off, call.child_session_id) == ("a.py", True, "ses_2")
    assert call.details == Details({"filePath": "a.py"}, "done", {"exit": None, "sessionId": "ses_2"})
    again = call._details
    call.add(Details({"filePath": "a.py"}, "done"), packer)
    assert call._details is again  # two plugins hear the same event
    call.add(Details(None, None, {"exit": 0}), packer)
    assert (call.output, call.metadata, call.was_cut_off) == ("done", {"exit": 0}, False)
