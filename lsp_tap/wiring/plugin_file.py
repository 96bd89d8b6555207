"""The OpenCode plugin as one file, with the absolute lsp-tap command put in."""

from __future__ import annotations

import json
import re
from pathlib import Path

from lsp_tap.errors import ConfigError, LspTapError

NAME = "lsp-tap.js"
_COMMAND = re.compile(r"^(const|var|let) LSP_TAP_COMMAND = .*$", re.MULTILINE)


def read_bundle() -> str:
    """The plugin as built: in a wheel beside this module, in a checkout where its build leaves it. Raises
    LspTapError."""
    here = Path(__file__).parent
    for path in (here / NAME, here.parents[1] / "plugin" / "dist" / NAME):
        if path.is_file():
            return path.read_bytes().decode()
    raise LspTapError("the plugin is not built; in a checkout of lsp-tap run: make plugin")


def is_ours(text: str) -> bool:
    """Whether a file is some version of the plugin."""
    return _COMMAND.search(text) is not None


def render(path: Path, present: str | None, lsp_tap: str) -> str:
    """The text to install at `path`, where `present` is now. Raises ConfigError when that is not ours."""
    if present is not None and not is_ours(present):
        raise ConfigError(str(path), "is not lsp-tap's plugin; move it away first")
    bundle = read_bundle()
    if not is_ours(bundle):
        raise LspTapError("the plugin's build has no LSP_TAP_COMMAND; build it again")
    return put_command(bundle, [lsp_tap])


def put_command(text: str, command: list[str]) -> str:
    """The plugin's text with another command to call lsp-tap by."""
    line = f"const LSP_TAP_COMMAND = {json.dumps(command)};"
    return _COMMAND.sub(lambda _: line, text, count=1)


def parse_command(text: str) -> list[str] | None:
    """The command in an installed plugin; None when it has none that can be read."""
    found = _COMMAND.search(text)
    try:
        command = json.loads(found[0].partition("=")[2].strip().rstrip(";")) if found else None
    except ValueError:
        return None
    return [str(part) for part in command] if isinstance(command, list) and command else None
