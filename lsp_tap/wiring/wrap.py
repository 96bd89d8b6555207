"""Wrapping the commands of a configuration text, and unwrapping them again. Pure.

["pylsp"]  <->  ["/opt/bin/lsp-tap", "run", "--name", "pylsp", "--", "pylsp"]
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import PurePath

from lsp_tap.wiring.jsonc import Json, Node, parse_jsonc
from lsp_tap.wiring.jsonc_edit import (
    Edit,
    apply_edits,
    insert_items,
    insert_member,
    remove_items,
    remove_member,
    replace_value,
)
from lsp_tap.wiring.opencode_config import SCHEMA_URL

_TAP_NAMES = ("lsp-tap", "lsp-tap.exe", "lsp_tap")
NEW_CONFIG = f'{{\n  "$schema": "{SCHEMA_URL}"\n}}\n'


def find_server_start(command: list[str]) -> int | None:
    """Where the server's own command starts in a command that runs it through a tap; None when there is no
    tap in it. Recognises any way to start one: a path, `uvx lsp-tap run`, `python -m lsp_tap run`."""
    for index in range(len(command) - 1):
        if PurePath(command[index]).name in _TAP_NAMES and command[index + 1] == "run":
            return command.index("--", index) + 1 if "--" in command[index:] else len(command)
    return None


def wrap_command(server_id: str, command: list[str], lsp_tap: str) -> list[str]:
    """The command that runs `command` through the tap."""
    return [lsp_tap, "run", "--name", server_id, "--", *command]


def wrap_entries(text: str, ids: Collection[str], lsp_tap: str) -> str:
    """Wrap the commands of the `lsp` entries named, and give those wrapped already the present path."""
    root = parse_jsonc(text)
    edits: list[Edit] = []
    for server_id, command in _find_commands(root).items():
        parts = _strings(command)
        if server_id not in ids or not parts:
            continue
        if find_server_start(parts) is None:
            edits += insert_items(command, wrap_command(server_id, [], lsp_tap))
        elif _is_tap_path(parts[0]) and parts[0] != lsp_tap:
            edits += replace_value(text, root, command.items[0], lsp_tap)
    return apply_edits(text, edits)


def add_entries(text: str, entries: Mapping[str, Json]) -> str:
    """Add entries to the `lsp` object, which is made when it is absent or `true`."""
    for server_id, entry in entries.items():
        root = parse_jsonc(text)
        lsp = root.find("lsp")
        if lsp is None:
            edits = insert_member(text, root, root, "lsp", {server_id: entry})
        elif lsp.kind != "object":
            edits = replace_value(text, root, lsp, {server_id: entry})
        elif server_id in {member.key for member in lsp.members}:
            continue
        else:
            edits = insert_member(text, root, lsp, server_id, entry)
        text = apply_edits(text, edits)
    return text


def unwrap_entries(text: str, before: str | None, after: str | None, *, only_plain: bool = False) -> str:
    """Undo what init did to a text that was edited since. `before` and `after` are the texts init found and
    left, when they are known: entries that init added and nobody touched go, all others lose their tap.
    `only_plain`: leave commands alone that are not exactly as init writes them."""
    found, left = _entries(before), _entries(after)
    root = parse_jsonc(text)
    for server_id, entry in _entries(text).items():
        root = parse_jsonc(text)
        lsp = root.find("lsp")
        assert lsp is not None
        if after is not None and server_id not in found and entry == left.get(server_id):
            member = lsp.find_member(server_id)
            assert member is not None
            text = apply_edits(text, remove_member(text, lsp, member))
            continue
        command = lsp.find(server_id, "command")
        if command is None or command.kind != "array":
            continue
        parts, earlier = _strings(command), _command_of(found.get(server_id))
        start = find_server_start(parts)
        if start is None or not _is_tap_path(parts[0]):
            continue
        if only_plain and parts[:start] != wrap_command(server_id, [], parts[0]):
            continue
        if find_server_start(earlier) is not None:  # wrapped before init came: only its path was changed
            edits = replace_value(text, root, command.items[0], earlier[0])
        elif start < len(parts):
            edits = remove_items(command, start)
        else:
            continue
        text = apply_edits(text, edits)
    return _restore_lsp(text, before) if after is not None else text


def add_schema(text: str) -> str:
    """What OpenCode itself writes over a configuration without `$schema` when it reads it."""
    stripped = text.lstrip("\ufeff \t\r\n")
    if not stripped.startswith("{"):
        return text
    return f'{{\n  "$schema": "{SCHEMA_URL}",{stripped[1:]}'


def _restore_lsp(text: str, before: str | None) -> str:
    root = parse_jsonc(text)
    member = root.find_member("lsp")
    if member is None or member.value.kind != "object" or member.value.members:
        return text
    earlier = parse_jsonc(before).find("lsp") if before and before.strip() else None
    if earlier is None:
        return apply_edits(text, remove_member(text, root, member))
    if earlier.kind != "object":
        return apply_edits(text, replace_value(text, root, member.value, earlier.value))
    return text


def _entries(text: str | None) -> dict[str, Json]:
    lsp = parse_jsonc(text).find("lsp") if text and text.strip("\ufeff \t\r\n") else None
    value = lsp.value if lsp is not None else None
    return value if isinstance(value, dict) else {}


def _find_commands(root: Node) -> dict[str, Node]:
    lsp = root.find("lsp")
    commands = {member.key: member.value.find("command") for member in (lsp.members if lsp else ())}
    return {key: command for key, command in commands.items() if command and command.kind == "array"}


def _command_of(entry: Json) -> list[str]:
    command = entry.get("command") if isinstance(entry, dict) else None
    return [str(part) for part in command] if isinstance(command, list) else []


def _strings(command: Node) -> list[str]:
    return [str(item.scalar) for item in command.items]


def _is_tap_path(part: str) -> bool:
    return os.path.isabs(part) and PurePath(part).name in _TAP_NAMES
