"""The tap's end of a journal: one file, appended to in batches, whole lines or none. Standard library only.

Recording must not harm the recorded: opening may fail (once, at the start), writing never does. What could
not be written is counted, writing is tried again now and then, and when it works a `dropped` record says
what is missing.
"""

from __future__ import annotations

import os
import stat
import sys
import time

from lsp_tap.errors import JournalUnavailable
from lsp_tap.journal.lines import encode_fields, encode_line
from lsp_tap.journal.place import tap_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lsp_tap.journal.room import Room

BATCH_BYTES = 1 << 17
"""A batch that has grown to this is written without waiting for `flush`."""

OPENING = ("tap_started", "server_started")
"""Kinds that a file of a tap begins with, also one that takes the place of another."""

RETRY_AFTER_US = 250_000
"""A full disk may have room again at any time, and asking costs a system call."""


def create_folder(folder: str) -> str:
    """`folder` and `tap/` in it, for their owner only; returns the latter.

    Raises JournalUnavailable when either is a symbolic link (what it points to was not chosen for
    recordings) or cannot be made. An existing `folder` keeps its mode, since it may be anything the user
    named; `tap/` is ours.
    """
    inner = tap_folder(folder)
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        for path in (folder, inner):
            try:
                os.mkdir(path, 0o700)
            except FileExistsError:
                mode = os.lstat(path).st_mode
                if stat.S_ISLNK(mode):
                    raise JournalUnavailable(path, "it is a symbolic link") from None
                if not stat.S_ISDIR(mode):
                    raise JournalUnavailable(path, "it is not a folder") from None
                if path is inner and stat.S_IMODE(mode) & 0o077:
                    os.chmod(path, 0o700)
    except OSError as error:
        raise JournalUnavailable(folder, error.strerror or str(error)) from error
    return inner


def create_file(folder: str, stem: str) -> tuple[int, str]:
    """A new file in `folder` that nobody else has: its descriptor and path. Raises JournalUnavailable."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    for attempt in range(1, 100):
        # Process ids repeat: two containers may record into one folder in the same second.
        path = os.path.join(folder, f"{stem}.jsonl" if attempt == 1 else f"{stem}-{attempt}.jsonl")
        try:
            fd = os.open(path, flags, 0o600)
            _lock(fd)
            return fd, path
        except FileExistsError:
            continue
        except OSError as error:
            raise JournalUnavailable(path, error.strerror or str(error)) from error
    raise JournalUnavailable(folder, f"there are 99 files named {stem}")


def _lock(fd: int) -> None:
    """As long as this process lives nobody compresses or prunes the file (`lsp_tap.journal.retention`)."""
    if sys.platform == "win32":
        return  # there a file that is open cannot be removed
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        pass  # a file system without locks: then the process id tells


def name_server_journal(name: str, started_us: int, pid: int) -> str:
    """The stem of a tap's journal: `server-<name>-<start, UTC>-<pid>`."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)[:60]
    start = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(started_us // 1_000_000))
    return f"server-{safe}-{start}-{pid}"


class JournalWriter:
    """Appends records to an open file. Not for several threads.

    `reopen`, unless None, makes a new file (descriptor and path) when somebody has removed this one; the new one
    begins as this one did, and then says how much was lost with it. `room`, unless None, limits how far it grows; its
    last records are written all the same.
    """

    def __init__(self, fd: int, reopen: Callable[[], tuple[int, str]] | None = None, room: Room | None = None) -> None:
        self.lost_count = 0
        """Records that are missing from the file; never goes down."""
        self.lost_reason = ""
        """Why the last of them were lost."""
        self.failure: str | None = None
        """Why the last write failed, None while writing works."""
        self._fd = fd
        self._reopen = reopen
        self._room = room
        self._is_removed = False
        self._opening: list[tuple[str, bytes, int, int]] = []
        self._seq = 0
        self._size = 0
        self._is_torn = False
        self._lines: list[bytes] = []
        self._batch_bytes = 0
        self._owed = _Loss()
        self._owed_in_batch: _Loss | None = None  # its record is the batch's first line
        self._retry_at_us = 0

    def write(self, kind: str, fields: bytes, time_us: int, monotonic_us: int) -> int:
        """Adds a record to the batch; returns its `seq`, which holds as long as `lost_count` stays."""
        if self._owed.count and not self._lines:
            self._owed_in_batch, self._owed = self._owed, _Loss()
            self._add("dropped", encode_fields(self._owed_in_batch.as_fields()), time_us, monotonic_us)
        if kind in OPENING:
            self._opening.append((kind, fields, time_us, monotonic_us))
        seq = self._add(kind, fields, time_us, monotonic_us)
        if self._batch_bytes > BATCH_BYTES:
            self.flush(monotonic_us)
        return seq

    def note_lost(self, count: int, size_bytes: int, reason: str) -> None:
        """Records lost before they came here, or here."""
        self.lost_count += count
        self.lost_reason = reason
        self._owed.add(count, size_bytes, reason)

    def flush(self, monotonic_us: int) -> None:
        """Writes the batch. What cannot be written is lost, and counted."""
        lines, self._lines = self._lines, []
        self._batch_bytes = 0
        if not lines:
            return
        kept = 0
        if self.failure is None or monotonic_us >= self._retry_at_us:
            if self._reopen is None or not self._is_gone(len(lines)):
                kept = self._append(lines, monotonic_us)
            else:
                self._begin_again(self._reopen, monotonic_us)
        owed, self._owed_in_batch = self._owed_in_batch, None
        if kept == len(lines):
            return
        self._seq -= len(lines) - kept
        if owed is not None and not kept:
            kept = 1
            self._owed.add(owed.count, owed.size_bytes, owed.reason)
        lost = lines[kept:]
        self.note_lost(len(lost), sum(map(len, lost)), self.failure or self.lost_reason)

    def close(self, time_us: int, monotonic_us: int) -> None:
        """Writes what is left, and what is owed if that works now."""
        self._retry_at_us = 0
        self._room = None
        self.flush(monotonic_us)
        if self._owed.count:
            self._add("dropped", encode_fields(self._owed.as_fields()), time_us, monotonic_us)
            self._append(self._lines, monotonic_us)
        os.close(self._fd)

    def _add(self, kind: str, fields: bytes, time_us: int, monotonic_us: int) -> int:
        seq = self._seq
        self._seq += 1
        line = encode_line(seq, time_us, monotonic_us, kind, fields)
        self._lines.append(line)
        self._batch_bytes += len(line)
        return seq

    def _append(self, lines: list[bytes], monotonic_us: int) -> int:
        """How many of the lines are now in the file; the file ends after a whole line."""
        data = b"".join(lines)
        if self._is_torn:
            data = b"\n" + data
        written = 0
        try:
            if self._room is not None:
                self._room.check(self._fd, self._size, len(data))
            while written < len(data):
                written += os.write(self._fd, data[written:] if written else data)
        except OSError as error:
            self.failure = error.strerror or str(error)
            self._retry_at_us = monotonic_us + RETRY_AFTER_US
            whole = data.rfind(b"\n", 0, written) + 1
            kept = data.count(b"\n", 0, written) - (self._is_torn and written > 0)
            self._size += whole
            if written > whole:
                self._cut_torn_line()
            return kept
        self._size += written
        self._is_torn = False
        self.failure = None
        return len(lines)

    def _is_gone(self, waiting: int) -> bool:
        """Whether somebody removed the file; what it held is then lost. `waiting` records are not in it yet."""
        if not self._is_removed and os.fstat(self._fd).st_nlink == 0:
            self._is_removed = True
            self.note_lost(self._seq - waiting, self._size, "the journal was removed")
            self._seq, self._size, self._is_torn = waiting, 0, False
        return self._is_removed

    def _begin_again(self, reopen: Callable[[], tuple[int, str]], monotonic_us: int) -> None:
        """What is waiting, numbered for the old file, is lost with it."""
        try:
            fd, path = reopen()
        except (JournalUnavailable, OSError) as error:
            self.failure = str(error)
            self._retry_at_us = monotonic_us + RETRY_AFTER_US
            return
        os.close(self._fd)
        self._fd = fd
        opening = [
            encode_line(seq, time_us, since_us, kind, fields)
            for seq, (kind, fields, time_us, since_us) in enumerate(self._opening)
        ]
        if self._append(opening, monotonic_us) == len(opening):
            self._is_removed = False
            self._seq += len(opening)
        else:
            os.unlink(path)
            self._size, self._is_torn = 0, False

    def _cut_torn_line(self) -> None:
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            self._is_torn = True  # an append-only file, say: the next record then begins a new line


class _Loss:
    """What a `dropped` record says."""

    def __init__(self) -> None:
        self.count = 0
        self.size_bytes = 0
        self.reason = ""

    def add(self, count: int, size_bytes: int, reason: str) -> None:
        self.count += count
        self.size_bytes += size_bytes
        self.reason = reason

    def as_fields(self) -> dict[str, object]:
        return {"count": self.count, "bytes": self.size_bytes, "reason": self.reason}
