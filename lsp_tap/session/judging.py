"""Rescoring what is on disk: a project's sessions, or files. See `lsp_tap.session.rescoring` for what is judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError

from lsp_tap.config import read_settings
from lsp_tap.session.build import Builder
from lsp_tap.session.loading import Unread, list_sources, parse_sources
from lsp_tap.session.models import SessionFile
from lsp_tap.session.outcomes import select_examples
from lsp_tap.session.rescoring import Rescored, compare, rescore_row, rescore_session
from lsp_tap.session.writer import SessionPruned, find_paths, read_session, write_files


@dataclass(slots=True)
class Judged:
    """`turns` in the order of the sessions; `written`: the files that were replaced; `unread`: what could not be."""

    turns: list[Rescored] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


def judge_recorded(folder: Path, builder: Builder, session_ids: Iterable[str], *, write: bool) -> Judged:
    """Sessions of a project (its `.opencode-logs`), from their journals where those are there.

    `builder` has the thresholds. With `write` their files are replaced. Raises BadSettings, and OSError where a file
    cannot be written.
    """
    settings, judged = read_settings(folder), Judged()
    lock = FileLock(folder / "tap" / ".write.lock", mode=0o600) if write else nullcontext()
    with lock:
        for session_id in session_ids:
            path = find_paths(folder, session_id)[0]
            try:
                session = read_session(folder, builder, session_id)
            except SessionPruned as error:
                judged.unread.append(Unread(str(path), str(error)))
                continue
            if builder.is_pruned(session_id):
                session = rescore_session(session, settings)
            judged.turns += compare(_read(path), session)
            if write:
                _write(folder, session, settings.history_limit, judged)
    return judged


def judge_files(paths: Sequence[str], *, write: bool) -> Judged:
    """Session and training files, folders and globs of them, each by the settings of its folder.

    With `write` session files are replaced, with the training files beside them. A training file alone is not: it
    lacks the turns that were no success.
    """
    sources, judged = list_sources(paths), Judged()
    judged.unread += sources.unread
    for group in sources.groups:
        folder = Path(group[0]).parent
        settings = read_settings(folder)
        session = _read(Path(group[0]))
        if session is not None:
            again = rescore_session(session, settings)
            judged.turns += compare(session, again)
            if write and find_paths(folder, session.session_id)[0] == Path(group[0]):
                _write(folder, again, settings.history_limit, judged)
            elif write:
                judged.unread.append(Unread(group[0], "not written: its name is not that of its session"))
            continue
        for row in parse_sources([(name, Path(name).read_bytes()) for name in group]):
            if isinstance(row, Unread):
                judged.unread.append(row)
            else:
                judged.turns.append(rescore_row(row, settings))
        if write:
            judged.unread.append(Unread(group[0], "not written: no session file, which has all turns, is beside it"))
    return judged


def _write(folder: Path, session: SessionFile, history_limit: int | None, judged: Judged) -> None:
    written = write_files(folder, session, select_examples(session, history_limit))
    judged.written += [path for path in (written.session_path, written.training_path) if path]


def _read(path: Path) -> SessionFile | None:
    try:
        return SessionFile.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
