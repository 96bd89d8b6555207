"""What workers say of a recording is what `log` reads of it, wherever it is and however it grew."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.inspect.calls import CallIndex
from lsp_tap.inspect.flows import FlowReader, Item, merge_by_time
from lsp_tap.inspect.log import list_fields
from lsp_tap.inspect.screen.body import dump_bytes, indent_json, show_text
from lsp_tap.inspect.screen.details import read_wire_bytes
from lsp_tap.inspect.screen.document import VERSIONS, build_history
from lsp_tap.inspect.screen.feeding import Feed, Found, Indexed, Told
from lsp_tap.inspect.screen.rows import Hits, Rows
from lsp_tap.journal.capture import open_folder
from lsp_tap.journal.reader import read_head
from lsp_tap.journal.retention import compress_finished
from tests.golden.test_golden import FOLDERS
from tests.inspect.recorded import SERVER, RecordedTap
from tests.inspect.screen.scenes import CART, write_small

CALLS = CallIndex()


def describe(item: Item) -> dict[str, Any]:
    return {**list_fields(item, CALLS), "journal": item.server.path.name, "body": item.body}


def read_all(folder: Path) -> list[dict[str, Any]]:
    readers = [FlowReader(journal) for journal in open_folder(folder).taps]
    return [describe(item) for item in merge_by_time(reader.read_rest() for reader in readers)]


async def take_rows(folder: Path, unpack: Path) -> Rows:
    rows, feed = Rows(), Feed()
    taps = [str(tap.path) for tap in open_folder(folder).taps]
    feed.tell({"role": "index", "taps": taps, "live": [], "folder": None, "unpack": str(unpack)})
    async for chunk in feed.read():
        match chunk:
            case Told({"journal": path}):
                journal = read_head(Path(path))
                assert journal is not None
                rows.add_journal(journal)
            case Indexed(journals, offsets, times_us, requests):
                rows.add(journals, offsets, times_us, requests)
            case _:
                pass
    feed.stop()
    return rows


async def take_hits(rows: Rows, text: str) -> Hits:
    hits, feed = Hits(rows), Feed()
    paths = [str(opened.path) for opened in rows.journals]
    feed.tell({"role": "filter", "taps": paths, "clients": [], "folder": None, "filter": text})
    async for chunk in feed.read():
        match chunk:
            case Found(journals, ordinals):
                hits.add(zip(journals, ordinals, strict=True))
            case Told({"done": True}):
                break
            case _:
                pass
    feed.stop()
    return hits


def write_large(folder: Path, *, is_torn: bool) -> None:
    """Messages in parts, an id that the short way does not read, and perhaps a torn line."""
    write_small(folder)
    tap = RecordedTap(folder, "beta", at_ms=3, pid=2)
    asked = tap.ask("x/large")
    tap.say_in_parts(SERVER, id=asked, result="ü" * 200_000)
    text = "".join(f"line {number}\n" for number in range(100))
    for version in range(40):
        method = tap.change if version else tap.open
        method("file:///p/long.py", version, text.replace("line 7\n", f"line {version}\n"))
    tap.ask("x/after", id='a "quoted" id')
    tap.stop()
    if is_torn:
        with tap.path.open("ab") as file:
            file.write(b'{"seq":9,"kind":"fra')


@pytest.mark.parametrize("is_compressed", [False, True], ids=["plain", "compressed"])
def test_every_row_is_the_item_that_log_shows(tmp_path: Path, is_compressed: bool) -> None:
    folder, unpack = tmp_path / "logs", tmp_path / "unpacked"
    unpack.mkdir()
    write_large(folder, is_torn=not is_compressed)
    expected = read_all(folder)
    if is_compressed:
        compress_finished(folder / "tap")
        assert not list((folder / "tap").glob("server-*.jsonl"))
    rows = asyncio.run(take_rows(folder, unpack))
    assert [describe(rows.read(row)) for row in range(len(rows))] == expected
    answers = [row for row in range(len(rows)) if rows.read(row).latency_us is not None]
    assert len(answers) == 4
    for row in answers:
        asked = rows.find_partner(row)
        assert asked is not None
        assert (rows.read(asked).kind, rows.read(asked).id) == ("request", rows.read(row).id)
        assert rows.find_partner(asked) == row
    large = next(row for row in range(len(rows)) if (rows.read(row).raw_length or 0) > 1_000_000)
    assert json.loads(read_wire_bytes(rows, large).body)["result"] == "ü" * 200_000
    hits = asyncio.run(take_hits(rows, "~k request | ~k error"))
    assert list(hits.found) == [n for n, item in enumerate(expected) if item["kind"] in ("request", "error")]
    rows.close()


def test_a_journal_that_is_gone_shows_as_such(tmp_path: Path) -> None:
    tap = write_small(tmp_path)
    rows = asyncio.run(take_rows(tmp_path, tmp_path))
    os.truncate(tap.path, 10)
    assert "cannot be read" in rows.read(3).text
    rows.close()


def test_hits_come_in_any_order_and_before_their_rows(tmp_path: Path) -> None:
    write_small(tmp_path)
    rows = asyncio.run(take_rows(tmp_path, tmp_path))
    hits = Hits(rows)
    hits.add([(0, 7), (0, 99), (0, 2)])
    assert (list(hits.found), hits.contains(7), hits.contains(3)) == ([2, 7], True, False)
    rows.close()


def test_a_worker_that_fails_says_why(tmp_path: Path) -> None:
    async def run() -> None:
        feed = Feed()
        feed.tell({"role": "filter", "taps": [], "clients": [], "folder": None, "filter": "~k nonsense"})
        with pytest.raises(ChildProcessError, match="~k is one of"):
            async for _ in feed.read():
                pass
        feed.stop()

    asyncio.run(run())


@pytest.mark.parametrize("folder", FOLDERS[:8], ids=lambda folder: folder.name)
def test_json_is_indented_without_a_change(folder: Path) -> None:
    for journal in open_folder(folder).taps:
        for item in FlowReader(journal).read_rest():
            if item.message is None:
                continue
            lines = ["".join(piece.text for piece in line) for line in indent_json(item.body)]
            assert (
                json.loads("".join(line.strip() if line.endswith(("\\n", '"')) else line for line in lines)) is not None
            )
            assert "".join("".join(lines).split()) == "".join(item.body.split())


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("{}", ["{}"]),
        ('{"a":[],"b":[1.0,-2e3]}', ["{", '  "a": [],', '  "b": [', "    1.0,", "    -2e3", "  ]", "}"]),
        ('{"a":{"b":"cut he', ["{", '  "a": {', '    "b": "cut he']),
        ('"tab\\t" true nonsense', ['"tab\\t"truenonsense']),
        ("]]", ["]", "]"]),
        ("", []),
        (f'["{"x" * 60}\\nsecond"]', ["[", f'  "{"x" * 60}\\n', '    second"', "]"]),
        ('"\x7f\u202e"', ['"\\u007f\\u202e"']),
    ],
)
def test_what_is_hardly_json_shows_as_it_is(text: str, lines: list[str]) -> None:
    assert ["".join(piece.text for piece in line) for line in indent_json(text)] == lines


def test_bytes_and_text_are_shown_and_not_obeyed() -> None:
    (line,) = dump_bytes(b"ab\x1b[m\xff")
    assert "".join(piece.text for piece in line).split() == [
        "00000000", "61", "62", "1b", "5b", "6d", "ff", "ab·[m·",
    ]  # fmt: skip
    assert [line[0].text for line in show_text("a\x1b[31m\n\tb")] == ["a\\x1b[31m", "    b"]


def test_of_a_large_recording_a_document_is_folded_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lsp_tap.inspect.screen import document

    tap = RecordedTap(tmp_path, root="/p")
    tap.open(CART, 0, "")
    tap.open("file:///p/other.py", 0, "x")
    for version in range(1, VERSIONS + 50):
        tap.change(CART, version, "x\n" * version)
        tap.publish(CART, *[1] * (version % 3), version=version)
    tap.publish("file:///p/other.py", 1)
    journals = open_folder(tmp_path).taps
    whole = build_history(journals, CALLS, CART, 0)
    monkeypatch.setattr(document, "_WHOLE_BYTES", 0)
    early, late = (build_history(journals, CALLS, CART, time_us) for time_us in (0, tap.time_us))
    assert (whole["partial"], whole["cut"], len(whole["versions"])) == (False, 0, VERSIONS + 50)
    assert (late["partial"], late["cut"], len(late["versions"])) == (True, 50, VERSIONS)
    assert [v["version"] for v in early["versions"]] == list(range(VERSIONS))
    known = {v["version"]: (v["errors"], v["introduced"], v["cleared"]) for v in whole["versions"]}
    for version in late["versions"][1:]:
        assert known[version["version"]] == (version["errors"], version["introduced"], version["cleared"])
