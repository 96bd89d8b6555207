"""Equal and nearly equal rows: which to leave out. The same whatever the order of the rows.

Rows are *equal* when what was asked, said before, done and answered is. They are *alike* by the share of five-word
runs that two have in common, of what was asked, done and answered (Jaccard's index; estimated by MinHash, candidates
found by locality-sensitive hashing: datasketch). Of equal rows the first stays, by session and turn. Of the others, in
that order, each goes that is alike enough to one that stayed.

Looking for them sees hashes only, in a DuckDB database on disk. In memory are those of rows that share a bucket with
another.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from lsp_tap.dataset.rows import Row, encode_json
from lsp_tap.dataset.storage import Store

if TYPE_CHECKING:
    from datasketch import MinHash  # type: ignore[import-untyped]

PERMUTATIONS: Final = 128
RUN_WORDS: Final = 5
MAX_WORDS: Final = 100_000
"""Of the rest of a longer row only equality counts."""
MISSED_WEIGHT: Final = 0.9
"""How much worse missing a pair is than looking at one too many: candidates are compared anyway."""
MEMORY_LIMIT: Final = "256MB"
"""DuckDB's; it spills to disk beyond that."""

_WORD: Final = re.compile(r"\w+|[^\w\s]")


def hash_content(row: Row) -> bytes:
    """The same for equal rows: 16 bytes."""
    content = [
        row["task"],
        [[message["role"], message["content"]] for message in row["history"]],
        [[action["tool"], action["args"], action["result"]] for action in row["actions"]],
        row["response"],
    ]
    return hashlib.blake2b(encode_json(content).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def sign(row: Row) -> MinHash:
    """A row's MinHash."""
    did = " ".join(f"{action['tool']} {encode_json(action['args'])}" for action in row["actions"])
    words = _WORD.findall(f"{row['task']} {did} {row['response']}".lower())[:MAX_WORDS]
    runs = {" ".join(words[at : at + RUN_WORDS]) for at in range(max(1, len(words) - RUN_WORDS + 1))}
    signature = _blank().copy()
    signature.update_batch([run.encode("utf-8", "surrogatepass") for run in runs])
    return signature


@cache
def _blank() -> MinHash:
    from datasketch import MinHash

    return MinHash(num_perm=PERMUTATIONS)


@cache
def _choose_bands(similarity: float) -> tuple[int, int]:
    from datasketch import MinHashLSH

    chosen = MinHashLSH(threshold=similarity, num_perm=PERMUTATIONS, weights=(1 - MISSED_WEIGHT, MISSED_WEIGHT))
    return chosen.b, chosen.r


def find_buckets(signature: MinHash, similarity: float) -> list[int]:
    """Rows that are alike are likely to have one of these 63-bit numbers in common."""
    count, width = _choose_bands(similarity)
    values = signature.hashvalues
    pieces = (values[band * width : (band + 1) * width].astype("<u8").tobytes() for band in range(count))
    digests = (hashlib.blake2b(b"%d:" % band + piece, digest_size=8).digest() for band, piece in enumerate(pieces))
    return [int.from_bytes(digest, "little") >> 1 for digest in digests]


@dataclass(slots=True)
class Duplicates:
    """`rows`: the numbers of rows to leave out, by part."""

    rows: dict[int, set[int]] = field(default_factory=dict)
    equal: int = 0
    alike: int = 0

    def add(self, part: int, row: int) -> None:
        self.rows.setdefault(part, set()).add(row)


_COLLECT: Final = """
CREATE TABLE found AS SELECT _part AS part, _row AS row, session_id, turn, _hash AS hash FROM parts;
CREATE TABLE equal AS SELECT part, row FROM (SELECT part, row, row_number() OVER
  (PARTITION BY hash ORDER BY session_id, turn, part, row) AS place FROM found) WHERE place > 1;
DROP TABLE found;
"""
_CANDIDATES: Final = """
CREATE TABLE placed AS SELECT _part AS part, _row AS row, unnest(_buckets) AS bucket FROM parts
  ANTI JOIN equal ON _part = equal.part AND _row = equal.row;
CREATE TABLE candidates AS SELECT DISTINCT part, row FROM placed
  SEMI JOIN (SELECT bucket FROM placed GROUP BY bucket HAVING count(*) > 1) AS shared USING (bucket);
DROP TABLE placed;
"""
_COMPARED: Final = """
SELECT _part, _row, _buckets, _signature FROM parts
  SEMI JOIN candidates ON _part = candidates.part AND _row = candidates.row ORDER BY session_id, turn, _part, _row
"""


def find_duplicates(store: Store, names: list[str], similarity: float) -> Duplicates:
    """Looks at the named tables, which `parts` wrote."""
    import duckdb
    import pyarrow.dataset  # type: ignore[import-untyped]

    duplicates = Duplicates()
    if not names:
        return duplicates
    paths = [store.locate(name) for name in names]
    with tempfile.TemporaryDirectory(prefix="lsp-tap-") as folder:
        connection = duckdb.connect(f"{folder}/found.db")
        try:
            connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
            connection.execute("SET threads = 2")
            connection.execute("SET preserve_insertion_order = false")
            connection.execute("SET enable_progress_bar = false")
            connection.register("parts", pyarrow.dataset.dataset(paths, filesystem=store.filesystem, format="parquet"))
            connection.execute(_COLLECT)
            for part, row in _fetch(connection.execute("SELECT part, row FROM equal")):
                duplicates.add(part, row)
                duplicates.equal += 1
            if similarity < 1:
                connection.execute(_CANDIDATES)
                _compare(_fetch(connection.execute(_COMPARED)), similarity, duplicates)
        finally:
            connection.close()
    return duplicates


def _fetch(result: Any) -> Iterator[tuple[Any, ...]]:
    while rows := result.fetchmany(1000):
        yield from rows


def _compare(candidates: Iterator[tuple[Any, ...]], similarity: float, duplicates: Duplicates) -> None:
    import numpy

    stayed: list[Any] = []
    by_bucket: dict[int, list[int]] = {}
    for part, row, buckets, signature in candidates:
        values = numpy.frombuffer(signature, "<u4")
        near = {place for bucket in buckets for place in by_bucket.get(bucket, ())}
        if any(numpy.count_nonzero(values == stayed[place]) >= similarity * PERMUTATIONS for place in near):
            duplicates.add(part, row)
            duplicates.alike += 1
            continue
        for bucket in buckets:
            by_bucket.setdefault(bucket, []).append(len(stayed))
        stayed.append(values)
