from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_tap.training.splits import TooFewRecordings, split


def make(session: str, repository: str | None, count: int = 1) -> list[Any]:
    return [SimpleNamespace(recorded={"sessionId": session, "repository": repository, "turn": n}) for n in range(count)]


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5), st.integers(1, 5)), min_size=3, max_size=30),
    st.integers(0, 5),
)
def test_no_session_is_on_two_sides_and_nothing_is_lost(rows: list[tuple[int, int, int]], seed: int) -> None:
    given_ = [example for session, repository, n in rows for example in make(f"s{session}", f"r{repository}", n)]
    try:
        found = split(given_, seed=seed)
    except TooFewRecordings:
        assert len({session for session, _, _ in rows}) < 3
        return
    parts = (found.train, found.validation, found.held_out)
    assert all(parts)
    assert sorted(map(id, given_)) == sorted(id(example) for part in parts for example in part)
    for what in ("sessionId", *(["repository"] if found.by == "repository" else [])):
        names = [{example.recorded[what] for example in part} for part in parts]
        assert sum(map(len, names)) == len(set().union(*names))


def test_repositories_are_kept_together_where_there_are_enough() -> None:
    assert split(make("1", "a", 3) + make("2", "b") + make("3", "c")).by == "repository"
    assert split(make("1", "a", 3) + make("2", "b") + make("3", "b")).by == "session"
    assert split(make("1", None) + make("2", None) + make("3", None)).by == "repository"
    assert split(make("1", "a") + make("2", "b"), validation=0).validation == []


def test_too_few_are_refused_in_words() -> None:
    with pytest.raises(TooFewRecordings, match=r"examples of 1 session found, and it takes 3: record more"):
        split(make("1", "a", 50))
    with pytest.raises(ValueError, match="leave nothing"):
        split(make("1", "a"), held_out=0.5, validation=0.5)


def test_another_seed_splits_otherwise_and_the_same_one_does_not() -> None:
    given_ = [example for n in range(20) for example in make(f"s{n}", "r", 2)]
    sides = [[example.recorded["sessionId"] for example in split(given_, seed=seed).held_out] for seed in (0, 0, 1)]
    assert sides[0] == sides[1] != sides[2]
    assert len(sides[0]) == 10
