"""The filter language: what is read, what is refused and where, and that what is written is read again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_tap.inspect.filter_language import (
    ALL,
    And,
    BadFilter,
    Body,
    Containing,
    Document,
    Filter,
    Going,
    Id,
    Kind,
    Latency,
    Method,
    Not,
    OfCall,
    OfServer,
    OfSession,
    Or,
    Probe,
    format_filter,
    join_arguments,
    parse_filter,
)
from lsp_tap.inspect.flows import KINDS

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
atoms: st.SearchStrategy[Filter] = st.one_of(
    st.sampled_from([ALL, Probe(), Going("c2s"), Going("s2c")]),
    st.sampled_from(KINDS).map(Kind),
    st.builds(Latency, st.sampled_from(["<", "<=", ">", ">="]), st.integers(0, 10**10)),
    *(st.builds(of, words) for of in (Method, OfServer, Document, Id, OfCall, OfSession, Containing)),
    words.map(lambda text: Body("".join(c if c.isalnum() else "." for c in text))),
)


def _combine(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    several = st.lists(inner, min_size=2, max_size=4).map(tuple)
    return st.one_of(st.builds(Not, inner), st.builds(And, several), st.builds(Or, several))


filters = st.recursive(atoms, _combine, max_leaves=12)


@settings(deadline=None)
@given(filters)
def test_what_is_written_is_read_again(wanted: Filter) -> None:
    assert parse_filter(format_filter(wanted)) == wanted


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_a_filter_or_refused_with_a_place_in_it(text: str) -> None:
    position = 0
    try:
        parse_filter(text)
    except BadFilter as error:
        position = error.position
    assert 0 <= position <= len(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", ALL),
        ("~m textDocument/did* ~d c2s", And((Method("textDocument/did*"), Going("c2s")))),
        ("a b | !c & d", Or((And((Containing("a"), Containing("b"))), And((Not(Containing("c")), Containing("d")))))),
        ("a & (b | c)", And((Containing("a"), Or((Containing("b"), Containing("c")))))),
        ("!!~p", Not(Not(Probe()))),
        ("~l >200ms", Latency(">", 200_000)),
        ("~l > 1.5s", Latency(">", 1_500_000)),
        ("~l <=7", Latency("<=", 7_000)),
        ("~d server_to_client", Going("s2c")),
        (r'~b "a b \"c\" \d+"', Body(r'a b "c" \d+')),
        ("~k error~x", None),
        ("'two words'", Containing("two words")),
    ],
)
def test_words_bind_as_documented(text: str, wanted: Filter | None) -> None:
    if wanted is None:
        with pytest.raises(BadFilter):
            parse_filter(text)
    else:
        assert parse_filter(text) == wanted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("~m foo & ~q", "filter: no operator ~q: there are ~m ~d ~k ~s ~u ~i ~l ~t ~session ~b ~p ~all "
         "(at character 10: ~m foo & ^~q)"),
        ("~m", "filter: ~m needs a value (at character 3: ~m^)"),
        ("~m (a)", "filter: ~m needs a value (at character 4: ~m ^(a))"),
        ("(a | b", "filter: a parenthesis that is never closed (at character 1: ^(a | b)"),
        ("a)", "filter: no parenthesis is open here (at character 2: a^))"),
        ("a |", "filter: something is missing at the end (at character 4: a |^)"),
        ("| a", "filter: something is missing before | (at character 1: ^| a)"),
        ('a "b', 'filter: a quote that is never closed (at character 3: a ^"b)'),
        ("~l fast", "filter: ~l is a comparison such as >200ms or <=1.5s (at character 4: ~l ^fast)"),
        ("~d up", "filter: ~d is c2s or s2c (at character 4: ~d ^up)"),
    ],
)  # fmt: skip
def test_a_bad_filter_is_shown_with_its_place(text: str, shown: str) -> None:
    with pytest.raises(BadFilter) as caught:
        parse_filter(text)
    assert str(caught.value) == shown
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["~k nothing", "~b ["])
def test_a_value_that_cannot_be_is_refused_at_its_place(text: str) -> None:
    with pytest.raises(BadFilter) as caught:
        parse_filter(text)
    assert caught.value.position == 3


@settings(deadline=None)
@given(st.lists(st.sampled_from(["~m", "~b"]), min_size=1, max_size=3), st.data())
def test_a_value_that_a_shell_took_the_quotes_off_stays_one_value(operators: list[str], data: Any) -> None:
    values = [data.draw(st.from_regex(r"[a-z ]+", fullmatch=True)) for _ in operators]
    given_words = [word for pair in zip(operators, values, strict=True) for word in pair]
    parts = tuple(Method(v) if o == "~m" else Body(v) for o, v in zip(operators, values, strict=True))
    assert parse_filter(join_arguments(given_words)) == (parts[0] if len(parts) == 1 else And(parts))
