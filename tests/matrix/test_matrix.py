"""Every server of the census: the numbers of each edit and of the turn are exactly right."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsp_tap.session.models import Action, SessionFile
from tests.matrix.client import Client
from tests.matrix.servers import ROWS, Row

pytestmark = pytest.mark.live


@pytest.fixture(params=ROWS, ids=lambda row: row.id)
def row(request: pytest.FixtureRequest) -> Row:
    found: Row = request.param
    return found


def measure(root: Path, row: Row) -> SessionFile:
    """The row's edits, each made once the server has had its say on the one before."""
    edits = [edit for edit in (row.fix, row.breaks, row.shift, row.suppress) if edit]
    with Client(root, [row.server()]) as client:
        for name, text in row.files.items():
            client.write_file(name, text)
        client.write_file(row.file, row.broken)
        client.ask("Mend it")
        client.read(row.file)
        for old, new in edits:
            client.settle(quiet_s=row.quiet_s)
            client.edit(row.file, old, new)
        client.settle(quiet_s=row.quiet_s)
        client.finish()
    return client.build()


def sums_of(action: Action) -> tuple[list[str], int, int | None]:
    """How each error was cleared, how many came, how many stayed."""
    delta = action.lsp_delta
    return [error.cleared_by for error in delta.cleared], len(delta.introduced), delta.persisted


def test_each_edit_and_the_turn_have_exactly_the_numbers_the_server_saw(tmp_path: Path, row: Row) -> None:
    root = tmp_path / "project"
    root.mkdir()
    session = measure(root, row)
    edits = [action for action in session.tool_calls if action.tool == "edit"]
    errors, suppressed = row.errors, int(row.suppress is not None)
    expected: list[tuple[list[str], int, int]] = [(["fix"], 0, errors - 1), ([], 1, errors - 1), ([], 0, errors)]
    if suppressed:
        expected.append((["suppression"], 0, errors - 1))
    assert [sums_of(action) for action in edits] == expected
    assert {action.lsp_delta.freshness for action in edits} == {"fresh"}
    assert {action.lsp_delta.baseline for action in edits} == {"observed"}
    assert {finding.file for action in edits for finding in action.lsp_delta.introduced} == {row.file}
    assert [action.lsp_delta.servers for action in edits] == [(row.id,)] * len(edits)

    (turn,) = session.turns
    lsp = turn.outcome.metrics.lsp
    assert (lsp.errors_before, lsp.errors_after) == (errors, errors - suppressed)
    assert (lsp.errors_cleared, lsp.errors_introduced) == (1 + suppressed, 1)
    assert lsp.errors_persisted == errors - 1 - suppressed
    assert (lsp.external_cleared, lsp.external_introduced) == (0, 0)
    by = lsp.cleared_by
    assert (by.fix, by.suppression, by.deletion) == (1, suppressed, 0)
    assert (lsp.freshness, lsp.baseline) == ("fresh", "observed")
    assert turn.outcome.success, turn.outcome.reasons
