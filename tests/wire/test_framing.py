"""The base protocol as it is in the wild. Every case is run whole and byte by byte."""

from __future__ import annotations

import pytest

from lsp_tap.wire.framing import (
    MAX_HEADER_BYTES,
    Body,
    Cut,
    Event,
    Frame,
    FrameSplitter,
    Header,
    Invalid,
    Splitter,
    encode_frame,
)


def split(data: bytes, size: int) -> list[Event]:
    """The events of `data` fed in pieces of `size` bytes, pieces of one body or one invalid stretch joined."""
    splitter = Splitter()
    events: list[Event] = []
    for start in range(0, len(data), size):
        events += splitter.feed(data[start : start + size])
    return join_pieces(events + splitter.close())


def join_pieces(events: list[Event]) -> list[Event]:
    joined: list[Event] = []
    for event in events:
        last = joined[-1] if joined else None
        if isinstance(event, Body) and isinstance(last, Body) and not last.is_last:
            joined[-1] = Body(last.raw + event.raw, event.is_last)
        elif isinstance(event, Invalid) and isinstance(last, Invalid) and event.reason == last.reason:
            joined[-1] = Invalid(last.raw + event.raw, event.reason)
        else:
            joined.append(event)
    return joined


HELLO = encode_frame(b"hello")
HELLO_EVENTS: list[Event] = [Header(b"Content-Length: 5\r\n\r\n", 5), Body(b"hello", True)]


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("data", "events"),
    [
        pytest.param(HELLO * 2, HELLO_EVENTS * 2, id="two frames"),
        pytest.param(
            b"content-LENGTH:5\r\n\r\nhello",
            [Header(b"content-LENGTH:5\r\n\r\n", 5), Body(b"hello", True)],
            id="any case, no blank",
        ),
        pytest.param(
            b"X-Extra: 1\r\nContent-Type: application/x; charset=utf-7\r\nContent-Length:  5 \r\n\r\nhello",
            [
                Header(b"X-Extra: 1\r\nContent-Type: application/x; charset=utf-7\r\nContent-Length:  5 \r\n\r\n", 5),
                Body(b"hello", True),
            ],
            id="fields in any order, an unknown one, an unknown charset",
        ),
        pytest.param(
            b"Content-Length: 5\n\nhello",
            [Header(b"Content-Length: 5\n\n", 5), Body(b"hello", True)],
            id="bare line feeds",
        ),
        pytest.param(
            b"Content-Length: 0\r\n\r\n" + HELLO,
            [Header(b"Content-Length: 0\r\n\r\n", 0), Body(b"", True), *HELLO_EVENTS],
            id="an empty body",
        ),
        pytest.param(
            b"Content-Length: 99\r\nContent-Length: 5\r\n\r\nhello",
            [Header(b"Content-Length: 99\r\nContent-Length: 5\r\n\r\n", 5), Body(b"hello", True)],
            id="the last length counts",
        ),
        pytest.param(
            b"Content-Type: x\r\n\r\n" + HELLO,
            [Invalid(b"Content-Type: x\r\n\r\n", "no Content-Length"), *HELLO_EVENTS],
            id="no length",
        ),
        pytest.param(
            b"Content-Length: -5\r\n\r\n" + HELLO,
            [Invalid(b"Content-Length: -5\r\n\r\n", "Content-Length is not a length"), *HELLO_EVENTS],
            id="a negative length",
        ),
        pytest.param(
            b"Content-Length: 9999999999999\r\n\r\n" + HELLO,
            [Invalid(b"Content-Length: 9999999999999\r\n\r\n", "Content-Length is not a length"), *HELLO_EVENTS],
            id="a length beyond all memory",
        ),
        pytest.param(
            b"Starting the server ...\n" + HELLO,
            [Invalid(b"Starting the server ...\n", "not a header"), *HELLO_EVENTS],
            id="a line printed to stdout",
        ),
        pytest.param(
            b'lo"}' + HELLO,
            [Invalid(b'lo"}', "not a header"), *HELLO_EVENTS],
            id="the rest of a body whose length was short",
        ),
        pytest.param(
            HELLO + b"\r\n" + HELLO,
            [*HELLO_EVENTS, Invalid(b"\r\n", "not a header"), *HELLO_EVENTS],
            id="a blank line between",
        ),
        pytest.param(b"Content-Len", [Invalid(b"Content-Len", "ended inside a header")], id="ends inside a header"),
        pytest.param(
            b"Content-Length: 5\r\n\r\nhel",
            [Header(b"Content-Length: 5\r\n\r\n", 5), Body(b"hel", False), Cut(2)],
            id="ends inside a body",
        ),
        pytest.param(
            b"x: " + b"y" * MAX_HEADER_BYTES + b"\n" + HELLO,
            [Invalid(b"x: " + b"y" * MAX_HEADER_BYTES + b"\n", "not a header"), *HELLO_EVENTS],
            id="a header without end",
        ),
        pytest.param(
            b"a: 1\n" * (MAX_HEADER_BYTES // 5 + 1) + HELLO,
            [Invalid(b"a: 1\n" * (MAX_HEADER_BYTES // 5 + 1), "not a header"), *HELLO_EVENTS],
            id="fields without end",
        ),
    ],
)
def test_splits(data: bytes, events: list[Event], size: int) -> None:
    assert split(data, size) == events


def test_a_large_body_streams_through_without_being_gathered() -> None:
    splitter = Splitter()
    splitter.feed(b"Content-Length: 1000000\r\n\r\n")
    for _ in range(9):
        assert splitter.feed(b"x" * 100_000) == [Body(b"x" * 100_000, False)]
        assert splitter.pending == b""
    assert splitter.feed(b"x" * 100_000) == [Body(b"x" * 100_000, True)]


def test_knows_where_another_frame_could_stand() -> None:
    splitter = Splitter()
    assert splitter.at_boundary
    for byte in HELLO[:-1]:
        splitter.feed(bytes([byte]))
        assert not splitter.at_boundary
    splitter.feed(HELLO[-1:])
    assert splitter.at_boundary
    splitter.feed(b"garbage without an end")
    assert not splitter.at_boundary


def test_goes_on_at_the_next_header_when_bytes_are_missing() -> None:
    splitter = Splitter()
    splitter.feed(b"Content-Length: 1000\r\n\r\nhello")
    splitter.resynchronise()
    assert splitter.feed(b"the rest of something" + HELLO) == [
        Invalid(b"the rest of something", "not a header"),
        *HELLO_EVENTS,
    ]


def test_gathers_whole_frames() -> None:
    splitter = FrameSplitter()
    found = [entry for byte in b"oops\n" + HELLO for entry in splitter.feed(bytes([byte]))]
    assert [entry.raw for entry in found if isinstance(entry, Frame)] == [HELLO]
    assert b"".join(entry.raw for entry in found) == b"oops\n" + HELLO
    assert splitter.feed(HELLO[:-1]) == []
    (cut,) = splitter.close()
    assert isinstance(cut, Invalid)
    assert (cut.raw, cut.reason) == (HELLO[:-1], "ended 1 bytes short")
