"""Journalling what only the file system knows, at the moment a turn starts."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import platformdirs
from filelock import FileLock

from lsp_tap.journal.reader import read_journal
from lsp_tap.journal.records import FORMAT_VERSION, ProjectObserved
from lsp_tap.journal.writer import create_folder
from lsp_tap.redaction.environment import Marks, mark_environment, parse_marks, read_key
from lsp_tap.session.repo import read_project

KEY_FOLDER: Final = platformdirs.user_state_path("lsp-tap", appauthor=False)
"""Where the key of the marks is: with the user, and in no project."""


def write_observation(
    folder: Path,
    directory: Path,
    session_id: str,
    message_id: str,
    *,
    environment: Mapping[str, str] | None = None,
    key_folder: Path | None = None,
) -> Path:
    """Append a `project_observed` record to `observed.jsonl` of a logs folder. With marks of the secrets in
    `environment`, where the key for them can be read or made.

    Raises JournalUnavailable where the folder cannot be used, and OSError where it cannot be written.
    """
    tap = Path(create_folder(str(folder)))
    path = tap / "observed.jsonl"
    time_us, monotonic_us = time.time_ns() // 1000, time.monotonic_ns() // 1000
    fields = read_project(directory)
    if environment is not None and (marks := _mark(environment, key_folder or KEY_FOLDER)) is not None:
        fields["environment_secrets"] = marks
    with FileLock(tap / ".observe.lock", mode=0o600):
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(path, flags, 0o600), "rb+") as file:
            content = file.read()
            record = {
                "seq": content.count(b"\n"),
                "time_us": time_us,
                "monotonic_us": monotonic_us,
                "kind": "project_observed",
                "format": FORMAT_VERSION,
                "session_id": session_id,
                "message_id": message_id,
                **fields,
            }
            # A line torn by a kill gets its end, so that it spoils no more than itself.
            torn = b"\n" if content and not content.endswith(b"\n") else b""
            file.write(torn + json.dumps(record).encode() + b"\n")
    return path


def read_marks(folder: Path, key_folder: Path | None = None) -> Marks | None:
    """The marks in the observations of a logs folder; None where there is no key, so that nobody can tell a value.

    Raises OSError where the key cannot be read.
    """
    key = read_key(key_folder or KEY_FOLDER)
    if key is None:
        return None
    records = read_journal(folder / "tap" / "observed.jsonl")
    observed = (record.environment_secrets for record in records if isinstance(record, ProjectObserved))
    return Marks.of(key, [mark for value in observed for mark in parse_marks(value, key)])


def _mark(environment: Mapping[str, str], key_folder: Path) -> dict[str, Any] | None:
    try:
        key = read_key(key_folder, create=True)
    except OSError:  # a home that cannot be written to is no reason to lose the observation
        return None
    return mark_environment(environment, key) if key else None
