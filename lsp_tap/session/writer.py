"""The session writer: from a project's journals to `session-<id>.json`, `dspy-<id>.json` and `plugin.log`.

Files are replaced whole or not at all. Two writers at once (every idle session starts one) take turns, and each reads
the journals after it got its turn, so the last one to write has seen the most. A `dspy-<id>.json` that a recomputation
no longer justifies is removed.
"""

from __future__ import annotations

import gc
import hashlib
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from filelock import FileLock
from pydantic import ValidationError

from lsp_tap.config import Thresholds
from lsp_tap.errors import LspTapError, complain
from lsp_tap.journal.files import open_replacement
from lsp_tap.journal.retention import (
    Candidate,
    Limits,
    compress_finished,
    measure_usage,
    plan_pruning,
    prune_journal,
)
from lsp_tap.journal.stored import READ_ERRORS
from lsp_tap.journal.writer import create_folder
from lsp_tap.session.build import Builder
from lsp_tap.session.memo import Memo
from lsp_tap.session.models import SessionFile, TrainingFile, Written
from lsp_tap.session.recording import Recording, read_recording
from lsp_tap.session.scope import Scope, read_index, write_index

SETTLE_LIMIT_S: Final = 10.0
QUIET_S: Final = 0.25
_POLL_S: Final = 0.05
_COMPACT: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_MEMOS: Final = 4
"""Of how many sessions it is known what was written: a client works on few at a time."""


class SessionNotRecorded(LspTapError):
    """`session_id` occurs in no journal of `folder`, or begins several that do."""

    def __init__(self, session_id: str, folder: Path) -> None:
        super().__init__(session_id, folder)
        self.session_id, self.folder = session_id, folder

    def __str__(self) -> str:
        return f"no session {self.session_id!r} in {self.folder}: `lsp-tap sessions` lists the recorded ones"


class SessionPruned(LspTapError):
    """The journals of `session_id` were pruned, and its file in `folder` is not there or cannot be read."""

    def __init__(self, session_id: str, folder: Path) -> None:
        super().__init__(session_id, folder)
        self.session_id, self.folder = session_id, folder

    def __str__(self) -> str:
        path = find_paths(self.folder, self.session_id)[0]
        return f"the journals of {self.session_id} were pruned, and {path} cannot be read"


def find_session(wanted: str, session_ids: Sequence[str], folder: Path) -> str:
    """The session meant by an id, the beginning of one, or `last`. `session_ids` are in the order of their recording.

    Raises SessionNotRecorded.
    """
    if wanted == "last" and session_ids:
        return session_ids[-1]
    if wanted in session_ids:
        return wanted
    begun = [session_id for session_id in session_ids if session_id.startswith(wanted)]
    if len(begun) != 1:
        raise SessionNotRecorded(wanted, folder)
    return begun[0]


@dataclass(frozen=True, slots=True)
class WrittenSession:
    """What was written for one session. `training_path` is None where no turn succeeded.

    `is_kept`: nothing was; its journals were pruned, and the files are those that were written before.
    """

    session: SessionFile
    training: TrainingFile | None
    session_path: Path
    training_path: Path | None
    is_kept: bool = False


def wait_settled(recording: Recording, limit_s: float = SETTLE_LIMIT_S) -> bool:
    """Wait until the recorders that still run are quiet and no server owes an answer; False at the time limit."""
    deadline, last_new = time.monotonic() + limit_s, time.monotonic()
    while True:
        now = time.monotonic()
        if recording.read():
            last_new = now
        if not recording.has_live_recorders():
            return True
        if now - last_new >= QUIET_S and not recording.is_waiting(time.time_ns() // 1000 - int(limit_s * 1e6)):
            return True
        if now >= deadline:
            return False
        time.sleep(_POLL_S)


def write_sessions(
    folder: Path,
    session_ids: Iterable[str] | None = None,
    *,
    settle_limit_s: float = 0.0,
    history_limit: int | None = None,
    thresholds: Thresholds | None = None,
    limits: Limits | None = None,
) -> list[WrittenSession]:
    """(Re)compute the files of the given sessions, or of all, in `folder` (the `.opencode-logs`).

    Sessions whose journals were pruned keep the files they have. With `limits`, finished journals are
    then compressed, and pruned where they are past the limits; the files of every session that loses a journal are
    written first.

    Raises SessionNotRecorded, SessionPruned for a given one without a file, JournalUnavailable where the folder is a
    symbolic link, and OSError where it cannot be written.
    """
    return list(
        SessionWriter(folder).write(
            session_ids,
            settle_limit_s=settle_limit_s,
            history_limit=history_limit,
            thresholds=thresholds,
            limits=limits,
        )
    )


def spare_collector() -> None:
    """For a process that writes sessions and does nothing else: what is folded stays, in ever more objects, and looking
    through them all for garbage, as Python does by default, takes a fifth of the time and finds next to none.
    """
    gc.set_threshold(100_000, 50, 100)


class SessionWriter:
    """Writes the files of sessions again and again. Each time it reads of the journals only what is new and, of a
    session that is asked for by name, computes only what is other than it was.

    They are those that would be written anew: where folding on does not come to that, it folds anew.
    """

    def __init__(self, folder: Path, *, scope: Scope | None = None) -> None:
        """With a `scope` only the journals are read that its sessions, and those that are named later, need."""
        self.folder = folder
        self._scope = scope
        self._begin(Recording(folder, scope))
        self._rested_us: dict[str, int] = {}  # when the sessions that were written had come to rest, as far as read

    def _begin(self, recording: Recording) -> None:
        self._recording = recording
        self._builder = Builder(recording.history, ())
        self._memos: dict[str, Memo] = {}  # of the sessions that were asked for last

    def read(self) -> None:
        """Take in what is recorded so far."""
        self._read_all()

    def list_rested(self, since_us: int) -> list[str]:
        """The sessions that came to rest since that time (wall clock, microseconds) and were not written since then."""
        sessions = self._read_all().history.sessions
        return sorted(
            session_id
            for session_id, session in sessions.items()
            if max(session.idle_us, default=0) > max(since_us, self._rested_us.get(session_id, 0))
        )

    def write(
        self,
        session_ids: Iterable[str] | None = None,
        *,
        settle_limit_s: float = 0.0,
        history_limit: int | None = None,
        thresholds: Thresholds | None = None,
        limits: Limits | None = None,
    ) -> Iterator[WrittenSession]:
        """As `write_sessions`, but each session is written when it is asked for, under a lock held until the last."""
        folder = self.folder
        create_folder(str(folder))
        named = None if session_ids is None else list(session_ids)
        if self._scope is not None:
            self._scope.sessions.update(named or ())
        wait_settled(self._recording, settle_limit_s)
        with FileLock(folder / "tap" / ".write.lock", mode=0o600):
            for left in (*folder.glob(".session-*.new"), *folder.glob(".dspy-*.new")):  # by a writer that was killed
                left.unlink(missing_ok=True)

            def read() -> Builder:
                recording = self._read_all()
                try:
                    self._builder.update(
                        recording.timelines,
                        recording.verifications,
                        history_limit=history_limit,
                        thresholds=thresholds,
                    )
                except BaseException:  # nobody knows how much of it was taken in
                    recording.is_outdated = True
                    raise
                return self._builder

            builder, sessions = read(), self._recording.history.sessions
            wanted = sorted(sessions) if named is None else named
            for session_id in wanted:
                if session_id not in sessions:
                    raise SessionNotRecorded(session_id, folder)
            for session_id in wanted:
                self._rested_us[session_id] = max(sessions[session_id].idle_us, default=0)
                if not builder.is_pruned(session_id):
                    memo = Memo() if named is None else self._take_memo(session_id)
                    yield _write_session(folder, builder, session_id, memo)
                    continue
                with suppress(*(() if named is not None else (SessionPruned,))):
                    yield _keep_session(folder, session_id)
            if limits is not None:
                self._tidy(limits, set(wanted), read)

    def _take_memo(self, session_id: str) -> Memo:
        memo = self._memos.pop(session_id, None) or Memo()
        memo.begin_round()
        self._memos = dict([*self._memos.items(), (session_id, memo)][-_MEMOS:])
        return memo

    def _read_all(self) -> Recording:
        self._recording.read()
        while self._recording.is_outdated:
            self._begin(read_recording(self.folder, self._scope))
        return self._recording

    def _tidy(self, limits: Limits, written: set[str], read: Callable[[], Builder]) -> None:
        """Compress and prune. The sessions that lose a journal are written first, but for those that are not in scope
        and were written since they were heard of last."""
        tap = self.folder / "tap"
        index = self._recording.update_index(read_index(tap))
        compress_finished(tap, limits.plain_s, limits.plain_bytes)
        size_bytes, now_us = measure_usage(tap).size_bytes, time.time_ns() // 1000
        chosen = plan_pruning(self._recording.list_prunable(), limits, now_us=now_us, size_bytes=size_bytes)
        due = {
            session_id
            for candidate, _ in chosen
            for session_id in candidate.session_ids
            if session_id not in written
            and not (self._is_left_out(session_id) and self._is_written(session_id, candidate))
        }
        if due:
            if self._scope is not None:
                self._scope.sessions.update(due)
            builder = read()
            for session_id in sorted(due & self._recording.history.sessions.keys()):
                if not builder.is_pruned(session_id):
                    _write_session(self.folder, builder, session_id)
        for candidate, reason in chosen:
            with suppress(*READ_ERRORS):  # a damaged one stays as it is, for a person to look at
                prune_journal(candidate.path, reason, candidate.session_ids)
                index = index.with_pruned(candidate.path.name)
        with suppress(OSError):
            write_index(tap, index)

    def _is_left_out(self, session_id: str) -> bool:
        return self._scope is not None and session_id not in self._scope.sessions

    def _is_written(self, session_id: str, candidate: Candidate) -> bool:
        try:
            return find_paths(self.folder, session_id)[0].stat().st_mtime_ns // 1000 >= candidate.last_us
        except OSError:
            return False


def read_session(folder: Path, builder: Builder, session_id: str) -> SessionFile:
    """A session as its journals have it or, where those were pruned, as its file has it.

    Raises KeyError for a session nobody recorded, and SessionPruned where the file is gone too.
    """
    if not builder.is_pruned(session_id):
        return builder.build_session(session_id)
    return _keep_session(folder, session_id).session


def _keep_session(folder: Path, session_id: str) -> WrittenSession:
    session_path, training_path = find_paths(folder, session_id)
    try:
        session = SessionFile.model_validate_json(session_path.read_bytes())
        has_training = training_path.is_file()
        training = TrainingFile.model_validate_json(training_path.read_bytes()) if has_training else None
    except (OSError, ValidationError) as error:
        raise SessionPruned(session_id, folder) from error
    return WrittenSession(session, training, session_path, training_path if has_training else None, is_kept=True)


def find_paths(folder: Path, session_id: str) -> tuple[Path, Path]:
    """Where the session and the training file of a session are."""
    name = encode_file_name(session_id)
    return folder / f"session-{name}.json", folder / f"dspy-{name}.json"


def _write_session(folder: Path, builder: Builder, session_id: str, memo: Memo | None = None) -> WrittenSession:
    session = builder.build_session(session_id, memo)
    return write_files(folder, session, builder.build_training(session, memo), memo)


def write_files(
    folder: Path, session: SessionFile, training: TrainingFile | None, memo: Memo | None = None
) -> WrittenSession:
    """Replace the files of a session with these. `memo` is the session's."""
    session_path, training_path = find_paths(folder, session.session_id)
    _write_json(session_path, session, memo)
    if training is not None:
        _write_json(training_path, training, memo)
    else:
        training_path.unlink(missing_ok=True)
    _log_turns(folder, session)
    return WrittenSession(session, training, session_path, training_path if training else None)


def _write_json(path: Path, model: Written, memo: Memo | None) -> None:
    with open_replacement(path) as file:
        file.writelines(_encode_pieces(model, memo or Memo()))


def encode_json(model: Written, memo: Memo | None = None) -> bytes:
    """A model as the bytes of its file. Halves of surrogate pairs, which no UTF-8 can hold, become `?`.

    `memo` knows the bytes of the parts that were written before.
    """
    return b"".join(_encode_pieces(model, memo or Memo()))


def _encode_pieces(model: Written, memo: Memo) -> Iterator[bytes]:
    names = {field.alias: name for name, field in type(model).model_fields.items()}
    parts = {name: value for name, value in model if isinstance(value, tuple) and all(map(_is_written, value))}
    before = b"{\n  "
    for alias, value in _dump(model.model_copy(update=dict.fromkeys(parts, ()))).items():
        yield from (before, _encode(alias), b": ")
        before, separator = b",\n  ", b"[\n    "
        for one in parts.get(names.get(alias, ""), ()):
            yield from (separator, memo.recall(partial(_encode_part, one), ("bytes",), one))
            separator = b",\n    "
        yield b"\n  ]" if separator == b",\n    " else _encode(value, indent=2)
    yield b"\n}\n"


def _is_written(value: object) -> bool:
    return isinstance(value, Written)


def _dump(model: Written) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _encode_part(model: Written) -> bytes:
    return _encode(_dump(model), indent=4)


def _encode(value: Any, indent: int = 0) -> bytes:
    """`indent`: of all lines but the first."""
    try:
        text = _COMPACT.encode(value)
    except ValueError:
        text = _COMPACT.encode(_replace_infinite(value))
    compact = text.encode("utf-8", "replace")
    # `json` is slow when it indents.
    return msgspec.json.format(compact, indent=2).replace(b"\n", b"\n" + b" " * indent)


def _replace_infinite(value: Any) -> Any:
    """With null, as JavaScript does, for numbers that JSON has no word for."""
    if isinstance(value, dict):
        return {key: _replace_infinite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replace_infinite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def encode_file_name(session_id: str) -> str:
    """A session id as part of a file name. One that could leave the folder, or is long, gets a hash instead."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", session_id)[:100]
    if safe == session_id:
        return safe
    return f"{safe}-{hashlib.sha256(session_id.encode('utf-8', 'replace')).hexdigest()[:12]}"


def _log_turns(folder: Path, session: SessionFile) -> None:
    """One line a finished turn in `plugin.log`, once, and again only if the verdict changed.

    A log that cannot be written (a link is not followed) is told of, and done without.
    """
    path = folder / "plugin.log"
    try:
        _append_new(path, session)
    except OSError as error:
        complain(f"cannot write {path}: {error.strerror or error}")


def _append_new(path: Path, session: SessionFile) -> None:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags, 0o600), "rb+") as file:
        file.seek(0)
        logged = file.read().decode("utf-8", "replace")
        file.write("".join(_list_log_lines(session, logged)).encode("utf-8", "replace"))


def _list_log_lines(session: SessionFile, logged: str) -> list[str]:
    lines = []
    for turn in session.turns:
        outcome = turn.outcome
        key = f"session={session.session_id} turn={turn.message_id} SUCCESS={str(outcome.success).lower()}"
        key = "".join(c if c.isprintable() else "?" for c in key)
        reasons = "".join(c if c.isprintable() else " " for c in "; ".join(outcome.reasons))
        line = f"{key} {reasons}"
        if f"{line}\n" not in logged:
            lines.append(f"{turn.metadata.timestamp or session.generated} {line}\n")
    return lines
