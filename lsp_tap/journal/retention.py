"""Keeping journals small: finished ones are compressed, old ones are cut down to their heads.

Only the session writer does this, under its lock. Each step puts a whole file in place of a whole file, and the
original goes last, so whoever is killed between two steps leaves something complete (`lsp_tap.journal.stored` says
which of two files counts).

A recorder that runs must never lose its file. A journal is finished when its last record says so; else when its process
is gone, and then only if no tap holds the file (taps lock theirs, which also tells of one in another container) and,
for clients, which hold no lock, nothing was written for an hour.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from filelock import FileLock, Timeout

from lsp_tap.config import Settings
from lsp_tap.journal.capture import is_running
from lsp_tap.journal.lines import encode_fields, encode_line
from lsp_tap.journal.reader import Journal, read_folder
from lsp_tap.journal.records import ClientStarted, TapStarted
from lsp_tap.journal.room import KEEP_MB
from lsp_tap.journal.stored import (
    BLOCK_BYTES,
    READ_ERRORS,
    compressed_path,
    is_compressed,
    open_journal,
    plain_path,
)

if sys.version_info >= (3, 14):
    from compression.zstd import CompressionParameter, ZstdFile
else:
    from backports.zstd import CompressionParameter, ZstdFile

COMPRESSION: Final[dict[int, int]] = {
    CompressionParameter.compression_level: 6,
    CompressionParameter.window_log: 25,
    CompressionParameter.enable_long_distance_matching: 1,
    CompressionParameter.checksum_flag: 1,
}
"""Clients send the whole text with every change. Texts of the last 32 MiB are found again, so that each costs what is
new in it; a larger window gains nothing and costs readers its size in memory."""

ABANDONED_S: Final = 3600.0
HEAD_LINE_BYTES: Final = 1 << 16
HEAD_FRAMES: Final = 200
"""What a head keeps at most; a server may ask for its configuration ten thousand times."""

_TAIL_BYTES: Final = 1 << 16
_NEW: Final = ".new"
_END_KINDS: Final = frozenset({"tap_stopped", "client_stopped", "verification_finished"})
_HEAD_KINDS: Final = frozenset(
    {"tap_started", "server_started", "client_started", "server_exited", "tap_stopped", "client_stopped", "dropped",
     "probe_stopped"}
)  # fmt: skip
_LAST_KINDS: Final = ("session_updated", "session_idle")
_HEAD_METHODS: Final = frozenset(
    {"initialize", "initialized", "client/registerCapability", "client/unregisterCapability", "workspace/configuration",
     "workspace/didChangeConfiguration"}
)  # fmt: skip

Reason = Literal["age", "size"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much. Journals past either are cut down, the oldest first. Those finished for `plain_s` are
    compressed; newer ones are what people look at, as long as they take no more than `plain_bytes`."""

    age_s: float = 90 * 86_400.0
    size_bytes: int = KEEP_MB << 20
    plain_s: float = 0.0
    plain_bytes: int = 0

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        return cls(
            settings.keep_days * 86_400,
            settings.keep_mb << 20,
            settings.plain_days * 86_400,
            settings.plain_mb << 20,
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A finished journal. `last_us`: when it, or a session that needs it, was last heard of."""

    path: Path
    last_us: int
    size_bytes: int
    session_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes in a `tap/` folder: of all files, and of those that are compressed."""

    size_bytes: int
    compressed_bytes: int
    journals: int
    compressed_journals: int


def measure_usage(folder: Path) -> Usage:
    """What the journals of a `tap/` folder take. No folder: nothing."""
    size = compressed = journals = compressed_journals = 0
    for entry in os.scandir(folder) if folder.is_dir() else ():
        if not entry.is_file(follow_symlinks=False):
            continue
        of_this = entry.stat(follow_symlinks=False).st_size
        size += of_this
        is_zst = entry.name.endswith(".jsonl.zst")
        journals += is_zst or entry.name.endswith(".jsonl")
        compressed_journals += is_zst
        compressed += of_this if is_zst else 0
    return Usage(size, compressed, journals, compressed_journals)


def is_finished(journal: Journal) -> bool:
    """Whether nothing more will be written to it (see above). `observed.jsonl` is never finished."""
    if journal.kind == "observed":
        return False
    if is_compressed(journal.path):
        return True
    try:
        with journal.path.open("rb") as file:
            quiet_s = time.time() - os.fstat(file.fileno()).st_mtime
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            last = file.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
    except OSError:
        return False
    if _parse(last).get("kind") in _END_KINDS:
        return True
    if not isinstance(journal.first, TapStarted | ClientStarted) or journal.first.pid is None:
        return quiet_s >= ABANDONED_S
    if _is_older_than_boot(quiet_s):
        return True  # whatever has that process id now, it is another process
    if is_running(journal.first.pid):
        return False
    return journal.kind != "client" or quiet_s >= ABANDONED_S


def _is_older_than_boot(quiet_s: float) -> bool:
    if sys.platform != "linux":
        return False
    return quiet_s > time.clock_gettime(time.CLOCK_BOOTTIME) + ABANDONED_S


def compress_finished(folder: Path, plain_s: float = 0.0, plain_bytes: int = 0) -> list[Path]:
    """Compress the journals of a `tap/` folder that were finished `plain_s` ago, and the oldest of the others as far as
    those take more than `plain_bytes`; returns the new files. What cannot be compressed (no room, in use) stays as it
    is. Call it under the writer's lock."""
    written_before_s = time.time() - plain_s
    for left in folder.glob(f".*{_NEW}"):  # by a writer that was killed
        left.unlink(missing_ok=True)
    plain = sorted(
        ((status.st_mtime, status.st_size, journal) for journal, status in _list_plain(folder)),
        key=lambda found: (found[0], found[2].path.name),
    )
    left_bytes, done = sum(size for _, size, _ in plain), []
    for written_s, size_bytes, journal in plain:
        if written_s > written_before_s and left_bytes <= plain_bytes:
            break
        left_bytes -= size_bytes
        with suppress(Timeout, *READ_ERRORS), _keep_others_out(journal):
            if (target := _compress(journal.path)) is not None:
                done.append(target)
    return done


def _list_plain(folder: Path) -> Iterator[tuple[Journal, os.stat_result]]:
    """The finished journals that are not compressed."""
    for journal in read_folder(folder):
        if not is_compressed(journal.path) and is_finished(journal):
            with suppress(OSError):
                yield journal, journal.path.stat()


@contextmanager
def _keep_others_out(journal: Journal) -> Iterator[None]:
    """A verification may be about to be replaced by a later one. Raises Timeout while one runs."""
    if journal.kind != "verified":
        yield
        return
    with FileLock(journal.path.with_name(".verify.lock"), mode=0o600, timeout=0):
        yield


def _compress(path: Path) -> Path | None:
    with _hold(path) as file:
        if file is None:
            return None
        target = compressed_path(path)
        status = os.fstat(file.fileno())
        with _replacing(target, status) as name:
            with ZstdFile(name, "w", options=COMPRESSION) as packed:
                while block := file.read(BLOCK_BYTES):
                    packed.write(block)
            if not _is_same(file, name):
                raise OSError(5, "does not read back", name)
        if os.fstat(file.fileno()).st_size != status.st_size or not _is_at(path, status):
            target.unlink()  # somebody wrote to it after all, or replaced it
            return None
        try:
            path.unlink()
        except OSError:
            target.unlink()
            raise
    return target


def _is_same(file: BinaryIO, packed: str) -> bool:
    file.seek(0)
    with ZstdFile(packed) as again:
        while block := file.read(BLOCK_BYTES):
            got = again.read(len(block))
            while got and len(got) < len(block) and (more := again.read(len(block) - len(got))):
                got += more
            if got != block:
                return False
        return not again.read(1)


def _is_at(path: Path, status: os.stat_result) -> bool:
    found = path.lstat()
    return (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino)


@contextmanager
def _hold(path: Path) -> Iterator[BinaryIO | None]:
    """The journal, open and locked; None while its recorder has it."""
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        yield file if _lock(descriptor) else None


def _lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        return True  # there a file that another process has open cannot be removed
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def _replacing(target: Path, status: os.stat_result) -> Iterator[str]:
    """A new file (mode 0600) that takes the place of `target` when the block is left without an exception, with the
    times of the original."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=_NEW)
    try:
        yield name
        os.fsync(descriptor)
        os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def plan_pruning(
    candidates: Iterable[Candidate], limits: Limits, *, now_us: int, size_bytes: int
) -> list[tuple[Candidate, Reason]]:
    """Which of the finished journals must go, oldest first, and why. `size_bytes` is what all journals take, also those
    that cannot go."""
    chosen: list[tuple[Candidate, Reason]] = []
    for candidate in sorted(candidates, key=lambda c: (c.last_us, c.path.name)):
        is_old = now_us - candidate.last_us > limits.age_s * 1e6
        if not is_old and size_bytes <= limits.size_bytes:
            break
        chosen.append((candidate, "age" if is_old else "size"))
        size_bytes -= candidate.size_bytes
    return chosen


def prune_journal(path: Path, reason: Reason, session_ids: Sequence[str]) -> Path:
    """Put the head of a finished journal in its place, compressed, with a `pruned` record where something was cut.

    Raises OSError or, for a damaged file, what `READ_ERRORS` lists, and Timeout (an OSError) for a verification while
    another one runs; then the journal stays as it is.
    """
    journal = Journal(path, "verified" if path.name.startswith("verified-") else "server", None)
    with _keep_others_out(journal):
        return _prune(path, reason, session_ids)


def _prune(path: Path, reason: Reason, session_ids: Sequence[str]) -> Path:
    file, _ = open_journal(path)
    with file:
        head = _Head()
        while line := file.readline():
            head.step(line)
    stored = next(p for p in (plain_path(path), compressed_path(path)) if p.exists())
    target = compressed_path(path)
    with _replacing(target, stored.stat()) as name, ZstdFile(name, "w", options=COMPRESSION) as packed:
        packed.write(b"".join(head.encode(reason, session_ids)))
    plain_path(path).unlink(missing_ok=True)
    return target


@dataclass(slots=True)
class _Head:
    """Chooses, line by line, what explains a recording without being it."""

    kept: list[tuple[str, bytes]] = field(default_factory=list)
    cut_count: int = 0
    cut_bytes: int = 0
    first_cut: dict[str, Any] | None = None
    first_cut_at: int = 0
    asked: set[tuple[str, str]] = field(default_factory=set)
    frames: int = 0

    def step(self, line: bytes) -> None:
        fields = _parse(line) if len(line) <= HEAD_LINE_BYTES else _parse_start(line)
        key = self._find_key(fields, line)
        if key is None:
            self._cut(line, fields, len(self.kept))
            return
        if key.startswith(_LAST_KINDS):  # of a session's only the last one is kept
            earlier = next((index for index, (other, _) in enumerate(self.kept) if other == key), None)
            if earlier is not None:
                _, old = self.kept.pop(earlier)
                self._cut(old, _parse(old), earlier)
        self.kept.append((key, line))

    def _cut(self, line: bytes, fields: dict[str, Any], at: int) -> None:
        if self.first_cut is None or at < self.first_cut_at:
            self.first_cut, self.first_cut_at = fields, at
        self.cut_count += 1
        self.cut_bytes += len(line)

    def _find_key(self, fields: dict[str, Any], line: bytes) -> str | None:
        """None: cut."""
        kind = fields.get("kind")
        if not line.endswith(b"\n") or len(line) > HEAD_LINE_BYTES or not isinstance(kind, str):
            return None
        if kind in _LAST_KINDS:
            return f"{kind}:{fields.get('session_id')}"
        if kind in _HEAD_KINDS:
            return kind
        message = fields.get("message")
        if kind != "frame" or not isinstance(message, dict) or self.frames >= HEAD_FRAMES:
            return None
        method, request_id = message.get("method"), json.dumps(message.get("id"))
        here = str(fields.get("direction"))
        if isinstance(method, str):
            if method not in _HEAD_METHODS:
                return None
            if "id" in message:
                self.asked.add((here, request_id))
        else:
            there = "client_to_server" if here == "server_to_client" else "server_to_client"
            if (there, request_id) not in self.asked:
                return None
            self.asked.discard((there, request_id))
        self.frames += 1
        return kind

    def encode(self, reason: Reason, session_ids: Sequence[str]) -> Iterator[bytes]:
        seq, time_us, monotonic_us = (_read_int(self.first_cut, name) for name in ("seq", "time_us", "monotonic_us"))
        cut: dict[str, object] = {
            "count": self.cut_count, "bytes": self.cut_bytes, "reason": reason, "session_ids": sorted(session_ids),
        }  # fmt: skip
        lines = [line for _, line in self.kept]
        yield from lines[: self.first_cut_at]
        yield encode_line(seq, time_us, monotonic_us, "pruned", encode_fields(cut))
        yield from lines[self.first_cut_at :]


def _read_int(fields: dict[str, Any] | None, name: str) -> int:
    value = (fields or {}).get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _parse(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _parse_start(line: bytes) -> dict[str, Any]:
    """The first members of a long line: its numbers, as our recorders write them."""
    start, found, _ = line[:512].partition(b',"kind":')
    return _parse(start + b"}") if found else {}
