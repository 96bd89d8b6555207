"""The pumps alone, between pipes of the test's own: what arrives is what was said, and so is what is handed on."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_tap.tap import recorder as recorder_module
from lsp_tap.tap.items import CLIENT, SERVER, Chunk, Item, Told
from lsp_tap.tap.recorder import Recorder
from lsp_tap.tap.recording import Recording
from lsp_tap.tap.relay import BLOCK_BYTES, FEW_BYTES, ClientPump, Intake, ServerPump


class Collecting:
    """Stands in for a `Recording`: keeps what the chunks said when they came, as their memory is used again."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = None if folder is None else str(folder)
        self.said: dict[int, list[bytes]] = {CLIENT: [], SERVER: []}
        self.numbers: dict[int, list[int]] = {CLIENT: [], SERVER: []}

    def step(self, item: Item) -> None:
        assert isinstance(item, Chunk)
        self.said[item.source].append(bytes(item.data))
        self.numbers[item.source].append(item.number)

    def end_batch(self) -> float | None:
        return None

    def close(self) -> None:
        pass


@contextmanager
def pumping(collecting: Collecting) -> Iterator[tuple[int, int, Recorder]]:
    """Both pumps round a peer that is the test's: what is written at the first descriptor comes out of the second."""
    recorder = Recorder(lambda: cast(Recording, collecting))
    to_tap, from_client = os.pipe()[::-1]
    server_in, server_stdin = os.pipe()
    server_out, from_server = os.pipe()
    client_in, to_client = os.pipe()

    def echo() -> None:
        pieces = random.Random(3)
        while data := os.read(server_in, pieces.choice([100, 5000, 1 << 16])):
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(from_server, rest) :]
        os.close(from_server)

    client_pump = ClientPump(from_client, server_stdin, recorder, lambda _: None)
    server_pump = ServerPump(server_out, to_client, recorder, lambda _: None)
    threads = [threading.Thread(target=target) for target in (echo, client_pump.run, server_pump.run)]
    recorder.start()
    for thread in threads:
        thread.start()
    yield to_tap, client_in, recorder
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    recorder.close()
    for fd in (from_client, server_in, server_out, client_in, to_client):
        os.close(fd)


def send_and_receive(data: bytes, to_tap: int, client_in: int, sizes: list[int]) -> bytes:
    """Sends it in pieces of these sizes, again and again; what comes back until the end."""

    def send() -> None:
        position = turn = 0
        while position < len(data):
            position += os.write(to_tap, data[position : position + sizes[turn % len(sizes)]])
            turn += 1
        os.close(to_tap)

    sender = threading.Thread(target=send)
    sender.start()
    received = []
    while piece := os.read(client_in, 1 << 16):
        received.append(piece)
        if sum(map(len, received)) == len(data):
            break
    sender.join(20)
    return b"".join(received)


@pytest.mark.parametrize("has_folder", [True, False], ids=["with a spool", "in memory alone"])
@pytest.mark.parametrize("sizes", [[1 << 20], [FEW_BYTES, 1, 70_000, 300], [FEW_BYTES - 1, FEW_BYTES + 1, BLOCK_BYTES]])
def test_memory_that_is_read_into_again_was_needed_no_more(sizes: list[int], has_folder: bool, tmp_path: Path) -> None:
    collecting = Collecting(tmp_path if has_folder else None)
    data = random.Random(4).randbytes(6_000_000)
    with pumping(collecting) as (to_tap, client_in, _):
        assert send_and_receive(data, to_tap, client_in, sizes) == data
    for source in (CLIENT, SERVER):
        assert b"".join(collecting.said[source]) == data
        assert collecting.numbers[source][:-1] == list(range(1, len(collecting.numbers[source])))


def test_blocks_come_back_and_are_no_more_than_the_queue_holds(tmp_path: Path) -> None:
    collecting = Collecting(tmp_path)
    data = bytes(20_000_000)
    with pumping(collecting) as (to_tap, client_in, recorder):
        assert send_and_receive(data, to_tap, client_in, [1 << 20]) == data
    assert 0 < len(recorder.blocks) <= recorder_module.MAX_BLOCKS
    assert len({id(block) for block in recorder.blocks}) == len(recorder.blocks)


@given(st.lists(st.integers(1, 3 * BLOCK_BYTES), max_size=8))
def test_an_intake_reads_what_was_written_in_pieces_of_any_size(sizes: list[int]) -> None:
    fd, to_write = os.pipe()
    blocks: list[bytearray] = []
    intake = Intake(fd, to_write, blocks)
    data = random.Random(1).randbytes(sum(sizes))

    def send() -> None:
        position = 0
        for size in sizes:
            rest = memoryview(data)[position : position + size]
            position += size
            while rest:
                rest = rest[os.write(to_write, rest) :]
        os.close(to_write)

    sender = threading.Thread(target=send)
    sender.start()
    received = b""
    while piece := intake.read():
        received += piece
        if intake.full_block is not None:
            blocks.append(intake.full_block)
    sender.join(20)
    os.close(fd)
    assert received == data
    assert len(blocks) <= 1


class Passing:
    """A `Recorder` whose pump is on its way at a moment of the test's choosing."""

    def __init__(self) -> None:
        self.forwarding_since_ns = [0, 0, 0]
        self.blocks: list[bytearray] = []
        self.items: list[Any] = []

    def put(self, item: Item, *, is_last: bool = True) -> None:
        self.items.append(item)
        self.forwarding_since_ns[item.source] = 0

    def release(self, item: Item) -> None:
        pass


def test_nothing_is_put_into_a_stream_whose_pump_is_on_its_way() -> None:
    server_in, server_stdin = os.pipe()
    recorder = Passing()
    pump = ClientPump(-1, server_stdin, cast(Recorder, recorder), lambda _: None)
    recorder.forwarding_since_ns[CLIENT] = time.monotonic_ns()
    assert not pump.inject(b"frame", 0)
    recorder.forwarding_since_ns[CLIENT] = 0
    assert not pump.inject(b"frame", 1)  # one chunk more was seen than there was
    assert pump.inject(b"frame", 0)
    assert os.read(server_in, 100) == b"frame"
    pump.close()
    assert os.read(server_in, 100) == b""
    assert not pump.inject(b"frame", 0)
    os.close(server_in)


def test_input_is_not_closed_under_a_pump_that_is_on_its_way() -> None:
    server_in, server_stdin = os.pipe()
    recorder = Passing()
    pump = ClientPump(-1, server_stdin, cast(Recorder, recorder), lambda _: None)
    recorder.forwarding_since_ns[CLIENT] = time.monotonic_ns()
    pump.close()
    os.write(server_stdin, b"still open")
    assert os.read(server_in, 100) == b"still open"
    arrived = threading.Timer(0.01, lambda: recorder.forwarding_since_ns.__setitem__(CLIENT, 0))
    arrived.start()
    pump.close()
    arrived.join()
    assert os.read(server_in, 100) == b""
    os.close(server_in)


def test_a_gate_is_not_closed_behind_a_pump_that_is_on_its_way() -> None:
    server_out, from_server = os.pipe()
    client_in, to_client = os.pipe()
    recorder = Passing()
    pump = ServerPump(server_out, to_client, cast(Recorder, recorder), lambda _: None)
    recorder.forwarding_since_ns[SERVER] = time.monotonic_ns()
    assert not pump.expect("lsp-tap:1", 0, lambda: pytest.fail("it was asked"))
    recorder.forwarding_since_ns[SERVER] = 0
    assert not pump.expect("lsp-tap:1", 0, lambda: False)
    assert pump.expect("lsp-tap:1", 0, lambda: True)
    answer = b'{"jsonrpc":"2.0","id":"lsp-tap:1","result":null}'
    other = b'{"jsonrpc":"2.0","id":1,"result":null}'
    for body in (answer, other):
        os.write(from_server, b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    os.close(from_server)
    pump.run()
    os.close(to_client)
    assert os.read(client_in, 1000).endswith(other)
    told = [item for item in recorder.items if isinstance(item, Told)]
    assert told[0].answer_to == "lsp-tap:1"
    for fd in (server_out, client_in):
        os.close(fd)
