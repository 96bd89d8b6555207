"""The project before and after each model call, from OpenCode's own snapshots: git trees in a bare repository."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.opencode import OpenCode


@dataclass(frozen=True)
class SnapshotPair:
    """The tree hashes around the one tool call of a model call."""

    call_id: str
    before: str
    after: str


def list_pairs(opencode: OpenCode) -> list[SnapshotPair]:
    """One pair a tool call, in order. Model calls with several tool calls or none are left out."""
    steps: dict[str, dict[str, str]] = {}
    made: dict[str, list[str]] = {}
    for record in opencode.client_records():
        if record["kind"] == "step_updated" and record["step"] in ("start", "finish"):
            steps.setdefault(record["message_id"], {})[record["step"]] = record["snapshot"]
        elif record["kind"] == "tool_updated" and record["status"] in ("completed", "error"):
            made.setdefault(record["message_id"], []).append(record["call_id"])
    return [
        SnapshotPair(calls[0], steps[message]["start"], steps[message]["finish"])
        for message, calls in made.items()
        if len(calls) == 1
    ]


def export_trees(opencode: OpenCode, trees: Iterable[str], folder: Path) -> None:
    """Checks each tree out into a folder below `folder` that is named as the tree is."""
    (head,) = (opencode.home / ".local" / "share" / "opencode" / "snapshot").glob("*/*/HEAD")
    for tree in trees:
        target = folder / tree
        target.mkdir(parents=True, exist_ok=True)
        git = ["git", "--git-dir", str(head.parent), "--work-tree", str(target)]
        index = {**os.environ, "GIT_INDEX_FILE": str(folder / f"{tree}.index")}
        for command in (["read-tree", tree], ["checkout-index", "--all"]):
            subprocess.run([*git, *command], check=True, capture_output=True, env=index, cwd=target)
