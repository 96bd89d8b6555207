"""Journals of every version read as they always did. Files here are never changed, only added."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lsp_tap.journal.reader import Unreadable, read_journal
from lsp_tap.journal.records import RECORD_BY_KIND

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.jsonl")), ids=lambda path: path.stem)
def test_reads_the_same_forever(path: Path) -> None:
    read = [
        entry if isinstance(entry, Unreadable) else entry.model_dump(mode="json", exclude_unset=True)
        for entry in read_journal(path)
    ]
    assert read == json.loads(path.with_suffix(".read.json").read_text())


def test_every_kind_is_frozen() -> None:
    lines = [json.loads(line) for path in FIXTURES.glob("*-v*.jsonl") for line in path.read_text().splitlines()]
    assert {line["kind"] for line in lines} == set(RECORD_BY_KIND)
