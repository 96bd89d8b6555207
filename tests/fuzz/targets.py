"""What must hold for every input. Each target takes bytes and raises when it does not."""

from __future__ import annotations

import copy
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from lsp_tap.config import Thresholds
from lsp_tap.journal.reader import JournalReader, Unreadable, parse_line, read_journal
from lsp_tap.journal.records import BodyPart, ClientStarted, Record, Recorded, TapStarted
from lsp_tap.session.build import Builder
from lsp_tap.session.history import HistoryFold
from lsp_tap.session.loading import TurnRow, parse_sources
from lsp_tap.session.memo import Memo
from lsp_tap.session.models import SessionFile, TrainingFile
from lsp_tap.session.recording import read_recording
from lsp_tap.session.rescoring import rescore_row, rescore_session
from lsp_tap.session.verified import Verification, fold_verification
from lsp_tap.session.writer import SessionPruned, encode_json, read_session
from lsp_tap.tap.gate import AnswerGate, Run
from lsp_tap.timeline.fold import ServerFold, ServerTimeline
from lsp_tap.wire.framing import Header, Splitter
from tests.fuzz.odd_records import GOLDEN, SCENARIOS, bend, encode_lines, make_records
from tests.session.test_loading import V1_0, V1_2
from tests.wire.test_framing import join_pieces

RECORDS: Final = 40
ID: Final = "lsp-tap:1"


class Choices:
    """Integers out of bytes, from the end of them, so that the beginning stays what it is; zeros when they are used
    up."""

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(reversed(data))

    def __call__(self, below: int) -> int:
        value = next(self._bytes, 0)
        return (value if below <= 256 else value << 8 | next(self._bytes, 0)) % below

    def list_cuts(self, length: int) -> list[int]:
        return [0, *sorted(self(length + 1) for _ in range(self(6))), length]


def split_choices(data: bytes) -> tuple[bytes, Choices]:
    """Up to 16 bytes at the end say how the rest is treated."""
    size = min(16, len(data) // 2)
    return data[: len(data) - size], Choices(data[len(data) - size :])


def fuzz_framing(data: bytes) -> None:
    """No byte is lost, added or moved, and where the stream is cut changes nothing."""
    stream, choose = split_choices(data)
    whole = Splitter()
    expected = whole.feed(stream) + whole.close()
    assert b"".join(event.raw for event in expected) == stream
    splitter = Splitter()
    events = []
    for start, stop in itertools.pairwise(choose.list_cuts(len(stream))):
        events += splitter.feed(stream[start:stop])
    events += splitter.close()
    assert join_pieces(events) == join_pieces(expected)


def fuzz_relay(data: bytes) -> None:
    """The client gets every byte of the server but the answers to the tap's own requests, and nothing else."""
    stream, choose = split_choices(data)
    gate, forwarded, runs = AnswerGate(), b"", list[Run]()
    for start, stop in itertools.pairwise(choose.list_cuts(len(stream))):
        if choose(3) == 0:
            gate.expect(ID)
        chunk = stream[start:stop]
        if gate.is_open:
            forwarded += chunk
            runs.append(Run(gate.note(chunk)))
        else:
            out, decided = gate.feed(chunk)
            forwarded += out
            runs += decided
    out, decided = gate.close()
    forwarded += out
    runs += decided
    assert b"".join(event.raw for run in runs for event in run.events) == stream
    assert forwarded == b"".join(event.raw for run in runs if run.answer_to is None for event in run.events)
    hidden = [event for run in runs if run.answer_to is not None for event in run.events]
    assert all(run.answer_to in (None, ID) for run in runs)
    frames: list[bytes] = []
    for event in hidden:
        if isinstance(event, Header):
            frames.append(b"")
        else:
            frames[-1] += event.raw
    assert all(frame.lstrip(b" \t\r\n").startswith(b"{") for frame in frames), "an answer, or what begins like one"


def fuzz_reader(data: bytes) -> None:
    """Whatever is in a journal is read or told of, and a journal read as it grows reads the same."""
    content, choose = split_choices(data)
    path = _folder() / "server-x.jsonl"
    path.write_bytes(content)
    entries = list(read_journal(path))
    assert all(isinstance(entry, Recorded | Unreadable) for entry in entries)
    cut = choose(len(content) + 1) if content else 0
    path.write_bytes(content[:cut])
    reader = JournalReader(path)
    grown = list(reader.read_new())
    path.write_bytes(content)
    grown += reader.read_rest()
    if not any(isinstance(entry, Unreadable) and entry.reason == "newer format" for entry in entries):
        assert grown == entries
    assert len(grown) == len(entries)
    for line in content.splitlines():
        parse_line(line)


def fuzz_sessions(data: bytes) -> None:
    """Any records, in any order, fold to sessions whose files are valid and whose numbers add up."""
    build_sessions(Choices(data), min(RECORDS, 1 + len(data) // 4))


class _Folded:
    """Records of one client and its servers, folded."""

    def __init__(self) -> None:
        self.history, self.read = HistoryFold(), list[Record]()
        self._servers = dict[str, ServerFold]()
        self._client: ClientStarted | None = None
        self._fold: ServerFold | None = None

    def step(self, record: Record) -> None:
        self.read.append(record)
        if isinstance(record, TapStarted):
            self._fold = self._servers.setdefault(record.name, ServerFold(record.name))
        elif isinstance(record, ClientStarted):
            self._client = record
        if self._fold is not None:
            self._fold.step(record)
        self.history.step(record, self._client)

    @property
    def timelines(self) -> list[ServerTimeline]:
        return [fold.timeline for fold in self._servers.values()]

    @property
    def verifications(self) -> list[Verification]:
        verification = fold_verification(self.read)
        return [verification] if verification else []


def build_sessions(choose: Callable[[int], int], count: int) -> int:
    """How many sessions came out."""
    folded = _Folded()
    for record in _parse(encode_lines(make_records(choose, count))):
        folded.step(record)
    builder = Builder(folded.history, folded.timelines, folded.verifications)
    for session_id in folded.history.sessions:
        session = builder.build_session(session_id)
        encoded = encode_json(session)
        assert encode_json(SessionFile.model_validate_json(encoded)) == encoded
        training = builder.build_training(session)
        if training is not None:
            TrainingFile.model_validate_json(encode_json(training))
        for turn in session.turns:
            lsp = turn.outcome.metrics.lsp
            if lsp.errors_before is not None and lsp.errors_after is not None:
                cleared = (lsp.errors_cleared or 0) + (lsp.external_cleared or 0)
                introduced = (lsp.errors_introduced or 0) + (lsp.external_introduced or 0)
                assert lsp.errors_after == lsp.errors_before - cleared + introduced
    return len(folded.history.sessions)


def fuzz_growing(data: bytes) -> None:
    """Sessions that are built again and again while records come are at every moment as if built anew."""
    build_on(Choices(data), min(RECORDS, 1 + len(data) // 4))


def build_on(choose: Callable[[int], int], count: int) -> int:
    """How often a session was compared."""
    folded, memos, compared = _Folded(), dict[str, Memo](), 0
    builder = Builder(folded.history, [])
    for record in _parse(encode_lines(make_records(choose, count))):
        folded.step(record)
        if choose(4):
            continue
        now, limit, thresholds = (folded.timelines, folded.verifications), choose(3) or None, Thresholds()
        builder.update(*now, history_limit=limit, thresholds=thresholds)
        anew = Builder(folded.history, *now, history_limit=limit, thresholds=thresholds)
        for session_id in folded.history.sessions:
            if choose(3):
                memo = memos.setdefault(session_id, Memo())
                memo.begin_round()
                assert _encode(builder, session_id, memo) == _encode(anew, session_id)
                compared += 1
    return compared


def _encode(builder: Builder, session_id: str, memo: Memo | None = None) -> tuple[bytes, bytes]:
    session = builder.build_session(session_id, memo)
    training = builder.build_training(session, memo)
    return encode_json(session, memo), encode_json(training, memo) if training else b""


def _parse(content: bytes) -> Iterator[Record]:
    for line in content.splitlines():
        entry = parse_line(line)
        if entry is not None and not isinstance(entry, Unreadable | BodyPart):
            yield entry


def fuzz_loader(data: bytes) -> None:
    """A session or training file that anybody may have edited, also one of the older layouts, is loaded or refused, and
    what was loaded can be judged and written."""
    choose = Choices(data)
    load(data if choose(8) == 0 else make_file(choose))


def make_file(choose: Callable[[int], int]) -> bytes:
    """A file of which some values are odd."""
    files = read_files()
    document = copy.deepcopy(files[choose(len(files))])
    for _ in range(choose(5)):
        bend(document, choose)
    return json.dumps(document).encode()


@lru_cache
def read_files() -> tuple[dict[str, Any], ...]:
    """Small ones of each layout."""
    found = [V1_0, V1_2]
    for name in SCENARIOS:
        recording = read_recording(GOLDEN / name)
        builder = Builder(recording.history, recording.timelines)
        for session_id in recording.history.sessions:
            session = builder.build_session(session_id)
            training = builder.build_training(session)
            found += [json.loads(encode_json(one)) for one in (session, training) if one is not None]
    return tuple(found)


def load(content: bytes) -> int:
    """How many turns are in it."""
    turns = [row for row in parse_sources([("session-x.json", content)]) if isinstance(row, TurnRow)]
    for row in turns:
        assert rescore_row(row, Thresholds()).turn == row.turn
    folder = _folder()
    (folder / "session-x.json").write_bytes(content)
    history = HistoryFold()
    history.pruned.add("x")
    try:
        session = read_session(folder, Builder(history, []), "x")
    except SessionPruned:
        return len(turns)
    assert encode_json(session)
    encoded = encode_json(rescore_session(session, Thresholds()))
    assert encode_json(SessionFile.model_validate_json(encoded)) == encoded
    return len(turns)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "framing": fuzz_framing,
    "relay": fuzz_relay,
    "reader": fuzz_reader,
    "sessions": fuzz_sessions,
    "growing": fuzz_growing,
    "loader": fuzz_loader,
}

_made: list[tempfile.TemporaryDirectory[str]] = []


def _folder() -> Path:
    """One for the process: a fuzzer calls a million times."""
    if not _made:
        _made.append(tempfile.TemporaryDirectory(prefix="lsp-tap-fuzz-"))
    return Path(_made[0].name)
