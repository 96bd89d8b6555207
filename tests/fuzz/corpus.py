"""Inputs to start from, out of the fixtures: close to what is recorded, so that small changes lead far."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from lsp_tap.wire.framing import encode_frame
from tests.fuzz.odd_records import FIXTURES, read_pool
from tests.fuzz.targets import ID
from tests.properties.test_framing_laws import SNIPPETS

_MOST_BYTES: Final = 4000


def list_seeds(target: str) -> list[bytes]:
    makers = {
        "framing": _streams,
        "relay": _streams,
        "reader": _journals,
        "sessions": _choices,
        "growing": _choices,
        "loader": _choices,
    }
    return [seed for seed in makers[target]() if len(seed) <= _MOST_BYTES]


def _streams() -> Iterator[bytes]:
    yield from SNIPPETS
    answers = (
        {"jsonrpc": "2.0", "id": ID, "result": []},
        {"result": {"items": []}, "id": ID},
        {"id": ID, "method": "x"},
    )
    bodies = [json.dumps(answer).encode() for answer in answers]
    bodies += [json.dumps(record["message"]).encode() for record in read_pool() if "message" in record][:60]
    yield from (encode_frame(body) + bytes(range(16)) for body in bodies)
    yield b"".join(map(encode_frame, bodies[:6])) + bytes(16)


def _journals() -> Iterator[bytes]:
    for path in sorted(FIXTURES.glob("*-v*.jsonl")):
        content = path.read_bytes()
        yield from (content, *content.splitlines(keepends=True))


def _choices() -> Iterator[bytes]:
    yield from (bytes((number * step) % 251 for number in range(160)) for step in range(1, 40))
