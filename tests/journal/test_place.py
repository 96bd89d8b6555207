from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from lsp_tap.journal.place import find_folder, tap_folder


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LSP_TAP_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_what_is_named_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".opencode-logs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_folder() == str(tmp_path / ".opencode-logs")
    monkeypatch.setenv("LSP_TAP_DIR", "from-environment")
    assert find_folder() == str(tmp_path / "from-environment")
    assert find_folder("named") == str(tmp_path / "named")


def test_the_nearest_folder_upward_is_used(tmp_path: Path) -> None:
    (tmp_path / ".opencode-logs").mkdir()
    (tmp_path / "a" / ".opencode-logs").mkdir(parents=True)
    (tmp_path / "a" / "b").mkdir()
    assert find_folder(cwd=str(tmp_path / "a" / "b")) == str(tmp_path / "a" / ".opencode-logs")


def test_a_link_or_a_file_of_that_name_is_passed_by(tmp_path: Path) -> None:
    (tmp_path / ".opencode-logs").mkdir()
    for name in ("link", "file"):
        (tmp_path / name).mkdir()
    (tmp_path / "link" / ".opencode-logs").symlink_to(tmp_path)
    (tmp_path / "file" / ".opencode-logs").touch()
    for name in ("link", "file"):
        assert find_folder(cwd=str(tmp_path / name)) == str(tmp_path / ".opencode-logs")


def test_without_one_the_users_state_folder_is_used() -> None:
    assert find_folder(cwd="/") == platformdirs.user_state_dir("lsp-tap", appauthor=False)


def test_journals_are_in_a_folder_of_their_own() -> None:
    assert Path(tap_folder("x")) == Path("x", "tap")
