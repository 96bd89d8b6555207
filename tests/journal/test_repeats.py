"""A document's text crosses the wire with every touch, and is in the journal once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_tap.journal import repeats
from lsp_tap.journal.exact import ExactFrame, ExactJournal, read_exact, read_wire
from lsp_tap.journal.lines import encode_fields, encode_frame, encode_line
from lsp_tap.journal.reader import JournalReader, parse_line, read_journal, read_lines
from lsp_tap.journal.records import Frame
from lsp_tap.journal.repeats import MAX_BYTES, MAX_SLOTS, WHOLE_EVERY, Restorer, Shortener
from lsp_tap.journal.stored import compressed_path

if sys.version_info >= (3, 14):
    from compression.zstd import compress
else:
    from backports.zstd import compress

LONG = "".join(f"line {number} of the text\n" for number in range(100))
PIECES = st.sampled_from(["", "x", "é", "\n", '"', "\\", "\x01", "\r\n", "\t", "😀", "\u2028", "/", "\x7f", "\ud800"])
EDITS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3000), st.integers(0, 40), PIECES), max_size=40)


def tell(uri: str, text: str, *, method: str = "textDocument/didChange", **more: Any) -> dict[str, Any]:
    document = {"uri": uri, "version": 1}
    if method == "textDocument/didOpen":
        return {"method": method, "params": {"textDocument": document | {"text": text}}}
    return {"method": method, "params": {"textDocument": document, "contentChanges": [{"text": text} | more]}}


class Journalled:
    """Lines as a recorder writes them, and as it would have if no text ever repeated."""

    def __init__(self) -> None:
        self.shortener = Shortener()
        self.lines: list[bytes] = []
        self.whole: list[bytes] = []

    def tell(self, message: dict[str, Any], **spelling: Any) -> None:
        self.put(json.dumps(message, **({"ensure_ascii": False} | spelling)).encode("utf-8", "backslashreplace"))

    def put(self, body: bytes) -> None:
        header = b"Content-Length: %d\r\n\r\n" % len(body)
        seq = len(self.lines)
        short, _ = encode_frame("client_to_server", header, body, shorten=self.shortener.shorten)
        self.shortener.note_written(seq)
        self.lines.append(encode_line(seq, 1, 2, "frame", short))
        self.whole.append(encode_line(seq, 1, 2, "frame", encode_frame("client_to_server", header, body)[0]))

    def restore(self) -> list[bytes]:
        restorer = Restorer()
        return [restorer.restore(line) for line in self.lines]

    def write(self, folder: Path) -> Path:
        path = folder / "server-t-20260101T000000Z-1.jsonl"
        path.write_bytes(b"".join(self.lines))
        return path


def edit(journalled: Journalled, edits: list[tuple[int, int, int, str]], **spelling: Any) -> None:
    texts = [LONG] * 4
    for number, at, removed, added in edits:
        text = texts[number] = texts[number][:at] + added + texts[number][at + removed :]
        method = "textDocument/didChange" if at % 3 else "textDocument/didOpen"
        journalled.tell(tell(f"file:///{number}", text, method=method), **spelling)


@given(edits=EDITS, spelling=st.sampled_from([{}, {"separators": (",", ":")}, {"ensure_ascii": True}]))
def test_the_lines_are_put_together_as_they_would_have_been_whole(edits: Any, spelling: Any) -> None:
    journalled = Journalled()
    edit(journalled, edits, **spelling)
    assert journalled.restore() == journalled.whole
    for line in journalled.lines:
        json.loads(line)
        assert line.count(b"\n") == 1


@given(edits=EDITS, lost=st.sets(st.integers(0, 40)))
def test_what_builds_on_a_lost_line_says_so_and_is_never_guessed(edits: Any, lost: set[int]) -> None:
    journalled = Journalled()
    edit(journalled, edits)
    restorer = Restorer()
    for index, (line, whole) in enumerate(zip(journalled.lines, journalled.whole, strict=True)):
        if index in lost:
            continue
        restored = restorer.restore(line)
        if restored != whole:
            frame = parse_line(restored)
            assert isinstance(frame, Frame)
            assert lost
            assert not frame.has_message
            assert frame.error is not None
            assert "which is not here" in frame.error


@given(edits=EDITS, forgotten=st.sets(st.integers(0, 40)))
def test_nothing_builds_on_what_a_recorder_was_told_is_lost(edits: Any, forgotten: set[int]) -> None:
    journalled, texts = Journalled(), [LONG] * 4
    for index, (number, at, removed, added) in enumerate(edits):
        texts[number] = texts[number][:at] + added + texts[number][at + removed :]
        journalled.tell(tell(f"file:///{number}", texts[number]))
        if index in forgotten:
            journalled.shortener.forget()
            journalled.lines[-1] = journalled.whole[-1] = b"\n"
    assert journalled.restore() == journalled.whole


def test_a_text_that_is_sent_a_hundred_times_is_there_a_few_times() -> None:
    journalled = Journalled()
    for number in range(100):
        journalled.tell(tell("file:///a", (LONG * 5).replace("line 50 ", f"line fifty, {number} ", 1)))
    assert sum(map(len, journalled.lines)) < 0.15 * sum(map(len, journalled.whole))
    assert journalled.restore() == journalled.whole


def test_damage_ends_with_the_next_whole_text() -> None:
    journalled = Journalled()
    for number in range(3 * WHOLE_EVERY):
        journalled.tell(tell("file:///a", f"{LONG}{number}"))
    restorer = Restorer()
    restored = [restorer.restore(line) for line in journalled.lines[1:]]
    is_right = [line == whole for line, whole in zip(restored, journalled.whole[1:], strict=True)]
    assert not any(is_right[:WHOLE_EVERY])
    assert all(is_right[WHOLE_EVERY:])


def test_no_more_is_remembered_than_there_is_room_for() -> None:
    journalled = Journalled()
    for number in range(3 * MAX_SLOTS):
        journalled.tell(tell(f"file:///{number}", f"{number}{LONG}"))
    for number in count():
        text = f"{number}{LONG * 60}"
        journalled.tell(tell(f"file:///large{number}", text))
        if number * len(text) > 2 * MAX_BYTES:
            break
    slots = journalled.shortener._slots
    assert len(slots) <= MAX_SLOTS
    assert MAX_BYTES // 2 < sum(len(slot.text) for slot in slots.values()) <= MAX_BYTES
    assert journalled.shortener._size_bytes == sum(len(slot.text) for slot in slots.values())
    assert {slot.number for slot in slots.values()} <= set(range(MAX_SLOTS))
    assert journalled.restore() == journalled.whole


@pytest.mark.parametrize(
    "message",
    [
        tell("file:///a", LONG, method="textDocument/didSave"),
        tell("file:///a", "short"),
        tell("file:///a", LONG + "\ud800"),
        {"method": "textDocument/didChange", "params": {"contentChanges": [{"text": LONG}]}},
        {"method": "textDocument/didOpen", "params": {"textDocument": {"uri": 1, "text": LONG}}},
        {"method": "textDocument/didOpen", "params": [LONG]},
        {"result": {"text": LONG}},
    ],
)
def test_what_tells_no_whole_text_is_left_as_it_is(message: dict[str, Any]) -> None:
    journalled = Journalled()
    for _ in range(3):
        journalled.tell(message)
    assert journalled.lines == journalled.whole


@pytest.mark.parametrize(
    "more",
    [
        {"document": {"slot": 0, "at": 3, "base": 0}},
        {"text": LONG, "params ": {"text": LONG}},
        {"a": '","text":"', "message": {"text": None}},
        {'odd"text': LONG},
    ],
)
def test_a_message_that_looks_like_our_own_fields_is_what_it_was(more: dict[str, Any]) -> None:
    journalled = Journalled()
    for number in range(4):
        journalled.tell(more | tell("file:///a", f"{LONG}{number}"))
        journalled.tell(tell("file:///a", f"{LONG}{number}") | more)
    assert sum(map(len, journalled.lines)) < sum(map(len, journalled.whole))
    assert journalled.restore() == journalled.whole


@pytest.mark.parametrize("field", ["slot", "at", "base", "prefix", "suffix", "middle"])
@pytest.mark.parametrize("value", [None, -1, 10**9, "x", [], 1.5])
def test_a_damaged_field_is_told_of(field: str, value: object, tmp_path: Path) -> None:
    journalled = Journalled()
    for number in range(2):
        journalled.tell(tell("file:///a", f"{LONG}{number}"))
    fields = json.loads(journalled.lines[1])
    if fields["document"][field] == value or (field, value) == ("middle", "x"):
        value = 7
    fields["document"][field] = value
    journalled.lines[1] = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
    _, damaged = read_journal(journalled.write(tmp_path))
    assert not getattr(damaged, "has_message", False)
    assert getattr(damaged, "error", None) or getattr(damaged, "reason", None)


def test_a_journal_cannot_ask_for_more_memory_than_a_recorder_has() -> None:
    restorer, journalled = Restorer(), Journalled()
    journalled.tell(tell("file:///a", LONG))
    for slot in range(1000):
        restorer.restore(journalled.lines[0].replace(b'"slot":0', b'"slot":%d' % slot))
    assert len(restorer._slots) == MAX_SLOTS
    large = journalled.lines[0].replace(b"line 7 ", b"x" * 2**18)
    assert restorer.restore(large) == journalled.whole[0].replace(b"line 7 ", b"x" * 2**18)
    assert len(restorer._slots) == MAX_SLOTS - 1
    restorer.restore(journalled.lines[0])
    middle = json.dumps("x" * 2**17).encode()
    for seq in range(1, 100):
        document = b'{"slot":0,"at":0,"base":%d,"prefix":0,"suffix":0,"middle":%s}' % (seq - 1, middle)
        line = b'{"seq":%d,"kind":"frame","document":%s,"message":null}\n' % (seq, document)
        restored = restorer.restore(line.replace(b'"suffix":0', b'"suffix":%d' % (2**17 * (seq - 1) or len(LONG))))
    assert b"which is not here" in restored
    assert sum(len(str(text)) for _, text in restorer._slots.values()) < MAX_SLOTS * 2**12


def test_lines_spelled_by_another_program_are_told_of(tmp_path: Path) -> None:
    journalled = Journalled()
    for number in range(2):
        journalled.tell(tell("file:///a", f"{LONG}{number}"))
    journalled.lines[1] = json.dumps(json.loads(journalled.lines[1])).encode() + b"\n"
    path = journalled.write(tmp_path)
    _, frame = read_journal(path)
    assert isinstance(frame, Frame)
    assert (frame.has_message, frame.error) == (False, "its text cannot be put together")
    assert list(JournalReader(path).read_wanted(lambda _: True))[1] == frame


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("back_bytes", [100, 1 << 18])
def test_each_frame_can_be_read_from_where_it_is(
    is_compressed: bool, back_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsp_tap.journal.reader._BACK_BYTES", back_bytes)
    journalled = Journalled()
    edit(journalled, [(number % 3, number * 17 % 2000, number % 5, "é") for number in range(100)])
    path = journalled.write(tmp_path)
    if is_compressed:
        compressed_path(path).write_bytes(compress(path.read_bytes()))
        path.unlink()
    offset = 0
    for line, entry in zip(journalled.lines, ExactJournal(path, "server", None), strict=True):
        found = read_exact(path, offset)
        assert isinstance(found, ExactFrame)
        assert isinstance(entry, ExactFrame)
        assert (found.exact_body, found.message) == (entry.exact_body, entry.message)
        offset += len(line)


def test_the_wire_is_what_it_was(tmp_path: Path) -> None:
    journalled = Journalled()
    edit(journalled, [(0, number * 7, 2, "x") for number in range(50)])
    bodies = [piece.data.partition(b"\r\n\r\n")[2] for piece in read_wire(journalled.write(tmp_path), probe=True)]  # type: ignore[union-attr]
    assert bodies == [json.dumps(json.loads(line)["message"]).encode() for line in journalled.whole]


def test_only_who_reads_lines_sees_that_something_was_left_out(tmp_path: Path) -> None:
    journalled = Journalled()
    for number in range(2):
        journalled.tell(tell("file:///a", f"{LONG}{number}"))
    path = journalled.write(tmp_path)
    first, second = (line for line in read_lines(path) if isinstance(line, Frame))
    assert (first.document and first.document.base, second.document and second.document.base) == (None, 0)
    assert second.message["params"]["contentChanges"][0]["text"] is None
    assert [getattr(entry, "document", 1) for entry in read_journal(path)] == [None, None]


def test_what_the_format_says_of_jq_puts_the_texts_back(tmp_path: Path) -> None:
    specified = (Path(repeats.__file__).parent / "FORMAT.md").read_text()
    (program,) = re.findall(r"```jq\n(.*?)```", specified, re.DOTALL)
    journalled = Journalled()
    journalled.lines.append(encode_line(0, 1, 2, "stderr", encode_fields({"text": "ready\n"})))
    journalled.whole.append(journalled.lines[0])
    edit(journalled, [(number % 3, number * 17 % 2000, number % 5, "é😀\n") for number in range(100)])
    command = ["jq", "-nc", program, str(journalled.write(tmp_path))]
    ran = subprocess.run(command, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert [json.loads(line) for line in ran.stdout.splitlines()] == [json.loads(line) for line in journalled.whole]
