"""What is written is for its owner alone, and in its folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lsp_tap.errors import JournalUnavailable
from lsp_tap.journal.retention import Limits, compress_finished
from lsp_tap.journal.writer import create_file, create_folder, name_server_journal
from lsp_tap.session.observing import write_observation
from lsp_tap.session.writer import write_sessions
from lsp_tap.tap.command import ENVIRONMENT
from tests.tap.tapped import peer, tap

GOLDEN = Path(__file__).parents[1] / "golden" / "noqa-is-a-suppression"
LONG_AGO_S = 946_684_800
KEEP_NONE = Limits(age_s=1e12, size_bytes=0)


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A user whose files everybody may write."""
    earlier = os.umask(0)
    yield
    os.umask(earlier)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A recording of long ago."""
    folder = tmp_path / "project" / ".opencode-logs"
    create_folder(str(folder))
    for path in (GOLDEN / "tap").iterdir():
        copied = Path(shutil.copy(path, folder / "tap"))
        copied.chmod(0o600)
        os.utime(copied, (LONG_AGO_S, LONG_AGO_S))
    return folder


def list_tree(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def check_modes(folder: Path) -> int:
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), f"{path} {mode:o}"
    return len(paths)


@pytest.mark.usefixtures("open_umask")
def test_nobody_else_may_read_what_the_tap_writes(tmp_path: Path) -> None:
    with tap(peer("echo"), tmp_path / "new" / "logs") as tapped:
        tapped.send_message({"method": "x"})
        tapped.read_message()
        tapped.finish()
    assert check_modes(tmp_path / "new" / "logs") == 3


@pytest.mark.usefixtures("open_umask")
def test_nobody_else_may_read_what_the_writer_and_the_observer_write(logs: Path) -> None:
    write_observation(logs, logs.parent, "ses_1", "m")
    write_sessions(logs, limits=KEEP_NONE)
    names = {path.name for path in logs.rglob("*")}
    assert {
        "plugin.log",
        "session-ses_1.json",
        "dspy-ses_1.json",
        "observed.jsonl",
        ".write.lock",
        ".observe.lock",
    } <= names
    assert any(name.endswith(".jsonl.zst") for name in names)
    check_modes(logs)


def test_a_journal_of_old_is_closed_to_others_once_it_is_compressed(logs: Path) -> None:
    for path in (logs / "tap").iterdir():
        path.chmod(0o644)
    assert len(compress_finished(logs / "tap")) == 2
    check_modes(logs)


Lead = Callable[[Path, Path], None]


def lead_folder_away(logs: Path, outside: Path) -> None:
    shutil.rmtree(logs)
    logs.symlink_to(outside)


def lead_tap_folder_away(logs: Path, outside: Path) -> None:
    shutil.rmtree(logs / "tap")
    (logs / "tap").symlink_to(outside)


@pytest.mark.parametrize("lead", [lead_folder_away, lead_tap_folder_away], ids=lambda lead: lead.__name__)
def test_a_folder_that_is_a_link_is_refused(logs: Path, tmp_path: Path, lead: Lead) -> None:
    outside = tmp_path / "outside"
    (outside / "tap").mkdir(parents=True)
    (outside / "mine").write_text("mine")
    lead(logs, outside)
    before = list_tree(outside)
    with tap(peer("echo"), logs) as tapped:
        tapped.send_message({"method": "x"})
        assert tapped.read_message()["method"] == "x", "the connection goes on"
        _, err = tapped.finish()
    assert b"it is a symbolic link; the connection goes on, unrecorded" in err
    with pytest.raises(JournalUnavailable, match="symbolic link"):
        write_sessions(logs)
    with pytest.raises(JournalUnavailable, match="symbolic link"):
        write_observation(logs, tmp_path, "s", "m")
    with pytest.raises(JournalUnavailable, match="symbolic link"):
        create_folder(str(logs))
    assert list_tree(outside) == before


def test_files_that_are_links_are_not_followed(logs: Path, tmp_path: Path) -> None:
    victims = {}
    for name in ("plugin.log", "session-ses_1.json", "dspy-ses_1.json", "tap/.write.lock", "tap/.observe.lock",
                 "tap/observed.jsonl"):  # fmt: skip
        victims[name] = tmp_path / f"victim {name.replace('/', ' ')}"
        victims[name].write_text("precious")
        (logs / name).symlink_to(victims[name])
    for journal in list((logs / "tap").glob("*.jsonl")):
        for suffix in (".zst", ".2.jsonl"):
            name = f"{journal.name}{suffix}"
            victims[name] = tmp_path / f"victim {name}"
            victims[name].write_text("precious")
            journal.with_name(name).symlink_to(victims[name])
    for act in (lambda: write_sessions(logs, limits=KEEP_NONE), lambda: write_observation(logs, tmp_path, "s", "m")):
        with pytest.raises(OSError):
            act()
        for lock in (logs / "tap").glob(".*.lock"):
            lock.unlink()
    write_sessions(logs, limits=KEEP_NONE)
    with pytest.raises(OSError):
        write_observation(logs, tmp_path, "s", "m")
    assert [name for name, path in victims.items() if path.read_text() != "precious"] == []
    assert json.loads((logs / "session-ses_1.json").read_text())["sessionId"] == "ses_1"
    assert not (logs / "session-ses_1.json").is_symlink()


def test_a_new_journal_never_takes_an_existing_name(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (tmp_path / "server-x.jsonl").symlink_to(victim)
    descriptor, name = create_file(str(tmp_path), "server-x")
    os.close(descriptor)
    assert Path(name).name == "server-x-2.jsonl"
    assert not victim.exists()


HOSTILE = [
    "../../outside",
    "/etc/passwd",
    "..",
    ".",
    "",
    "a/../../b",
    "x" * 5000,
    "a\nb",
    "~/x",
    "-rf",
    "C:\\x",
    "\x1b[2J",
    "ünï",
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_no_name_leaves_the_folder(logs: Path, hostile: str) -> None:
    root = logs.parent.parent
    for path in (logs / "tap").iterdir():
        text = (
            path.read_text()
            .replace('"ses_1"', json.dumps(hostile))
            .replace('"name":"ruff"', f'"name":{json.dumps(hostile)}')
        )
        path.write_text(text)
    before = set(list_tree(root))
    write_sessions(logs, limits=KEEP_NONE)
    new = set(list_tree(root)) - before
    assert all(
        Path(name).parent in (Path("project/.opencode-logs"), Path("project/.opencode-logs/tap")) for name in new
    )
    assert all(len(Path(name).name) < 160 and name.isascii() and name.isprintable() for name in new)
    stem = name_server_journal(hostile, 0, 1)
    assert Path(stem).name == stem
    assert stem.isascii()


SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "hunter2-aws", "GITHUB_TOKEN": "hunter2-github", "ANTHROPIC_API_KEY": "hunter2-anthropic",
    "OPENAI_API_KEY": "hunter2-openai", "DATABASE_URL": "postgres://u:hunter2@h/d", "SSH_AUTH_SOCK": "/hunter2/agent",
    "OPENCODE_SERVER_PASSWORD": "hunter2-server", "LANGUAGE_SECRET": "hunter2", "lang": "hunter2", "HTTP_PROXY": "http://hunter2@p",
}  # fmt: skip


def test_nothing_of_the_environment_is_recorded_but_harmless_names(tmp_path: Path) -> None:
    with tap(peer("echo"), tmp_path / "logs", environment={**SECRETS, "LANG": "C.UTF-8"}) as tapped:
        tapped.send_message({"method": "x"})
        tapped.read_message()
        tapped.finish()
        (journal,) = (tmp_path / "logs" / "tap").iterdir()
        text = journal.read_text()
    assert "hunter2" not in text
    assert '"LANG":"C.UTF-8"' in text


def test_the_tap_has_no_socket(tmp_path: Path) -> None:
    with tap(peer("echo"), tmp_path / "logs", options=()) as tapped:
        tapped.send_message({"id": 1, "method": "initialize", "params": {}})
        tapped.read_message()
        family = _list_processes(tapped.process.pid)
        opened = {pid: _list_open(pid) for pid in family}
        tapped.finish()
    assert len(opened[tapped.process.pid]) > 5, "what it has open can be seen"
    assert not [target for targets in opened.values() for target in targets if target.startswith("socket:")]
    with socket.socket() as one:
        assert f"socket:[{os.fstat(one.fileno()).st_ino}]" in _list_open(os.getpid())


def _list_open(pid: int) -> list[str]:
    return [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]


def _list_processes(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in children for found in _list_processes(int(child)))]


def test_the_tap_imports_nothing_that_could_open_one(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-X",
        "importtime",
        "-m",
        "lsp_tap",
        "run",
        "--dir",
        str(tmp_path / "logs"),
        "--",
        "true",
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "lsp_tap.tap.recorder" in imported
    assert not imported & {"socket", "_socket", "ssl", "asyncio", "http.client", "urllib.request"}


def test_the_page_about_security_names_tests_that_are_there() -> None:
    root = Path(__file__).parents[2]
    page = (root / "SECURITY.md").read_text("utf-8")
    named = set(re.findall(r"\btest_\w+\.py\b", page))
    assert named >= {path.name for path in Path(__file__).parent.glob("test_*.py")}
    assert named <= {path.name for path in (root / "tests").rglob("test_*.py")}
    assert len(ENVIRONMENT) == 11, "SECURITY.md says how many"
