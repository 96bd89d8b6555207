"""Wrapping commands in a configuration text and unwrapping them again."""

import json

from hypothesis import given
from hypothesis import strategies as st

from lsp_tap.wiring.wrap import add_entries, add_schema, find_server_start, unwrap_entries, wrap_entries

TAP = "/opt/tap/bin/lsp-tap"
WORDS = st.text(min_size=1).filter(lambda word: "lsp" not in word and word != "--")
ENTRIES = st.dictionaries(WORDS, st.lists(WORDS, min_size=1, max_size=3), max_size=4)

CONFIG = """{
  // how we work
  "lsp": {
    "pyright": { "command": ["pyright-langserver", /* the usual */ "--stdio"] }, // types
    "mine": {
      "command": [
        "{env:HOME}/bin/mine", // ours
      ],
      "extensions": [".mine"],
    },
  },
}
"""


def test_only_the_commands_change() -> None:
    wrapped = wrap_entries(CONFIG, {"pyright", "mine"}, TAP)
    pyright = f'["{TAP}", "run", "--name", "pyright", "--", "pyright-langserver", /* the usual */ "--stdio"]'
    mine = f'"{TAP}", "run", "--name", "mine", "--", "{{env:HOME}}/bin/mine", // ours'
    assert wrapped == CONFIG.replace('["pyright-langserver", /* the usual */ "--stdio"]', pyright).replace(
        '"{env:HOME}/bin/mine", // ours', mine
    )
    assert unwrap_entries(wrapped, None, None) == CONFIG


@given(ENTRIES)
def test_wrapping_is_idempotent_and_undone_byte_for_byte(entries: dict[str, list[str]]) -> None:
    text = json.dumps({"lsp": {key: {"command": command} for key, command in entries.items()}}, indent=2)
    wrapped = wrap_entries(text, entries, TAP)
    assert wrap_entries(wrapped, entries, TAP) == wrapped
    assert unwrap_entries(wrapped, text, wrapped) == text
    for key, command in entries.items():
        run = json.loads(wrapped)["lsp"][key]["command"]
        assert run == [TAP, "run", "--name", key, "--", *command]
        start = find_server_start(run)
        assert start is not None
        assert run[start:] == command


def test_a_moved_tap_gets_its_new_path_and_keeps_the_options_a_user_gave() -> None:
    text = '{"lsp": {"a": {"command": ["/old/lsp-tap", "run", "--no-probe", "--", "a"]}}}'
    assert wrap_entries(text, {"a"}, TAP) == text.replace("/old/lsp-tap", TAP)


def test_a_tap_called_by_name_or_through_a_launcher_is_left_alone() -> None:
    for front in (["lsp-tap"], ["uvx", "lsp-tap"], ["python", "-m", "lsp_tap"]):
        text = json.dumps({"lsp": {"a": {"command": [*front, "run", "--", "a", "--x"]}}})
        assert wrap_entries(text, {"a"}, TAP) == text
        assert unwrap_entries(text, None, None) == text
        assert find_server_start([*front, "run", "--", "a", "--x"]) == len(front) + 2


def test_a_server_that_only_has_tap_in_its_arguments_is_wrapped() -> None:
    assert find_server_start(["ls", "--root", "/src/lsp-tap"]) is None
    assert find_server_start(["/bin/lsp-tap", "doctor"]) is None


def test_entries_are_added_to_what_is_there() -> None:
    assert json.loads(add_entries("{}", {"a": {"command": ["x"]}})) == {"lsp": {"a": {"command": ["x"]}}}
    assert add_entries('{"lsp": true} // on', {"a": 1}).endswith("} // on")
    assert json.loads(add_entries('{"lsp": {"b": 2}}', {"a": 1, "b": 3})) == {"lsp": {"b": 2, "a": 1}}


def test_of_an_edited_text_only_what_init_put_in_goes() -> None:
    before = '{\n  "lsp": {\n    "a": {"command": ["a"]}\n  }\n}\n'
    after = add_entries(wrap_entries(before, {"a"}, TAP), {"b": {"command": [TAP, "run", "--", "b"]}})
    edited = after.replace('"lsp"', '"model": "x/y", // mine\n  "lsp"').replace('"--", "a"]', '"--", "a", "-v"]')
    assert unwrap_entries(edited, before, after) == (
        '{\n  "model": "x/y", // mine\n  "lsp": {\n    "a": {"command": ["a", "-v"]}\n  }\n}\n'
    )


def test_an_added_entry_that_was_edited_is_kept_without_its_tap() -> None:
    before = '{"lsp": {}}'
    after = add_entries(before, {"b": {"command": [TAP, "run", "--name", "b", "--", "b"]}})
    edited = after.replace('"--", "b"]', '"--", "b"], "env": {"A": "1"}')
    assert json.loads(unwrap_entries(edited, before, after)) == {"lsp": {"b": {"command": ["b"], "env": {"A": "1"}}}}


def test_what_lsp_was_before_comes_back() -> None:
    for before in ('{"model": "m"}', '{"lsp": true, "model": "m"}'):
        after = add_entries(before, {"b": {"command": [TAP, "run", "--", "b"]}})
        edited = after.replace('"m"', '"n"')
        assert unwrap_entries(edited, before, after) == before.replace('"m"', '"n"')


def test_a_tap_that_was_there_before_init_gets_its_old_path_back() -> None:
    before = '{"lsp": {"a": {"command": ["/old/lsp-tap", "run", "--", "a"]}}}'
    after = wrap_entries(before, {"a"}, TAP)
    assert unwrap_entries(after + "\n", before, after) == before + "\n"


def test_the_schema_line_is_what_opencode_writes() -> None:
    schema = '{\n  "$schema": "https://opencode.ai/config.json",'
    assert add_schema('\ufeff {"lsp": true}') == schema + '"lsp": true}'
    assert add_schema('{\r\n  "lsp": true\r\n}\r\n') == schema + '\r\n  "lsp": true\r\n}\r\n'
    assert add_schema("// first\n{}") == "// first\n{}"
