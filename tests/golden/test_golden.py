"""Recordings of real servers, folded: the numbers are the expected ones, and the laws hold on each."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path

import pytest

from lsp_tap.session.models import SessionFile, Turn
from lsp_tap.session.writer import encode_json
from tests.golden.essence import build_sessions, measure_essence, sum_up
from tests.golden.scenarios import SCENARIOS

GOLDEN = Path(__file__).parent
FOLDERS = sorted(path.parent for path in GOLDEN.glob("*/expected.json"))


build_once = cache(build_sessions)


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_every_scenario_is_recorded() -> None:
    assert [folder.name for folder in FOLDERS] == sorted(SCENARIOS)
    assert len(FOLDERS) >= 30


def test_a_recording_comes_to_what_was_expected(folder: Path) -> None:
    sessions = build_once(folder)
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    assert {session.session_id: measure_essence(session) for session in sessions} == expected
    assert {session.session_id: sum_up(session) for session in sessions} == SCENARIOS[folder.name].expected
    for session in sessions:
        check_laws(session, SCENARIOS[folder.name].others_net.get(session.session_id, 0))


def test_the_same_journals_give_the_same_bytes(folder: Path) -> None:
    once, again = build_once(folder), build_sessions(folder)
    assert [encode_json(session) for session in once] == [encode_json(session) for session in again]


def check_laws(session: SessionFile, others_net: int) -> None:
    """Each turn's balance, and that the nets of its calls, and of others, add up to its own."""
    calls = {action.call_id: action for action in session.tool_calls}
    nets = [(find_net(turn), [calls[call] for call in turn.actions]) for turn in session.turns]
    known = [(net, made) for net, made in nets if net is not None]
    deltas = [delta for _, made in known for action in made if (delta := getattr(action, "lsp_delta", None))]
    of_calls = sum(len(delta.introduced) - len(delta.cleared) for delta in deltas)
    assert sum(net for net, _ in known) == of_calls + others_net


def find_net(turn: Turn) -> int | None:
    """What the turn's balance comes to: after = before - cleared + introduced, each with the others' share."""
    lsp = turn.outcome.metrics.lsp
    if lsp.errors_before is None or lsp.errors_after is None:
        assert lsp.baseline == "none"
        assert lsp.errors_cleared is lsp.errors_introduced is lsp.errors_persisted is lsp.errors_after is None
        return None
    cleared = (lsp.errors_cleared or 0) + (lsp.external_cleared or 0)
    introduced = (lsp.errors_introduced or 0) + (lsp.external_introduced or 0)
    assert lsp.errors_after == lsp.errors_before - cleared + introduced
    assert lsp.errors_persisted == lsp.errors_before - cleared
    by = lsp.cleared_by
    assert sum(count or 0 for count in (by.fix, by.suppression, by.deletion)) == lsp.errors_cleared
    return lsp.errors_after - lsp.errors_before


def test_a_late_answer_is_used_by_a_later_write(tmp_path: Path) -> None:
    """The recording of the slow server, cut where the session was idle, and then whole."""
    name = "a-server-that-answers-after-seven-seconds-is-still-heard"
    shutil.copytree(GOLDEN / name / "tap", tmp_path / "tap")
    (client,) = (tmp_path / "tap").glob("client-*")
    (server,) = (tmp_path / "tap").glob("server-*")
    whole = server.read_text("utf-8")
    idle = next(line for line in client.read_text("utf-8").splitlines() if '"kind":"session_idle"' in line)
    idle_us = json.loads(idle)["time_us"]
    heard = [line for line in whole.splitlines(keepends=True) if json.loads(line)["time_us"] < idle_us]
    server.write_text("".join(heard), "utf-8")
    (early,) = build_sessions(tmp_path)
    assert sum_up(early)[0] == "edit: -0 +0 =2, stale"
    server.write_text(whole, "utf-8")
    (late,) = build_sessions(tmp_path)
    assert sum_up(late)[0] == "edit: -1 (fix) +0 =1"
