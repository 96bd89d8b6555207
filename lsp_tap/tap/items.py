"""What the pumps and the main thread hand to the recording: the things that happened, with the time they
did.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lsp_tap.wire.framing import Event

CLIENT, SERVER, STDERR = 0, 1, 2
"""Where something came from."""


class Item:
    """`size_bytes` is what it weighs while it waits; `monotonic_ns` and `time_ns` are when it happened."""

    __slots__ = ("monotonic_ns", "size_bytes", "source", "time_ns")

    def __init__(self, source: int, size_bytes: int) -> None:
        self.source = source
        self.size_bytes = size_bytes
        self.time_ns = time.time_ns()
        self.monotonic_ns = time.monotonic_ns()


class Chunk(Item):
    """Bytes of a direction; none at its end. Made when they were read and filled when they are forwarded. `number`
    counts them.
    """

    __slots__ = ("data", "number")

    def __init__(self, source: int, number: int) -> None:
        # Not by way of `Item`: this is half of what a round trip costs beside its system calls.
        self.source = source
        self.size_bytes = 0
        self.time_ns = time.time_ns()
        self.monotonic_ns = time.monotonic_ns()
        self.data = b""
        self.number = number

    def fill(self, data: memoryview | bytes) -> Chunk:
        self.data = bytes(data)
        self.size_bytes = len(data)
        return self


class Told(Item):
    """Events of the server's that the gate has told apart: with `answer_to`, they were kept from the client."""

    __slots__ = ("answer_to", "events", "number")

    def __init__(self, events: list[Event], answer_to: str | None, last: Chunk) -> None:
        super().__init__(SERVER, sum(len(event.raw) for event in events))
        self.events = events
        self.answer_to = answer_to
        self.number = last.number
        self.time_ns = last.time_ns
        self.monotonic_ns = last.monotonic_ns


class ErrorOutput(Item):
    """A piece of the server's standard error; empty at its end."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        super().__init__(STDERR, len(data))
        self.data = data


class Noted(Item):
    """A record of the tap's own."""

    __slots__ = ("fields", "kind")

    def __init__(self, kind: str, **fields: object) -> None:
        super().__init__(STDERR, 0)
        self.kind = kind
        self.fields = fields


class Lost(Item):
    """Items that had no room in the queue."""

    __slots__ = ("count", "has_chunks", "lost_bytes")

    def __init__(self, source: int) -> None:
        super().__init__(source, 0)
        self.count = 0
        self.lost_bytes = 0
        self.has_chunks = False

    def add(self, item: Item) -> None:
        self.count += 1
        self.lost_bytes += item.size_bytes
        self.has_chunks = self.has_chunks or isinstance(item, Chunk)
