"""What is in a dataset's files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsp_tap.dataset import Options, build_dataset
from lsp_tap.dataset.options import Privacy, Selection

ALL = Options(selection=Selection(outcome="all"), workers=1)
UNDIVIDED = replace(ALL, splits={"train": 1.0})


def build(
    sources: Path | list[Path], output: Path, options: Options = ALL, **changes: Any
) -> dict[str, list[dict[str, Any]]]:
    """The rows of each split."""
    named = [sources] if isinstance(sources, Path) else sources
    build_dataset(list(map(str, named)), str(output), replace(options, **changes))
    return read_lines(output)


def read_lines(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Of JSON lines, by split, of all its files."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        found.setdefault(path.stem.partition("-")[0], []).extend(rows)
    return found


def list_rows(splits: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [row for rows in splits.values() for row in rows]


def read_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def privacy(**environment: str) -> Privacy:
    return Privacy(environment=environment)
