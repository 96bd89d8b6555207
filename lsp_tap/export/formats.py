"""The formats by name, and the functions that own their files: an output is replaced whole or stays as it was."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from lsp_tap.errors import UsageError
from lsp_tap.export.chrome_trace import write_chrome_trace
from lsp_tap.export.har import write_har
from lsp_tap.export.imported import Imported, ImportedJournal, OpenJournal, Origin, UnreadableSource
from lsp_tap.export.inspector_log import write_inspector_log
from lsp_tap.export.lsp_devtools import import_lsp_devtools, write_lsp_devtools
from lsp_tap.export.lsp_recorder import import_lsp_recorder, write_lsp_recorder
from lsp_tap.export.otlp import write_otlp
from lsp_tap.export.raw_frames import import_raw_frames, write_raw_frames
from lsp_tap.export.traffic import Traffic, find_traffic
from lsp_tap.journal.capture import Capture
from lsp_tap.journal.files import create_replacement

_SQLITE_MAGIC: Final = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """`write` takes the traffic and, by `target`: a binary stream, the path of an empty file, a folder.

    `probe_messages`: whether what the tap asked for itself is in it unless the user says otherwise.
    """

    write: Callable[[Traffic, Any], None]
    target: Literal["stream", "file", "folder"] = "stream"
    probe_messages: bool = False


EXPORT_FORMATS: Final = {
    "lsp-recorder": ExportFormat(write_lsp_recorder),
    "lsp-devtools": ExportFormat(write_lsp_devtools, "file"),
    "inspector": ExportFormat(write_inspector_log),
    "raw": ExportFormat(write_raw_frames, "folder"),
    "har": ExportFormat(write_har, probe_messages=True),
    "chrome": ExportFormat(write_chrome_trace, probe_messages=True),
    "otlp": ExportFormat(write_otlp, probe_messages=True),
}

IMPORT_FORMATS: Final[dict[str, Callable[[Path, OpenJournal, Imported], None]]] = {
    "lsp-recorder": import_lsp_recorder,
    "lsp-devtools": import_lsp_devtools,
    "raw": import_raw_frames,
}


def export_capture(
    capture: Capture,
    format_name: str,
    output: Path | None,
    *,
    servers: Sequence[str] = (),
    probe_messages: bool | None = None,
) -> str | None:
    """Write a capture to `output`, or to standard output. What the format has no place for, as one line for people.

    Raises UsageError when the format cannot hold the capture, or not there; OSError.
    """
    chosen = EXPORT_FORMATS[format_name]
    if output is None and chosen.target != "stream":
        raise UsageError(f"{format_name} is a {chosen.target}, not a stream: give -o")
    wanted = chosen.probe_messages if probe_messages is None else probe_messages
    traffic = find_traffic(capture, servers, probe_messages=wanted)
    if output is None:
        chosen.write(traffic, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    elif chosen.target == "folder":
        chosen.write(traffic, output)
    else:
        with create_replacement(output) as created:
            if chosen.target == "file":
                chosen.write(traffic, created)
            else:
                with created.open("wb") as file:
                    chosen.write(traffic, file)
    return describe_left_out(traffic.left_out, f"not in the {format_name} export")


def import_recording(path: Path, format_name: str | None, folder: Path) -> Imported:
    """Write a recording of another tool as journals into `folder` (the `.opencode-logs`): all of them, or none.

    Raises UnreadableSource, JournalUnavailable, OSError.
    """
    chosen = format_name or _recognise(path)
    journals: list[ImportedJournal] = []
    imported = Imported()

    def open_journal(origin: Origin) -> ImportedJournal:
        journals.append(ImportedJournal(folder, origin))
        return journals[-1]

    try:
        IMPORT_FORMATS[chosen](path, open_journal, imported)
    except BaseException:
        for journal in journals:
            journal.discard()
        raise
    if not journals:
        raise UnreadableSource(str(path), "it holds no message")
    imported.journals = [journal.path for journal in journals]
    return imported


def _recognise(path: Path) -> str:
    if path.is_dir() or path.name.endswith((".lsp", ".times.jsonl")):
        return "raw"
    with path.open("rb") as file:
        start = file.read(len(_SQLITE_MAGIC))
    if start == _SQLITE_MAGIC:
        return "lsp-devtools"
    if start.startswith(b"{"):
        return "lsp-recorder"
    raise UnreadableSource(str(path), "not one of the formats " + ", ".join(IMPORT_FORMATS) + " (see --from)")


def describe_left_out(left_out: dict[str, int], where: str) -> str | None:
    """One line; None where nothing was."""
    counted = [f"{what} ({count})" for what, count in left_out.items() if count]
    return f"{where}: {', '.join(counted)}" if counted else None
