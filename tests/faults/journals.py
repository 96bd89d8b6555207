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
    bodies, texts = [], dict[int, str]()
    for line in path.read_bytes().split(b"\n")[:-1]:
        record = json.loads(line)
        if record["kind"] != "frame" or record["direction"] != direction or record.get("probe"):
            continue
        assert "body_parts" not in record
        body, document = line.partition(b',"message":')[2].removesuffix(b"}"), record.get("document")
        if document is not None:
            text, body = _restore(body, document, record["message"]["params"], texts)
            texts[document["slot"]] = text
        bodies.append(body)
    return bodies


def _restore(body: bytes, document: dict[str, Any], params: Any, texts: dict[int, str]) -> tuple[str, bytes]:
    """What `FORMAT.md` says of texts that repeat."""
    if "base" not in document:
        found: str = (params["contentChanges"][0] if "contentChanges" in params else params["textDocument"])["text"]
        return found, body
    base, at = texts[document["slot"]], document["at"]
    text = base[: document["prefix"]] + document["middle"] + base[len(base) - document["suffix"] :]
    return text, body[:at] + json.dumps(text, ensure_ascii=document.get("ascii", False)).encode() + body[at + 4 :]
