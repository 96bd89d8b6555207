"""A scenario: what happens, with which servers, and what that comes to, reasoned by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.matrix.client import SESSION, Client

Play = Callable[[Client], None]


@dataclass(frozen=True)
class Scenario:
    """`servers` are rows of the matrix, or commands under names of their own in `scenarios`. `expected` are the lines
    of `essence.sum_up`, by session. `others_net`: introduced minus cleared, step by step, by others than the session.
    """

    name: str
    play: Play
    servers: tuple[str, ...]
    expected: Mapping[str, Sequence[str]]
    others_net: Mapping[str, int]


SCENARIOS: Final[dict[str, Scenario]] = {}


def scenario(
    *servers: str, expected: str | Mapping[str, str], others_net: Mapping[str, int] | None = None
) -> Callable[[Play], Play]:
    """Registers a function as the scenario of its name. `expected`: lines, of the one session or by session."""

    def register(play: Play) -> Play:
        name = play.__name__.replace("_", "-")
        by_session = {SESSION: expected} if isinstance(expected, str) else expected
        lines = {session: [line.strip() for line in text.strip().splitlines()] for session, text in by_session.items()}
        SCENARIOS[name] = Scenario(name, play, servers, lines, others_net or {})
        return play

    return register
