"""Which files OpenCode reads, and what it makes of them. The same cases were run through the real OpenCode
(`opencode debug config`, 1.18.33); `tests/e2e/test_init_and_doctor.py` does it again for merging."""

from pathlib import Path

import pytest

from lsp_tap.errors import ConfigError
from lsp_tap.wiring.opencode_config import (
    Places,
    list_all_files,
    list_upward,
    merge,
    parse_config,
    read_config,
    substitute,
)

HERE = Path("/p/opencode.json")


def _merge(*texts: str) -> dict[str, list[str]]:
    merged = merge([parse_config(Path(f"/p/{index}.json"), text) for index, text in enumerate(texts)])
    return {server.id: server.command for server in merged.servers.values()}


def test_later_files_win_and_objects_are_merged() -> None:
    first = '{"lsp": {"x": {"command": ["1"], "env": {"A": "1", "B": "1"}}, "y": {"command": ["y"]}}}'
    second = '{"lsp": {"x": {"command": ["2"], "env": {"B": "2"}}}}'
    merged = merge([parse_config(Path("/1"), first), parse_config(Path("/2"), second)])
    assert merged.servers["x"].entry == {"command": ["2"], "env": {"A": "1", "B": "2"}}
    assert (merged.servers["x"].source, merged.servers["y"].source) == (Path("/2"), Path("/1"))
    assert merged.enabled is True


def test_true_and_false_replace_what_was_before() -> None:
    entry = '{"lsp": {"x": {"command": ["x"]}}}'
    assert _merge(entry, '{"lsp": true}') == {}
    assert _merge('{"lsp": false}', entry) == {"x": ["x"]}
    assert merge([parse_config(HERE, entry), parse_config(HERE, '{"lsp": false}')]).enabled is False
    assert merge([parse_config(HERE, "{}")]).enabled is None


def test_an_entry_may_be_switched_off_elsewhere() -> None:
    merged = merge(
        [
            parse_config(Path("/1"), '{"lsp": {"x": {"command": ["x"]}}}'),
            parse_config(Path("/2"), '{"lsp": {"x": {"disabled": true}}}'),
        ]
    )
    assert merged.servers["x"].disabled
    assert merged.servers["x"].source == Path("/1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "/p/opencode.json:1:1: an OpenCode configuration is an object"),
        ('{"lsp": null}', '/p/opencode.json:1:9: "lsp" is true, false or an object'),
        ('{"lsp": {\n  "a": {}}}', '/p/opencode.json:2:8: "lsp"."a" has no "command", which OpenCode refuses'),
        ('{"lsp": {"a": {"command": "a"}}}', '"lsp"."a"."command" is a list of strings'),
        ('{"lsp": {"a": {"command": ["a", 1]}}}', '"lsp"."a"."command" is a list of strings'),
        ('{"lsp": {"a": 1}}', '"lsp"."a" is an object'),
        ('{"lsp": {', '/p/opencode.json:1:10: expected a key in double quotes or "}"'),
    ],
)
def test_what_opencode_refuses_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(HERE, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_file_is_an_empty_configuration() -> None:
    for text in ("", " \r\n", "\ufeff"):
        assert parse_config(HERE, text).lsp is None


def test_bytes_that_are_no_text_are_told_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "opencode.json"
    path.write_bytes(b'{\n "model": "\xff"}')
    with pytest.raises(ConfigError, match=r"opencode\.json:2:12: not UTF-8"):
        read_config(path)
    assert read_config(tmp_path / "none.json") is None


def test_a_dangling_link_is_an_error_not_an_absent_file(tmp_path: Path) -> None:
    (tmp_path / "opencode.json").symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError, match="leads nowhere"):
        read_config(tmp_path / "opencode.json")


def test_files_are_listed_in_merging_order(tmp_path: Path) -> None:
    project = tmp_path / "repo" / "sub"
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    project.mkdir()
    environment = {"HOME": "/h", "OPENCODE_CONFIG": "/custom.json", "OPENCODE_CONFIG_DIR": "/dir"}
    places = Places.find(environment)
    repo = tmp_path / "repo"
    names = ("opencode.json", "opencode.jsonc")
    assert list_all_files(project, places, environment) == [
        *(Path("/h/.config/opencode") / name for name in ("config.json", *names)),
        Path("/custom.json"),
        *(repo / name for name in names),
        *(project / name for name in names),
        *(project / ".opencode" / name for name in names),
        *(repo / ".opencode" / name for name in names),
        *(Path("/h/.opencode") / name for name in names),
        *(Path("/dir") / name for name in names),
    ]


def test_without_a_repository_opencode_looks_all_the_way_up() -> None:
    assert list_upward(Path("/nowhere/at/all")) == [
        Path("/nowhere/at/all"),
        Path("/nowhere/at"),
        Path("/nowhere"),
        Path("/"),
    ]


def test_variables_and_files_are_filled_in(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(" secret\n")
    value = {"a": ["{env:X}-{env:NONE}", 1], "b": "{file:key}"}
    assert substitute(value, tmp_path, {"X": "x"}) == {"a": ["x-", 1], "b": "secret"}
    with pytest.raises(ConfigError, match="is not there"):
        substitute("{file:none}", tmp_path, {})
