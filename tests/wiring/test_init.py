"""`lsp-tap init` and `lsp-tap init --remove` on real files."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.errors import ConfigError
from lsp_tap.wiring import changes
from lsp_tap.wiring.wrap import add_schema
from tests.wiring.conftest import User

CONFIG = """{
  "$schema": "https://opencode.ai/config.json",
  // our servers
  "lsp": {
    "pyright": {"command": ["basedpyright-langserver", "--stdio"]}, // types
    "off": {"disabled": true, "command": ["x"], "extensions": [".x"]},
  },
}
"""


def read_lsp(path: Path) -> Any:
    return json.loads(path.read_text())["lsp"]


def run(user: User, name: str, *command: str) -> list[str]:
    return [user.lsp_tap, "run", "--name", name, "--", *command]


def test_configured_servers_are_wrapped_and_the_rest_is_installed(user: User) -> None:
    user.write(user.config, CONFIG)
    plan = user.init()
    wrapped = json.dumps(run(user, "pyright", "basedpyright-langserver", "--stdio"))
    assert user.config.read_text() == CONFIG.replace('["basedpyright-langserver", "--stdio"]', wrapped)
    assert [(server.id, server.action) for server in plan.servers] == [("pyright", "wrapped"), ("off", "disabled")]
    assert f'const LSP_TAP_COMMAND = ["{user.lsp_tap}"];' in user.plugin.read_text()
    assert (user.project / ".gitignore").read_text() == ".opencode-logs/\n"
    logs = user.project / ".opencode-logs"
    assert stat.S_IMODE(logs.stat().st_mode) == 0o700
    assert (logs / ".gitignore").read_text() == "*\n"
    assert stat.S_IMODE((logs / "init.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "text",
    [
        CONFIG,
        CONFIG.replace("\n", "\r\n"),
        "\ufeff" + CONFIG,
        '{"lsp":{"a":{"command":["a"],"extensions":[".a"]}}}',
        '{"lsp": {"a": {"command": ["1"]}, "a": {"command": ["2"]}}, "lsp": {"b": {"command": ["3"]}}}',
        "{}",
        "",
    ],
)
def test_remove_restores_everything_byte_for_byte(user: User, text: str) -> None:
    user.write(user.config, text)
    user.write(user.project / ".gitignore", "*.pyc")
    before = user.snapshot()
    user.init()
    assert user.snapshot() != before
    user.remove()
    assert user.snapshot() == before


def test_a_second_init_changes_nothing(user: User) -> None:
    user.write(user.config, CONFIG)
    user.install("clangd")
    user.write(user.project / "a.c", "")
    user.init()
    plan = user.plan()
    assert plan.empty
    assert {server.action for server in plan.servers} == {"recorded", "disabled"}


def test_who_lists_servers_gets_those_wrapped_and_no_others(user: User) -> None:
    user.write(user.config, CONFIG)
    user.install("clangd")
    user.write(user.project / "a.c", "")
    plan = user.init()
    assert "clangd" not in user.config.read_text()
    assert "clangd fits too and is not recorded: add it to lsp" in plan.notes


def test_the_schema_that_opencode_adds_is_no_edit(user: User) -> None:
    text = '{"lsp": {"a": {"command": ["a"], "extensions": [".a"]}}}'
    user.write(user.config, text)
    user.init()
    user.write(user.config, add_schema(user.config.read_text()))
    assert user.plan().empty
    user.remove()
    assert user.config.read_text() == text


def test_a_moved_lsp_tap_is_followed_everywhere_and_remove_still_restores(user: User) -> None:
    user.write(user.config, CONFIG)
    before = user.snapshot()
    user.init(lsp_tap="/old/lsp-tap")
    user.init()
    assert "/old/lsp-tap" not in user.config.read_text() + user.plugin.read_text()
    assert user.plan().empty
    user.remove()
    assert user.snapshot() == before


def test_what_was_edited_after_init_survives_remove(user: User) -> None:
    user.write(user.config, CONFIG)
    user.init()
    edit = ('"off"', '"new": {"command": ["n"], "extensions": [".n"]},\n    "off"')
    user.write(user.config, user.config.read_text().replace(*edit))
    user.write(user.project / ".gitignore", (user.project / ".gitignore").read_text() + "*.o\n")
    user.remove()
    assert user.config.read_text() == CONFIG.replace(*edit)
    assert (user.project / ".gitignore").read_text() == "*.o\n"


def test_what_was_edited_between_two_inits_survives_remove(user: User) -> None:
    user.write(user.config, CONFIG)
    user.init()
    edit = ('"off"', '"new": {"command": ["n"], "extensions": [".n"]},\n    "off"')
    user.write(user.config, user.config.read_text().replace(*edit))
    user.init()
    assert user.config.read_text().count(user.lsp_tap) == 2
    user.remove()
    assert user.config.read_text() == CONFIG.replace(*edit)


def test_options_given_to_the_tap_are_kept(user: User) -> None:
    user.write(user.config, CONFIG)
    user.init()
    text = user.config.read_text().replace('"--name", "pyright"', '"--no-probe", "--name", "py"')
    user.write(user.config, text)
    user.init()
    assert user.config.read_text() == text
    user.remove()
    assert user.config.read_text() == CONFIG


def test_without_an_lsp_key_the_installed_builtins_that_fit_are_added(user: User) -> None:
    clangd = user.install("clangd")
    user.install("gopls")
    user.write(user.project / "a.c", "")
    user.write(user.config, '{\n\t"model": "a/b"\n}\n')
    user.init()
    assert read_lsp(user.config) == {
        "clangd": {"command": run(user, "clangd", clangd, "--background-index", "--clang-tidy")}
    }
    assert user.config.read_text().startswith('{\n\t"model": "a/b",\n\t"lsp": {\n\t\t"clangd": {\n')


def test_lsp_true_becomes_the_builtins_and_comes_back(user: User) -> None:
    user.install("pyright-langserver")
    python = user.write(user.project / ".venv/bin/python", "")
    user.write(user.project / "a.py", "")
    user.write(user.config, '{"lsp": true /* all */, "model": "a/b"}')
    user.init()
    text = user.config.read_text()
    entry = json.loads(text.replace("/* all */", ""))["lsp"]["pyright"]
    assert entry["initialization"] == {"pythonPath": str(python)}
    user.write(user.config, text.replace("a/b", "c/d"))
    user.remove()
    assert user.config.read_text() == '{"lsp": true /* all */, "model": "c/d"}'


def test_a_builtin_that_is_switched_off_or_configured_is_not_added(user: User) -> None:
    user.install("clangd")
    user.write(user.project / "a.c", "")
    user.write(user.config, '{"lsp": {"clangd": {"disabled": true}}}')
    user.init()
    assert read_lsp(user.config) == {"clangd": {"disabled": True}}


def test_lsp_false_is_respected_and_said(user: User) -> None:
    user.install("clangd")
    user.write(user.project / "a.c", "")
    user.write(user.config, '{"lsp": false}')
    plan = user.init()
    assert user.config.read_text() == '{"lsp": false}'
    assert '"lsp": false' in plan.notes[0]


def test_without_any_file_one_is_made_and_removed_again(user: User) -> None:
    user.install("clangd")
    user.write(user.project / "a.c", "")
    before = user.snapshot()
    user.init()
    assert list(json.loads(user.config.read_text())) == ["$schema", "lsp"]
    user.remove()
    assert user.snapshot() == before


def test_a_made_file_that_was_edited_keeps_the_edit(user: User) -> None:
    user.install("clangd")
    user.write(user.project / "a.c", "")
    user.init()
    config = json.loads(user.config.read_text())
    user.write(user.config, json.dumps({**config, "model": "a/b"}))
    user.remove()
    assert json.loads(user.config.read_text()) == {"$schema": "https://opencode.ai/config.json", "model": "a/b"}


def test_with_nothing_to_wrap_no_configuration_is_made(user: User) -> None:
    plan = user.init()
    assert not user.config.exists()
    assert user.plugin.exists()
    assert "no language server is configured" in plan.notes[0]


def test_servers_of_the_global_configuration_are_wrapped_in_the_project(user: User) -> None:
    text = '{"lsp": {"x": {"command": ["x", "{env:A}"], "extensions": [".x"], "env": {"B": "1"}}}}'
    user.write(user.global_config, text)
    plan = user.init()
    assert user.global_config.read_text() == text
    assert read_lsp(user.config) == {"x": {"command": run(user, "x", "x", "{env:A}"), "extensions": [".x"]}}
    assert [server.action for server in plan.servers] == ["wrapped"]


def test_a_later_file_out_of_reach_is_told(user: User) -> None:
    user.write(user.config, '{"lsp": {"x": {"command": ["x"], "extensions": [".x"]}}}')
    later = user.write(user.home / ".opencode/opencode.json", '{"lsp": {"x": {"command": ["y"]}}}')
    plan = user.init()
    assert plan.notes == (f"x stays unrecorded: {later} sets its command after the project's files",)


def test_the_global_configuration_is_wrapped_once_for_all_projects(user: User) -> None:
    user.install("gopls")
    user.write(user.global_config, '{"lsp": {"x": {"command": ["x"], "extensions": [".x"]}}}')
    home, project = user.snapshot(user.home), user.snapshot()
    user.init(global_=True)
    assert set(read_lsp(user.global_config)) == {"x"}
    assert user.snapshot() == project
    assert user.plan(global_=True).empty
    plan = user.init()
    assert not user.plugin.exists()
    assert any("loaded from" in note for note in plan.notes)
    assert not user.config.exists()
    user.remove()
    user.remove(global_=True)
    assert user.snapshot() == project
    assert user.snapshot(user.home) == home


def test_every_file_of_the_project_is_wrapped(user: User) -> None:
    dot = user.project / ".opencode" / "opencode.jsonc"
    user.write(user.config, '{"lsp": {"a": {"command": ["a"], "extensions": [".a"]}}}')
    user.write(dot, '{"lsp": {"b": {"command": ["b"], "extensions": [".b"]}}}')
    before = user.snapshot()
    user.init()
    assert read_lsp(user.config)["a"]["command"] == run(user, "a", "a")
    assert read_lsp(dot)["b"]["command"] == run(user, "b", "b")
    user.remove()
    assert user.snapshot() == before


def test_recordings_stay_and_stay_ignored(user: User) -> None:
    user.write(user.config, CONFIG)
    user.init()
    logs = user.project / ".opencode-logs"
    user.write(logs / "session-1.json", "{}")
    plan = user.remove()
    assert sorted(os.listdir(logs)) == [".gitignore", "session-1.json"]
    assert any("kept" in note for note in plan.notes)
    assert user.config.read_text() == CONFIG


def test_without_its_memory_remove_still_takes_the_tap_out(user: User) -> None:
    user.write(user.config, CONFIG)
    user.init()
    (user.project / ".opencode-logs" / "init.json").unlink()
    user.remove()
    assert user.config.read_text() == CONFIG
    assert not user.plugin.exists()


def test_an_init_after_its_memory_was_lost_remembers_the_unwrapped_text(user: User) -> None:
    user.write(user.config, CONFIG)
    user.init()
    (user.project / ".opencode-logs" / "init.json").unlink()
    user.init()
    user.remove()
    assert user.config.read_text() == CONFIG


def test_a_folder_that_git_ignores_already_gets_no_line(user: User) -> None:
    user.write(user.project / ".git/info/exclude", ".opencode-logs/\n")
    user.init()
    assert not (user.project / ".gitignore").exists()


@pytest.mark.parametrize("line", [".opencode-logs", "/.opencode-logs/"])
def test_an_ignore_line_of_the_users_own_stays(user: User, line: str) -> None:
    user.write(user.project / ".gitignore", f"{line}\r\n")
    user.init()
    user.remove()
    assert (user.project / ".gitignore").read_bytes() == f"{line}\r\n".encode()


@pytest.mark.parametrize("text", ['{"lsp": {', '{"lsp": {"a": {"env": {}}}}', '{"lsp": {"a": {"command": "a"}}}'])
def test_a_bad_configuration_is_told_and_nothing_changes(user: User, text: str) -> None:
    user.write(user.config, text)
    before = user.snapshot()
    with pytest.raises(ConfigError, match=r"opencode\.json:1:\d+: "):
        user.init()
    assert user.snapshot() == before


def test_a_foreign_plugin_of_that_name_is_not_overwritten(user: User) -> None:
    user.write(user.plugin, "export default {}\n")
    before = user.snapshot()
    with pytest.raises(ConfigError, match="is not lsp-tap's plugin"):
        user.init()
    assert user.snapshot() == before
    user.remove()
    assert user.snapshot() == before


def test_a_linked_configuration_stays_a_link(user: User) -> None:
    real = user.write(user.project / "settings" / "real.json", CONFIG)
    user.config.symlink_to(real)
    user.init()
    assert user.config.is_symlink()
    assert user.lsp_tap in real.read_text()
    user.remove()
    assert real.read_text() == CONFIG


def test_a_link_out_of_the_project_is_refused(user: User, tmp_path: Path) -> None:
    real = user.write(tmp_path / "shared.json", CONFIG)
    user.config.symlink_to(real)
    with pytest.raises(ConfigError, match="leads outside the project"):
        user.init()
    assert real.read_text() == CONFIG
    assert not user.plugin.exists()


def test_a_read_only_configuration_is_refused(user: User) -> None:
    user.write(user.config, CONFIG).chmod(0o444)
    with pytest.raises(ConfigError, match="is read-only"):
        user.init()
    assert user.config.read_text() == CONFIG


def test_linked_recordings_are_refused(user: User, tmp_path: Path) -> None:
    (user.project / ".opencode-logs").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="is a symbolic link"):
        user.init()


def test_a_write_that_fails_takes_all_others_back(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    user.write(user.config, CONFIG)
    before = user.snapshot()
    replace = os.replace

    def fail_late(source: str, target: Path) -> None:
        if Path(target).name == "init.json":
            raise OSError(28, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_late)
    with pytest.raises(ConfigError, match="No space left on device; nothing was changed"):
        user.init()
    assert user.snapshot() == before


def test_a_file_that_changed_after_planning_is_not_overwritten(user: User) -> None:
    user.write(user.config, CONFIG)
    plan = user.plan()
    user.write(user.config, "{}")
    with pytest.raises(ConfigError, match="changed while this ran"):
        changes.apply_changes(plan.changes, make_folders=plan.make_folders)
    assert user.config.read_text() == "{}"
    assert not user.plugin.exists()


def test_a_plan_alone_writes_nothing_and_shows_what_it_would(user: User) -> None:
    user.write(user.config, CONFIG)
    before = user.snapshot()
    plan = user.plan()
    assert user.snapshot() == before
    diffs = "".join(change.diff() for change in plan.changes)
    assert f'+    "pyright": {{"command": ["{user.lsp_tap}", "run"' in diffs
    assert "--- /dev/null" in diffs


def test_the_mode_of_a_file_is_kept(user: User) -> None:
    user.write(user.config, CONFIG).chmod(0o640)
    user.init()
    assert stat.S_IMODE(user.config.stat().st_mode) == 0o640


def test_a_moved_project_can_still_be_unwired(user: User, tmp_path: Path) -> None:
    user.write(user.config, CONFIG)
    before = user.snapshot()
    user.init()
    user.project = user.project.rename(tmp_path / "moved")
    user.remove()
    assert user.snapshot() == before


def test_a_damaged_memory_is_told(user: User) -> None:
    user.write(user.project / ".opencode-logs/init.json", "{")
    with pytest.raises(ConfigError, match="is damaged; delete it"):
        user.init()


def test_everything_in_the_logs_folder_is_for_its_owner_alone(user: User) -> None:
    user.write(user.config, CONFIG)
    user.init()
    logs = user.project / ".opencode-logs"
    assert logs.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in logs.iterdir()} == {
        path.name: 0o600 for path in logs.iterdir()
    }
