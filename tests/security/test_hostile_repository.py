"""Nothing that a repository names is executed by looking at it or at what was recorded in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.session.repo import read_project

GOLDEN = Path(__file__).parents[1] / "golden" / "noqa-is-a-suppression"
Lay = Callable[["Trap"], None]


class Trap:
    """A repository, and a program that leaves a mark when it is run."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(folder / "home"))
        monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        (folder / "home").mkdir()
        self.touched_s = 0
        self.mark = folder / "mark"
        self.program = folder / "program"
        self.program.write_text(f"#!/bin/sh\necho run >> {self.mark}\ncat 2>/dev/null\nexit 0\n")
        self.program.chmod(0o755)
        self.root = folder / "project"
        self.root.mkdir()
        self.git("init", "-q", "-b", "main")
        self.commit(self.root)

    def commit(self, root: Path) -> None:
        (root / "a.py").write_text("a = 1\n")
        self.git("-C", str(root), "add", "-A")
        named = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        self.git("-C", str(root), *named, "commit", "-q", "-m", "first")

    def git(self, *words: str) -> str:
        ran = subprocess.run(["git", *words], cwd=self.root, check=True, capture_output=True, text=True)
        return ran.stdout

    def touch(self, root: Path | None = None) -> None:
        """The same text at another time: git has to compare contents."""
        path = (root or self.root) / "a.py"
        self.touched_s += 1
        os.utime(path, (self.touched_s, self.touched_s))

    def sprung(self) -> bool:
        found = self.mark.exists()
        self.mark.unlink(missing_ok=True)
        return found


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trap:
    return Trap(tmp_path, monkeypatch)


def lay_fsmonitor(trap: Trap) -> None:
    trap.git("config", "core.fsmonitor", str(trap.program))


def lay_hooks(trap: Trap) -> None:
    hooks = trap.root / "hooks"
    hooks.mkdir()
    for name in ("post-index-change", "post-checkout", "fsmonitor-watchman", "pre-auto-gc", "reference-transaction"):
        shutil.copy(trap.program, hooks / name)
    trap.git("config", "core.hooksPath", str(hooks))
    trap.touch()


def lay_filters(trap: Trap) -> None:
    trap.git("config", "filter.evil.clean", str(trap.program))
    trap.git("config", "filter.evil.required", "true")
    (trap.root / ".gitattributes").write_text("*.py filter=evil\n")
    trap.touch()


def lay_filter_process_in_an_included_file(trap: Trap) -> None:
    (trap.root / "more").write_text(f'[filter "With.Dots and = signs"]\n\tprocess = {trap.program}\n')
    trap.git("config", "include.path", str(trap.root / "more"))
    (trap.root / ".git" / "info").mkdir(exist_ok=True)
    (trap.root / ".git" / "info" / "attributes").write_text("*.py filter=other\n")
    trap.git("config", "filter.other.process", str(trap.program))
    trap.touch()


def lay_submodule(trap: Trap) -> None:
    inner = trap.root / "inner"
    inner.mkdir()
    trap.git("-C", str(inner), "init", "-q", "-b", "main")
    trap.commit(inner)
    trap.git("-c", "advice.addEmbeddedRepo=false", "add", "inner")
    for name in ("core.fsmonitor", "filter.evil.clean"):
        trap.git("-C", str(inner), "config", name, str(trap.program))
    (inner / ".git" / "info").mkdir(exist_ok=True)
    (inner / ".git" / "info" / "attributes").write_text("*.py filter=evil\n")
    trap.touch(inner)


def lay_lazy_fetch(trap: Trap) -> None:
    """An object is missing, and a remote promises it."""
    trap.program.write_text(f"#!/bin/sh\necho run >> {trap.mark}\n")
    trap.git("config", "remote.origin.url", f"ext::{trap.program}")
    trap.git("config", "protocol.ext.allow", "always")
    trap.git("config", "protocol.allow", "always")
    trap.git("config", "remote.origin.promisor", "true")
    trap.git("config", "extensions.partialClone", "origin")
    trap.git("config", "core.repositoryFormatVersion", "1")
    commit = trap.git("rev-parse", "HEAD").strip()
    (trap.root / ".git" / "objects" / commit[:2] / commit[2:]).unlink()


def lay_bare_repository(trap: Trap) -> None:
    """What any clone may hold: a folder that is a repository by its looks."""
    shutil.move(trap.root / ".git", trap.root / "git")
    inner = trap.root / "git"
    (inner / "a.py").write_text("a = 2\n")
    for name, value in (("core.bare", "false"), ("core.worktree", str(inner)), ("core.fsmonitor", str(trap.program))):
        subprocess.run(["git", "config", "-f", str(inner / "config"), name, value], check=True)
    trap.root = inner


TRAPS: list[Lay] = [
    lay_fsmonitor, lay_hooks, lay_filters, lay_filter_process_in_an_included_file, lay_submodule, lay_lazy_fetch,
    lay_bare_repository,
]  # fmt: skip


@pytest.mark.parametrize("lay", TRAPS, ids=lambda lay: lay.__name__)
def test_observing_springs_no_trap_that_git_would(trap: Trap, lay: Lay) -> None:
    lay(trap)
    subprocess.run(["git", "status"], cwd=trap.root, check=False, capture_output=True)
    assert trap.sprung(), "the trap works"
    lay_again(trap, lay)
    read_project(trap.root)
    assert not trap.sprung()


def lay_again(trap: Trap, lay: Lay) -> None:
    """As it was before git looked: it remembers what it compared."""
    if lay is not lay_bare_repository:
        trap.touch()
        if lay is lay_submodule:
            trap.touch(trap.root / "inner")


def test_aliases_and_drivers_are_nothing_to_it(trap: Trap) -> None:
    for name in ("status", "ls-files", "config", "cat-file"):
        trap.git("config", f"alias.{name}", f"!{trap.program}")
    for name in ("diff.external", "diff.evil.command", "diff.evil.textconv", "core.pager", "core.editor", "gpg.program",
                 "core.sshCommand", "credential.helper", "merge.evil.driver", "pager.status"):  # fmt: skip
        trap.git("config", name, str(trap.program))
    (trap.root / ".gitattributes").write_text("*.py diff=evil merge=evil\n")
    (trap.root / "a.py").write_text("a = 2\n")
    found = read_project(trap.root)
    assert not trap.sprung()
    assert found["git"]["branch"] == "main"
    assert found["git"]["uncommitted_changes"] == 2


def test_what_is_observed_is_still_right(trap: Trap) -> None:
    lay_filters(trap)
    lay_fsmonitor(trap)
    found = read_project(trap.root)
    assert found["git"]["status"] == ["?? .gitattributes"]
    assert found["git"]["head"] == trap.git("rev-parse", "HEAD").strip()
    assert found["files"] == [".gitattributes", "a.py"]
    (trap.root / "a.py").write_text("a = 22\n")
    assert read_project(trap.root)["git"]["status"] == [" M a.py", "?? .gitattributes"]


def test_a_filter_of_the_users_own_is_used(trap: Trap) -> None:
    """As git-lfs is: without it every file it keeps would seem changed."""
    trap.git("config", "--global", "filter.own.clean", str(trap.program))
    (trap.root / ".gitattributes").write_text("*.py filter=own\n")
    trap.touch()
    assert read_project(trap.root)["git"]["status"] == ["?? .gitattributes"]
    assert trap.sprung()


WATCHED = """
import sys
def watch(event, arguments):
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "pty.spawn",
                 "socket.bind", "socket.connect"):
        raise SystemExit(f"{event} {arguments}")
sys.addaudithook(watch)
from lsp_tap.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "words",
    [
        ["write", "--all"],
        ["sessions"],
        ["show", "last"],
        ["show", "last", "--json"],
        ["log"],
        ["stats"],
    ],
    ids=" ".join,
)
def test_reading_a_recording_starts_nothing_and_connects_to_nothing(trap: Trap, words: list[str]) -> None:
    lay_fsmonitor(trap)
    logs = trap.root / ".opencode-logs"
    shutil.copytree(GOLDEN / "tap", logs / "tap")
    for path in (logs / "tap").iterdir():
        text = path.read_text().replace("/home/ada/project", str(trap.root))
        path.write_text(text.replace('"ruff"', json.dumps(str(trap.program))))
    for name in ("click.py", "json.py", "sitecustomize.py", "lsp_tap.py"):
        (trap.root / name).write_text(f"open({str(trap.mark)!r}, 'w')\n")
    ran = run_watched(trap, words)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout
    assert not trap.sprung()


def run_watched(trap: Trap, words: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LSP_TAP")}
    command = [sys.executable, "-P", "-c", WATCHED, *words]
    return subprocess.run(command, cwd=trap.root, env=environment, capture_output=True, text=True, check=False)


def test_the_watch_watches(trap: Trap) -> None:
    ran = run_watched(trap, ["observe", "--session", "s", "--message", "m"])
    assert "subprocess.Popen" in ran.stderr


def test_installed_as_it_is_nothing_of_the_current_folder_is_imported(trap: Trap) -> None:
    """The console script puts its own folder on the path, not the one it is called in."""
    lay: dict[str, Any] = {name: f"open({str(trap.mark)!r}, 'w')\n" for name in ("click.py", "git.py", "json.py")}
    for name, text in lay.items():
        (trap.root / name).write_text(text)
    script = Path(sys.executable).parent / "lsp-tap"
    for words in (["sessions", "--dir", str(trap.root)], ["observe", "--session", "s", "--message", "m"], ["--help"]):
        subprocess.run([script, *words], cwd=trap.root, capture_output=True, check=False)
        assert not trap.sprung()
