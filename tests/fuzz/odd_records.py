"""Recordings that no recorder wrote: records of real ones, in any order, with anything in their fields."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

GOLDEN: Final = Path(__file__).parents[1] / "golden"
FIXTURES: Final = Path(__file__).parents[1] / "journal" / "fixtures"
SCENARIOS: Final = (
    "noqa-is-a-suppression",
    "what-a-sub-agent-mended-counts-for-the-task-and-for-itself",
    "a-server-that-dies-in-the-middle-of-a-turn-knows-nothing-of-what-follows",
)
ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 2**31, 2**53, 10**30, 10**400, 1.5, -0.0, 1e308, "", "x", "a\nb\r\nc", "é𝕏\ud800",
    "../..", "file:///p/a.py", "file://h/%FF", 1e400,
    "//", [], [None], ["x", 1], {}, {"uri": "file:///p/a.py"}, {"text": 1}, [[[]]], {"": {"": []}},
    {"line": -1, "character": 10**9},
    {"range": {"start": {"line": 5, "character": 0}, "end": {"line": 0, "character": 0}}},
)  # fmt: skip

Choose = Callable[[int], int]
"""An integer from 0 up to, without, its argument."""


@lru_cache
def read_pool() -> tuple[dict[str, Any], ...]:
    """Records of each kind, of servers and of clients."""
    paths = [path for name in SCENARIOS for path in sorted((GOLDEN / name / "tap").iterdir())]
    lines = [
        line for path in [*paths, *sorted(FIXTURES.glob("*-v*.jsonl"))] for line in path.read_text("utf-8").splitlines()
    ]
    return tuple(json.loads(line) for line in lines)


def make_records(choose: Choose, count: int) -> list[dict[str, Any]]:
    """Up to `count` records, most of them as they were and in their order, some of them odd."""
    pool = read_pool()
    at, made = choose(len(pool)), []
    for _ in range(count):
        record = copy.deepcopy(pool[at])
        for _ in range((0, 0, 0, 1, 1, 3)[choose(6)]):
            bend(record, choose)
        made.append(record)
        at = choose(len(pool)) if choose(8) == 0 else (at + 1) % len(pool)
    return made


def bend(document: dict[str, Any], choose: Choose) -> None:
    """Changes one value, somewhere in it."""
    holder: Any = document
    while True:
        keys: list[Any] = sorted(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            return
        key = keys[choose(len(keys))]
        inner = holder[key]
        if isinstance(inner, dict | list) and inner and choose(4):
            holder = inner
            continue
        if choose(3) == 0:
            del holder[key]
        else:
            holder[key] = copy.deepcopy(ODD[choose(len(ODD))])
        return


def encode_lines(records: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)
