"""Makes a recording anybody's: paths, process ids and times become made-up ones of the same length.

The same length, because a journal tells how many bytes each message had.
"""

from __future__ import annotations

import re
import tempfile
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from tests.e2e.opencode import REPOSITORY

PROJECT: Final = "/home/ada/project"
START_US: Final = 1_767_225_600_000_000
"""2026-01-01, 00:00 UTC."""

_TIME_US: Final = re.compile(r'(?<="time_us":)\d+')
_MONOTONIC_US: Final = re.compile(r'(?<="monotonic_us":)\d+')
_TIME_MS: Final = re.compile(r'(?<=_ms":)\d{13}')
_PID: Final = re.compile(r'("(?:pid|parent_pid|client_pid|processId)":|"OPENCODE_PID":")(\d+)')


def make_project() -> Path:
    """An empty folder whose path is as long as PROJECT."""
    folder = tempfile.gettempdir() + "/"
    path = Path(folder + uuid.uuid4().hex[: len(PROJECT) - len(folder)])
    path.mkdir()
    return path


def scrub_journals(journals: Mapping[str, str], project: str) -> dict[str, str]:
    """Journals by file name, with the names they then have."""
    firsts = [int(found[0]) for text in journals.values() if (found := _TIME_US.search(text))]
    shift_us = (min(firsts) - START_US) // 1000 * 1000
    pids = _Pids()
    return dict(
        _scrub_journal(name, _scrub_paths(text, project), shift_us, pids) for name, text in sorted(journals.items())
    )


def _scrub_journal(name: str, text: str, shift_us: int, pids: _Pids) -> tuple[str, str]:
    found = _MONOTONIC_US.search(text)
    start_us = int(found[0]) - 1_000_000 if found else 0
    lines = []
    for line in text.splitlines(keepends=True):
        head, kind, rest = line.partition('"kind":')
        head = _TIME_US.sub(lambda m: str(int(m[0]) - shift_us), head)
        head = _MONOTONIC_US.sub(lambda m: str(int(m[0]) - start_us), head)
        if name.startswith("client-"):
            rest = _TIME_MS.sub(lambda m: str(int(m[0]) - shift_us // 1000), rest)
        lines.append(head + kind + _PID.sub(lambda m: m[1] + pids.name(m[2]), rest))
    scrubbed = "".join(lines)
    first = _TIME_US.search(scrubbed)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(int(first[0]) // 1_000_000 if first else 0))
    stem, pid = re.fullmatch(r"(.+?)-\d{8}T\d{6}Z-(\d+).*", name.removesuffix(".jsonl")).groups()  # type: ignore[union-attr]
    return f"{stem}-{stamp}-{pids.name(pid)}.jsonl", scrubbed


def _scrub_paths(text: str, project: str) -> str:
    for real, name in ((project, PROJECT), (str(REPOSITORY), "/opt/tools"), (str(Path.home()), "/home")):
        made_up = name[: len(real)].ljust(len(real), "x")
        end = "" if real == project else r"(?![\w.])"
        for old, new in ((real, made_up), (_escape(real), _escape(made_up))):
            text = re.sub(re.escape(old) + end, new.replace("\\", r"\\"), text)
    return text


def _escape(path: str) -> str:
    """As some write it in JSON."""
    return path.replace("/", "\\/")


class _Pids:
    """Process ids in the order of their first mention, as long as the real ones."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, pid: str) -> str:
        if pid not in self._names:
            first = 4 * 10 ** (len(pid) - 1) if len(pid) > 1 else 1
            self._names[pid] = str(first + len(self._names))
        return self._names[pid]


def find_leaks(texts: Iterable[str], words: Iterable[str]) -> list[str]:
    """Those of `words` that some text still holds."""
    texts = [text.replace("\\/", "/") for text in texts]
    return [word for word in words if any(word in text for text in texts)]
