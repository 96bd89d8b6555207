"""The page of a session as a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lsp_tap.journal.files import replace_file
from lsp_tap.report.build import build_report
from lsp_tap.report.render import render_report
from lsp_tap.session.build import Builder
from lsp_tap.session.recording import Recording
from lsp_tap.session.writer import encode_file_name, read_session


def write_report(
    place: Path,
    recording: Recording,
    builder: Builder,
    session_id: str,
    output: Path | None = None,
    *,
    redact: Callable[[str], str] | None = None,
) -> Path:
    """Write a session's page to `output`, or into `place` (the `.opencode-logs`) beside the session's other files,
    since it shows as much of the project as they do; the owner alone may read it. Returns where it is.

    Raises KeyError for a session nobody recorded, SessionPruned, and OSError where it cannot be written.
    """
    session = read_session(place, builder, session_id)
    path = output or place / f"report-{encode_file_name(session_id)}.html"
    replace_file(path, render_report(build_report(recording, builder, session, redact=redact)))
    return path
