"""Training, validation and held-out examples: by repository where there are enough of them, else by session.

Never by turn: turns of one session share code, errors and words, and a score on one of them says nothing when another
one was learned from. Which goes where is decided by a hash of its name and the seed, so the same recordings are always
split in the same way, and more of them move few.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lsp_tap.errors import LspTapError


class TooFewRecordings(LspTapError):
    """`sessions` distinct sessions cannot be split in `parts`."""

    def __init__(self, sessions: int, parts: int) -> None:
        super().__init__(sessions, parts)
        self.sessions, self.parts = sessions, parts

    def __str__(self) -> str:
        found = f"{self.sessions} session{'s' * (self.sessions != 1)}"
        return f"examples of {found} found, and it takes {self.parts}: record more, or choose examples less strictly"


@dataclass(frozen=True, slots=True)
class Split:
    """`by`: what was kept together. No session is in two of them, and by repository no repository either."""

    train: list[Any]
    validation: list[Any]
    held_out: list[Any]
    by: Literal["repository", "session"]


def split(examples: Sequence[Any], *, held_out: float = 0.25, validation: float = 0.25, seed: int = 0) -> Split:
    """Shares of the examples, at least one repository or session each; `validation` 0: none.

    Raises TooFewRecordings, and ValueError for shares that leave nothing to train on.
    """
    if not (0 < held_out < 1 and 0 <= validation < 1 and held_out + validation < 1):
        raise ValueError(f"shares of {held_out} and {validation} leave nothing, or are none")
    parts = 3 if validation else 2
    repositories = {_name(example, "repository") for example in examples}
    by: Literal["repository", "session"] = "repository" if len(repositories) >= parts else "session"
    groups: dict[str, list[Any]] = {}
    for example in examples:
        groups.setdefault(_name(example, "repository" if by == "repository" else "sessionId"), []).append(example)
    if by == "repository" and _is_torn(groups):  # a session that moved between folders
        return split_by_session(examples, held_out, validation, seed)
    return _deal(groups, by, held_out, validation, seed)


def split_by_session(examples: Sequence[Any], held_out: float, validation: float, seed: int) -> Split:
    """As `split`, whatever the repositories."""
    groups: dict[str, list[Any]] = {}
    for example in examples:
        groups.setdefault(_name(example, "sessionId"), []).append(example)
    return _deal(groups, "session", held_out, validation, seed)


def _deal(
    groups: dict[str, list[Any]], by: Literal["repository", "session"], held_out: float, validation: float, seed: int
) -> Split:
    parts = 3 if validation else 2
    if len(groups) < parts:
        raise TooFewRecordings(len(groups), parts)
    order = sorted(groups, key=lambda name: hashlib.sha256(f"{seed}\0{name}".encode()).digest())
    total = sum(map(len, groups.values()))
    dealt: list[list[Any]] = []
    for share, after in ((held_out, parts - 1), (validation, 1)):
        dealt.append([])
        while share and len(order) > after and len(dealt[-1]) < share * total:
            dealt[-1] += groups[order.pop(0)]
    return Split([example for name in order for example in groups[name]], dealt[1], dealt[0], by)


def _is_torn(groups: dict[str, list[Any]]) -> bool:
    homes: dict[str, str] = {}
    return any(
        homes.setdefault(_name(example, "sessionId"), name) != name
        for name, members in groups.items()
        for example in members
    )


def _name(example: Any, what: str) -> str:
    return str(example.recorded.get(what) or example.recorded.get("sessionId"))
