from __future__ import annotations

from pathlib import Path

import pytest

from lsp_tap.journal.exact import ExactFrame, ExactJournal, WirePiece, find_member, read_wire
from lsp_tap.wire.framing import encode_frame
from tests.export.recording import C2S, S2C, Connection, hostile


def join_wire(path: Path, *, probe: bool = False) -> dict[str, bytes]:
    joined: dict[str, bytes] = {C2S: b"", S2C: b""}
    for piece in read_wire(path, probe=probe):
        if isinstance(piece, WirePiece):
            assert piece.is_exact
            joined[piece.direction] += piece.data
    return joined


def read_frames(path: Path) -> list[ExactFrame]:
    return [entry for entry in ExactJournal(path, "server", None) if isinstance(entry, ExactFrame)]


def test_the_bytes_of_a_journal_are_those_of_the_wire_whatever_was_on_it(tmp_path: Path) -> None:
    connection = hostile(tmp_path)
    assert join_wire(connection.path) == connection.wire


def test_what_the_tap_asked_for_itself_is_only_there_when_wanted(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    connection.ask("tap:1", "textDocument/diagnostic", probe=True)
    connection.answer("tap:1", probe=True)
    connection.ask(1, "shutdown")
    assert join_wire(connection.path) == connection.wire
    assert b"tap:1" in join_wire(connection.path, probe=True)[S2C]


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1.0,"a":[1e400],"z":12345678901234567890}',
        b'{"a" :\t1 , "b":"\\ud83d\\u005b"}',
        b' {"a":\n1}\r\n',
        b'\xef\xbb\xbf{"a":1}',
        b'"a string, with ,\\"message\\": in it"',
        b"",
        b"{",
        b"\xff",
        b'{"message":{"message":1},"x":"}"}',
        b"[" * 500 + b"]" * 500,
    ],
)
def test_a_frame_has_the_body_it_had(tmp_path: Path, body: bytes) -> None:
    connection = Connection(tmp_path)
    connection.put(C2S, encode_frame(body))
    (frame,) = read_frames(connection.path)
    assert frame.exact_body == body
    assert frame.exact_header + frame.exact_body == encode_frame(body)
    assert frame.is_exact


def test_json_on_one_line_is_the_body_but_for_line_breaks_and_a_mark(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    connection.put(C2S, encode_frame(b'\xef\xbb\xbf{"a":\r\n1.0}\n'))
    connection.put(C2S, encode_frame(b"nothing"))
    assert [frame.json_text for frame in read_frames(connection.path)] == ['{"a":  1.0} ', None]


def test_a_message_that_is_not_the_last_field_is_found(tmp_path: Path) -> None:
    path = tmp_path / "server-x.jsonl"
    fields = '"seq":0,"time_us":1,"monotonic_us":1,"kind":"frame","direction":"client_to_server","raw_length":30'
    path.write_text("{" + fields + ',"message": {"a": 1.0} ,"later":{"message":2}}\n')
    (frame,) = read_frames(path)
    assert frame.exact_body == b'{"a": 1.0}'


def test_a_large_body_that_was_cut_keeps_what_came(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    whole = encode_frame(b'"%s"' % (b"x" * 2_000_000))
    connection.put(C2S, whole[:1_500_000])
    connection.end()
    assert join_wire(connection.path)[C2S] == whole[:1_500_000]
    (frame,) = read_frames(connection.path)
    assert whole.startswith(frame.exact_header + frame.exact_body)
    assert not frame.is_exact


def test_a_member_is_found_as_it_was_spelled() -> None:
    text = ' { "id" : 1.0 , "params":{"params":2}, "params" :[ 1e999,"]" ] } '
    assert find_member(text, "id") == "1.0"
    assert find_member(text, "params") == '[ 1e999,"]" ]'
    assert find_member(text, "result") is None
    assert find_member('["params"]', "params") is None
