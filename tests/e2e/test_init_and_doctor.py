"""`init` and `doctor` against the real OpenCode and real language servers."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.wiring import opencode_config, wrap
from lsp_tap.wiring.doctor import Check, diagnose
from lsp_tap.wiring.init import apply, plan_init, plan_remove
from lsp_tap.wiring.opencode_config import Places
from tests.e2e.opencode import PEERS, find_opencode, npm_peer, python_peer, settle_dependencies

pytestmark = pytest.mark.live

CONFIGS = Path(__file__).parents[2] / "configs"
EXAMPLES = sorted(CONFIGS.glob("*.jsonc"))
COMMENTED = """{
\t// OpenCode adds $schema here by itself
\t"lsp": {
\t\t"basedpyright": {"command": ["<server>", /* over pipes */ "--stdio"], "extensions": [".py"]}, // types
\t\t"pyright": {"disabled": true},
\t\t"late": {"command": ["{env:LATE_SERVER}"], "extensions": [".late"], "env": {"LANG": "C"}},
\t},
}
"""


class Setup:
    """A home and a project, and the environment OpenCode gets in it."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.home = folder / "home"
        self.project.mkdir()
        self.global_config.parent.mkdir(parents=True)
        settle_dependencies(self.global_config.parent)
        # A file of its own as lsp-tap: init writes its path, doctor and OpenCode start it.
        self.lsp_tap = folder / "bin" / "lsp-tap"
        self.lsp_tap.parent.mkdir()
        self.lsp_tap.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lsp_tap "$@"\n')
        self.lsp_tap.chmod(0o755)
        self.environment: Mapping[str, str] = {
            # Without what the Makefile adds: every server there would be one more that fits the project.
            "PATH": os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if PEERS not in Path(p).parents),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "LATE_SERVER": "late-ls",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        }

    @property
    def config(self) -> Path:
        return self.project / "opencode.json"

    @property
    def global_config(self) -> Path:
        return self.home / ".config" / "opencode" / "opencode.json"

    def init(self, *, global_: bool = False) -> None:
        plan = plan_init(self.project, global_=global_, lsp_tap=str(self.lsp_tap), environment=self.environment)
        apply(plan)

    def remove(self, *, global_: bool = False) -> None:
        apply(plan_remove(self.project, global_=global_, environment=self.environment))

    def debug_config(self, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """`opencode debug config`: OpenCode's own reading of all configuration files."""
        place = folder or self.project
        if (place / ".opencode").is_dir():
            settle_dependencies(place / ".opencode")
        return subprocess.run(
            [str(find_opencode()), "debug", "config"],
            cwd=place,
            env={**self.environment, "PWD": str(place)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def read_effective(self, folder: Path | None = None) -> dict[str, Any]:
        done = self.debug_config(folder)
        assert done.returncode == 0, done.stderr
        effective: dict[str, Any] = json.loads(done.stdout)
        return effective

    def diagnose(self) -> dict[str, Check]:
        checks = diagnose(
            self.project,
            environment=self.environment,
            opencode=str(find_opencode()),
            lsp_tap=str(self.lsp_tap),
        )
        return {check.name: check for check in checks}


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


def test_opencode_shows_the_wrapped_commands_and_remove_restores_the_file(setup: Setup) -> None:
    original = COMMENTED.replace("<server>", python_peer("basedpyright-langserver"))
    setup.config.write_text(original)
    setup.init()
    effective = setup.read_effective()
    tap = [str(setup.lsp_tap), "run", "--name"]
    assert effective["lsp"] == {
        "basedpyright": {
            "command": [*tap, "basedpyright", "--", python_peer("basedpyright-langserver"), "--stdio"],
            "extensions": [".py"],
        },
        "pyright": {"disabled": True},
        "late": {"command": [*tap, "late", "--", "late-ls"], "extensions": [".late"], "env": {"LANG": "C"}},
    }
    plugin = setup.project / ".opencode" / "plugin" / "lsp-tap.js"
    assert effective["plugin"] == [plugin.as_uri()]
    assert "$schema" in setup.config.read_text()[:40]  # OpenCode wrote into the file
    setup.init()
    setup.remove()
    assert setup.config.read_text() == original
    assert not plugin.exists()


def test_the_global_configuration(setup: Setup) -> None:
    original = '{"$schema": "https://opencode.ai/config.json", "lsp": {"x": {"command": ["x"], "extensions": [".x"]}}}'
    setup.global_config.write_text(original)
    setup.init(global_=True)
    effective = setup.read_effective()
    assert effective["lsp"]["x"]["command"] == [str(setup.lsp_tap), "run", "--name", "x", "--", "x"]
    assert effective["plugin"] == [(setup.global_config.parent / "plugin" / "lsp-tap.js").as_uri()]
    setup.remove(global_=True)
    assert setup.global_config.read_text() == original


def test_a_project_without_configuration_gets_what_opencode_would_start(setup: Setup) -> None:
    (setup.project / "node_modules").symlink_to(PEERS)
    (setup.project / "package-lock.json").write_text("{}")
    (setup.project / "a.ts").write_text("export const a: number = 1\n")
    setup.init()
    entry = setup.read_effective()["lsp"]["typescript"]
    assert entry["initialization"]["tsserver"]["path"].endswith("node_modules/typescript/lib/tsserver.js")
    check = setup.diagnose()["server typescript"]
    assert check.status == "ok", check
    assert "push diagnostics" in check.detail


def test_opencode_merges_files_as_we_do(setup: Setup) -> None:
    project = setup.project / "sub"
    subprocess.run(["git", "init", "--quiet", str(setup.project)], check=True)
    entry = {"command": ["?"], "extensions": [".x"], "env": {"FROM": "?"}}

    def write(path: Path, *ids: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        name = str(path.relative_to(setup.project.parent))
        lsp = {key: {**entry, "command": [name], "env": {name: "1"}} for key in ids}
        path.write_text(json.dumps({"$schema": "x", "lsp": lsp}))

    write(setup.global_config, "a", "b", "c", "d", "e", "f", "g")
    write(setup.global_config.with_suffix(".jsonc"), "b", "c", "d", "e", "f", "g")
    write(setup.project / "opencode.json", "c", "d", "e", "f", "g")
    write(project / "opencode.json", "d", "e", "f", "g")
    write(project / "opencode.jsonc", "e", "f", "g")
    write(project / ".opencode" / "opencode.json", "f", "g")
    write(setup.project / ".opencode" / "opencode.jsonc", "g")
    settle_dependencies(setup.project / ".opencode")
    files = opencode_config.list_all_files(project, Places.find(setup.environment), setup.environment)
    configs = [opencode_config.read_config(path) for path in files]
    merged = opencode_config.merge([config for config in configs if config is not None])
    expected = setup.read_effective(project)["lsp"]
    assert {server.id: server.entry for server in merged.servers.values()} == expected
    assert len({tuple(entry["command"]) for entry in expected.values()}) == 7


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_opencode_takes_the_example(setup: Setup, example: Path) -> None:
    shutil.copy(example, setup.config)
    config = opencode_config.parse_config(example, example.read_text())
    assert config.lsp is not None
    assert setup.read_effective()["lsp"] == config.lsp.value


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ('{"lsp": {"rust": {"command": "rust-analyzer"}}}', "lsp.rust.command"),
        ('{"lsp": {"rust": {"initialization": {}}}}', "Missing key lsp.rust.command"),
        ('{"lsp": {"rust": {"command": ["x"], "initialization": 3}}}', "lsp.rust.initialization"),
        ('{"lsp": [}', "not valid JSON"),
    ],
)
def test_opencode_refuses_what_is_wrong(setup: Setup, wrong: str, said: str) -> None:
    setup.config.write_text(wrong)
    done = setup.debug_config()
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


def test_doctor_finds_all_well_with_basedpyright_and_clangd(setup: Setup) -> None:
    lsp = {
        "basedpyright": {"command": [python_peer("basedpyright-langserver"), "--stdio"], "extensions": [".py"]},
        "clangd": {"command": [python_peer("clangd")]},
        "pyright": {"disabled": True},
    }
    setup.config.write_text(json.dumps({"$schema": "https://opencode.ai/config.json", "lsp": lsp}))
    setup.init()
    checks = setup.diagnose()
    assert {name: check for name, check in checks.items() if check.status != "ok"} == {}
    assert checks["server basedpyright"].detail.startswith("basedpyright 1.")
    assert "pull (dynamic) diagnostics" in checks["server basedpyright"].detail
    assert "push diagnostics" in checks["server clangd"].detail
    assert not (setup.project / ".opencode-logs" / "tap").exists()


def test_doctor_names_the_server_that_is_missing_and_the_remedy(setup: Setup) -> None:
    setup.config.write_text('{"lsp": {"gone": {"command": ["no-such-language-server"], "extensions": [".x"]}}}')
    setup.init()
    check = setup.diagnose()["server gone"]
    assert check.status == "fail"
    assert "127" in check.detail
    assert check.remedy is not None
    assert "install no-such-language-server" in check.remedy


def test_the_servers_that_answer_are_the_ones_that_are_wrapped(setup: Setup) -> None:
    command = [npm_peer("typescript-language-server"), "--stdio"]
    entry = {"command": command, "initialization": {"tsserver": {"path": str(PEERS / "typescript/lib/tsserver.js")}}}
    setup.config.write_text(json.dumps({"lsp": {"typescript": entry}}))
    checks = setup.diagnose()
    assert checks["wrapped typescript"].status == "warn"
    setup.init()
    checks = setup.diagnose()
    assert checks["wrapped typescript"].status == "ok"
    assert checks["server typescript"].status == "ok"
    written = json.loads(setup.config.read_text())["lsp"]["typescript"]
    assert written == {**entry, "command": wrap.wrap_command("typescript", command, str(setup.lsp_tap))}
