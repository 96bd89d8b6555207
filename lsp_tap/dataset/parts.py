"""The first pass: the session files of a part -> a table of wanted, redacted rows, with what tells duplicates."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lsp_tap.dataset.duplicates import find_buckets, hash_content, sign
from lsp_tap.dataset.options import Options
from lsp_tap.dataset.rows import Row, build_row, describe_columns, encode_json, encode_row
from lsp_tap.dataset.selecting import find_objection
from lsp_tap.dataset.splitting import choose_split
from lsp_tap.dataset.storage import Group, Store, read_group, read_observed_secrets
from lsp_tap.redaction import Redactor
from lsp_tap.redaction.environment import Marks, parse_marks
from lsp_tap.session.loading import TurnRow, Unread, parse_sources

if TYPE_CHECKING:
    import pyarrow  # type: ignore[import-untyped]

BATCH_BYTES: Final = 8 << 20
"""About how much text is in memory before it is written."""
_UNREAD_KEPT: Final = 20


@dataclass(frozen=True, slots=True)
class Part:
    """What one call of `build_part` does. `store`: where its table goes."""

    number: int
    groups: Sequence[Group]
    options: Options
    store: Store

    @property
    def name(self) -> str:
        return f"rows-{self.number:05}.parquet"


@dataclass(slots=True)
class PartBuilt:
    turns: int = 0
    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    unread: list[str] = field(default_factory=list)
    unread_count: int = 0
    worker: str = ""

    def add_unread(self, unread: Unread) -> None:
        self.unread_count += 1
        if len(self.unread) < _UNREAD_KEPT:
            self.unread.append(str(unread))


def build_part(part: Part) -> PartBuilt:
    """Write a part's table."""
    import pyarrow.parquet  # type: ignore[import-untyped]

    built = PartBuilt(worker=f"{platform.node()}:{os.getpid()}")
    columns = _describe_table()
    with (
        part.store.filesystem.open_output_stream(part.store.locate(part.name), compression=None) as stream,
        pyarrow.parquet.ParquetWriter(stream, columns, compression="zstd") as writer,
    ):
        for batch in _batch(_build_rows(part, built)):
            writer.write_table(pyarrow.Table.from_pylist(batch, schema=columns))
    return built


def _describe_table() -> pyarrow.Schema:
    import pyarrow as pa

    columns = describe_columns()
    for name, kind in (
        ("_part", pa.int64()),
        ("_row", pa.int64()),
        ("_hash", pa.binary(16)),
        ("_buckets", pa.list_(pa.int64())),
        ("_signature", pa.binary()),
        ("_redacted", pa.string()),
        ("_size", pa.int64()),
    ):
        columns = columns.append(pa.field(name, kind))
    return columns


def _build_rows(part: Part, built: PartBuilt) -> Iterator[Row]:
    redactors: dict[str, Redactor | None] = {}
    for group in part.groups:
        folder = group.files[0].rpartition("/")[0]
        if folder not in redactors:
            redactors.clear()  # the files of a folder come together
            redactors[folder] = open_redactor(part.options, group.root, folder)
        documents: list[tuple[str, bytes]] = []
        for document in read_group(group):
            if isinstance(document, Unread):
                built.add_unread(document)
            else:
                documents.append(document)
        for row in build_rows(parse_sources(documents), part.options, redactors[folder], built):
            yield {**row, "_part": part.number, "_row": built.rows}
            built.rows += 1


def open_redactor(options: Options, root: str, folder: str) -> Redactor | None:
    """For the sessions of a logs folder; None where nothing is to be redacted."""
    privacy = options.privacy
    if not privacy.redact:
        return None
    marks = None
    if privacy.key is not None:
        observed = read_observed_secrets(root, folder)
        marks = Marks.of(privacy.key, [mark for value in observed for mark in parse_marks(value, privacy.key)])
    return Redactor(environment=privacy.environment, marks=marks)


def build_rows(
    turns: Iterable[TurnRow | Unread], options: Options, redactor: Redactor | None, built: PartBuilt
) -> Iterator[Row]:
    """The wanted turns of one session as the table has them, but for their place in it."""
    group: str | None = None
    for turn in turns:
        if isinstance(turn, Unread):
            built.add_unread(turn)
            continue
        built.turns += 1
        group = group or turn.repository or turn.session_id
        row = build_row(turn)
        objection = find_objection(row, options.selection)
        if objection:
            built.left_out[objection] += 1
            continue
        replaced: Counter[str] = Counter()
        if redactor is not None:
            row, replaced = _redact(row, redactor)
        hidden: dict[str, Any] = {"_hash": hash_content(row), "_buckets": [], "_signature": b""}
        if options.similarity < 1:
            signature = sign(row)
            hidden["_buckets"] = find_buckets(signature, options.similarity)
            hidden["_signature"] = signature.hashvalues.astype("<u4").tobytes()
        yield {
            **encode_row(row),
            "split": choose_split(group, options.splits, options.seed),
            **hidden,
            "_redacted": encode_json(replaced),
        }


def _redact(row: Row, redactor: Redactor) -> tuple[Row, Counter[str]]:
    """Each row is an output of its own: what its placeholders are does not depend on the rows before it."""
    redactor.start_output([row["repository"]] if row["repository"] else [])
    redactor.report.clear()
    redacted: Row = redactor.value(row)
    names = ("id", "session_id")
    return {**redacted, **{name: row[name] for name in names}}, Counter(redactor.report)


def _batch(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        row["_size"] = measure_row(row)
        size += row["_size"]
        batch.append(row)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def measure_row(row: Row) -> int:
    """About how many bytes of text are in it."""
    texts = sum(len(message["content"] or "") for message in row["history"])
    actions = sum(len(action["args"]) + len(action["result"] or "") + 200 for action in row["actions"])
    return texts + actions + len(row["task"]) + len(row["response"]) + len(row["context"])
