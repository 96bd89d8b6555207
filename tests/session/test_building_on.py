"""A session that is built again and again while its recording grows is at every moment as if built anew."""

from __future__ import annotations

import os
import random
from collections import Counter
from types import ModuleType

import pytest

from lsp_tap.config import Thresholds
from lsp_tap.journal.records import Record, TextStored
from lsp_tap.session import build, sums, writer
from lsp_tap.session.build import Builder
from lsp_tap.session.history import HistoryFold
from lsp_tap.session.memo import Memo
from lsp_tap.session.verified import Verification
from lsp_tap.session.writer import encode_json
from lsp_tap.timeline import steps
from lsp_tap.timeline.fold import ServerFold
from tests.session.long_work import LongWork
from tests.session.recorded import SESSION
from tests.session.test_sessions import begin, edit

SEEDS = int(os.environ.get("LSP_TAP_SEEDS", "12"))


class Growing:
    """Reads the journals of `work`, none of them farther than it was written at a moment that goes on, and some of them
    not so far."""

    def __init__(self, work: LongWork, chance: random.Random) -> None:
        self.history, self._client = HistoryFold(), work.recorded.client
        self.folds = [ServerFold(talk.name) for talk in work.recorded.servers]
        self._unread = [[*work.recorded.records], *([*talk.records] for talk in work.recorded.servers)]
        self._chance = chance

    def read(self) -> bool:
        """Somewhat more; False at the end."""
        until_us = min((journal[0].time_us for journal in self._unread if journal), default=0)
        until_us += self._chance.choice((1, 100_000, 3_000_000, 20_000_000))
        for journal, step in zip(self._unread, (self._step_client, *(fold.step for fold in self.folds)), strict=True):
            while journal and journal[0].time_us <= until_us and self._chance.random() < 0.97:
                record = journal.pop(0)
                if self._chance.random() < (0.2 if isinstance(record, TextStored) else 0.01):
                    journal.insert(self._chance.randrange(min(len(journal) + 1, 40)), record)
                else:
                    step(record)
        return any(self._unread)

    def _step_client(self, record: Record) -> None:
        self.history.step(record, self._client)


def encode(builder: Builder, session_id: str, memo: Memo | None = None) -> tuple[bytes, bytes]:
    session = builder.build_session(session_id, memo)
    training = builder.build_training(session, memo)
    return encode_json(session, memo), encode_json(training, memo) if training else b""


@pytest.mark.parametrize("seed", range(SEEDS))
def test_built_on_or_anew_the_bytes_are_the_same(seed: int) -> None:
    chance = random.Random(seed)
    work = LongWork(chance, turns=chance.choice((3, 12)))
    growing, memos, is_more = Growing(work, chance), dict[str, Memo](), True
    builder = Builder(growing.history, [])
    verifications: list[Verification] = []
    settings, limit = Thresholds(), None
    while is_more:
        is_more = growing.read()
        if chance.random() < 0.1:
            verifications = [work.verify(growing.folds[0].timeline.last_time_us)] if chance.random() < 0.7 else []
            settings, limit = Thresholds(least_tool_calls=chance.randrange(3)), chance.choice((None, 2))
        timelines = [fold.timeline for fold in growing.folds]
        builder.update(timelines, verifications, thresholds=settings, history_limit=limit)
        anew = Builder(growing.history, timelines, verifications, thresholds=settings, history_limit=limit)
        for session_id in growing.history.sessions:
            if chance.random() < 0.7:
                memo = memos.setdefault(session_id, Memo())
                memo.begin_round()
                assert encode(builder, session_id, memo) == encode(anew, session_id)


def test_a_late_turn_costs_what_an_early_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked up, of course, is everything: what is counted is what takes long."""
    done: Counter[str] = Counter()

    def count(module: ModuleType, name: str) -> None:
        function = getattr(module, name)

        def counted(*args: object, **named: object) -> object:
            done[name] += 1
            return function(*args, **named)

        monkeypatch.setattr(module, name, counted)

    for module, name in ((build, "judge_turn"), (sums, "fold_span"), (steps, "_judge_freshness"), (writer, "_encode")):
        count(module, name)
    recorded, talk, _ = begin("bad\nbad one\n", 0, 1)
    builder, memo, text, fold, costs = Builder(recorded.history, []), Memo(), "bad\nbad one\n", ServerFold("server"), []
    for turn in range(12):
        reply = recorded.ask("Mend it")
        for number in range(3):
            old, text = text, f"# {turn} {number}\n{text}"
            edit(recorded, reply, f"call {turn} {number}", old, text, len(text.splitlines()) - 1)
        recorded.finish(reply)
        for record in talk.records[len(fold.timeline.times_us) :]:
            fold.step(record)
        done.clear()
        memo.begin_round()
        builder.update([fold.timeline])
        encode(builder, SESSION, memo)
        costs.append(+done)
    assert min(costs[1].values()) > 0
    assert costs[-1] == costs[2] == costs[3]
