"""What the tap writes, the reader gives back: the same JSON, and the same bytes where the journal promises them."""

from __future__ import annotations

import json
import sys
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_tap.journal.lines import (
    PART_BYTES,
    count_parts,
    decode_part,
    encode_fields,
    encode_frame,
    encode_line,
    encode_part,
    split_character,
)
from lsp_tap.journal.reader import parse_line
from lsp_tap.journal.records import BodyPart, Frame

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def write_and_read(header: bytes, body: bytes) -> tuple[Frame, bytes]:
    fields, _ = encode_frame("server_to_client", header, body)
    line = encode_line(7, 1, 2, "frame", fields)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    frame = parse_line(line)
    assert isinstance(frame, Frame)
    assert frame.raw_length == len(header) + len(body)
    return frame, line


@given(JSON_VALUES, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_json_comes_back_as_it_was(value: object, indent: int | str | None, ascii_only: bool) -> None:
    body = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "replace")
    header = b"Content-Length: %d\r\n\r\n" % len(body)
    frame, line = write_and_read(header, body)
    assert frame.has_message
    assert frame.message == json.loads(body)
    assert frame.header is None
    if b"\n" in body:
        assert frame.body == body.decode()
    else:
        assert line.endswith(b'"message":' + body + b"}\n")


@given(st.binary())
def test_whatever_a_body_is_its_bytes_come_back(body: bytes) -> None:
    frame, line = write_and_read(b"Content-Length: %d\r\n\r\n" % len(body), body)
    if frame.body is not None:
        assert frame.body.encode() == body
    elif frame.body_base64 is not None:
        assert b64decode(frame.body_base64) == body
    else:
        assert line.endswith(b'"message":' + body + b"}\n")
    assert frame.has_message == (frame.error is None)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "Expecting value"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b"-Infinity", "-Infinity is not JSON"),
        (b'{"a": "line\nbreak"}', "Invalid control character"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b"1" * 5000, "Exceeds the limit"),
        (b'{"a": 1}\xff', "not UTF-8 at byte 8"),
        (b"[1],[2]", "Extra data at character 3"),
    ],
)
def test_what_a_strict_reader_would_refuse_is_not_embedded(body: bytes, error: str) -> None:
    frame, _ = write_and_read(b"Content-Length: %d\r\n\r\n" % len(body), body)
    assert not frame.has_message
    assert frame.error is not None
    assert frame.error.startswith(error)


def test_a_message_as_deep_as_the_recorder_can_take_is_read_from_anywhere() -> None:
    depth = 900
    fields = b'"direction":"server_to_client","raw_length":1,"message":' + b"[" * depth + b"]" * depth
    line = encode_line(0, 0, 0, "frame", fields)

    def read_from(stack: int) -> object:
        return read_from(stack - 1) if stack else parse_line(line)

    limit = sys.getrecursionlimit()
    assert isinstance(read_from(200), Frame)
    assert sys.getrecursionlimit() == limit


def test_a_byte_order_mark_hides_no_message() -> None:
    body = b'\xef\xbb\xbf{"id":1}'
    frame, _ = write_and_read(b"Content-Length: 11\r\n\r\n", body)
    assert frame.message == {"id": 1}
    assert frame.body is not None
    assert frame.body.encode() == body


def test_half_of_a_surrogate_pair_is_written_as_it_was_and_read_as_no_character() -> None:
    body = rb'{"text":"\ud83d","pair":"\ud83d\ude00"}'
    frame, line = write_and_read(b"Content-Length: 17\r\n\r\n", body)
    assert frame.message == {"text": "\ufffd", "pair": "\U0001f600"}
    assert body in line


@pytest.mark.parametrize(
    "header", [b"content-length: 2\r\n\r\n", b"Content-Length: 2\n\n", b"X: \xff\nContent-Length:2\n\n"]
)
def test_an_unusual_header_is_kept_byte_for_byte(header: bytes) -> None:
    frame, _ = write_and_read(header, b"{}")
    assert frame.header is not None
    assert frame.header.encode("latin-1") == header


@given(st.binary())
def test_parts_hold_any_bytes(data: bytes) -> None:
    part = parse_line(encode_line(0, 0, 0, "body_part", encode_part(3, 1, data)))
    assert isinstance(part, BodyPart)
    assert (part.of, part.part) == (3, 1)
    assert decode_part(part.text, part.base64) == data


@given(st.text(st.sampled_from('"\\/\n\x00\x1f\x7f\u2028a\xfc\U0001f600')))
def test_a_part_is_the_string_that_a_json_library_writes(text: str) -> None:
    written = json.dumps({"of": 3, "part": 1, "text": text}, ensure_ascii=False, separators=(",", ":"))
    assert encode_part(3, 1, text.encode()) == written[1:-1].encode()


@given(st.text(min_size=1), st.integers(1, 100))
def test_no_character_is_cut(text: str, size: int) -> None:
    data = text.encode("utf-8", "replace")[:size]
    cut = split_character(data)
    assert len(data) - cut <= 3
    data[:cut].decode()


def test_counts_parts() -> None:
    assert [count_parts(size) for size in (1, PART_BYTES, PART_BYTES + 1)] == [1, 1, 2]


def test_fields_of_any_text_are_one_line() -> None:
    fields = encode_fields({"name": "a\nb\u2028\udc80"})
    assert b"\n" not in fields
    assert json.loads(b"{" + fields + b"}") == {"name": "a\nb\u2028\udc80"}


@given(st.binary() | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_a_value_that_nobody_wants_changes_nothing_else(body: bytes) -> None:
    header = b"Content-Length: %d\r\n\r\n" % len(body)
    fields, _ = encode_frame("server_to_client", header, body)
    assert encode_frame("server_to_client", header, body, value_is_wanted=False) == (fields, None)


@pytest.mark.parametrize("body", [b"1" * 4300, b"1" * 4301, b'"' + b"1" * 5000 + b'"', b'{"a": [NaN]}', b"[" * 100_000])
def test_what_is_only_checked_is_refused_for_the_same_reason(body: bytes) -> None:
    fields, _ = encode_frame("server_to_client", b"", body)
    assert encode_frame("server_to_client", b"", body, value_is_wanted=False) == (fields, None)
