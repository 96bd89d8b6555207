"""Sessions -> a dataset: the three passes, and what came of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from lsp_tap.dataset.card import write_card
from lsp_tap.dataset.duplicates import Duplicates, find_duplicates
from lsp_tap.dataset.engines import Engine, open_engine
from lsp_tap.dataset.formats import FORMATS, Export, Exported, export_part
from lsp_tap.dataset.options import Options, Summary
from lsp_tap.dataset.parts import Part, PartBuilt, build_part
from lsp_tap.dataset.storage import Group, Store, divide, list_groups, open_store
from lsp_tap.errors import LspTapError, UsageError

SUMMARY_FILE: Final = "dataset.json"
"""Written last: a folder without it is no dataset, or half of one."""
_WORK: Final = ".building"

Result = TypeVar("Result")
Note = Callable[[str, int, int], None]
"""What is being done, how many parts of it are done, and of how many."""


class NothingToExport(LspTapError):
    """There is no turn to make a dataset of; the text says why."""


def build_dataset(
    sources: Sequence[str], output: str, options: Options | None = None, note: Note = lambda doing, done, count: None
) -> Summary:
    """Write the folder `output` from the session and training files of `sources`: paths, globs, projects and URIs.

    Raises UsageError (an output that is not empty, an unknown filesystem), NothingToExport, LspTapError, OSError. What
    was written until then is deleted.
    """
    options = options or Options()
    if options.format not in FORMATS:
        raise UsageError(f"no format {options.format!r}: there are {', '.join(FORMATS)}")
    store = open_store(output)
    if store.list():
        raise UsageError(f"{output} is not empty: name a new folder")
    listing = list_groups(sources)
    if not listing.groups:
        raise NothingToExport("; ".join(map(str, listing.unread)) or "no sources")
    summary = Summary(
        sources=sum(len(group.files) for group in listing.groups),
        source_bytes=sum(group.size for group in listing.groups),
        unread=list(map(str, listing.unread)),
        unread_count=len(listing.unread),
    )
    try:
        _build(divide(listing.groups, options.part_bytes), store, options, summary, note)
    except BaseException:
        _clear(store)
        raise
    return summary


def _clear(store: Store) -> None:
    """The folder was empty, so all that is in it is ours."""
    with suppress(OSError):
        store.filesystem.delete_dir_contents(store.path, missing_dir_ok=True)


def _build(parts: list[list[Group]], store: Store, options: Options, summary: Summary, note: Note) -> None:
    work = Store(store.root, store.locate(_WORK))
    work.filesystem.create_dir(work.path)
    if options.format == "hf":
        store.filesystem.create_dir(store.locate("data"))
    tasks = [Part(number, groups, options, work) for number, groups in enumerate(parts)]
    with open_engine(options.engine, options.workers, len(tasks)) as engine:
        _collect_parts(_follow("reading", engine.run(build_part, tasks), len(tasks), note), summary)
        note("comparing", 0, 1)
        duplicates = find_duplicates(work, [task.name for task in tasks], options.similarity)
        summary.left_out["equal to another"] = duplicates.equal
        summary.left_out["much like another"] = duplicates.alike
        _collect_files(_export(engine, tasks, duplicates, store, work, options, note), summary, options)
    work.filesystem.delete_dir(work.path)
    if not summary.rows:
        why = ", ".join(f"{count} {reason}" for reason, count in summary.left_out.items() if count)
        unread = f"; not read: {summary.unread[0]}" if summary.unread else ""
        raise NothingToExport(f"none of {summary.turns} turns is left ({why or 'there were none'}){unread}")
    if options.format != "hf-traces":  # whose folders are read for themselves
        store.write("README.md", write_card(summary, options).encode())
    text = json.dumps({"format": options.format, **summary.to_json()}, ensure_ascii=False, indent=1)
    store.write(SUMMARY_FILE, text.encode() + b"\n")


def _export(
    engine: Engine, tasks: list[Part], duplicates: Duplicates, store: Store, work: Store, options: Options, note: Note
) -> Iterable[Exported]:
    exports = [
        Export(
            task.name,
            work,
            store,
            frozenset(duplicates.rows.get(task.number, ())),
            options.format,
            task.number if len(tasks) > 1 else None,
        )
        for task in tasks
    ]
    return _follow("writing", engine.run(export_part, exports), len(exports), note)


def _follow(doing: str, results: Iterable[Result], count: int, note: Note) -> Iterable[Result]:
    for done, result in enumerate(results, 1):
        yield result
        note(doing, done, count)


def _collect_parts(results: Iterable[PartBuilt], summary: Summary) -> None:
    for built in results:
        summary.turns += built.turns
        summary.left_out += built.left_out
        summary.unread += built.unread[: max(0, 20 - len(summary.unread))]
        summary.unread_count += built.unread_count
        summary.workers.add(built.worker)


def _collect_files(results: Iterable[Exported], summary: Summary, options: Options) -> None:
    redacted: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for exported in results:
        found += exported.rows
        redacted += exported.redacted
        summary.files += exported.files
        summary.left_out["nothing for this format"] += exported.nothing
    for split in options.splits:
        if found[split]:
            summary.rows[split] = found[split]
    summary.redacted = redacted if options.privacy.redact else None
