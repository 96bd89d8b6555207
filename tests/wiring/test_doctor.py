"""`lsp-tap doctor`: every broken link is found and gets a remedy. The servers are toys behind a stand-in for
the tap; `tests/e2e/test_init_and_doctor.py` has the real ones."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from lsp_tap.wiring import doctor, plugin_file, server_check
from lsp_tap.wiring.doctor import (
    Check,
    check_disk_usage,
    check_journals,
    check_logs,
    check_opencode,
    check_plugin,
    diagnose,
)
from lsp_tap.wiring.opencode_config import Places
from lsp_tap.wiring.server_check import Answer, ServerSilentError, wait_answer
from tests.wiring.conftest import User

PYTHON = sys.executable
TOY = str(Path(__file__).parent / "peers" / "toy_server.py")
# A stand-in for `lsp-tap run`: leaves out its own arguments and becomes the server.
FAKE_TAP = """#!/bin/sh
while [ "$1" != "--" ]; do shift; done
shift
command -v "$1" >/dev/null || { echo "lsp-tap: $1: command not found" >&2; exit 127; }
echo x >>"$LSP_TAP_DIR/journal"
exec "$@"
"""


@pytest.fixture
def wired(user: User) -> User:
    """A user with OpenCode, the plugin and one toy server, all in order."""
    (user.bin / "lsp-tap").write_text(FAKE_TAP)
    (user.bin / "lsp-tap").chmod(0o755)
    user.write(user.bin / "opencode", "#!/bin/sh\necho 1.18.33\n").chmod(0o755)
    user.environment = {**user.environment, "PATH": f"{user.bin}{os.pathsep}{os.defpath}"}
    configure(user, toy=["pull"])
    user.init()
    return user


@pytest.fixture(autouse=True)
def _short_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_check, "_GOODBYE_S", 0.5)


def configure(user: User, **manners: list[str]) -> None:
    entries = {
        name: {"command": [PYTHON, TOY, *arguments], "extensions": [".toy"], "env": {"TOY_VERSION": "{env:HOME}"}}
        for name, arguments in manners.items()
    }
    user.write(user.config, json.dumps({"$schema": "x", "lsp": entries}))


def examine(user: User, *, timeout_s: float = 20.0) -> dict[str, Check]:
    checks = diagnose(user.project, environment=user.environment, lsp_tap=user.lsp_tap, timeout_s=timeout_s)
    return {check.name: check for check in checks}


def is_running(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text()), 0)
    except ProcessLookupError:
        return False
    return True


def test_all_is_well_after_init(wired: User) -> None:
    before = wired.snapshot()
    checks = examine(wired)
    assert {check.status for check in checks.values()} == {"ok"}, checks
    assert list(checks) == [
        "opencode",
        "configuration",
        "wrapped toy",
        "plugin",
        "recordings",
        "disk usage",
        "journals",
        "server toy",
    ]
    assert checks["server toy"].detail.startswith(f"toy {wired.home}, pull diagnostics, utf-16, initialized in ")
    assert wired.snapshot() == before


def test_each_result_is_told_as_it_comes(wired: User) -> None:
    seen: list[Check] = []
    checks = diagnose(wired.project, environment=wired.environment, on_check=seen.append)
    assert seen == checks


def test_a_server_that_is_not_installed(wired: User) -> None:
    wired.write(wired.config, '{"lsp": {"gone": {"command": ["no-such-ls"], "extensions": [".x"]}}}')
    wired.init()
    check = examine(wired)["server gone"]
    assert check.status == "fail"
    assert check.detail == "ended with exit code 127: lsp-tap: no-such-ls: command not found"
    assert check.remedy is not None
    assert check.remedy.startswith("install no-such-ls, or correct")


def test_a_tap_or_a_file_that_is_gone(wired: User) -> None:
    servers = {
        "a": {"command": ["/gone/lsp-tap", "run", "--", "a"], "extensions": [".a"]},
        "b": {"command": ["lsp-tap", "run", "--", PYTHON, TOY, "push"], "extensions": [".b"]},
        "c": {"command": ["c", "{file:gone}"], "extensions": [".c"]},
    }
    wired.write(wired.config, json.dumps({"lsp": servers}))
    (wired.bin / "lsp-tap").rename(wired.bin / "other")
    checks = examine(wired)
    assert checks["server a"].remedy == doctor.INIT
    assert checks["server b"].remedy == f"put it on PATH, or its whole path into {wired.config}"
    assert checks["server c"].status == "fail"
    assert "{file:gone}" in checks["server c"].detail


def test_servers_that_do_not_answer(wired: User) -> None:
    configure(wired, crashing=["crashing"], refusing=["refusing"], silent=["silent", str(wired.home / "pid")])
    checks = examine(wired, timeout_s=1.0)
    assert checks["server crashing"].detail == "ended with exit code 3: toy: no licence found"
    assert checks["server crashing"].remedy == f"run it by hand: {PYTHON} {TOY} crashing"
    assert checks["server refusing"].detail == "refused: no project here"
    assert checks["server silent"].detail == "no answer within 1 s"
    assert not is_running(wired.home / "pid")


def test_what_runs_unrecorded(wired: User) -> None:
    wired.install("clangd")
    wired.write(wired.project / "a.c", "")
    configure(wired, toy=["push"])
    checks = examine(wired)
    assert checks["wrapped toy"] == Check("wrapped toy", "warn", f"runs unrecorded, says {wired.config}", doctor.INIT)
    assert checks["wrapped clangd"].status == "warn"
    assert checks["server toy"].status == "ok"


@pytest.mark.parametrize(
    ("text", "status", "detail"),
    [
        ("{}", "warn", 'no "lsp" key'),
        ('{"lsp": false}', "warn", 'says "lsp": false'),
        ('{"lsp": {', "fail", "opencode.json:1:10: expected a key"),
    ],
)
def test_what_the_configuration_says(wired: User, text: str, status: str, detail: str) -> None:
    wired.write(wired.config, text)
    checks = examine(wired)
    check = checks["configuration"]
    assert check.status == status
    assert detail in check.detail
    assert check.remedy
    assert not any(name.startswith("server ") for name in checks)


def test_a_disabled_server_is_not_started(wired: User) -> None:
    wired.write(wired.config, '{"lsp": {"a": {"command": ["a"], "disabled": true}}}')
    checks = examine(wired)
    assert checks["wrapped a"] == Check("wrapped a", "ok", "disabled")
    assert "server a" not in checks


@pytest.mark.parametrize(
    ("script", "status", "detail"),
    [
        ("echo 1.18.33", "ok", "1.18.33 at "),
        ("echo opencode 1.20.0-beta", "ok", "1.20.0 at "),
        ("echo 1.4.2", "warn", "1.4.2 at "),
        ("echo 2.0.0", "warn", "2.0.0 at "),
        ("echo what", "warn", "does not tell its version"),
    ],
)
def test_the_version_of_opencode(user: User, script: str, status: str, detail: str) -> None:
    user.write(user.bin / "opencode", f"#!/bin/sh\n{script}\n").chmod(0o755)
    check = check_opencode(None, user.project, user.environment)
    assert check.status == status
    assert detail in check.detail
    assert (check.remedy is None) == (status == "ok")


def test_no_opencode(user: User) -> None:
    check = check_opencode(None, user.project, user.environment)
    assert (check.status, check.remedy) == ("fail", "install it: npm install -g opencode-ai")


def test_the_plugin(wired: User) -> None:
    places = Places.find(wired.environment)
    text = wired.plugin.read_text()
    wired.write(wired.plugin, text + "// older\n")
    assert "another version" in check_plugin(wired.project, places).detail
    wired.write(wired.plugin, plugin_file.put_command(text, ["/gone/lsp-tap"]))
    assert check_plugin(wired.project, places).status == "fail"
    wired.write(wired.plugin, text)
    wired.write(places.config / "plugins" / "lsp-tap.js", text)
    assert "loaded twice" in check_plugin(wired.project, places).detail
    (places.config / "plugins" / "lsp-tap.js").unlink()
    wired.plugin.unlink()
    assert check_plugin(wired.project, places).status == "fail"


def test_the_folder_of_the_recordings(tmp_path: Path) -> None:
    logs = tmp_path / ".opencode-logs"
    assert check_logs(logs)[0].status == "warn"
    logs.mkdir(mode=0o700)
    assert check_logs(logs)[0].status == "ok"
    logs.chmod(0o755)
    assert check_logs(logs)[0].remedy == f"run: chmod 700 {logs}"
    logs.chmod(0o500)
    assert check_logs(logs)[0].status == "fail"
    logs.chmod(0o700)
    logs.rename(tmp_path / "real")
    logs.symlink_to(tmp_path / "real")
    assert "symbolic link" in check_logs(logs)[0].detail


def test_journals_that_lost_records(tmp_path: Path) -> None:
    common = '"time_us": 1, "monotonic_us": 1'
    (tmp_path / "server-a-1.jsonl").write_text(
        f'{{"seq": 0, {common}, "kind": "dropped", "count": 7, "bytes": 70, "reason": "disk full"}}\n'
        f'nonsense\n{{"seq": 1, {common}, "kind": "tap_st'
    )
    check = check_journals(tmp_path)
    assert check.status == "warn"
    assert check.detail == "1 journals, 7 records dropped, 1 torn ends, 1 unreadable"
    assert check_journals(tmp_path / "none").status == "ok"


def test_what_the_recordings_take_of_what_they_may(tmp_path: Path) -> None:
    tap = tmp_path / "tap"
    tap.mkdir()
    (tap / "server-a.jsonl.zst").write_bytes(b"x" * 300_000)
    (tap / "server-b.jsonl").write_bytes(b"x" * 200_000)
    (tmp_path / "session-x.json").write_bytes(b"x" * 500_000)
    check = check_disk_usage(tmp_path)
    assert check.status == "ok"
    assert check.detail == ("1.0 MB; 2 journals take 0.5 MB, 1 of them compressed 0.3 MB; 0% of the limit of 2048 MB")
    (tap / "server-c.jsonl").write_bytes(b"x" * 1_600_000)
    (tmp_path / "lsp-tap.toml").write_text("keep_mb = 2\n")
    check = check_disk_usage(tmp_path)
    assert check.status == "warn"
    assert check.detail.endswith("100% of the limit of 2 MB")
    assert check.remedy is not None
    assert "keep_mb" in check.remedy
    (tmp_path / "lsp-tap.toml").write_text("keep_mb = 0\n")
    check = check_disk_usage(tmp_path)
    assert (check.status, check.name) == ("warn", "disk usage")
    assert "keep_mb" in check.detail


def answer(*arguments: str, timeout_s: float = 20.0, encoding: str = "utf-16") -> Answer:
    async def wait() -> Answer:
        return await wait_answer(
            [PYTHON, TOY, *arguments],
            root=Path.cwd(),
            environment=os.environ,
            initialization={"encoding": encoding},
            timeout_s=timeout_s,
        )

    return anyio.run(wait)


@pytest.mark.parametrize(
    ("manner", "diagnostics"),
    [("pull", "pull"), ("registering", "pull (dynamic)"), ("push", "push"), ("noisy", "push")],
)
def test_what_a_server_says_of_itself(manner: str, diagnostics: str) -> None:
    found = answer(manner, encoding="utf-8")
    assert (found.name, found.version, found.diagnostics, found.position_encoding) == ("toy", "1", diagnostics, "utf-8")


def test_nothing_a_server_says_is_printed(wired: User) -> None:
    configure(wired, chatty=["chatty"])
    script = (
        "import pathlib, sys\nfrom lsp_tap.wiring.doctor import diagnose\n"
        "checks = diagnose(pathlib.Path(sys.argv[1]), lsp_tap=sys.argv[2])\n"
        "sys.exit(0 if checks[-1].detail.startswith(sys.argv[3]) else checks[-1].detail)\n"
    )
    done = subprocess.run(
        [PYTHON, "-c", script, str(wired.project), wired.lsp_tap, f"{Path(PYTHON).name}, push diagnostics"],
        env={**os.environ, **wired.environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_server_that_will_not_end_is_made_to(tmp_path: Path) -> None:
    assert answer("stubborn", str(tmp_path / "pid")).name == "toy"
    assert not is_running(tmp_path / "pid")


def test_a_command_that_cannot_be_started(tmp_path: Path) -> None:
    async def wait() -> None:
        await wait_answer([str(tmp_path)], root=tmp_path, environment={}, initialization=None, timeout_s=1.0)

    with pytest.raises(ServerSilentError, match="cannot be started"):
        anyio.run(wait)


def test_an_interrupted_doctor_leaves_no_server(wired: User) -> None:
    configure(wired, silent=["silent", str(wired.home / "pid")])
    script = (
        "import pathlib, sys\nfrom lsp_tap.wiring.doctor import diagnose\n"
        "try: diagnose(pathlib.Path(sys.argv[1]), lsp_tap=sys.argv[2], on_check=lambda c: print(c.name, flush=True))\n"
        "except KeyboardInterrupt: sys.exit(130)\n"
    )
    process = subprocess.Popen(
        [PYTHON, "-c", script, str(wired.project), wired.lsp_tap],
        env={**os.environ, **wired.environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("journals"):
            break
    anyio.run(_wait_for_file, wired.home / "pid")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "")
    assert not is_running(wired.home / "pid")


async def _wait_for_file(path: Path) -> None:
    with anyio.fail_after(20):
        while not (path.exists() and path.read_text()):
            await anyio.sleep(0.01)
