"""What holds for every stream of bytes, however it is cut into pieces."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from lsp_tap.wire.framing import Event, Splitter, encode_frame
from tests.wire.test_framing import join_pieces

SNIPPETS = [
    *(b"Content-Length: 5\r\n\r\nhello", b"content-length:3\n\nabc", b"Content-Type: x\r\nContent-Length: 0\r\n\r\n"),
    *(b"Content-Length", b"Content-Length: zz\r\n\r\n", b"Content-Length: 7", b"Content-Type: y\r\n", b"content-typ"),
    *(b" ", b"\r\n", b"\n", b"\r", b":", b"x", b"foo bar", b"12", b"con", b"C", b"\xff", b"cCo"),
]
STREAMS = st.lists(st.sampled_from(SNIPPETS) | st.binary(max_size=6), max_size=10).map(b"".join)


def feed(data: bytes, cuts: list[int]) -> list[Event]:
    splitter = Splitter()
    events: list[Event] = []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, stop in itertools.pairwise(edges):
        events += splitter.feed(data[start:stop])
    return events + splitter.close()


@given(STREAMS, st.lists(st.integers(0, 1000)))
def test_no_byte_is_lost_added_or_moved(data: bytes, cuts: list[int]) -> None:
    assert b"".join(event.raw for event in feed(data, cuts)) == data


@given(STREAMS, st.lists(st.integers(0, 1000)))
def test_where_a_stream_is_cut_changes_nothing(data: bytes, cuts: list[int]) -> None:
    assert join_pieces(feed(data, cuts)) == join_pieces(feed(data, []))


@given(STREAMS, st.lists(st.binary(max_size=50)))
def test_frames_after_a_line_of_garbage_are_found(garbage: bytes, bodies: list[bytes]) -> None:
    splitter = Splitter()
    splitter.resynchronise()
    noise = garbage.replace(b"\n", b"").replace(b":", b"")
    events = splitter.feed(noise + b"\n" + b"".join(map(encode_frame, bodies)))
    from lsp_tap.wire.framing import Header

    assert [event.body_length for event in events if isinstance(event, Header)] == [len(body) for body in bodies]
    assert splitter.at_boundary
