"""What is asked for, and what came of it. Plain data: a cluster's machines get the one and send parts of the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

Outcome = Literal["success", "failed", "all"]
EngineName = Literal["local", "ray"]

DEFAULT_SPLITS: Final[Mapping[str, float]] = {"train": 0.8, "validation": 0.1, "test": 0.1}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which turns. Of each of the sets any will do, and an empty one lets all pass. `since` is in, `until` is not.

    A turn of which the file does not tell what is asked for (its score, its time) is not wanted.
    """

    outcome: Outcome = "success"
    least_score: float | None = None
    servers: frozenset[str] = frozenset()
    languages: frozenset[str] = frozenset()
    agents: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Privacy:
    """How rows are redacted. `environment`: the exporter's own secrets by name; `key`: of the marks in recordings."""

    redact: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """`similarity`: rows at least this alike (0 to 1) are one; 1: only equal ones. `workers`: processes of this
    machine; None: one a processor. `part_bytes`: how much of the session files is looked at in one go.
    """

    format: str = "jsonl"
    selection: Selection = field(default_factory=Selection)
    privacy: Privacy = field(default_factory=Privacy)
    similarity: float = 0.9
    splits: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_SPLITS))
    seed: str = ""
    engine: EngineName = "local"
    workers: int | None = None
    part_bytes: int = 64 << 20


@dataclass(slots=True)
class Summary:
    """`unread`: what could not be read, the first of it; `unread_count`: how much of it there was. `left_out`: turns,
    by why. `redacted`: what was replaced in the rows that are in the dataset, by its kind; None: it was not looked for.
    `workers`: the processes that did it.
    """

    sources: int = 0
    source_bytes: int = 0
    turns: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    redacted: Counter[str] | None = None
    unread: list[str] = field(default_factory=list)
    unread_count: int = 0
    files: list[str] = field(default_factory=list)
    workers: set[str] = field(default_factory=set)

    def to_json(self) -> dict[str, Any]:
        """What is written beside the rows. Not who did it: that is another each time."""
        return {
            "sources": self.sources,
            "sourceBytes": self.source_bytes,
            "turns": self.turns,
            "rows": dict(self.rows),
            "leftOut": {why: count for why, count in sorted(self.left_out.items()) if count},
            "redacted": None if self.redacted is None else dict(sorted(self.redacted.items())),
            "unread": self.unread_count,
            "files": self.files,
        }
