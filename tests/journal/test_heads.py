"""Reading only what is wanted gives what reading all gives, without the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_tap.journal.heads import FrameHead, read_head
from lsp_tap.journal.reader import Entry, JournalReader, Unreadable, load_json, parse_line
from lsp_tap.journal.records import Frame

START = b'{"seq":1,"time_us":5,"monotonic_us":6,"kind":"frame","direction":"client_to_server","raw_length":7,'
GOLDEN = Path(__file__).parents[1] / "golden"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values, st.booleans())
def test_a_message_is_read_as_it_always_was(value: object, ascii_only: bool) -> None:
    message = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    line = START + b'"probe":true,"header":"x","message":' + message + b"}\n"
    head = read_head(line)
    frame = head.read_frame() if head else None
    if frame is not None:
        assert frame == parse_line(line)
        assert repr(frame.message) == repr(json.loads(message))
        assert head is not None
        method = value.get("method") if isinstance(value, dict) else None
        assert (head.method, head.direction, head.time_us) == (method, "client_to_server", 5)


@given(st.binary(max_size=30) | st.text('{}[]",:\\ud8nN019e-+.\n\r tfn', max_size=30).map(str.encode))
def test_what_is_no_json_is_told_of_as_it_always_was(data: bytes) -> None:
    try:
        expected: object = json.loads(data.decode())
    except ValueError:
        expected = ValueError
    try:
        found: object = load_json(data)
    except ValueError:
        found = ValueError
    assert repr(found) == repr(expected)
    assert found is not ValueError or read_head(START + b'"message":' + data + b"}\n") is None or b"," in data


@pytest.mark.parametrize(
    "rest",
    [
        b'"message":{"method":5}}', b'"message":[]}', b'"message":{"id":1.5}}', b'"body_parts":3}',
        b'"error":"not JSON","body":"x"}', b'"message":{},"body":"{ }"}', b'"message":{"a":"\\ud800"}}',
        b'"message":{"a":NaN}}', b'"message":{"a":"\xff"}}', b'"message":{"a":1', b'"message":1e999}',
        b'"message":' + b"[" * 5000 + b"]" * 5000 + b"}", b'"probe":1,"message":{}}', b'"message":{}} x',
    ],
)  # fmt: skip
def test_what_is_unusual_has_no_head_and_is_read_whole(rest: bytes, tmp_path: Path) -> None:
    path = tmp_path / "server-x.jsonl"
    path.write_bytes(START + rest + b"\n")
    asked: list[FrameHead] = []

    def refuse(head: FrameHead) -> bool:
        asked.append(head)
        return False

    assert list(JournalReader(path).read_wanted(refuse)) == list(JournalReader(path).read_new())
    assert asked == []


def test_frames_that_are_not_wanted_are_left_out_and_everything_else_is_there(tmp_path: Path) -> None:
    def keep(entries: list[Entry]) -> list[Entry]:
        return [e for e in entries if not isinstance(e, Frame) or "method" not in (e.message or {})]

    seen = 0
    for path in sorted(GOLDEN.glob("*/tap/server-*.jsonl")):
        damaged = tmp_path / path.name
        lines = path.read_bytes().splitlines(keepends=True)
        damaged.write_bytes(b"".join([*lines[:5], b"{]\n", b'{"kind":"new"}\n', *lines[5:], b'{"seq":']))
        entries = list(JournalReader(damaged).read_new())
        assert list(JournalReader(damaged).read_wanted(lambda head: head.method is None)) == keep(entries)
        assert list(JournalReader(damaged).read_wanted(lambda head: True)) == entries
        seen += sum(isinstance(entry, Unreadable) for entry in entries)
    assert seen >= 120
