"""The answers to the tap's own requests are kept back; every other byte goes on, in order."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_tap.tap.gate import MAX_GATHER_BYTES, MAX_PREFIX_BYTES, AnswerGate
from lsp_tap.wire.framing import encode_frame

OURS = "lsp-tap:1:1"
ANSWERS = [
    b'{"jsonrpc":"2.0","id":"lsp-tap:1:1","result":{"kind":"full","items":[]}}',
    b'{"id":"lsp-tap:1:1","result":null,"jsonrpc":"2.0"}',
    b'{"jsonrpc":"2.0","result":{"items":[{"id":5,"method":"x"}]},"id":"lsp-tap:1:1"}',
    b'\r\n{ "jsonrpc" : "2.0" , "id" : "lsp-tap:1:1" , "error" : {"code":-32802,"message":"no"}}',
    b'{"jsonrpc":"2.0","id":"lsp-tap\\u003a1:1","result":[]}',
    b'{"\\u0069d":"lsp-tap:1:1","result":[]}',
    b'{"jsonrpc":"2.0","id":"lsp-tap:1:1"}',
    b'{"extra":{"deep":[1,2]},"id":"lsp-tap:1:1","result":1}',
    json.dumps({"jsonrpc": "2.0", "id": OURS, "result": "x" * 3 * MAX_PREFIX_BYTES}).encode(),
    json.dumps({"jsonrpc": "2.0", "result": "x" * 3 * MAX_PREFIX_BYTES, "id": OURS}).encode(),
]
OTHERS = [
    b'{"jsonrpc":"2.0","method":"textDocument/publishDiagnostics","params":{"id":"lsp-tap:1:1"}}',
    b'{"jsonrpc":"2.0","id":7,"result":{"id":"lsp-tap:1:1"}}',
    b'{"jsonrpc":"2.0","id":"lsp-tap:1:2","result":1}',
    b'{"jsonrpc":"2.0","id":"lsp-tap:1:1","method":"workspace/configuration","params":{}}',
    b'{"id":"lsp-tap:1:1","params":{},"method":"window/workDoneProgress/create"}',
    b'{"result":[],"id":null}',
    b'{"id":1.5,"error":{}}',
    b'["id","lsp-tap:1:1"]',
    b'{"id":"lsp-tap:1:1","result":',
    b"not json \xff",
    b"",
    b"   ",
    b"3",
]
GARBAGE = [b"Loading ...\n", b"\r\n", b"Content-Type: x\r\n\r\n"]


def run(gate: AnswerGate, data: bytes, cuts: list[int]) -> tuple[bytes, list[tuple[bytes, str | None]]]:
    """What went on, and what was told of every run of events, when `data` comes in the pieces that `cuts` give."""
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    forwarded = b""
    told: list[tuple[bytes, str | None]] = []
    for index, start in enumerate(edges[:-1]):
        piece = data[start : edges[index + 1]]
        if gate.is_open:
            forwarded += piece
            told.append((b"".join(event.raw for event in gate.note(piece)), None))
        else:
            forward, runs = gate.feed(piece)
            forwarded += forward
            told += [(b"".join(event.raw for event in run.events), run.answer_to) for run in runs]
    forward, runs = gate.close()
    told += [(b"".join(event.raw for event in run.events), run.answer_to) for run in runs]
    return forwarded + forward, told


CUTS = st.lists(st.integers(0, 100_000), max_size=40)


@given(
    before=st.lists(st.sampled_from([*map(encode_frame, OTHERS), *GARBAGE])),
    answer=st.sampled_from(ANSWERS),
    after=st.lists(st.sampled_from([*map(encode_frame, OTHERS), *GARBAGE])),
    end=st.sampled_from([b"", b"Content-Len", b"Content-Length: 10\r\n\r\n{", b"x"]),
    cuts=CUTS,
)
def test_the_answer_is_kept_back_and_nothing_else(
    before: list[bytes], answer: bytes, after: list[bytes], end: bytes, cuts: list[int]
) -> None:
    gate = AnswerGate()
    gate.expect(OURS)
    head, tail = b"".join(before), b"".join(after) + end
    forwarded, told = run(gate, head + encode_frame(answer) + tail, cuts)
    assert forwarded == head + tail
    assert b"".join(raw for raw, _ in told) == head + encode_frame(answer) + tail
    assert b"".join(raw for raw, answer_to in told if answer_to == OURS) == encode_frame(answer)
    assert gate.is_open


@given(
    stream=st.lists(st.sampled_from([*map(encode_frame, OTHERS + ANSWERS), *GARBAGE])).map(b"".join),
    position=st.integers(0, 10_000),
    answer=st.sampled_from(ANSWERS),
    cuts=CUTS,
)
def test_a_request_in_the_middle_of_a_frame_concerns_the_next(
    stream: bytes, position: int, answer: bytes, cuts: list[int]
) -> None:
    """Bytes forwarded before the request cannot be called back, and a frame begun before it is no answer to it."""
    gate = AnswerGate()
    position %= len(stream) + 1
    gate.note(stream[:position])
    gate.expect(OURS)
    rest = stream[position:]
    whole = [encode_frame(body) for body in ANSWERS]
    if any(frame in rest for frame in whole):
        return
    forwarded, _ = run(gate, rest + encode_frame(answer), cuts)
    assert forwarded == rest


@pytest.mark.parametrize("body", OTHERS[:7])
def test_what_is_not_ours_waits_no_longer_than_it_takes_to_see_that(body: bytes) -> None:
    gate = AnswerGate()
    gate.expect(OURS)
    frame = encode_frame(body[:-1] + b" " * 50_000 + body[-1:])
    seen_at = next(size for size in range(20, len(frame) + 1) if gate_forwards(frame[:size]))
    assert seen_at < 200 or b'"result":[]' in body or b'"params":{},' in body


def gate_forwards(data: bytes) -> bool:
    gate = AnswerGate()
    gate.expect(OURS)
    return gate.feed(data)[0] == data


def test_several_answers_are_awaited_at_once() -> None:
    gate = AnswerGate()
    for number in range(3):
        gate.expect(f"lsp-tap:1:{number}")
    frames = [encode_frame(b'{"id":"lsp-tap:1:%d","result":%d}' % (number, number)) for number in (2, 0, 1)]
    other = encode_frame(b'{"method":"x"}')
    forward, runs = gate.feed(other.join(frames))
    assert forward == other * 2
    assert [run.answer_to for run in runs] == ["lsp-tap:1:2", None, "lsp-tap:1:0", None, "lsp-tap:1:1"]
    assert gate.is_open


def test_an_answer_is_kept_back_once_only() -> None:
    gate = AnswerGate()
    gate.expect(OURS)
    answer = encode_frame(ANSWERS[0])
    assert gate.feed(answer + answer)[0] == answer


def test_an_enormous_result_before_its_id_is_let_go_rather_than_kept_in_memory() -> None:
    gate = AnswerGate()
    gate.expect(OURS)
    body = b'{"result":"' + b"x" * (MAX_GATHER_BYTES + (2 << 20)) + b'","id":"lsp-tap:1:1"}'
    frame = encode_frame(body)
    forwarded = b""
    for start in range(0, len(frame), 1 << 20):
        forwarded += gate.feed(frame[start : start + (1 << 20)])[0]
    assert len(forwarded) == len(frame)
    assert forwarded == frame


def test_what_is_held_back_when_the_server_ends_is_let_go() -> None:
    gate = AnswerGate()
    gate.expect(OURS)
    data = b'Content-Length: 100\r\n\r\n{"result":[1,2'
    assert gate.feed(data)[0] == b""
    assert gate.close()[0] == data
