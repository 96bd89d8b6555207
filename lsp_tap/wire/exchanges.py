"""Requests paired with their responses. An id belongs to whoever sent the request: the two directions never
mix.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, Literal, NamedTuple, TypeAlias, TypeVar

from lsp_tap.wire.messages import Message, Request, Response, key_of_id

Direction: TypeAlias = Literal["client_to_server", "server_to_client"]
T = TypeVar("T")


def reverse_direction(direction: Direction) -> Direction:
    return "server_to_client" if direction == "client_to_server" else "client_to_server"


class Exchange(NamedTuple, Generic[T]):
    """A request and its response, each with what the caller gave along (a time, a record, a position)."""

    direction: Direction
    """The request's."""
    request: Request
    asked: T
    response: Response
    answered: T


class Exchanges(Generic[T]):
    """Everything that was asked and not answered yet, of both sides."""

    def __init__(self) -> None:
        self._open: dict[tuple[Direction, tuple[str, object]], deque[tuple[Request, T]]] = {}

    def step(self, direction: Direction, message: Message, at: T) -> Exchange[T] | None:
        """The exchange that `message` completes. A response nobody waits for completes none.

        An id used again before its answer came is against the specification and happens: answers then go to
        the requests in the order in which they were sent.
        """
        match message:
            case Request():
                self._open.setdefault((direction, key_of_id(message.id)), deque()).append((message, at))
            case Response():
                asker = reverse_direction(direction)
                key = (asker, key_of_id(message.id))
                waiting = self._open.get(key)
                if waiting is None:
                    return None
                request, asked = waiting.popleft()
                if not waiting:
                    del self._open[key]
                return Exchange(asker, request, asked, message, at)
        return None

    @property
    def unanswered(self) -> list[tuple[Direction, Request, T]]:
        """In the order in which they were first asked."""
        return [(key[0], request, at) for key, waiting in self._open.items() for request, at in waiting]
