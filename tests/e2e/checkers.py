"""What the language servers' makers' own command-line checkers say of files: another witness than any server.

Each function takes a folder of project trees and answers what it finds in them, in the form the session files have.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tests.e2e.opencode import npm_peer, python_peer

_TSC = re.compile(r"(?P<file>[^(\n]+)\((?P<line>\d+),\d+\): (?P<severity>error) TS(?P<code>\d+): (?P<message>.*)")
_CLANGD = re.compile(r"^E\[[\d:.]+\] \[(?P<code>\w+)\] Line (?P<line>\d+): (?P<message>.*)$", re.MULTILINE)
_CLANGD_ONLY_LSP = re.compile(r" \((fix available|fixes available)\)$")


class Found(NamedTuple):
    """`line` counts from 1; `file` is relative to its tree."""

    file: str
    line: int
    severity: str
    code: str
    message: str


def parse_finding(finding: dict[str, Any]) -> Found:
    """A diagnostic of a session file, its message as the checker words it."""
    message = str(finding["message"])
    if finding["server"] == "clangd":
        message = _word_as_clangd(message)
    return Found(finding["file"], finding["line"], finding["severity"], finding["code"], message)


def check_python(folder: Path) -> dict[str, list[Found]]:
    """`basedpyright --outputjson` over all trees of `folder` in one go; tree name -> what it found."""
    roots = [{"root": tree.name} for tree in folder.iterdir()]  # or an import within a tree would be a relative one
    (folder / "pyrightconfig.json").write_text(json.dumps({"executionEnvironments": roots}))
    command = [python_peer("basedpyright"), "--outputjson", "--project", str(folder)]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    return _by_tree(
        folder,
        (
            (
                item["file"],
                Found("", item["range"]["start"]["line"] + 1, item["severity"], item["rule"], item["message"]),
            )
            for item in said["generalDiagnostics"]
            if item["severity"] in ("error", "warning")
        ),
    )


def check_typescript(folder: Path) -> dict[str, list[Found]]:
    """`tsc` over all trees of `folder` in one go, with the options of the first one's tsconfig.json."""
    first = next(folder.glob("*/tsconfig.json"))
    options = {**json.loads(first.read_text()), "include": ["*/*.ts"]}
    (folder / "tsconfig.json").write_text(json.dumps(options))
    command = [npm_peer("tsc"), "--noEmit", "--pretty", "false", "--project", "tsconfig.json"]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout
    return _by_tree(
        folder,
        (
            (str(folder / match["file"]), Found("", int(match["line"]), "error", match["code"], match["message"]))
            for match in _TSC.finditer(said)
        ),
    )


def check_cpp(folder: Path) -> dict[str, list[Found]]:
    """`clangd --check` of every C++ file below `folder`. It tells errors only."""
    found: list[tuple[str, Found]] = []
    for file in sorted(folder.rglob("*.cpp")):
        command = [python_peer("clangd"), f"--check={file}", "--check-lines=1", "--background-index=false"]
        said = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False).stderr
        assert "checks completed" in said, said
        for match in _CLANGD.finditer(said):
            message = _word_as_clangd(match["message"])
            found.append((str(file), Found("", int(match["line"]), "error", match["code"], message)))
    return _by_tree(folder, found)


def _by_tree(folder: Path, found: Iterable[tuple[str, Found]]) -> dict[str, list[Found]]:
    trees: dict[str, list[Found]] = {path.name: [] for path in folder.iterdir() if path.is_dir()}
    for path, item in found:
        tree, _, file = os.path.relpath(path, folder).partition(os.sep)
        trees[tree].append(item._replace(file=file))
    return trees


def _word_as_clangd(message: str) -> str:
    """In the protocol clangd starts with a capital, offers its fixes, and adds the notes below."""
    first = _CLANGD_ONLY_LSP.sub("", message.split("\n", 1)[0])
    return first[:1].lower() + first[1:]
