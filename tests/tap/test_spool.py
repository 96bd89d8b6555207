"""Items come back from the spool as they were, in order, or are counted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.tap.items import CLIENT, SERVER, Chunk, ErrorOutput, Item, Lost, Noted, Told
from lsp_tap.tap.spool import SEGMENT_BYTES, SPOOL_BYTES, Spool
from lsp_tap.wire.framing import Body, Cut, Event, Header, Invalid


def make_items() -> list[Item]:
    chunk = Chunk(CLIENT, 7, b"bytes")
    lost = Lost(CLIENT)
    lost.add(chunk)
    events: list[Event] = [Header(b"h", 3), Body(b"abc", True), Invalid(b"\xff", "not a header"), Cut(5)]
    return [
        chunk,
        Told(events, "lsp-tap:1", chunk),
        Told([], None, chunk),
        ErrorOutput(b"error"),
        Noted("tap_stopped", reason="signal 15", exit_code=None, words=["a", "\u00fc"]),
        lost,
        Chunk(SERVER, 8),
    ]


def show(item: Any) -> dict[str, Any]:
    slots = [name for part in type(item).__mro__ for name in getattr(part, "__slots__", ())]
    return {"class": type(item), **{name: getattr(item, name) for name in slots}}


def read_all(spool: Spool) -> list[Item]:
    items = []
    while (item := spool.read()) is not None:
        items.append(item)
    return items


def add(spool: Spool, items: list[Item]) -> list[Item]:
    """The oldest first; those that were not taken."""
    rest = items[::-1]
    taken = []
    while rest and (some := spool.add(rest)):
        taken += some
    assert taken + rest[::-1] == items
    return rest[::-1]


def test_every_item_comes_back_as_it_was(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    assert not spool
    assert add(spool, make_items()[:3]) == []
    assert spool
    first = spool.read()
    assert add(spool, items := make_items()) == []
    assert show(first)["data"] == b"bytes"
    rest = read_all(spool)
    assert [show(item)["class"] for item in rest[:2]] == [Told, Told]
    assert [show(item) for item in rest[2:]] == [show(item) for item in items]
    assert not spool


def test_it_leaves_no_name_in_the_folder_and_can_be_read_by_nobody_else(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    old = os.umask(0)
    try:
        add(spool, make_items())
    finally:
        os.umask(old)
    assert list(tmp_path.iterdir()) == []
    assert os.fstat(spool._segments[0]._fd).st_mode & 0o777 == 0o600


def test_many_items_of_any_size_keep_their_order(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    sizes = [0, 1, 100, 70_000, 300_000]
    items: list[Item] = [Chunk(SERVER, number, b"x" * sizes[number % 5]) for number in range(3000)]
    seen = []
    for start in range(0, 3000, 150):  # reading while it is written to
        assert add(spool, items[start : start + 150]) == []
        seen += [spool.read() for _ in range(120)]
    seen += read_all(spool)
    assert [show(item) for item in seen] == [show(item) for item in items]


def test_what_was_read_makes_room(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    piece = b"x" * (SEGMENT_BYTES // 4)
    total = 0
    for number in range(SPOOL_BYTES // len(piece) * 3):
        if add(spool, [Chunk(SERVER, number, piece)]):
            break
        total += 1
    assert total * len(piece) == SPOOL_BYTES
    for _ in range(4):
        assert spool.read() is not None
    assert add(spool, [Chunk(SERVER, 0, piece)]) != []  # the file is read, and still the first
    assert spool.read() is not None
    assert add(spool, [Chunk(SERVER, 0, piece)]) == []
    assert len(read_all(spool)) == total - 4
    assert len(spool._segments) == 1


@pytest.mark.parametrize("written_bytes", [0, 50])
def test_what_a_full_disk_does_not_take_is_left_with_the_caller(
    written_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(str(tmp_path))
    items = make_items()
    assert add(spool, items[:2]) == []
    pwritev = os.pwritev

    def fail(fd: int, buffers: list[bytes], offset: int) -> int:
        if written_bytes and buffers:
            return pwritev(fd, [b"".join(buffers)[:written_bytes]], offset)
        raise OSError(28, "No space left on device")

    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwritev", fail)
    monkeypatch.setattr(os, "write", refuse)
    assert add(spool, items[2:]) == items[2:]
    first = spool.read()
    monkeypatch.undo()
    assert add(spool, items[4:]) == []
    assert [show(item) for item in [first, *read_all(spool)]] == [show(item) for item in items[:2] + items[4:]]


def test_where_no_file_can_be_made_nothing_is_taken(tmp_path: Path) -> None:
    assert len(add(Spool(str(tmp_path / "missing")), make_items())) == len(make_items())


def test_what_cannot_be_read_back_is_counted(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    add(spool, make_items())
    assert spool.read() is not None
    os.ftruncate(spool._segments[0]._fd, 0)
    spool._segments[0]._buffer = b""
    assert spool.read() is None
    count, size_bytes = spool.take_lost()
    assert count == len(make_items()) - 1
    assert size_bytes > 0
    assert spool.take_lost() == (0, 0)
    add(spool, make_items())
    assert len(read_all(spool)) == len(make_items())


def test_what_is_given_up_is_counted(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    add(spool, make_items())
    assert spool.drop_all()[0] == len(make_items())
    assert not spool
    assert spool.drop_all() == (0, 0)
