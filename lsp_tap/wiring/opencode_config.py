"""The configuration files OpenCode 1 reads, in the order in which it merges them (later wins, objects are
merged, everything else is replaced):

    global folder     config.json, opencode.json, opencode.jsonc
    OPENCODE_CONFIG   one file
    worktree ... project, outermost first    opencode.json, opencode.jsonc
    .opencode of the project ... of the worktree, of the home folder, OPENCODE_CONFIG_DIR
                      opencode.json, opencode.jsonc
    OPENCODE_CONFIG_CONTENT and what an organisation manages (not seen here)

Observed on 1.18.33 with `opencode debug config`. Texts keep their `{env:NAME}` and `{file:path}`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsp_tap.errors import ConfigError
from lsp_tap.wiring.jsonc import Json, JsoncError, Node, find_position, parse_jsonc

SCHEMA_URL = "https://opencode.ai/config.json"
_NAMES = ("opencode.json", "opencode.jsonc")


@dataclass(frozen=True)
class ConfigFile:
    """One configuration file as it is on disk."""

    path: Path
    text: str
    root: Node

    @property
    def lsp(self) -> Node | None:
        return self.root.find("lsp")


@dataclass(frozen=True)
class Server:
    """One entry of the merged `lsp` object. `source` is the file whose command counts."""

    id: str
    entry: dict[str, Json]
    source: Path

    @property
    def command(self) -> list[str]:
        command = self.entry.get("command")
        return [str(part) for part in command] if isinstance(command, list) else []

    @property
    def disabled(self) -> bool:
        return bool(self.entry.get("disabled"))


@dataclass(frozen=True)
class Merged:
    """What OpenCode makes of the `lsp` keys of all files. `enabled`: None no file has the key (no language
    servers at all), False switched off, True `lsp: true` or an object (all built-in servers are on).
    `source`: the file that decided that last."""

    enabled: bool | None = None
    source: Path | None = None
    servers: dict[str, Server] = field(default_factory=dict)


@dataclass(frozen=True)
class Places:
    """Where OpenCode keeps things for this user (XDG folders)."""

    config: Path
    cache: Path
    home: Path

    @classmethod
    def find(cls, environment: Mapping[str, str] | None = None) -> Places:
        env = os.environ if environment is None else environment
        home = Path(env.get("HOME") or Path.home())
        config = Path(env.get("XDG_CONFIG_HOME") or home / ".config")
        cache = Path(env.get("XDG_CACHE_HOME") or home / ".cache")
        return cls(config / "opencode", cache / "opencode", home)


def list_global_files(places: Places) -> list[Path]:
    return [places.config / name for name in ("config.json", *_NAMES)]


def list_own_files(project: Path) -> list[Path]:
    """The project's own files, in merging order."""
    return [folder / name for folder in (project, project / ".opencode") for name in _NAMES]


def list_all_files(project: Path, places: Places, environment: Mapping[str, str] | None = None) -> list[Path]:
    """Every file OpenCode would read when started in `project`, in merging order."""
    env = os.environ if environment is None else environment
    upward = list_upward(project)
    files = list_global_files(places)
    if custom := env.get("OPENCODE_CONFIG"):
        files.append(Path(custom))
    files += [folder / name for folder in reversed(upward) for name in _NAMES]
    folders = [folder / ".opencode" for folder in upward] + [places.home / ".opencode"]
    if custom := env.get("OPENCODE_CONFIG_DIR"):
        folders.append(Path(custom))
    files += [folder / name for folder in dict.fromkeys(folders) for name in _NAMES]
    return files


def list_upward(project: Path) -> list[Path]:
    """The project and the folders above it that OpenCode looks at: up to the git worktree, else all."""
    upward = [project, *project.parents]
    worktree = next((index for index, folder in enumerate(upward) if (folder / ".git").exists()), None)
    return upward if worktree is None else upward[: worktree + 1]


def read_config(path: Path) -> ConfigFile | None:
    """Read one file; None when it is not there. Raises ConfigError with line and column."""
    text = read_text(path)
    if text is None:
        return None
    return parse_config(path, text)


def parse_config(path: Path, text: str) -> ConfigFile:
    """Parse a file's text and check its `lsp` key as OpenCode does. Raises ConfigError."""
    try:
        root = parse_jsonc(text if text.strip("\ufeff \t\r\n") else "{}")
    except JsoncError as error:
        raise ConfigError(str(path), error.reason, line=error.line, column=error.column) from None
    if root.kind != "object":
        raise _error(path, text, root, "an OpenCode configuration is an object")
    _check_lsp(path, text, root.find("lsp"))
    return ConfigFile(path, text, root)


def read_text(path: Path) -> str | None:
    """A file's text with its line ends as they are; None when there is no file. Raises ConfigError."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if path.is_symlink():
            raise ConfigError(str(path), "a symbolic link that leads nowhere; remove or mend it") from None
        return None
    except NotADirectoryError:
        return None
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from None
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line, column = find_position(content[: error.start].decode(), error.start)
        raise ConfigError(str(path), "not UTF-8", line=line, column=column) from None


def merge(configs: list[ConfigFile]) -> Merged:
    """Merge the `lsp` keys of files given in merging order, as OpenCode does."""
    merged = Merged()
    for config in configs:
        if config.lsp is None:
            continue
        lsp = config.lsp.value
        if not isinstance(lsp, dict):
            merged = Merged(lsp is True, config.path)
            continue
        servers = dict(merged.servers)
        for server_id, entry in lsp.items():
            assert isinstance(entry, dict)
            known = servers.get(server_id)
            source = config.path if known is None or "command" in entry else known.source
            before = known.entry if known else {}
            servers[server_id] = Server(server_id, _merge_values(before, entry), source)
        merged = Merged(True, config.path, servers)
    return merged


def substitute(value: Any, folder: Path, environment: Mapping[str, str]) -> Any:
    """Fill in `{env:NAME}` (empty when unset) and `{file:path}` (relative to the configuration's folder, its
    text without the blanks around it) in every string, as OpenCode does when it reads a configuration. Raises
    ConfigError when a file cannot be read."""
    if isinstance(value, dict):
        return {key: substitute(item, folder, environment) for key, item in value.items()}
    if isinstance(value, list):
        return [substitute(item, folder, environment) for item in value]
    if not isinstance(value, str):
        return value

    def read_file(match: re.Match[str]) -> str:
        path = folder / Path(match[1]).expanduser()
        text = read_text(path)
        if text is None:
            raise ConfigError(str(path), f"is not there, but {match[0]} in a configuration in {folder} needs it")
        return text.strip()

    filled = re.sub(r"\{env:([^}]+)\}", lambda match: environment.get(match[1], ""), value)
    return re.sub(r"\{file:([^}]+)\}", read_file, filled)


def _merge_values(base: dict[str, Json], over: dict[str, Json]) -> dict[str, Json]:
    merged = dict(base)
    for key, value in over.items():
        known = merged.get(key)
        merged[key] = _merge_values(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def _check_lsp(path: Path, text: str, lsp: Node | None) -> None:
    if lsp is None or isinstance(lsp.value, bool):
        return
    if lsp.kind != "object":
        raise _error(path, text, lsp, '"lsp" is true, false or an object')
    for member in lsp.members:
        entry, where = member.value, f'"lsp"."{member.key}"'
        if entry.kind != "object":
            raise _error(path, text, entry, f"{where} is an object")
        if isinstance(entry.value, dict) and entry.value.get("disabled") is True and not entry.find("command"):
            continue
        command = entry.find("command")
        if command is None:
            reason = f'{where} has no "command", which OpenCode refuses'
            raise _error(path, text, entry, reason)
        if command.kind != "array" or any(item.kind != "string" for item in command.items):
            raise _error(path, text, command, f'{where}."command" is a list of strings')


def _error(path: Path, text: str, node: Node, reason: str) -> ConfigError:
    line, column = find_position(text, node.start)
    return ConfigError(str(path), reason, line=line, column=column)
