"""Which of OpenCode's own servers fit a project and are installed."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from lsp_tap.wiring.builtin_servers import BUILTINS, find_fitting, find_global
from lsp_tap.wiring.opencode_config import Places


class Machine:
    """A project and a PATH that hold what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.bin = folder / "bin"
        self.project.mkdir()
        self.bin.mkdir()
        (self.project / ".git").mkdir()
        self.environment = {"HOME": str(folder / "home"), "PATH": str(self.bin)}

    def install(self, *names: str, folder: Path | None = None) -> None:
        for name in names:
            self.write(name, folder=folder or self.bin).chmod(0o755)

    def write(self, *names: str, folder: Path | None = None) -> Path:
        path = Path()
        for name in names:
            path = (folder or self.project) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("#!/bin/sh\n")
        return path

    def find(self, environment: Mapping[str, str] | None = None) -> dict[str, tuple[str, ...]]:
        env = {**self.environment, **(environment or {})}
        return {fitting.id: fitting.command for fitting in find_fitting(self.project, Places.find(env), env)}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    # The folder of the running Python is searched too; here it must not hold the servers of this checkout.
    monkeypatch.setattr("sys.executable", str(tmp_path / "python" / "bin" / "python"))
    return Machine(tmp_path)


def test_the_table_has_all_38_servers() -> None:
    assert len({builtin.id for builtin in BUILTINS}) == len(BUILTINS) == 38


def test_a_server_fits_when_its_files_are_there_and_it_is_installed(machine: Machine) -> None:
    machine.install("clangd", "gopls")
    machine.write("src/main.c")
    assert machine.find() == {"clangd": (str(machine.bin / "clangd"), "--background-index", "--clang-tidy")}


def test_dependencies_and_links_are_not_looked_into(machine: Machine, tmp_path: Path) -> None:
    machine.install("clangd")
    machine.write("node_modules/x/a.c", ".venv/b.c", "build/c.c")
    machine.write("a.c", folder=tmp_path / "elsewhere")
    (machine.project / "link").symlink_to(tmp_path / "elsewhere")
    assert machine.find() == {}


def test_typescript_needs_typescript_in_the_project_and_gets_its_path(machine: Machine) -> None:
    machine.install("typescript-language-server", folder=machine.project / "node_modules/.bin")
    machine.write("a.ts", "package-lock.json")
    assert machine.find() == {}
    tsserver = machine.write("node_modules/typescript/lib/tsserver.js")
    [fitting] = find_fitting(machine.project, Places.find(machine.environment), machine.environment)
    assert fitting.id == "typescript"
    assert fitting.initialization == {"tsserver": {"path": str(tsserver)}}
    assert Path(fitting.command[0]).parts[-3:] == ("node_modules", ".bin", "typescript-language-server")


def test_deno_and_typescript_exclude_each_other(machine: Machine) -> None:
    machine.install("deno", "typescript-language-server")
    machine.write("a.ts", "node_modules/typescript/lib/tsserver.js")
    assert set(machine.find()) == {"typescript"}
    machine.write("deno.json")
    assert set(machine.find()) == {"deno"}


def test_pyright_gets_the_interpreter_opencode_would_give_it(machine: Machine, tmp_path: Path) -> None:
    machine.install("pyright-langserver", "ty")
    machine.write("a.py", ".venv/bin/python")
    active = machine.write("bin/python", folder=tmp_path / "active")

    def python(environment: Mapping[str, str]) -> tuple[str, object]:
        [fitting] = find_fitting(machine.project, Places.find(environment), environment)
        return fitting.id, fitting.initialization["pythonPath"]

    assert python(machine.environment) == ("pyright", str(machine.project / ".venv/bin/python"))
    virtual = {**machine.environment, "VIRTUAL_ENV": str(active.parents[1])}
    assert python(virtual) == ("pyright", str(active))
    assert python({**virtual, "OPENCODE_EXPERIMENTAL_LSP_TY": "1"}) == ("ty", str(active))


def test_basedpyright_stands_in_for_a_pyright_that_is_not_installed(machine: Machine) -> None:
    machine.install("basedpyright-langserver", folder=machine.project / ".venv" / "bin")
    machine.write("a.py")
    assert machine.find() == {"pyright": (str(machine.project / ".venv/bin/basedpyright-langserver"), "--stdio")}
    machine.install("pyright-langserver")
    assert machine.find() == {"pyright": (str(machine.bin / "pyright-langserver"), "--stdio")}


def test_what_opencode_downloaded_counts_as_installed(machine: Machine, tmp_path: Path) -> None:
    cache = tmp_path / "home/.cache/opencode"
    machine.install("zls", "kotlin-ls/kotlin-lsp.sh", folder=cache / "bin")
    machine.install("vue-language-server", folder=cache / "packages/@vue/language-server/node_modules/.bin")
    machine.write("a.vue", "a.zig", "a.kt")
    assert {name: Path(command[0]).name for name, command in machine.find().items()} == {
        "vue": "vue-language-server",
        "zls": "zls",
        "kotlin-ls": "kotlin-lsp.sh",
    }


def test_eslint_needs_the_server_opencode_downloads(machine: Machine, tmp_path: Path) -> None:
    machine.install("node")
    machine.write("a.js", "node_modules/eslint/package.json")
    assert machine.find() == {}
    script = "bin/vscode-eslint/server/out/eslintServer.js"
    path = machine.write(script, folder=tmp_path / "home/.cache/opencode")
    assert machine.find() == {"eslint": (str(machine.bin / "node"), str(path), "--stdio")}


def test_an_oxlint_that_is_no_language_server_is_passed_over(machine: Machine) -> None:
    machine.install("oxlint", "oxc_language_server")
    machine.write("a.js")
    assert machine.find() == {"oxlint": (str(machine.bin / "oxc_language_server"),)}
    (machine.bin / "oxlint").write_text("#!/bin/sh\necho ' --lsp  start the language server'\n")
    assert machine.find() == {"oxlint": (str(machine.bin / "oxlint"), "--lsp")}


def test_for_all_projects_only_servers_that_need_to_know_none(machine: Machine) -> None:
    machine.install("gopls", "pyright-langserver", "typescript-language-server", "terraform-ls")
    found = find_global(Places.find(machine.environment), machine.environment)
    assert [fitting.id for fitting in found] == ["gopls", "terraform"]
