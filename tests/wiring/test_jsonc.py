"""Reading and editing JSON with comments: every byte outside the edited value stays."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_tap.wiring.jsonc import JsoncError, find_position, parse_jsonc
from lsp_tap.wiring.jsonc_edit import (
    apply_edits,
    insert_items,
    insert_member,
    remove_items,
    remove_member,
    replace_value,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=12,
)
BLANKS: st.SearchStrategy[str] = st.lists(
    st.sampled_from([" ", "\t", "\n", "\r\n", '// a { " b\n', "/* [ , */", "/**/", "//\r\n"]), max_size=3
).map("".join)


TRAILING_COMMA = st.booleans()


@st.composite
def jsonc_texts(draw: st.DrawFn, values: st.SearchStrategy[Any] = VALUES) -> tuple[str, Any]:
    """A value and a text for it, with comments, blanks and trailing commas anywhere they may be."""

    def write(value: Any) -> str:
        if isinstance(value, (list, dict)):
            pairs = value.items() if isinstance(value, dict) else [(None, item) for item in value]
            parts = []
            for key, item in pairs:
                head = "" if key is None else f"{json.dumps(key)}{draw(BLANKS)}:{draw(BLANKS)}"
                parts.append(f"{draw(BLANKS)}{head}{write(item)}{draw(BLANKS)}")
            trailing_comma = bool(parts) and draw(TRAILING_COMMA)
            inside = ",".join(parts) + ("," if trailing_comma else "")
            inside += draw(BLANKS) if trailing_comma or not parts else ""
            return f"{{{inside}}}" if isinstance(value, dict) else f"[{inside}]"
        return json.dumps(value, ensure_ascii=draw(st.booleans()))

    value = draw(values)
    bom = "\ufeff" if draw(st.booleans()) else ""
    return bom + draw(BLANKS) + write(value) + draw(BLANKS), value


OBJECTS = st.dictionaries(st.text(), VALUES, max_size=5)


@given(jsonc_texts())
def test_a_text_with_comments_means_what_it_means_without(sample: tuple[str, Any]) -> None:
    text, value = sample
    assert parse_jsonc(text).value == value


@given(st.text(st.sampled_from('{}[],:"/*\\ \n1ea.-tru')))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    place: tuple[int, int] | None = None
    try:
        node = parse_jsonc(text)
    except JsoncError as error:
        place = error.line, error.column
    if place is None:
        assert text[node.start : node.end].strip()
    else:
        assert 1 <= place[0] <= text.count("\n") + 1
        assert place[1] >= 1


@given(jsonc_texts(OBJECTS), st.text(), VALUES)
def test_an_inserted_member_is_there_and_nothing_else_changed(sample: tuple[str, Any], key: str, value: Any) -> None:
    text, before = sample
    root = parse_jsonc(text)
    if key in before:
        return
    edited = apply_edits(text, insert_member(text, root, root, key, value))
    assert parse_jsonc(edited).value == {**before, key: value}
    # The text before is still there, in order: only an insertion happened.
    rest = iter(edited)
    assert all(character in rest for character in text)


@given(jsonc_texts(OBJECTS.filter(bool)), st.data())
def test_a_removed_member_is_gone_and_its_neighbours_stay(sample: tuple[str, Any], data: st.DataObject) -> None:
    text, before = sample
    root = parse_jsonc(text)
    member = data.draw(st.sampled_from(root.members))
    edited = apply_edits(text, remove_member(text, root, member))
    assert parse_jsonc(edited).value == {key: value for key, value in before.items() if key != member.key}
    end = member.value.end if member.comma is None else member.comma + 1
    assert edited.count("// a") == text.count("// a") - text[member.start : end].count("// a")


@given(jsonc_texts(OBJECTS.filter(bool)), VALUES, st.data())
def test_a_replaced_value_leaves_all_other_bytes(sample: tuple[str, Any], value: Any, data: st.DataObject) -> None:
    text, before = sample
    root = parse_jsonc(text)
    member = data.draw(st.sampled_from(root.members))
    edited = apply_edits(text, replace_value(text, root, member.value, value))
    assert parse_jsonc(edited).value == {**before, member.key: value}
    assert edited.startswith(text[: member.value.start])
    assert edited.endswith(text[member.value.end :])


@given(jsonc_texts(st.lists(st.text(), min_size=1)), st.lists(st.text(), min_size=1))
def test_inserted_items_can_be_removed_again_byte_for_byte(sample: tuple[str, Any], items: list[str]) -> None:
    text, before = sample
    edited = apply_edits(text, insert_items(parse_jsonc(text), items))
    assert parse_jsonc(edited).value == [*items, *before]
    assert apply_edits(edited, remove_items(parse_jsonc(edited), len(items))) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", '{\n  "k": 1\n}'),
        ('{"a": 2}', '{"a": 2, "k": 1}'),
        ('{"a": 2,}', '{"a": 2, "k": 1,}'),
        ('{\n\t"a": 2\n}\n', '{\n\t"a": 2,\n\t"k": 1\n}\n'),
        ('{\r\n  "a": 2 // two\r\n}', '{\r\n  "a": 2, // two\r\n  "k": 1\r\n}'),
        ('{\n  "a": 2, // two\n}', '{\n  "a": 2, // two\n  "k": 1,\n}'),
        ("{\n  // nothing yet\n}", '{\n  // nothing yet\n  "k": 1\n}'),
    ],
)
def test_a_member_is_inserted_in_the_style_of_the_text(text: str, expected: str) -> None:
    root = parse_jsonc(text)
    edited = apply_edits(text, insert_member(text, root, root, "k", 1))
    assert edited == expected
    node = parse_jsonc(edited)
    member = node.find_member("k")
    assert member is not None
    assert apply_edits(edited, remove_member(edited, node, member)) == text.replace("{ }", "{}")


def test_nested_values_are_indented_as_the_text_is() -> None:
    text = '{\n    "lsp": {\n        "a": {}\n    }\n}\n'
    root = parse_jsonc(text)
    lsp = root.find("lsp")
    assert lsp is not None
    edited = apply_edits(text, insert_member(text, root, lsp, "b", {"command": ["x", "y"]}))
    assert edited == (
        '{\n    "lsp": {\n        "a": {},\n        "b": {\n            "command": ["x", "y"]\n        }\n    }\n}\n'
    )


def test_of_a_repeated_key_the_last_counts() -> None:
    found = parse_jsonc('{"a": 1, "a": 2}').find("a")
    assert found is not None
    assert found.value == 2


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{"a": }', 1, 7),
        ('{\n  "a": 1\n  "b": 2\n}', 3, 3),
        ('{"a": "tab\there"}', 1, 7),
        ("{} x", 1, 4),
        ("{\r\n /* never ends", 2, 2),
        ("{'a': 1}", 1, 2),
        ("[1,,2]", 1, 4),
        ("", 1, 1),
        ('{"a": NaN}', 1, 7),
        ("[" * 5000, 1, 202),
    ],
)
def test_what_is_wrong_is_told_with_line_and_column(text: str, line: int, column: int) -> None:
    with pytest.raises(JsoncError) as caught:
        parse_jsonc(text)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_positions_count_all_kinds_of_line_ends() -> None:
    assert find_position("a\r\nb\nc\rd", 7) == (4, 1)
