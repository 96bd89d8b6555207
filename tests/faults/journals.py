"""What is true of every journal, whatever was killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lsp_tap.journal.reader import Unreadable, read_journal


def read_valid_prefix(path: Path) -> list[dict[str, Any]]:
    """The records of a journal that may have been cut off. AssertionError unless all but a torn last line are whole
    and numbered without a gap, for us as for any other reader of JSON.
    """
    *lines, torn = path.read_bytes().split(b"\n")
    records: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert [record["seq"] for record in records] == list(range(len(records)))
    assert not records or "format" in records[0]
    unreadable = [entry.reason for entry in read_journal(path) if isinstance(entry, Unreadable)]
    assert unreadable == (["torn line"] if torn else [])
    return records


def list_bodies(path: Path, direction: str) -> list[bytes]:
    """The bodies of the frames that were passed on in one direction, as they were on the wire: without the tap's own
    requests and their answers. For frames that are one record each.
    """
    start = f'"kind":"frame","direction":"{direction}",'.encode()
    lines = [line for line in path.read_bytes().split(b"\n")[:-1] if start in line[:200]]
    assert not any(b'"body_parts":' in line for line in lines)
    return [
        line.partition(b',"message":')[2].removesuffix(b"}") for line in lines if b'"probe":true,"message"' not in line
    ]
