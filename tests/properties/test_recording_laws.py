"""What holds for every journal and every recording, whatever wrote it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsp_tap.journal.reader import Unreadable, parse_line
from lsp_tap.journal.records import RECORD_BY_KIND, Recorded
from tests.fuzz.odd_records import make_records
from tests.fuzz.targets import build_sessions, fuzz_loader, fuzz_reader

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
NAMES = sorted({name for model in RECORD_BY_KIND.values() for name in model.model_fields} - {"kind"})
SMALL = st.integers(-1, 3)
RECORDS = st.fixed_dictionaries(
    {"kind": st.sampled_from(sorted(RECORD_BY_KIND)) | st.text(max_size=3), "seq": SMALL, "time_us": SMALL,
     "monotonic_us": SMALL},
    optional={name: VALUES | st.text(max_size=3) for name in NAMES if name not in ("seq", "time_us", "monotonic_us")},
)  # fmt: skip
LINES = RECORDS.map(lambda record: json.dumps(record).encode()) | st.binary(max_size=30)


@given(st.lists(LINES, max_size=6).map(b"\n".join), st.binary(max_size=16))
def test_any_journal_is_read_or_told_of_also_as_it_grows(content: bytes, choices: bytes) -> None:
    fuzz_reader(content + choices)


@given(RECORDS)
def test_a_record_is_itself_or_says_what_is_wrong_with_it(record: dict[str, Any]) -> None:
    entry = parse_line(json.dumps(record).encode())
    if isinstance(entry, Unreadable):
        assert entry.detail == record["kind"] or entry.reason == "not a record"
        assert (entry.reason == "unknown kind") == (record["kind"] not in RECORD_BY_KIND)
    else:
        assert isinstance(entry, Recorded)
        assert entry.model_dump()["kind"] == record["kind"]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(st.data(), st.integers(1, 60))
def test_any_records_in_any_order_fold_to_files_that_are_valid(data: st.DataObject, count: int) -> None:
    build_sessions(lambda below: data.draw(st.integers(0, below - 1)), count)


def test_records_as_they_were_fold_to_sessions() -> None:
    """That the law above speaks of something."""
    unbent = make_records(_in_order, 60)
    assert build_sessions(_in_order, 60) >= 1
    assert len({record["kind"] for record in unbent}) > 3


def _in_order(below: int) -> int:
    """No record is bent, none is passed over."""
    return 0 if below != 8 else 1


@settings(deadline=None)
@given(st.binary(max_size=50) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_session_file_is_loaded_or_refused(content: bytes) -> None:
    fuzz_loader(content)
