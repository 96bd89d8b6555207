"""The formats by name, and the last pass: a part's table -> files, one a split (or one a row)."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from lsp_tap.dataset.agent_traces import encode_atif, encode_traces, name_trace
from lsp_tap.dataset.chat import encode_kto, encode_openai, encode_stepwise, encode_trl
from lsp_tap.dataset.rows import Row, describe_columns
from lsp_tap.dataset.storage import Store

if TYPE_CHECKING:
    import pyarrow  # type: ignore[import-untyped]

_BATCH_ROWS: Final = 64


@dataclass(frozen=True, slots=True)
class Format:
    """`encode`: a row -> the lines (JSON values) it comes to; None: the table as it is. `layout`: a file a split, or a
    file a row in a folder a split. `suffix`: of the files.
    """

    suffix: str
    encode: Callable[[Row], Iterator[Any]] | None
    layout: Literal["splits", "rows"] = "splits"


def encode_plain(row: Row) -> Iterator[Any]:
    """The table's columns, with JSON where the table has JSON as text."""
    actions = [{**action, "args": json.loads(action["args"])} for action in row["actions"]]
    yield {**row, "context": json.loads(row["context"]), "actions": actions}


FORMATS: Final[Mapping[str, Format]] = {
    "jsonl": Format(".jsonl", encode_plain),
    "parquet": Format(".parquet", None),
    "hf": Format(".parquet", None),
    "openai": Format(".jsonl", encode_openai),
    "trl": Format(".jsonl", encode_trl),
    "trl-stepwise": Format(".jsonl", encode_stepwise),
    "trl-kto": Format(".jsonl", encode_kto),
    "atif": Format(".jsonl", encode_atif),
    "hf-traces": Format(".jsonl", encode_traces, "rows"),
}


@dataclass(frozen=True, slots=True)
class Export:
    """What one call of `export_part` does: `table` in `work`, without the rows `left_out`, to files in `store`.

    `number` is the files' number; None where there is only one part.
    """

    table: str
    work: Store
    store: Store
    left_out: frozenset[int]
    format: str
    number: int | None


@dataclass(slots=True)
class Exported:
    """`rows` by split, and those with nothing in them for the format."""

    rows: Counter[str] = field(default_factory=Counter)
    nothing: int = 0
    redacted: Counter[str] = field(default_factory=Counter)
    files: list[str] = field(default_factory=list)


def export_part(export: Export) -> Exported:
    """Write a part's files."""
    chosen = FORMATS[export.format]
    exported = Exported()
    writers: dict[str, _Writer] = {}
    try:
        for table in _read_tables(export, exported):
            for split in sorted(set(table.column("split").to_pylist())):
                rows = table.filter([value == split for value in table.column("split").to_pylist()])
                if chosen.layout == "rows":
                    _write_each(export, chosen, split, rows, exported)
                    continue
                if split not in writers:
                    number = "" if export.number is None else f"-{export.number:05}"
                    name = f"{split}{number}{chosen.suffix}"
                    folder = "data/" if export.format == "hf" else ""
                    writers[split] = _open_writer(export.store, f"{folder}{name}", chosen)
                written = writers[split].write(rows)
                exported.rows[split] += written
                exported.nothing += rows.num_rows - written
    finally:
        for writer in writers.values():
            writer.close()
    for split, writer in sorted(writers.items()):
        if exported.rows[split]:
            exported.files.append(writer.name)
        else:
            export.store.filesystem.delete_file(export.store.locate(writer.name))
            del exported.rows[split]
    return exported


def _read_tables(export: Export, exported: Exported) -> Iterator[pyarrow.Table]:
    import pyarrow
    import pyarrow.parquet  # type: ignore[import-untyped]

    columns = describe_columns().names
    with export.work.filesystem.open_input_file(export.work.locate(export.table)) as stream:
        file = pyarrow.parquet.ParquetFile(stream)
        for batch in file.iter_batches(_BATCH_ROWS):
            table = pyarrow.Table.from_batches([batch])
            kept = [row not in export.left_out for row in table.column("_row").to_pylist()]
            table = table.filter(kept)
            for counted in table.column("_redacted").to_pylist():
                exported.redacted.update(json.loads(counted))
            yield table.select(columns)


def _write_each(export: Export, chosen: Format, split: str, rows: pyarrow.Table, exported: Exported) -> None:
    assert chosen.encode is not None
    export.store.filesystem.create_dir(export.store.locate(split))
    for row in rows.to_pylist():
        name = f"{split}/{name_trace(row)}{chosen.suffix}"
        export.store.write(name, b"".join(map(encode_line, chosen.encode(row))))
        exported.files.append(name)
        exported.rows[split] += 1


class _Writer(ABC):
    def __init__(self, store: Store, name: str) -> None:
        self.name = name
        self.stream = store.filesystem.open_output_stream(store.locate(name), compression=None)

    @abstractmethod
    def write(self, rows: pyarrow.Table) -> int:
        """How many rows there was something of in the file."""

    def close(self) -> None:
        self.stream.close()


class _TableWriter(_Writer):
    def __init__(self, store: Store, name: str) -> None:
        import pyarrow.parquet

        super().__init__(store, name)
        self._writer = pyarrow.parquet.ParquetWriter(self.stream, describe_columns(), compression="zstd")

    def write(self, rows: pyarrow.Table) -> int:
        self._writer.write_table(rows)
        return int(rows.num_rows)

    def close(self) -> None:
        self._writer.close()
        super().close()


class _LineWriter(_Writer):
    def __init__(self, store: Store, name: str, encode: Callable[[Row], Iterator[Any]]) -> None:
        super().__init__(store, name)
        self._encode = encode

    def write(self, rows: pyarrow.Table) -> int:
        written = 0
        for row in rows.to_pylist():
            lines = list(map(encode_line, self._encode(row)))
            self.stream.write(b"".join(lines))
            written += bool(lines)
        return written


def _open_writer(store: Store, name: str, chosen: Format) -> _Writer:
    return _TableWriter(store, name) if chosen.encode is None else _LineWriter(store, name, chosen.encode)


def encode_line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
