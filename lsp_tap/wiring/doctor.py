"""`lsp-tap doctor`: is every link of the chain there, and if not, what mends it."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import anyio

from lsp_tap.config import FILE_NAME, read_settings
from lsp_tap.errors import ConfigError, LspTapError
from lsp_tap.journal.reader import Unreadable, read_folder
from lsp_tap.journal.records import Dropped
from lsp_tap.journal.retention import measure_usage
from lsp_tap.session.clocks import SET_BACK_US
from lsp_tap.wiring import opencode_config, plugin_file, wrap
from lsp_tap.wiring.builtin_servers import find_fitting
from lsp_tap.wiring.init import LOGS, find_lsp_tap
from lsp_tap.wiring.opencode_config import Merged, Places, Server
from lsp_tap.wiring.server_check import ServerSilentError, wait_answer

INIT: Final = "run: lsp-tap init"
INITIALIZE_TIMEOUT_S: Final = 45.0  # OpenCode's own
_OLDEST: Final = (1, 18)
_AT_ONCE: Final = 4
_VERSION: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)")

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """One link: `detail` says what was found, `remedy` what to do about it (None when nothing)."""

    name: str
    status: Status
    detail: str
    remedy: str | None = None

    def to_json(self) -> dict[str, str | None]:
        return asdict(self)


def diagnose(
    project: Path,
    *,
    environment: Mapping[str, str] | None = None,
    opencode: str | None = None,
    lsp_tap: str | None = None,
    timeout_s: float = INITIALIZE_TIMEOUT_S,
    on_check: Callable[[Check], None] = lambda check: None,
) -> list[Check]:
    """Check everything OpenCode would use when started in `project`; `on_check` sees each result as it comes.
    Starts every configured language server once and ends it again, also on KeyboardInterrupt. Leaves no
    recording behind."""
    project = Path(os.path.abspath(project))
    env = dict(os.environ if environment is None else environment)
    places = Places.find(env)
    checks: list[Check] = []

    def add(check: Check) -> None:
        checks.append(check)
        on_check(check)

    add(check_opencode(opencode, project, env))
    merged = Merged()
    try:
        merged = _read_merged(project, places, env)
    except ConfigError as error:
        add(Check("configuration", "fail", str(error), "mend the file; OpenCode does not start with it"))
    else:
        for check in check_configuration(merged, project, places, env):
            add(check)
    add(check_plugin(project, places))
    for check in check_logs(project / LOGS):
        add(check)
    servers = [server for server in merged.servers.values() if server.command and not server.disabled]
    if servers and merged.enabled:
        anyio.run(_check_servers, servers, project, env, lsp_tap, timeout_s, add)
    return checks


def check_opencode(opencode: str | None, project: Path, environment: Mapping[str, str]) -> Check:
    """Whether OpenCode is there, and a version this was built for."""
    folders = [str(project / "node_modules" / ".bin"), str(Path(environment.get("HOME", "")) / ".opencode/bin")]
    path = os.pathsep.join([environment.get("PATH", os.defpath), *folders])
    found = shutil.which(opencode or "opencode", path=path)
    if found is None:
        return Check("opencode", "fail", "not found", "install it: npm install -g opencode-ai")
    try:
        asked = subprocess.run(
            [found, "--version"], capture_output=True, text=True, timeout=30, check=False, env=dict(environment)
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("opencode", "fail", f"{found}: {error}", "install it again: npm install -g opencode-ai")
    version = _VERSION.search(asked.stdout)
    if version is None:
        said = (asked.stdout + asked.stderr).strip().splitlines()
        return Check("opencode", "warn", f"{found} does not tell its version: {said[:1]}", "install it again")
    if int(version[1]) != 1:
        remedy = "use OpenCode 1: npm install -g opencode-ai@1; OpenCode 2 runs no language servers"
        return Check("opencode", "warn", f"{version[0]} at {found}", remedy)
    if (int(version[1]), int(version[2])) < _OLDEST:
        remedy = "upgrade it: opencode upgrade (1.18 or later is known to work)"
        return Check("opencode", "warn", f"{version[0]} at {found}", remedy)
    return Check("opencode", "ok", f"{version[0]} at {found}")


def check_configuration(merged: Merged, project: Path, places: Places, environment: Mapping[str, str]) -> list[Check]:
    """Whether every server OpenCode would start is run through the tap."""
    name = "configuration"
    if merged.enabled is None:
        return [Check(name, "warn", 'no "lsp" key: OpenCode starts no language server', INIT)]
    if merged.enabled is False:
        remedy = 'take "lsp": false out, then run: lsp-tap init'
        return [Check(name, "warn", f'{merged.source} says "lsp": false', remedy)]
    checks = [Check(name, "ok", f'"lsp" is in {merged.source}')]
    for server in merged.servers.values():
        name = f"wrapped {server.id}"
        if server.disabled:
            checks.append(Check(name, "ok", "disabled"))
        elif not server.command:
            checks.append(Check(name, "warn", f"{server.source} gives no command", "give it one or disable it"))
        elif wrap.find_server_start(server.command) is None:
            checks.append(Check(name, "warn", f"runs unrecorded, says {server.source}", INIT))
        else:
            checks.append(Check(name, "ok", str(server.source)))
    for fitting in find_fitting(project, places, environment):
        if fitting.id not in merged.servers:
            detail = "OpenCode starts it by itself for files of this project, unrecorded"
            remedy = f'add "{fitting.id}" to "lsp" and run lsp-tap init, or disable it there'
            checks.append(Check(f"wrapped {fitting.id}", "warn", detail, remedy))
    return checks


def check_plugin(project: Path, places: Places) -> Check:
    """Whether OpenCode loads the plugin, once, and as this version of lsp-tap ships it."""
    name = "plugin"
    folders = [folder / ".opencode" for folder in opencode_config.list_upward(project)]
    folders += [places.home / ".opencode", places.config]
    texts: dict[Path, str] = {}
    for folder in dict.fromkeys(folders):
        for file in (folder / sub / plugin_file.NAME for sub in ("plugin", "plugins")):
            try:
                text = opencode_config.read_text(file)
            except ConfigError as error:
                return Check(name, "fail", str(error), "make it readable")
            if text is not None and plugin_file.is_ours(text):
                texts[file] = text
    if not texts:
        return Check(name, "fail", "not installed; nothing is computed without it", INIT)
    if len(texts) > 1:
        places_text = " and ".join(map(str, texts))
        return Check(name, "warn", f"loaded twice: {places_text}", "delete one; all is recorded twice")
    [(file, text)] = texts.items()
    command = plugin_file.parse_command(text)
    if command is None or shutil.which(command[0]) is None:
        return Check(name, "fail", f"{file} calls {command}, which is not there", INIT)
    try:
        current = plugin_file.put_command(plugin_file.read_bundle(), command)
    except LspTapError as error:
        return Check(name, "warn", f"{file} cannot be compared: {error}")
    if current != text:
        return Check(name, "warn", f"{file} is of another version", INIT)
    return Check(name, "ok", str(file))


def check_logs(logs: Path) -> list[Check]:
    """Whether recordings can be written and those written can be read."""
    name = "recordings"
    if logs.is_symlink():
        return [Check(name, "fail", f"{logs} is a symbolic link", "remove the link, then run: lsp-tap init")]
    if not logs.exists():
        return [Check(name, "warn", f"{logs} is not there yet", INIT)]
    if not logs.is_dir():
        return [Check(name, "fail", f"{logs} is not a folder", "move it away, then run: lsp-tap init")]
    mode = stat.S_IMODE(logs.stat().st_mode)
    if not os.access(logs, os.W_OK | os.X_OK) or not mode & 0o200:
        return [Check(name, "fail", f"{logs} cannot be written", f"run: chmod 700 {logs}")]
    checks = [Check(name, "ok", str(logs))]
    if mode & 0o077:
        detail = f"others may read {logs} (mode {mode:o}); it holds source code and prompts"
        checks = [Check(name, "warn", detail, f"run: chmod 700 {logs}")]
    return [*checks, check_disk_usage(logs), check_journals(logs / "tap")]


def check_disk_usage(logs: Path) -> Check:
    """What the recordings take, and how much of what they may. The writer keeps to the limit where it can: journals
    that still grow, and other files, are not its to cut."""
    name = "disk usage"
    try:
        limit_mb = read_settings(logs).keep_mb
    except LspTapError as error:
        return Check(name, "warn", str(error), "mend the setting; until then nothing is written")
    all_bytes = sum(entry.stat().st_size for entry in logs.rglob("*") if entry.is_file() and not entry.is_symlink())
    usage = measure_usage(logs / "tap")
    detail = (
        f"{all_bytes / 1e6:.1f} MB; {usage.journals} journals take {usage.size_bytes / 1e6:.1f} MB, "
        f"{usage.compressed_journals} of them compressed {usage.compressed_bytes / 1e6:.1f} MB; "
        f"{usage.size_bytes / (limit_mb << 20):.0%} of the limit of {limit_mb} MB"
    )
    if usage.size_bytes > limit_mb << 20:
        remedy = f"run: lsp-tap write; what it leaves is still being recorded, or raise keep_mb in {logs / FILE_NAME}"
        return Check(name, "warn", detail, remedy)
    return Check(name, "ok", detail)


def check_journals(folder: Path) -> Check:
    """Whether every record of every journal can be read, none was dropped, and time went on in each."""
    dropped = torn = unreadable = set_back = 0
    journals = read_folder(folder)
    for journal in journals:
        boot_us: int | None = None
        for entry in journal:
            if isinstance(entry, Dropped):
                dropped += entry.count
            if isinstance(entry, Unreadable):
                torn += entry.reason == "torn line"
                unreadable += entry.reason != "torn line"
            else:
                before_us, boot_us = boot_us, entry.time_us - entry.monotonic_us
                set_back += before_us is not None and boot_us < before_us - SET_BACK_US
    detail = f"{len(journals)} journals, {dropped} records dropped, {torn} torn ends, {unreadable} unreadable"
    if set_back:
        detail += f"; the clock was set back {set_back} times, which sessions allow for"
    if dropped or unreadable:
        return Check("journals", "warn", detail, "sessions recorded there may be incomplete; check the disk's space")
    return Check("journals", "ok", detail)


def _read_merged(project: Path, places: Places, environment: Mapping[str, str]) -> Merged:
    files = opencode_config.list_all_files(project, places, environment)
    configs = [opencode_config.read_config(path) for path in files]
    return opencode_config.merge([config for config in configs if config is not None])


async def _check_servers(
    servers: list[Server],
    project: Path,
    environment: Mapping[str, str],
    lsp_tap: str | None,
    timeout_s: float,
    add: Callable[[Check], None],
) -> None:
    with tempfile.TemporaryDirectory(prefix="lsp-tap-doctor-") as folder:
        env = {**environment, "LSP_TAP_DIR": folder, "OPENCODE": "1"}
        limiter = anyio.CapacityLimiter(_AT_ONCE)
        async with anyio.create_task_group() as tasks:

            async def check(server: Server) -> None:
                async with limiter:
                    try:
                        result = await check_server(server, project, env, lsp_tap, timeout_s)
                    except LspTapError as error:
                        result = Check(f"server {server.id}", "fail", str(error), f"mend {server.source}")
                add(result)

            for server in servers:
                tasks.start_soon(check, server)


async def check_server(
    server: Server, project: Path, environment: Mapping[str, str], lsp_tap: str | None, timeout_s: float
) -> Check:
    """Whether one server answers `initialize` through the tap. Raises LspTapError when its entry refers to a
    file that is not there, or lsp-tap is not installed."""
    name = f"server {server.id}"
    fill: Callable[[Any], Any] = lambda value: opencode_config.substitute(  # noqa: E731
        value, server.source.parent, environment
    )
    command: list[str] = fill(server.command)
    if wrap.find_server_start(command) is None:
        command = wrap.wrap_command(server.id, command, lsp_tap or find_lsp_tap())
    if shutil.which(command[0], path=environment.get("PATH")) is None:
        remedy = INIT if os.path.isabs(command[0]) else f"put it on PATH, or its whole path into {server.source}"
        return Check(name, "fail", f"{command[0]} is not there", remedy)
    own = fill(server.entry.get("env") or {})
    try:
        answer = await wait_answer(
            command,
            root=project,
            environment={**environment, **own},
            initialization=fill(server.entry.get("initialization")),
            timeout_s=timeout_s,
        )
    except ServerSilentError as error:
        start = wrap.find_server_start(command) or 0
        said = f": {error.stderr.splitlines()[-1]}" if error.stderr else ""
        executable = command[start] if start < len(command) else command[0]
        if error.exit_code == 127:
            remedy = f'install {executable}, or correct "lsp"."{server.id}"."command" in {server.source}'
        else:
            remedy = f"run it by hand: {' '.join(command[start:])}"
        return Check(name, "fail", f"{error.reason}{said}", remedy)
    program = Path(command[wrap.find_server_start(command) or 0]).name
    told = " ".join(filter(None, [answer.name or program, answer.version]))
    detail = (
        f"{told}, {answer.diagnostics} diagnostics, {answer.position_encoding}, "
        f"initialized in {answer.initialize_ms} ms"
    )
    return Check(name, "ok", detail)
