from __future__ import annotations

from pathlib import Path

import pytest

from lsp_tap.config import BadSettings, Settings, read_settings


def test_what_nobody_set_is_as_the_readme_says(tmp_path: Path) -> None:
    settings = read_settings(tmp_path, {})
    assert settings == Settings()
    assert (settings.keep_days, settings.keep_mb) == (90, 2048)


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "lsp-tap.toml").write_text("keep_days = 7\nkeep_mb = 100\nhistory_limit = 3\n")
    settings = read_settings(tmp_path, {"LSP_TAP_KEEP_DAYS": "0.5", "LSP_TAP_DIR": "/x"})
    assert (settings.keep_days, settings.keep_mb, settings.history_limit) == (0.5, 100, 3)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("keep_days = 0", "keep_days"),
        ("keep_mb = -1", "keep_mb"),
        ("keep_days = nan", "keep_days"),
        ("kept_days = 1", "kept_days"),
        ("keep_days =", "lsp-tap.toml"),
        ("\xff", "lsp-tap.toml"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, place: str) -> None:
    (tmp_path / "lsp-tap.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(BadSettings, match=place) as caught:
        read_settings(tmp_path, {})
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
