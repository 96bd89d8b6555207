from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.export import raw_frames
from lsp_tap.export.formats import export_capture
from lsp_tap.journal.capture import open_capture
from lsp_tap.journal.exact import ExactFrame, ExactJournal, read_wire
from lsp_tap.journal.reader import read_journal
from lsp_tap.journal.records import Recorded, TapStarted
from tests.export.recording import C2S, S2C, Connection, bring_in, export, hostile


def read_folder(folder: Path) -> dict[str, bytes]:
    """Each file by what follows the connection's name, which has the time and process of the recording."""
    return {".".join(path.name.split(".")[-2:]): path.read_bytes() for path in folder.iterdir()}


def test_each_direction_is_a_file_with_the_bytes_of_the_wire(tmp_path: Path) -> None:
    connection = hostile(tmp_path)
    result = export(tmp_path, "--to", "raw", "-o", str(tmp_path / "raw"))
    files = read_folder(tmp_path / "raw")
    assert files["client_to_server.lsp"] == connection.wire[C2S]
    assert files["server_to_client.lsp"] == connection.wire[S2C]
    assert "records lost while recording (2)" in result.stderr


def test_what_was_exported_and_imported_is_exported_the_same(tmp_path: Path) -> None:
    connection = hostile(tmp_path)
    export(tmp_path, "--to", "raw", "-o", str(tmp_path / "raw"))
    (journal,) = bring_in(tmp_path / "raw", tmp_path / "again")
    export(tmp_path / "again", "--to", "raw", "-o", str(tmp_path / "raw again"))
    assert read_folder(tmp_path / "raw again") == read_folder(tmp_path / "raw")

    def times(path: Path) -> list[tuple[object, ...]]:
        frames = [entry for entry in ExactJournal(path, "server", None) if isinstance(entry, ExactFrame)]
        return [(f.direction, f.time_us, f.monotonic_us, f.exact_body, f.message, f.error) for f in frames]

    assert times(journal) == times(connection.path)


def test_frames_of_other_origin_are_put_in_an_order_that_can_have_been(tmp_path: Path) -> None:
    connection = Connection(tmp_path / "first")
    connection.initialize()
    connection.say(S2C, id=1, method="workspace/configuration")
    connection.say(C2S, id=1, result=[])
    connection.ask(1, "shutdown")
    connection.answer(1)
    connection.say(C2S, method="exit")
    (tmp_path / "x.client_to_server.lsp").write_bytes(connection.wire[C2S])
    (tmp_path / "x.server_to_client.lsp").write_bytes(connection.wire[S2C])
    (journal,) = bring_in(tmp_path / "x.client_to_server.lsp", tmp_path / "second")

    def order(path: Path) -> list[tuple[str, Any]]:
        frames = [entry for entry in ExactJournal(path, "server", None) if isinstance(entry, ExactFrame)]
        return [(frame.direction, frame.message) for frame in frames]

    assert sorted(map(str, order(journal))) == sorted(map(str, order(connection.path)))
    found = [message.get("method", message.get("result")) for _, message in order(journal)]
    assert found.index("workspace/configuration") < found.index([])
    assert found[0] == "initialize"
    assert found[-2:] == [None, "exit"]


def test_answers_that_nobody_asked_for_do_not_stop_an_import(tmp_path: Path) -> None:
    connection = Connection(tmp_path / "first")
    connection.say(C2S, id=5, result=1)
    connection.say(S2C, id=6, result=2)
    (tmp_path / "x.client_to_server.lsp").write_bytes(connection.wire[C2S])
    (tmp_path / "x.server_to_client.lsp").write_bytes(connection.wire[S2C] + b"rest of a")
    (journal,) = bring_in(tmp_path, tmp_path / "second", "--from", "raw")
    kinds = [entry.kind for entry in read_journal(journal) if isinstance(entry, Recorded) and hasattr(entry, "kind")]
    assert kinds == ["tap_started", "frame", "invalid", "frame", "tap_stopped"]


def test_the_journal_says_where_it_is_from(tmp_path: Path) -> None:
    Connection(tmp_path).initialize()
    export(tmp_path, "--to", "raw", "-o", str(tmp_path / "raw"))
    (journal,) = bring_in(tmp_path / "raw", tmp_path / "again")
    started = next(iter(read_journal(journal)))
    assert isinstance(started, TapStarted)
    assert started.recorder.startswith("lsp-tap raw frames 1, imported by lsp-tap")
    assert (started.name, started.command, started.cwd) == ("pyright", ("pyright", "--stdio"), "/p")


def test_an_export_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection(tmp_path)
    connection.initialize()
    export(tmp_path, "--to", "raw", "-o", str(tmp_path / "raw"))
    before = {path: path.read_bytes() for path in (tmp_path / "raw").iterdir()}

    def fail_half_way(path: Path, *, probe: bool) -> Iterator[object]:
        yield next(iter(read_wire(path, probe=probe)))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(raw_frames, "read_wire", fail_half_way)
    with pytest.raises(OSError, match="No space"):
        export_capture(open_capture([], tmp_path), "raw", tmp_path / "raw")
    assert {path: path.read_bytes() for path in (tmp_path / "raw").iterdir()} == before
