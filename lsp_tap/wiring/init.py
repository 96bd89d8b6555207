"""`lsp-tap init`: what has to be written so that OpenCode runs its language servers through the tap and loads
the plugin, and what has to be written to take that back. Plans read, `apply` writes.

`init.json` remembers every file's text before and after. A file that is still as init left it gets its first
text back byte for byte (also when OpenCode itself added `$schema`, which it does to any configuration
without); one that was edited since loses only what init put in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from lsp_tap.errors import ConfigError, LspTapError
from lsp_tap.wiring import opencode_config, plugin_file, wrap
from lsp_tap.wiring.builtin_servers import Fitting, find_fitting, find_global
from lsp_tap.wiring.changes import Change, apply_changes
from lsp_tap.wiring.init_state import FileState, InitState, read_state
from lsp_tap.wiring.jsonc import Json
from lsp_tap.wiring.opencode_config import ConfigFile, Merged, Places, parse_config, read_text

LOGS = ".opencode-logs"
_IGNORE_LINE = f"{LOGS}/"
_IGNORED = {LOGS, f"{LOGS}/", f"/{LOGS}", f"/{LOGS}/"}


@dataclass(frozen=True)
class PlannedServer:
    """One language server: `wrapped` by this plan, already `recorded`, or left as `disabled`. `command` is
    the command OpenCode will run."""

    id: str
    action: Literal["wrapped", "recorded", "disabled"]
    command: tuple[str, ...]
    file: Path


@dataclass(frozen=True)
class Plan:
    """What init (or its removal) is going to do. `notes` are for the person who called it."""

    changes: tuple[Change, ...] = ()
    servers: tuple[PlannedServer, ...] = ()
    notes: tuple[str, ...] = ()
    make_folders: tuple[Path, ...] = ()
    remove_folders: tuple[Path, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether everything is as it should be already."""
        return not self.changes and not self.make_folders


@dataclass(frozen=True)
class _Scope:
    """Where a project's, or with `project` None the user's, wiring lives."""

    project: Path | None
    places: Places
    environment: Mapping[str, str]

    @property
    def own_files(self) -> list[Path]:
        if self.project is None:
            return opencode_config.list_global_files(self.places)
        return opencode_config.list_own_files(self.project)

    @property
    def all_files(self) -> list[Path]:
        if self.project is None:
            return self.own_files
        return opencode_config.list_all_files(self.project, self.places, self.environment)

    @property
    def plugin_folder(self) -> Path:
        return self.places.config / "plugin" if self.project is None else self.project / ".opencode" / "plugin"

    @property
    def state_file(self) -> Path:
        if self.project is None:
            folder = self.environment.get("XDG_STATE_HOME")
            base = Path(folder) / "lsp-tap" if folder else Path(platformdirs.user_state_dir("lsp-tap"))
            return base / "init.json"
        return self.project / LOGS / "init.json"


def find_lsp_tap() -> str:
    """The absolute path of the running lsp-tap executable. Raises LspTapError when it is not installed."""
    called = Path(sys.argv[0])
    beside = Path(sys.executable).parent / "lsp-tap"
    named = shutil.which(sys.argv[0]) if called.name == "lsp-tap" else None
    found = named or shutil.which(str(beside)) or shutil.which("lsp-tap")
    if found is None:
        raise LspTapError("the lsp-tap executable is not installed; run: pip install lsp-tap")
    return os.path.abspath(found)


def plan_init(
    project: Path,
    *,
    global_: bool = False,
    lsp_tap: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Plan:
    """Plan the wiring of `project`, or of the user's global configuration. Raises ConfigError."""
    scope = _find_scope(project, global_, environment)
    lsp_tap = lsp_tap or find_lsp_tap()
    state = read_state(scope.state_file)
    current = {path: read_text(path) for path in scope.own_files}
    texts, servers, notes = _wrap_configs(scope, current, state, lsp_tap)

    plugin = scope.plugin_folder / plugin_file.NAME
    elsewhere = _find_plugin_elsewhere(scope)
    current[plugin] = read_text(plugin)
    if elsewhere is None or current[plugin] is not None:
        texts[plugin] = plugin_file.render(plugin, current[plugin], lsp_tap)
    if elsewhere is not None:
        extra = "; delete one, or everything is recorded twice" if current[plugin] else ""
        notes.append(f"the plugin is loaded from {elsewhere} already{extra}")
    if scope.project is not None:
        ignores = _plan_ignore(scope.project)
        current |= {path: before for path, (before, _) in ignores.items()}
        texts |= {path: after for path, (_, after) in ignores.items()}

    bases = {path: _find_base(path, text, state, wrapped_by_init=True) for path, text in current.items()}
    files = tuple(
        _remember(FileState(path, bases[path], text), state) for path, text in texts.items() if text != bases[path]
    )
    writes = [path for path, text in texts.items() if text != current[path]]
    for path in writes:
        _check_writable(path, scope)
    folders = _list_missing_folders([*writes, scope.state_file])
    known = state.folders if state else ()
    wanted = InitState(files, (*known, *(folder for folder in folders if folder not in known)))
    changes = [Change(path, current[path], texts[path], private=path.parent.name == LOGS) for path in writes]
    state_text = read_text(scope.state_file)
    if files and (encoded := wanted.encode(scope.state_file)) != state_text:
        changes.append(Change(scope.state_file, state_text, encoded, private=True))
    return Plan(tuple(changes), tuple(servers), tuple(notes), tuple(folders) if changes else ())


def plan_remove(project: Path, *, global_: bool = False, environment: Mapping[str, str] | None = None) -> Plan:
    """Plan to take the wiring out again. Recordings stay. Raises ConfigError."""
    scope = _find_scope(project, global_, environment)
    state = read_state(scope.state_file)
    plugin = scope.plugin_folder / plugin_file.NAME
    changes: list[Change] = []
    notes: list[str] = []
    recorded = [file.path for file in state.files] if state else []
    for path in dict.fromkeys([*scope.own_files, plugin, *recorded]):
        text = read_text(path)
        after = _find_base(path, text, state)
        if after != text:
            _check_writable(path, scope)
            changes.append(Change(path, text, after))
    if (state_text := read_text(scope.state_file)) is not None:
        changes.append(Change(scope.state_file, state_text, None, private=True))
    if scope.project is not None and _holds_recordings(scope.project / LOGS):
        inner = scope.project / LOGS / ".gitignore"
        changes = [change for change in changes if change.path != inner]
        notes.append(f"the recordings in {scope.project / LOGS} are kept")
    made = sorted(state.folders, key=lambda folder: len(folder.parts), reverse=True) if state else []
    return Plan(tuple(changes), (), tuple(notes), (), tuple(made))


def apply(plan: Plan) -> None:
    """Carry a plan out, all or nothing. Raises ConfigError."""
    apply_changes(plan.changes, make_folders=plan.make_folders, remove_folders=plan.remove_folders)


def _find_scope(project: Path, global_: bool, environment: Mapping[str, str] | None) -> _Scope:
    env = dict(os.environ if environment is None else environment)
    project = Path(os.path.abspath(project))
    if not project.is_dir():
        raise ConfigError(str(project), "is not a folder")
    if not global_ and (project / LOGS).is_symlink():
        raise ConfigError(str(project / LOGS), "is a symbolic link; recordings need a folder of their own")
    return _Scope(None if global_ else project, Places.find(env), env)


def _find_base(path: Path, text: str | None, state: InitState | None, *, wrapped_by_init: bool = False) -> str | None:
    """The text as it would be without init. When nothing is remembered of a configuration, commands that run
    through a tap lose it; with `wrapped_by_init` only those that look exactly as init writes them."""
    recorded = state.find(path) if state else None
    if text is None:
        return None
    if recorded and _is_as_left(text, recorded):
        return recorded.before
    if path.name == plugin_file.NAME:  # built, not written: nobody's edits are lost with it
        earlier = recorded.before if recorded else None
        return earlier if plugin_file.is_ours(text) else text
    if path.name == ".gitignore":
        return _drop_ignore_line(text, recorded.before) if recorded else text
    parse_config(path, text)
    if _is_blank(text):
        return text
    if recorded is None:
        return wrap.unwrap_entries(text, None, None, only_plain=wrapped_by_init)
    base = wrap.unwrap_entries(text, recorded.before, recorded.after)
    keys = {member.key for member in parse_config(path, base).root.members}
    return None if recorded.before is None and keys <= {"$schema"} else base


def _is_as_left(text: str, recorded: FileState) -> bool:
    return recorded.after is not None and text in (recorded.after, wrap.add_schema(recorded.after))


def _remember(file: FileState, state: InitState | None) -> FileState:
    """What to remember of a file: no news when all that happened is that OpenCode added `$schema`."""
    recorded = state.find(file.path) if state else None
    if recorded and recorded.before == file.before and file.after and _is_as_left(file.after, recorded):
        return recorded
    return file


def _is_blank(text: str | None) -> bool:
    return not (text or "").strip("\ufeff \t\r\n")


def _drop_ignore_line(text: str, before: str | None) -> str | None:
    if before is not None and _IGNORE_LINE in before.split():
        return text
    kept = "".join(line for line in text.splitlines(keepends=True) if line.strip() != _IGNORE_LINE)
    return kept if kept or before is not None else None


def _wrap_configs(
    scope: _Scope, current: Mapping[Path, str | None], state: InitState | None, lsp_tap: str
) -> tuple[dict[Path, str | None], list[PlannedServer], list[str]]:
    # A file as init left it is worked out anew from what it was before, an edited one from what it is.
    remembered = {file.path: file for file in state.files} if state else {}
    untouched = {path for path, text in current.items() if text and path in remembered
                 and _is_as_left(text, remembered[path])}  # fmt: skip
    texts = {path: remembered[path].before if path in untouched else text for path, text in current.items()}
    merged, present = _merge(scope, texts), _merge(scope, current)
    if merged.enabled is False:
        note = f'{merged.source} says "lsp": false; no language server runs, so none is recorded'
        return dict(current), [], [note]
    notes: list[str] = []
    running = {server.id: server for server in merged.servers.values() if not server.disabled and server.command}
    for path, text in texts.items():
        if text is not None and not _is_blank(text):
            texts[path] = wrap.wrap_entries(text, running, lsp_tap)

    additions: dict[str, Json] = {}
    for server in running.values():
        if server.source not in current and wrap.find_server_start(server.command) is None:
            entry: dict[str, Json] = {"command": [*wrap.wrap_command(server.id, server.command, lsp_tap)]}
            if "extensions" in server.entry:
                entry["extensions"] = server.entry["extensions"]
            additions[server.id] = entry
    fitting_builtins = [fitting for fitting in _find_builtins(scope) if fitting.id not in merged.servers]
    if not running:
        additions |= {fitting.id: _build_entry(fitting, lsp_tap) for fitting in fitting_builtins}
    else:
        # Whoever lists servers has chosen; nothing is started for them that they did not name.
        notes += [f"{fitting.id} fits too and is not recorded: add it to lsp" for fitting in fitting_builtins]
    if additions:
        target = _choose_target(scope, texts, merged)
        existing = texts[target]
        seed = wrap.NEW_CONFIG if existing is None or _is_blank(existing) else existing
        texts[target] = wrap.add_entries(seed, additions)
    for path in untouched:
        left = remembered[path].after
        if (text := texts[path]) is not None and left is not None and current[path] != left:
            texts[path] = wrap.add_schema(text)  # as OpenCode has done

    result = _merge(scope, texts)
    servers: list[PlannedServer] = []
    for server in result.servers.values():
        wrapped = wrap.find_server_start(server.command) is not None
        if not wrapped and not server.disabled and server.command:
            notes.append(f"{server.id} stays unrecorded: {server.source} sets its command after the project's files")
            continue
        earlier = present.servers.get(server.id)
        same = earlier is not None and earlier.command == server.command
        action: Literal["wrapped", "recorded", "disabled"] = "recorded" if same else "wrapped"
        servers.append(
            PlannedServer(server.id, "disabled" if server.disabled else action, tuple(server.command), server.source)
        )
    if not result.servers:
        notes.append("no language server is configured, and none that OpenCode brings fits and is installed")
    elif scope.project is None:
        notes.append("servers that need to know the project (typescript, pyright ...): run lsp-tap init there")
    return texts, servers, notes


def _find_builtins(scope: _Scope) -> list[Fitting]:
    if scope.project is None:
        return find_global(scope.places, scope.environment)
    return find_fitting(scope.project, scope.places, scope.environment)


def _build_entry(fitting: Fitting, lsp_tap: str) -> dict[str, Json]:
    entry: dict[str, Json] = {"command": [*wrap.wrap_command(fitting.id, list(fitting.command), lsp_tap)]}
    if fitting.id == "ty":  # not among the built-ins without OpenCode's experimental flag
        entry["extensions"] = [*fitting.extensions]
    if fitting.initialization:
        entry["initialization"] = fitting.initialization
    return entry


def _merge(scope: _Scope, own: Mapping[Path, str | None]) -> Merged:
    configs: list[ConfigFile | None] = []
    for path in scope.all_files:
        if path not in own:
            configs.append(opencode_config.read_config(path))
        elif (text := own[path]) is not None:
            configs.append(parse_config(path, text))
    return opencode_config.merge([config for config in configs if config is not None])


def _choose_target(scope: _Scope, texts: Mapping[Path, str | None], merged: Merged) -> Path:
    """The file for new entries: the last of the scope's own with an `lsp` key, else the one people edit."""
    present = [path for path, text in texts.items() if text is not None]
    with_lsp = [path for path in present if parse_config(path, texts[path] or "").lsp is not None]
    if with_lsp:
        return merged.source if merged.source in with_lsp else with_lsp[-1]
    if scope.project is None:
        return present[-1] if present else scope.places.config / "opencode.json"
    return present[0] if present else scope.project / "opencode.json"


def _find_plugin_elsewhere(scope: _Scope) -> Path | None:
    """Another copy of the plugin that OpenCode would load as well: everything would be recorded twice."""
    if scope.project is None:
        return None
    folders = [folder / ".opencode" for folder in opencode_config.list_upward(scope.project)[1:]]
    for folder in [scope.places.config, *folders, scope.places.home / ".opencode"]:
        for sub in ("plugin", "plugins"):
            text = read_text(folder / sub / plugin_file.NAME)
            if text is not None and plugin_file.is_ours(text):
                return folder / sub / plugin_file.NAME
    return None


def _plan_ignore(project: Path) -> dict[Path, tuple[str | None, str | None]]:
    """Recordings hold source code and prompts: a line in the project's .gitignore, and the folder ignores
    itself, which still holds after `--remove` and in a folder that becomes a repository later."""
    inner, outer = project / LOGS / ".gitignore", project / ".gitignore"
    text = read_text(inner)
    planned = {inner: (text, text or "*\n")}
    text = read_text(outer)
    after = text
    lines = {line.strip() for line in (text or "").splitlines()}
    in_git = any((folder / ".git").exists() for folder in [project, *project.parents])
    if in_git and lines.isdisjoint(_IGNORED) and not _is_ignored(project):
        line_break = "\r\n" if text and "\r\n" in text else "\n"
        gap = line_break if text and not text.endswith("\n") else ""
        after = f"{text or ''}{gap}{_IGNORE_LINE}{line_break}"
    return {**planned, outer: (text, after)}


def _is_ignored(project: Path) -> bool:
    try:
        asked = subprocess.run(
            ["git", "-c", "core.fsmonitor=false", "-C", str(project), "check-ignore", "-q", _IGNORE_LINE],
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return asked.returncode == 0


def _check_writable(path: Path, scope: _Scope) -> None:
    target = path.resolve()
    if scope.project is not None and not target.is_relative_to(scope.project.resolve()):
        reason = f"leads outside the project, to {target}, which others may use; run lsp-tap init there"
        raise ConfigError(str(path), reason)
    if target.exists() and not target.stat().st_mode & 0o222:
        raise ConfigError(str(path), "is read-only; run: chmod u+w on it")


def _list_missing_folders(files: list[Path]) -> list[Path]:
    missing: list[Path] = []
    for file in files:
        missing += [folder for folder in file.parents if not folder.exists()]
    return sorted(set(missing), key=lambda folder: len(folder.parts))


def _holds_recordings(logs: Path) -> bool:
    return logs.is_dir() and any(entry.name not in ("init.json", ".gitignore") for entry in logs.iterdir())
