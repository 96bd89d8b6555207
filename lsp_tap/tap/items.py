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


STAMPING = 1
"""Instead of a time: it is just being asked for."""


class Item:
    """`size_bytes` is what it weighs while it waits; `monotonic_ns` and `time_ns` are when it happened."""

    __slots__ = ("monotonic_ns", "size_bytes", "source", "time_ns")

    def __init__(self, source: int, size_bytes: int) -> None:
        self.source = source
        self.size_bytes = size_bytes
        self.time_ns = time.time_ns()
        self.monotonic_ns = time.monotonic_ns()


class Chunk(Item):
    """Bytes of a direction, read at `read_ns` on the monotonic clock (just now if not given); none at its end. `number`
    counts them.

    `data` may be in a block of memory that is read into again. A chunk that has a `block` is the last that is in it.
    """

    __slots__ = ("block", "data", "number")

    def __init__(
        self,
        source: int,
        number: int,
        data: bytes | memoryview = b"",
        read_ns: int | None = None,
        block: bytearray | None = None,
    ) -> None:
        # Not by way of `Item`: in a round trip each call counts.
        self.source = source
        self.number = number
        self.data = data
        self.size_bytes = len(data)
        now_ns = time.monotonic_ns()
        self.monotonic_ns = read_ns or now_ns
        self.time_ns = time.time_ns() - now_ns + self.monotonic_ns
        self.block = block


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
