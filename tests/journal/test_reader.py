from __future__ import annotations

import json
from pathlib import Path

import pytest

from lsp_tap.journal.lines import encode_line, encode_part
from lsp_tap.journal.reader import (
    Entry,
    Journal,
    JournalReader,
    Unreadable,
    read_folder,
    read_head,
    read_journal,
    read_lines,
)
from lsp_tap.journal.records import RECORD_BY_KIND, BodyPart, Frame, Recorded, StderrWritten, TapStarted, journal_schema

FORMAT = Path(__file__).parents[2] / "lsp_tap" / "journal" / "FORMAT.md"


def encode_stderr(seq: int, text: str = "x") -> bytes:
    return encode_line(seq, seq, seq, "stderr", b'"text":%s' % json.dumps(text).encode())


def encode_newer_head() -> bytes:
    example = next(line for line in FORMAT.read_text().splitlines() if line.startswith('    {"seq":0'))
    return example.strip().replace('"format":2', '"format":3').encode() + b"\n"


def encode_head(seq: int, parts: int) -> bytes:
    fields = b'"direction":"client_to_server","raw_length":1,"body_parts":%d' % parts
    return encode_line(seq, seq, seq, "frame", fields)


def encode_body_part(seq: int, of: int, part: int, data: bytes) -> bytes:
    return encode_line(seq, seq, seq, "body_part", encode_part(of, part, data))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "server-x.jsonl"


def read(path: Path, data: bytes) -> list[Entry]:
    path.write_bytes(data)
    return list(read_journal(path))


def test_the_example_in_the_format_reads_without_a_complaint(path: Path) -> None:
    example = "".join(line.strip() + "\n" for line in FORMAT.read_text().splitlines() if line.startswith('    {"seq"'))
    entries = read(path, example.encode())
    assert len(entries) == 7
    assert all(isinstance(entry, Recorded) for entry in entries)


def test_wherever_a_recorder_was_killed_the_rest_is_read(path: Path) -> None:
    whole = encode_stderr(0) + encode_stderr(1, "é")
    lines = [encode_stderr(0), encode_stderr(1, "é")]
    for length in range(len(whole) + 1):
        entries = read(path, whole[:length])
        kept = [entry for entry in entries if isinstance(entry, StderrWritten)]
        complete = (length >= len(lines[0])) + (length == len(whole))
        assert len(kept) == complete
        torn = [entry for entry in entries if isinstance(entry, Unreadable)]
        assert [entry.reason for entry in torn] == (
            ["torn line"] if length not in (0, len(lines[0]), len(whole)) else []
        )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"not json\n", "not JSON"),
        (b"\xff\xfe\n", "not JSON"),
        (b"[" * 100_000 + b"\n", "not JSON"),
        (b"[]\n", "not a record"),
        (b'{"seq":0}\n', "not a record"),
        (b'{"kind":"stderr","seq":0,"time_us":0,"monotonic_us":0}\n', "not a record"),
        (b'{"kind":"from_the_future","seq":0}\n', "unknown kind"),
        (encode_body_part(0, 9, 0, b"x"), "stray part"),
    ],
)
def test_a_bad_line_is_told_of_and_the_next_one_read(path: Path, line: bytes, reason: str) -> None:
    first, bad, last = read(path, encode_stderr(0) + line + encode_stderr(2))
    assert isinstance(bad, Unreadable)
    assert (bad.line, bad.offset, bad.reason) == (2, len(encode_stderr(0)), reason)
    assert isinstance(first, StderrWritten)
    assert isinstance(last, StderrWritten)


def test_a_newer_format_is_told_of_and_not_guessed_at(path: Path) -> None:
    (entry,) = read(path, encode_newer_head() + encode_stderr(1))
    assert isinstance(entry, Unreadable)
    assert entry.reason == "newer format"
    assert "format 3" in entry.detail


def test_a_newer_format_that_was_first_seen_torn_is_told_of_once(path: Path) -> None:
    newer = encode_newer_head()
    path.write_bytes(newer[:20])
    reader = JournalReader(path)
    assert list(reader.read_new()) == []
    path.write_bytes(newer)
    (entry,) = reader.read_rest()
    assert isinstance(entry, Unreadable)
    assert entry.reason == "newer format"


def test_unknown_fields_are_kept_and_mean_nothing(path: Path) -> None:
    (entry,) = read(path, encode_line(0, 0, 0, "stderr", b'"text":"x","colour":"red"'))
    assert isinstance(entry, StderrWritten)
    assert entry.model_extra == {"colour": "red"}


def test_half_of_a_surrogate_pair_does_not_cost_the_record(path: Path) -> None:
    (entry,) = read(path, encode_line(0, 0, 0, "stderr", rb'"text":"a\ud83d"'))
    assert isinstance(entry, StderrWritten)
    assert entry.text == "a\ufffd"


def test_a_large_frame_comes_whole_where_its_last_part_stood(path: Path) -> None:
    body = '{"text":"aé"}'.encode()
    data = (
        encode_head(0, 2)
        + encode_body_part(1, 0, 0, body[:10])
        + encode_stderr(2)
        + encode_body_part(3, 0, 1, body[10:])
        + encode_stderr(4)
    )
    entries = read(path, data)
    assert [type(entry) for entry in entries] == [StderrWritten, Frame, StderrWritten]
    frame = entries[1]
    assert isinstance(frame, Frame)
    assert frame.has_message
    assert frame.message == {"text": "aé"}
    assert [type(entry) for entry in read_lines(path)].count(BodyPart) == 2


def test_a_large_frame_that_is_not_json_says_so(path: Path) -> None:
    (frame,) = read(path, encode_head(0, 1) + encode_body_part(1, 0, 0, b"{"))
    assert isinstance(frame, Frame)
    assert (frame.body, frame.has_message) == ("{", False)
    assert frame.error is not None


def test_a_large_frame_that_never_ended_says_so(path: Path) -> None:
    (frame,) = read(path, encode_head(0, 3) + encode_body_part(1, 0, 0, b"{"))
    assert isinstance(frame, Frame)
    assert frame.error == "body is incomplete: 1 of 3 parts"


def test_reads_only_what_is_new(path: Path) -> None:
    reader = JournalReader(path)
    path.write_bytes(encode_stderr(0) + encode_stderr(1)[:20])
    assert [type(entry) for entry in reader.read_new()] == [StderrWritten]
    assert list(reader.read_new()) == []
    with path.open("ab") as file:
        file.write(encode_stderr(1)[20:] + encode_head(2, 1))
    assert [type(entry) for entry in reader.read_new()] == [StderrWritten]
    with path.open("ab") as file:
        file.write(encode_body_part(3, 2, 0, b"{}"))
    assert [type(entry) for entry in reader.read_new()] == [Frame]
    assert list(reader.read_rest()) == []
    assert reader.offset == path.stat().st_size
    assert list(JournalReader(path, offset=reader.offset).read_rest()) == []


def test_a_file_that_is_not_there_is_a_value_not_an_error(path: Path) -> None:
    (entry,) = read_journal(path)
    assert isinstance(entry, Unreadable)
    assert entry.reason == "unreadable file"


def test_lists_the_journals_of_a_folder_in_order_of_their_start(tmp_path: Path) -> None:
    fixtures = Path(__file__).parent / "fixtures"
    for name in ("server", "client", "observed"):
        (tmp_path / f"{name}-1.jsonl").write_bytes((fixtures / f"{name}-v1.jsonl").read_bytes())
    (tmp_path / "server-empty.jsonl").touch()
    (tmp_path / "notes.jsonl").write_text('{"a":1}\n')
    (tmp_path / "server-link.jsonl").symlink_to(tmp_path / "server-1.jsonl")
    journals = read_folder(tmp_path)
    assert [(journal.path.name, journal.kind) for journal in journals] == [
        ("server-empty.jsonl", "server"),
        ("client-1.jsonl", "client"),
        ("observed-1.jsonl", "observed"),
        ("server-1.jsonl", "server"),
    ]
    assert journals[0].first is None
    assert isinstance(journals[-1].first, TapStarted)
    assert isinstance(next(iter(journals[-1])), TapStarted)
    assert read_folder(tmp_path / "missing") == []


def test_a_journal_of_any_name_is_known_by_its_first_record(tmp_path: Path) -> None:
    for kind in ("server", "client", "observed"):
        path = tmp_path / f"copy of {kind}"
        path.write_bytes((Path(__file__).parent / "fixtures" / f"{kind}-v1.jsonl").read_bytes())
        journal = read_head(path)
        assert isinstance(journal, Journal)
        assert journal.kind == kind


def test_the_schema_names_every_kind() -> None:
    schema = journal_schema()
    assert len(schema["oneOf"]) == len(schema["discriminator"]["mapping"]) == len(RECORD_BY_KIND)
