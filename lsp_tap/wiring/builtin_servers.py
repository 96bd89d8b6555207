"""The language servers OpenCode 1.18 brings, and which of them fit a project.

An entry in the configuration that overrides a built-in keeps its root rule and its extensions but loses the
initialization it would have sent, so whoever wraps a built-in has to work that out: `find_fitting` does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lsp_tap.wiring.jsonc import Json
from lsp_tap.wiring.opencode_config import Places, list_upward

_LOCK: Final = ("package-lock.json", "bun.lockb", "bun.lock", "pnpm-lock.yaml", "yarn.lock")
_DENO: Final = ("deno.json", "deno.jsonc")
_JS: Final = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts")
_PYTHON: Final = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile", "pyrightconfig.json")
_DOTNET: Final = (".slnx", ".sln")
_GRADLE: Final = (
    "settings.gradle",
    "settings.gradle.kts",
    "gradlew",
    "gradlew.bat",
    "build.gradle",
    "build.gradle.kts",
)
_JAVA: Final = (*_GRADLE, "pom.xml", ".project", ".classpath")
_BIOME: Final = (".json", ".jsonc", ".vue", ".astro", ".svelte", ".css", ".graphql", ".gql", ".html")

_SKIPPED_FOLDERS: Final = frozenset((
    "node_modules", ".git", ".hg", ".svn", ".venv", "venv", "env", ".tox", ".nox", "__pycache__",
    ".mypy_cache", ".ruff_cache", ".pytest_cache", "dist", "build", "target", "vendor", ".opencode",
    ".opencode-logs", ".next", ".gradle", ".terraform",
))  # fmt: skip
_MOST_FILES: Final = 20_000


@dataclass(frozen=True)
class Builtin:
    """One built-in server. `commands`: what to look for, the first found wins, `{bin}` is the folder into
    which OpenCode downloads; `package`: the npm package OpenCode would install. `markers` choose the root;
    only with `strict` does a project without one not get the server. `excluded_by`: files in the project
    folder that forbid it. `requires`: a file below node_modules without which it does not start."""

    id: str
    commands: tuple[tuple[str, ...], ...]
    extensions: tuple[str, ...]
    markers: tuple[str, ...] = ()
    package: str | None = None
    strict: bool = False
    excluded_by: tuple[str, ...] = ()
    requires: str | None = None
    initialization: Callable[[Path, Mapping[str, str]], dict[str, Json]] | None = None


@dataclass(frozen=True)
class Fitting:
    """A built-in that fits a project and is installed: what to put into its configuration entry."""

    id: str
    command: tuple[str, ...]
    initialization: dict[str, Json]
    extensions: tuple[str, ...]


def _find_tsserver(project: Path, _: Mapping[str, str]) -> dict[str, Json]:
    return {"tsserver": {"path": str(_find_module(project, "typescript/lib/tsserver.js"))}}


def _find_tsdk(project: Path, _: Mapping[str, str]) -> dict[str, Json]:
    module = _find_module(project, "typescript/lib/tsserver.js")
    return {"typescript": {"tsdk": str(module.parent) if module else None}}


def _find_python(project: Path, environment: Mapping[str, str]) -> dict[str, Json]:
    active = environment.get("VIRTUAL_ENV")
    folders = [*([Path(active)] if active else []), project / ".venv", project / "venv"]
    pythons = (folder / "bin" / "python" for folder in folders)
    return next(({"pythonPath": str(python)} for python in pythons if python.exists()), {})


def _quiet_php(_: Path, __: Mapping[str, str]) -> dict[str, Json]:
    return {"telemetry": {"enabled": False}}


def _terraform(_: Path, __: Mapping[str, str]) -> dict[str, Json]:
    return {"experimentalFeatures": {"prefillRequiredFields": True, "validateOnSave": True}}


_TSSERVER: Final = "typescript/lib/tsserver.js"
_ROSLYN: Final = "roslyn-language-server"
# The value of `deno` is strict: without deno.json the server is not for this project.
BUILTINS: Final = (
    Builtin("deno", (("deno", "lsp"),), _JS[:5], _DENO, strict=True),
    Builtin("typescript", (("typescript-language-server", "--stdio"),), _JS, _LOCK, "typescript-language-server",
            excluded_by=_DENO, requires=_TSSERVER, initialization=_find_tsserver),
    Builtin("vue", (("vue-language-server", "--stdio"),), (".vue",), _LOCK, "@vue/language-server"),
    Builtin("eslint", (("node", "{bin}/vscode-eslint/server/out/eslintServer.js", "--stdio"),), (*_JS, ".vue"),
            _LOCK, requires="eslint/package.json"),
    Builtin("oxlint", (("oxlint", "--lsp"), ("oxc_language_server",)), (*_JS, ".vue", ".astro", ".svelte"),
            (".oxlintrc.json", *_LOCK, "package.json")),
    Builtin("biome", (("biome", "lsp-proxy", "--stdio"),), (*_JS, *_BIOME),
            ("biome.json", "biome.jsonc", *_LOCK), "biome"),
    Builtin("gopls", (("gopls",),), (".go",), ("go.work", "go.mod", "go.sum")),
    Builtin("ruby-lsp", (("rubocop", "--lsp"),), (".rb", ".rake", ".gemspec", ".ru"), ("Gemfile",)),
    Builtin("ty", (("ty", "server"),), (".py", ".pyi"), (*_PYTHON, "ty.toml"), initialization=_find_python),
    Builtin("pyright", (("pyright-langserver", "--stdio"), ("basedpyright-langserver", "--stdio")),
            (".py", ".pyi"), _PYTHON, "pyright", initialization=_find_python),
    Builtin("elixir-ls", (("elixir-ls",), ("{bin}/elixir-ls-master/release/language_server.sh",)),
            (".ex", ".exs"), ("mix.exs", "mix.lock")),
    Builtin("zls", (("zls",),), (".zig", ".zon"), ("build.zig",)),
    Builtin("csharp", ((_ROSLYN, "--stdio", "--autoLoadProjects"),), (".cs", ".csx"),
            (*_DOTNET, ".csproj", "global.json")),
    # Its arguments name files of an editor's extension that OpenCode looks up at every start: not wrapped.
    Builtin("razor", (), (".razor", ".cshtml"), (*_DOTNET, ".csproj", "global.json")),
    Builtin("fsharp", (("fsautocomplete",),), (".fs", ".fsi", ".fsx", ".fsscript"),
            (*_DOTNET, ".fsproj", "global.json")),
    Builtin("sourcekit-lsp", (("sourcekit-lsp",),), (".swift", ".objc", "objcpp"), ("Package.swift",)),
    Builtin("rust", (("rust-analyzer",),), (".rs",), ("Cargo.toml", "Cargo.lock")),
    Builtin("clangd", (("clangd", "--background-index", "--clang-tidy"),),
            (".c", ".cpp", ".cc", ".cxx", ".c++", ".h", ".hpp", ".hh", ".hxx", ".h++"),
            ("compile_commands.json", "compile_flags.txt", ".clangd")),
    Builtin("svelte", (("svelteserver", "--stdio"),), (".svelte",), _LOCK, "svelte-language-server"),
    Builtin("astro", (("astro-ls", "--stdio"),), (".astro",), _LOCK, "@astrojs/language-server",
            requires=_TSSERVER, initialization=_find_tsdk),
    # OpenCode starts the launcher jar with a new data folder each time; the launcher script does the same.
    Builtin("jdtls", (("jdtls",),), (".java",), _JAVA, strict=True),
    Builtin("kotlin-ls", (("{bin}/kotlin-ls/kotlin-lsp.sh", "--stdio"), ("kotlin-lsp", "--stdio")), (".kt", ".kts"),
            (*_GRADLE, "pom.xml")),
    Builtin("yaml-ls", (("yaml-language-server", "--stdio"),), (".yaml", ".yml"), _LOCK, "yaml-language-server"),
    Builtin("lua-ls", (("lua-language-server",),), (".lua",), (".luarc.json", ".luarc.jsonc", ".luacheckrc",
            ".stylua.toml", "stylua.toml", "selene.toml", "selene.yml")),
    Builtin("php intelephense", (("intelephense", "--stdio"),), (".php",),
            ("composer.json", "composer.lock", ".php-version"), "intelephense", initialization=_quiet_php),
    Builtin("prisma", (("prisma", "language-server"),), (".prisma",), ("schema.prisma", "prisma"),
            excluded_by=("package.json",)),
    Builtin("dart", (("dart", "language-server", "--lsp"),), (".dart",), ("pubspec.yaml", "analysis_options.yaml")),
    Builtin("ocaml-lsp", (("ocamllsp",),), (".ml", ".mli"), ("dune-project", "dune-workspace", ".merlin", "opam")),
    Builtin("bash", (("bash-language-server", "start"),), (".sh", ".bash", ".zsh", ".ksh"), (),
            "bash-language-server"),
    Builtin("terraform", (("terraform-ls", "serve"),), (".tf", ".tfvars"),
            (".terraform.lock.hcl", "terraform.tfstate"), initialization=_terraform),
    Builtin("texlab", (("texlab",),), (".tex", ".bib"), (".latexmkrc", "latexmkrc", ".texlabroot", "texlabroot")),
    Builtin("dockerfile", (("docker-langserver", "--stdio"),), (".dockerfile", "Dockerfile"), (),
            "dockerfile-language-server-nodejs"),
    Builtin("gleam", (("gleam", "lsp"),), (".gleam",), ("gleam.toml",)),
    Builtin("clojure-lsp", (("clojure-lsp", "listen"),), (".clj", ".cljs", ".cljc", ".edn"),
            ("deps.edn", "project.clj", "shadow-cljs.edn", "bb.edn", "build.boot")),
    Builtin("nixd", (("nixd",),), (".nix",), ("flake.nix",)),
    Builtin("tinymist", (("tinymist",),), (".typ", ".typc"), ("typst.toml",)),
    Builtin("haskell-language-server", (("haskell-language-server-wrapper", "--lsp"),), (".hs", ".lhs"),
            ("stack.yaml", "cabal.project", "hie.yaml")),
    Builtin("julials", (("julia", "--startup-file=no", "--history-file=no", "-e",
            "using LanguageServer; runserver()"),), (".jl",), ("Project.toml", "Manifest.toml")),
)  # fmt: skip
BUILTIN_IDS: Final = frozenset(builtin.id for builtin in BUILTINS)


def find_fitting(project: Path, places: Places, environment: Mapping[str, str] | None = None) -> list[Fitting]:
    """The built-ins OpenCode would start for files of `project` and that are installed. Reads folder
    listings only: at most 20 000 files, no symbolic links, no dependencies or caches."""
    env = os.environ if environment is None else environment
    names = set(_walk_names(project))
    endings = {Path(name).suffix or name for name in names} | {name for name in names if name == "Dockerfile"}
    fitting: list[Fitting] = []
    for builtin in BUILTINS:
        fits = (
            not endings.isdisjoint(builtin.extensions)
            and not (builtin.strict and names.isdisjoint(builtin.markers))
            and not any((project / name).exists() for name in builtin.excluded_by)
            and (builtin.requires is None or _find_module(project, builtin.requires) is not None)
            and builtin.id != ("pyright" if env.get("OPENCODE_EXPERIMENTAL_LSP_TY") else "ty")
        )
        command = find_command(builtin, project, places, env) if fits else None
        if command:
            initialization = builtin.initialization(project, env) if builtin.initialization else {}
            fitting.append(Fitting(builtin.id, command, initialization, builtin.extensions))
    return fitting


def find_global(places: Places, environment: Mapping[str, str] | None = None) -> list[Fitting]:
    """The installed built-ins whose initialization is the same in every project."""
    env = os.environ if environment is None else environment
    found: list[Fitting] = []
    for builtin in BUILTINS:
        same_everywhere = builtin.requires is None and builtin.initialization is not _find_python
        command = find_command(builtin, None, places, env) if same_everywhere else None
        if command:
            initialization = builtin.initialization(places.home, env) if builtin.initialization else {}
            found.append(Fitting(builtin.id, command, initialization, builtin.extensions))
    return found


def find_command(
    builtin: Builtin, project: Path | None, places: Places, environment: Mapping[str, str]
) -> tuple[str, ...] | None:
    """The absolute command of a built-in: on PATH, in the project's node_modules or virtual environment, among
    what OpenCode downloaded, or beside lsp-tap itself; None when it is nowhere."""
    folders: list[Path] = []
    if project is not None:
        folders += [folder / "node_modules" / ".bin" for folder in list_upward(project)]
        folders += [project / ".venv" / "bin", project / "venv" / "bin"]
    folders.append(places.cache / "bin")
    if builtin.package:
        folders.append(places.cache / "packages" / builtin.package / "node_modules" / ".bin")
    folders.append(Path(sys.executable).parent)
    path = os.pathsep.join([environment.get("PATH", os.defpath), *map(str, folders)])
    for command in builtin.commands:
        parts = [part.replace("{bin}", str(places.cache / "bin")) for part in command]
        executable = shutil.which(parts[0], path=path)
        missing = any(part.startswith("{bin}") and not Path(parts[at]).exists() for at, part in enumerate(command))
        if executable and not missing and (parts[1:] != ["--lsp"] or _speaks_lsp(builtin, executable)):
            return (os.path.abspath(executable), *parts[1:])
    return None


def _speaks_lsp(builtin: Builtin, executable: str) -> bool:
    """OpenCode asks oxlint the same, because only newer ones are language servers."""
    if builtin.id != "oxlint":
        return True
    try:
        asked = subprocess.run([executable, "--help"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "--lsp" in asked.stdout


def _find_module(project: Path, file: str) -> Path | None:
    modules = (folder / "node_modules" / file for folder in [project, *project.parents])
    return next((module for module in modules if module.is_file()), None)


def _walk_names(project: Path) -> Iterator[str]:
    seen = 0
    for _, folders, files in os.walk(project):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED_FOLDERS)
        for name in files:
            seen += 1
            if seen > _MOST_FILES:
                return
            yield name
