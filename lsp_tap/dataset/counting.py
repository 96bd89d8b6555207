"""What is in recorded sessions, or in a dataset made of them: sums, by one fold over rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lsp_tap.dataset.rows import Row, build_row
from lsp_tap.dataset.storage import Group, Store, list_groups, open_store, read_group
from lsp_tap.errors import UsageError
from lsp_tap.session.loading import Unread, parse_sources

GROUPINGS: Final = ("model", "agent", "language")
UNKNOWN: Final = "unknown"
SUMMARY_FILE: Final = "dataset.json"
_READABLE: Final = {"jsonl": "jsonl", "parquet": "parquet", "hf": "parquet"}
_COLUMNS: Final = (
    *("session_id", "split", "repository", *GROUPINGS, "success", "actions", "errors_before", "errors_cleared"),
    *("errors_introduced", "cleared_by_fix", "cleared_by_suppression", "cleared_by_deletion", "baseline"),
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cost", "duration_s"),
)
_SUMS: Final = (
    *("errors_before", "errors_cleared", "errors_introduced"),
    *("cleared_by_fix", "cleared_by_suppression", "cleared_by_deletion"),
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cost", "duration_s"),
)

Note = Callable[[str, int, int], None]


@dataclass(slots=True)
class Sums:
    """Of some turns. `known`: how many of them told each of the numbers; a sum of which nobody told any is unknown."""

    turns: int = 0
    successes: int = 0
    failures: int = 0
    numbers: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_SUMS, 0))
    known: Counter[str] = field(default_factory=Counter)

    def add(self, row: Row) -> None:
        self.turns += 1
        self.successes += row["success"] is True
        self.failures += row["success"] is False
        for name in _SUMS:
            value = row.get(name)
            if value is not None:
                self.numbers[name] += value
                self.known[name] += 1

    @property
    def success_share(self) -> float | None:
        """Of those of which it is known."""
        known = self.successes + self.failures
        return self.successes / known if known else None

    def read(self, name: str) -> float | None:
        return self.numbers[name] if self.known[name] else None

    def to_json(self) -> dict[str, Any]:
        share = self.success_share
        return {
            "turns": self.turns,
            "successes": self.successes,
            "failures": self.failures,
            "successShare": None if share is None else round(share, 4),
            **{_camel(name): _round(self.read(name)) for name in _SUMS},
        }


@dataclass(slots=True)
class Counts:
    """`cleared`, `introduced`: errors by rule (`server code`), each turn's net sum."""

    total: Sums = field(default_factory=Sums)
    sessions: set[int] = field(default_factory=set)
    repositories: set[str] = field(default_factory=set)
    splits: Counter[str] = field(default_factory=Counter)
    groups: dict[str, dict[str, Sums]] = field(default_factory=lambda: {name: {} for name in GROUPINGS})
    cleared: Counter[str] = field(default_factory=Counter)
    introduced: Counter[str] = field(default_factory=Counter)
    unread: list[Unread] = field(default_factory=list)

    def add(self, row: Row) -> None:
        self.total.add(row)
        self.sessions.add(hash(row["session_id"]))
        if row["repository"]:
            self.repositories.add(row["repository"])
        if row.get("split"):
            self.splits[row["split"]] += 1
        for grouping, sums in self.groups.items():
            sums.setdefault(row[grouping] or UNKNOWN, Sums()).add(row)
        net = _count_net(row["actions"])
        self.cleared.update(+net)
        self.introduced.update(-net)

    def list_group(self, grouping: str) -> list[tuple[str, Sums]]:
        """The largest first."""
        return sorted(self.groups[grouping].items(), key=lambda item: (-item[1].turns, item[0]))

    def to_json(self) -> dict[str, Any]:
        return {
            **self.total.to_json(),
            "sessions": len(self.sessions),
            "repositories": len(self.repositories),
            "splits": dict(sorted(self.splits.items())),
            **{f"by{name.capitalize()}": {key: s.to_json() for key, s in self.list_group(name)} for name in GROUPINGS},
            "clearedByRule": dict(rank(self.cleared)),
            "introducedByRule": dict(rank(self.introduced)),
            "unread": len(self.unread),
        }


def rank(counted: Mapping[str, int]) -> list[tuple[str, int]]:
    """The most frequent first."""
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))


def _count_net(actions: Sequence[Row]) -> Counter[str]:
    """Errors cleared less introduced, so that breaking and mending again comes to nothing. Not those only hidden."""
    net: Counter[str] = Counter()
    for action in actions:
        net.update(_name_rule(error) for error in action["cleared"] or () if error["cleared_by"] in ("fix", None))
        net.subtract(_name_rule(error) for error in action["introduced"] or ())
    return net


def _name_rule(error: Row) -> str:
    return f"{error['server'] or error['source'] or UNKNOWN} {error['code'] or UNKNOWN}"


def count_sources(sources: Sequence[str], note: Note = lambda doing, done, count: None) -> Counts:
    """Of session files (all their turns), or of datasets that `build_dataset` wrote. Raises UsageError, OSError."""
    counts = Counts()
    session_sources = []
    for source in sources:
        store = open_store(source)
        summary = _read_summary(store)
        if summary is None:
            session_sources.append(source)
        else:
            _count_dataset(source, store, summary, counts, note)
    listing = list_groups(session_sources)
    counts.unread += listing.unread
    for done, group in enumerate(listing.groups, 1):
        _count_group(group, counts)
        note("reading", done, len(listing.groups))
    if not counts.total.turns:
        why = str(counts.unread[0]) if counts.unread else "no turns in it"
        raise UsageError(f"nothing to count: {why}")
    return counts


def _count_group(group: Group, counts: Counts) -> None:
    documents = []
    for document in read_group(group):
        if isinstance(document, Unread):
            counts.unread.append(document)
        else:
            documents.append(document)
    for turn in parse_sources(documents):
        if isinstance(turn, Unread):
            counts.unread.append(turn)
        else:
            counts.add(build_row(turn))


def _read_summary(store: Store) -> dict[str, Any] | None:
    try:
        if SUMMARY_FILE not in store.list():
            return None
    except NotADirectoryError:
        return None
    with store.filesystem.open_input_stream(store.locate(SUMMARY_FILE)) as stream:
        try:
            summary = json.loads(stream.read())
        except ValueError:
            return None
    return summary if isinstance(summary, dict) and "format" in summary else None


def _count_dataset(source: str, store: Store, summary: dict[str, Any], counts: Counts, note: Note) -> None:
    kind = _READABLE.get(str(summary["format"]))
    if kind is None:
        raise UsageError(f"{source} is in the format {summary['format']}, which has not what is counted")
    files = list(summary["files"])
    for done, name in enumerate(files, 1):
        for row in _read_table(store, name) if kind == "parquet" else _read_lines(store, name):
            counts.add(row)
        note("reading", done, len(files))


def _read_table(store: Store, name: str) -> Iterator[Row]:
    import pyarrow.parquet  # type: ignore[import-untyped]

    with store.filesystem.open_input_file(store.locate(name)) as stream:
        for batch in pyarrow.parquet.ParquetFile(stream).iter_batches(256, columns=list(_COLUMNS)):
            yield from batch.to_pylist()


def _read_lines(store: Store, name: str) -> Iterator[Row]:
    import io

    with store.filesystem.open_input_file(store.locate(name)) as stream:
        yield from map(json.loads, io.BufferedReader(stream))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _round(value: float | None) -> float | None:
    return round(value, 6) if isinstance(value, float) else value
