"""The rewards of steps: each property that `lsp_tap.session.rewards` states."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_tap.config import Thresholds
from lsp_tap.session.models import Action
from lsp_tap.session.rewards import fold_rewards
from tests.session.facts import make_action, make_step
from tests.session.test_sessions import begin, edit

WEIGHTS = Thresholds(error_weight=2, warning_weight=0.5)


@dataclass
class Code:
    """A model of what Phi is of: the errors that show, and those an earlier step has hidden."""

    shown: Counter[str] = field(default_factory=Counter)
    hidden: Counter[str] = field(default_factory=Counter)
    warnings: int = 50

    def phi(self) -> float:
        return -2 * (self.shown.total() + self.hidden.total()) - 0.5 * self.warnings

    def apply(self, cleared: dict[str, str], introduced: list[str], warnings: int) -> Action:
        cleared = {error: how for error, how in cleared.items() if self.shown[error]}
        for error, how in cleared.items():
            self.shown[error] -= 1
            self.hidden[error] += how != "fix"
        for error in introduced:
            self.hidden[error] -= self.hidden[error] > 0
            self.shown[error] += 1
        self.warnings -= warnings
        return make_step(cleared, introduced, warnings=warnings)


ERRORS = st.sampled_from("abcd")
STEPS = st.lists(
    st.tuples(
        st.dictionaries(ERRORS, st.sampled_from(["fix", "suppression", "deletion"]), max_size=3),
        st.lists(ERRORS, max_size=3),
        st.integers(-3, 3),
    ),
    max_size=12,
)


@given(st.lists(ERRORS), STEPS)
def test_a_reward_is_the_difference_of_the_potential_and_telescopes(
    start: list[str], steps: list[tuple[dict[str, str], list[str], int]]
) -> None:
    code = Code(Counter(start))
    potentials, actions = [code.phi()], []
    for step in steps:
        actions.append(code.apply(*step))
        potentials.append(code.phi())
    rewards = [reward for reward in fold_rewards(actions, WEIGHTS) if reward is not None]
    differences = [after - before for before, after in pairwise(potentials)]
    assert rewards == pytest.approx(differences)
    assert sum(rewards) == pytest.approx(potentials[-1] - potentials[0])


@pytest.mark.parametrize(
    ("steps", "rewards"),
    [
        ([({"a": "fix"}, [])], [2]),
        ([({}, ["a"])], [-2]),
        ([({"a": "suppression"}, []), ({"b": "deletion"}, [])], [0, 0]),
        ([({}, ["a"]), ({"a": "fix"}, [])], [-2, 2]),
        ([({"a": "suppression"}, []), ({}, ["a"]), ({"a": "fix"}, [])], [0, 0, 2]),
        ([({"a": "deletion"}, []), ({}, ["a"]), ({"a": "deletion"}, []), ({}, ["a"])], [0, 0, 0, 0]),
        ([({}, ["a"]), ({"a": "suppression"}, [])], [-2, 0]),
        ([({"a": "fix"}, ["b", "c"])], [-2]),
        ([({"a": "deletion"}, ["a"])], [0]),
    ],
)
def test_rewards_of_some_stories(steps: list[tuple[dict[str, str], list[str]]], rewards: list[float]) -> None:
    assert fold_rewards([make_step(*step) for step in steps], WEIGHTS) == rewards


def test_unknown_is_null_and_what_cannot_have_changed_anything_is_zero() -> None:
    unknown = [
        make_step({"a": "fix"}, [], baseline="none"),
        make_step({"a": "fix"}, [], baseline="partial"),
        *(make_step({}, [], freshness=freshness) for freshness in ("stale", "timed-out", "server-dead", "no-server")),
        make_action("bash"),
        make_action("edit"),
    ]
    assert fold_rewards(unknown, WEIGHTS) == [None] * len(unknown)
    failed = make_action("edit", status="error", success=False, error="oldString not found")
    assert fold_rewards([make_action("read"), make_action("grep"), failed], WEIGHTS) == [0, 0, 0]


def test_every_action_of_a_session_has_one() -> None:
    recorded, _, reply = begin("bad\nworse\n", 0, 1)
    edit(recorded, reply, "e1", "bad\nworse\n", "good\nworse\n", 1)
    edit(recorded, reply, "e2", "good\nworse\n", "good\nworse\nnew\n", 1, 2)
    recorded.start_call(reply, "b1", "bash", {"command": "pytest"})
    recorded.end_call(reply, "b1", "bash", metadata={"exit": 1}, exit_code=1)
    recorded.start_call(reply, "b2", "bash", {"command": "make"})
    recorded.end_call(reply, "b2", "bash", metadata={"exit": None})
    recorded.finish(reply)
    session, training = recorded.build()
    assert [action.reward for action in session.tool_calls] == [0, 1, -1, None, None]
    assert [action.exit_code for action in session.tool_calls[3:]] == [1, None]
    metrics = session.turns[0].outcome.metrics
    assert (metrics.tests_pass, metrics.compilation_success) == (False, None)
    assert training is not None
    dumped = training.model_dump(mode="json", exclude_unset=True)["examples"][0]
    assert dumped["outcome"]["metrics"]["testsPass"] is False
    assert dumped["outcome"]["metrics"]["compilationSuccess"] is None
    assert dumped["metadata"]["turn"] == 1
