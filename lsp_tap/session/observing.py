"""Journalling what only the file system knows, at the moment a turn starts."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from filelock import FileLock

from lsp_tap.journal.records import FORMAT_VERSION
from lsp_tap.journal.writer import create_folder
from lsp_tap.session.repo import read_project


def write_observation(folder: Path, directory: Path, session_id: str, message_id: str) -> Path:
    """Append a `project_observed` record to `observed.jsonl` of a logs folder.

    Raises JournalUnavailable where the folder cannot be used, and OSError where it cannot be written.
    """
    tap = Path(create_folder(str(folder)))
    path = tap / "observed.jsonl"
    time_us, monotonic_us = time.time_ns() // 1000, time.monotonic_ns() // 1000
    fields = read_project(directory)
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
