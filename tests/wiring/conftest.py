"""A user with a project, and a plugin to install; no OpenCode, no network, nothing of this machine's user."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from lsp_tap.wiring import plugin_file
from lsp_tap.wiring.init import Plan, apply, plan_init, plan_remove

BUNDLE = '// the plugin\nconst LSP_TAP_COMMAND = ["lsp-tap"];\nexport default {};\n'


class User:
    """A home, a PATH with nothing in it, and a project under git."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.bin = folder / "bin"
        self.project = folder / "project"
        for path in (self.home, self.bin, self.project):
            path.mkdir()
        self.lsp_tap = str(self.write(self.bin / "lsp-tap", "#!/bin/sh\n"))
        self.environment: Mapping[str, str] = {
            "HOME": str(self.home),
            "PATH": str(self.bin),
            "XDG_STATE_HOME": str(self.home / "state"),
        }
        subprocess.run(["git", "init", "--quiet", str(self.project)], check=True)

    @property
    def config(self) -> Path:
        return self.project / "opencode.json"

    @property
    def plugin(self) -> Path:
        return self.project / ".opencode" / "plugin" / "lsp-tap.js"

    @property
    def global_config(self) -> Path:
        return self.home / ".config" / "opencode" / "opencode.json"

    def write(self, path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    def install(self, name: str) -> str:
        path = self.write(self.bin / name, "#!/bin/sh\n")
        path.chmod(0o755)
        return str(path)

    def plan(self, *, global_: bool = False, lsp_tap: str | None = None) -> Plan:
        return plan_init(self.project, global_=global_, lsp_tap=lsp_tap or self.lsp_tap, environment=self.environment)

    def init(self, *, global_: bool = False, lsp_tap: str | None = None) -> Plan:
        plan = self.plan(global_=global_, lsp_tap=lsp_tap)
        apply(plan)
        return plan

    def remove(self, *, global_: bool = False) -> Plan:
        plan = plan_remove(self.project, global_=global_, environment=self.environment)
        apply(plan)
        return plan

    def snapshot(self, folder: Path | None = None) -> dict[str, bytes | None]:
        """Every file's bytes and every folder, git's own left out."""
        root = folder or self.project
        return {
            str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
            for path in sorted(root.rglob("*"))
            if ".git" not in path.relative_to(root).parts
        }


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    monkeypatch.setattr(plugin_file, "read_bundle", lambda: BUNDLE)
    # The folder of the running Python is searched for servers too; it must not hold those of this checkout.
    monkeypatch.setattr("sys.executable", str(tmp_path / "python" / "bin" / "python"))
    return User(tmp_path)
