"""The repository and the project folder as a turn finds them. The one place that imports GitPython.

Taken when the turn starts and journalled, because nobody can know it later: the writer must not look at the file
system, or the same journals would give other files tomorrow.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from git import Repo
from git.exc import GitError, InvalidGitRepositoryError, NoSuchPathError

MAX_FILES: Final = 20
MAX_WALK: Final = 50_000
_FILTER: Final = re.compile(r"filter\..+\.(?:clean|smudge|process|required)\Z", re.IGNORECASE | re.DOTALL)

PROJECT_TYPES: Final = (
    ("tsconfig.json", "typescript"),
    ("package.json", "javascript"),
    ("pyproject.toml", "python"),
    ("setup.py", "python"),
    ("requirements.txt", "python"),
    ("Cargo.toml", "rust"),
    ("go.mod", "go"),
    ("pom.xml", "java"),
    ("build.gradle", "java"),
    ("build.gradle.kts", "kotlin"),
    ("composer.json", "php"),
    ("Gemfile", "ruby"),
    ("mix.exs", "elixir"),
    ("pubspec.yaml", "dart"),
    ("Package.swift", "swift"),
    ("CMakeLists.txt", "cpp"),
    ("compile_commands.json", "cpp"),
    ("compile_flags.txt", "cpp"),
)
_BY_SUFFIX: Final = {
    ".py": "python", ".ts": "typescript", ".js": "javascript", ".rs": "rust", ".go": "go", ".java": "java",
    ".c": "c", ".cpp": "cpp", ".cc": "cpp", ".rb": "ruby", ".php": "php", ".sh": "shell", ".kt": "kotlin",
}  # fmt: skip
_SKIPPED: Final = frozenset(
    {"node_modules", ".git", ".venv", "venv", "env", "__pycache__", ".tox", ".mypy_cache", ".ruff_cache",
     "dist", "build", "target", ".opencode", ".opencode-logs", "site-packages"}
)  # fmt: skip
_OPTIONS: Final = ("core.fsmonitor=false", f"core.hooksPath={os.devnull}", "safe.bareRepository=explicit")
"""A repository's own configuration names programs: git would run them to ask what changed. What a bare repository
within a project says is not even read."""

_ENVIRONMENT: Final = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none", "GIT_TERMINAL_PROMPT": "0"}
"""A missing object would be fetched, by whatever program the configuration says (the second for git before 2.45)."""


def read_project(directory: Path) -> dict[str, Any]:
    """The fields of a `project_observed` record. Never raises for a strange folder: what cannot be read is unknown."""
    repo = _open_repo(directory)
    try:
        files = sorted(_list_files(directory, repo))
        return {
            "directory": str(directory),
            "project_type": find_project_type(directory, files),
            "file_count": len(files),
            "files": files[:MAX_FILES],
            "git": _read_git(repo) if repo else None,
        }
    finally:
        if repo:
            with suppress(OSError):  # its git has gone already
                repo.close()


def _open_repo(directory: Path) -> Repo | None:
    """The repository, its git kept from running anything that the repository names, and from taking the index lock away
    from the agent's own git."""
    try:
        repo = Repo(directory, search_parent_directories=True)
    except (InvalidGitRepositoryError, NoSuchPathError, GitError, OSError, ValueError):
        return None
    repo.git.update_environment(**_ENVIRONMENT)
    repo.git.set_persistent_git_options(no_optional_locks=True, c=list(_OPTIONS))
    try:
        options = [*_OPTIONS, *_switch_filters_off(repo)]
    except (GitError, OSError, ValueError):
        repo.close()
        return None
    repo.git.set_persistent_git_options(no_optional_locks=True, c=options)
    return repo


def _switch_filters_off(repo: Repo) -> list[str]:
    """Status compares contents through filters. Those the user configured for all repositories (git-lfs) may run."""
    output = repo.git.config("--list", "--show-scope", "--name-only", "-z")
    words = output.split("\0")
    scopes = zip(words[::2], words[1::2], strict=False)
    own = {name.rpartition(".")[0] for scope, name in scopes if scope in ("local", "worktree") and _FILTER.match(name)}
    return [f"{name}.{setting}" for name in sorted(own) for setting in ("clean=", "process=", "required=false")]


def _read_git(repo: Repo) -> dict[str, Any] | None:
    try:
        branch = None if repo.head.is_detached else repo.active_branch.name
        head = repo.head.commit.hexsha if repo.head.is_valid() else None
        # Of a submodule only its commit counts: its own configuration is not to be trusted either.
        output = repo.git.status("--porcelain=v1", "-z", "--untracked-files=normal", "--ignore-submodules=dirty")
    except (GitError, OSError, ValueError, TypeError):
        return None
    lines = [entry for entry in output.split("\0") if entry]
    return {"branch": branch, "head": head, "uncommitted_changes": len(lines), "status": lines[:200]}


def _list_files(directory: Path, repo: Repo | None) -> list[str]:
    """Relative paths of the project's own files: what git would track, else what a bounded walk finds."""
    if repo is not None:
        try:
            listed = repo.git.ls_files("--cached", "--others", "--exclude-standard", "-z", "--", str(directory))
            root = Path(repo.working_tree_dir or directory)
            paths = (root / name for name in listed.split("\0") if name)
            return [
                path.relative_to(directory).as_posix()
                for path in paths
                if path.is_relative_to(directory) and not _SKIPPED.intersection(path.relative_to(directory).parts)
            ]
        except (GitError, OSError, ValueError):
            pass
    return list(_walk(directory))


def _walk(directory: Path) -> Iterator[str]:
    count = 0
    for folder, folders, names in os.walk(directory, followlinks=False):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        for name in names:
            count += 1
            if count > MAX_WALK:
                return
            yield Path(folder, name).relative_to(directory).as_posix()


def find_project_type(directory: Path, files: list[str]) -> str | None:
    """By the marker file in the folder itself, else by the most frequent suffix; None: nothing tells."""
    for marker, marked in PROJECT_TYPES:
        if (directory / marker).is_file():
            return marked
    counts: dict[str, int] = {}
    for name in files:
        kind = _BY_SUFFIX.get(Path(name).suffix)
        if kind:
            counts[kind] = counts.get(kind, 0) + 1
    return max(sorted(counts), key=counts.__getitem__, default=None)
