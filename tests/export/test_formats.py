from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest
from click.testing import CliRunner

from lsp_tap.cli import cli, main, traffic
from lsp_tap.export import formats
from lsp_tap.export.formats import EXPORT_FORMATS, IMPORT_FORMATS, export_capture
from lsp_tap.export.traffic import Traffic
from lsp_tap.journal.capture import open_capture
from lsp_tap.journal.retention import compress_finished
from tests.export.recording import C2S, Connection, export, hostile

STREAMS = [name for name, chosen in EXPORT_FORMATS.items() if chosen.target == "stream"]


def test_the_command_line_offers_every_format() -> None:
    assert set(traffic._EXPORT_FORMATS) == set(EXPORT_FORMATS)
    assert set(traffic._IMPORT_FORMATS) == set(IMPORT_FORMATS)


@pytest.mark.parametrize("name", [name for name, chosen in EXPORT_FORMATS.items() if chosen.target != "folder"])
def test_an_export_that_fails_leaves_what_was_there(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Connection(tmp_path).initialize()
    (tmp_path / "out").write_bytes(b"before")

    def fail_half_way(traffic: Traffic, target: object) -> None:
        EXPORT_FORMATS[name].write(traffic, target)
        raise OSError(28, os.strerror(28))

    failing = formats.ExportFormat(fail_half_way, EXPORT_FORMATS[name].target)
    monkeypatch.setattr(formats, "EXPORT_FORMATS", {name: failing})
    with pytest.raises(OSError, match="No space"):
        export_capture(open_capture([], tmp_path), name, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "tap"]


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_goes_to_standard_output_or_to_a_file_for_its_owner_alone(tmp_path: Path, name: str) -> None:
    hostile(tmp_path)
    export(tmp_path, "--to", name, "-o", str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == export(tmp_path, "--to", name).stdout_bytes
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", [name for name in EXPORT_FORMATS if name not in STREAMS])
def test_what_is_no_stream_must_be_given_a_place(tmp_path: Path, name: str) -> None:
    Connection(tmp_path).initialize()
    result = CliRunner().invoke(cli, ["export", "--dir", str(tmp_path), "--to", name])
    assert "give -o" in str(result.exception)


@pytest.mark.parametrize("name", ["lsp-recorder", "inspector"])
def test_a_format_of_one_connection_asks_which(tmp_path: Path, name: str) -> None:
    for server in ("pyright", "ruff"):
        Connection(tmp_path, server).initialize()
    result = CliRunner().invoke(cli, ["export", "--dir", str(tmp_path), "--to", name])
    assert "this capture has several" in str(result.exception)
    assert export(tmp_path, "--to", name, "--server", "ruff").stdout
    result = CliRunner().invoke(cli, ["export", "--dir", str(tmp_path), "--to", name, "--server", "clangd"])
    assert "there are: pyright, ruff" in str(result.exception)


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_memory_does_not_grow_with_the_recording(tmp_path: Path, name: str) -> None:
    def measure(messages: int) -> int:
        connection = Connection(tmp_path / str(messages), f"s{messages}")
        for id in range(messages):
            connection.ask(id, "textDocument/hover", {"text": "x" * 2_000})
            connection.answer(id, "y" * 2_000)
        capture = open_capture([str(connection.path)], tmp_path)
        tracemalloc.start()
        export_capture(capture, name, tmp_path / f"{name}-{messages}")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    few, many = measure(100), measure(800)
    assert many < few + 1_000_000  # the messages alone are 3 MB more


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_a_connection_in_which_nothing_was_said_is_exported(tmp_path: Path, name: str) -> None:
    Connection(tmp_path)
    assert export_capture(open_capture([], tmp_path), name, tmp_path / "out") is None
    assert (tmp_path / "out").exists()


def test_an_import_of_an_unknown_file_says_what_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello")
    assert main(["import", str(tmp_path / "x"), "--dir", str(tmp_path)]) == 1
    assert main(["import", str(tmp_path / "missing"), "--dir", str(tmp_path)]) == 2
    (tmp_path / "empty").mkdir()
    assert main(["import", str(tmp_path / "empty"), "--dir", str(tmp_path)]) == 1


def test_a_journal_that_is_compressed_is_exported_the_same(tmp_path: Path) -> None:
    connection = Connection(tmp_path)
    connection.initialize()
    connection.put(C2S, b"content-length: 2\n\n{}")
    connection.record("tap_stopped", reason="client closed", exit_code=0)
    before = export(tmp_path, "--to", "lsp-recorder").stdout
    assert [path.name for path in compress_finished(tmp_path / "tap")] == [f"{connection.path.name}.zst"]
    assert export(tmp_path, "--to", "lsp-recorder").stdout == before
