"""How far a running journal may grow: not beyond what all of a project's finished journals may take, nor beyond what
then is left of twice that for those that run, and not into the last room on the disk, which the user's own work needs
more than we do. Standard library only.

What does not fit is lost and counted like what a full disk refuses (`lsp_tap.journal.writer`), and recording goes on as
soon as there is room.
"""

from __future__ import annotations

import errno
import os

from lsp_tap.journal.place import tap_folder

KEEP_MB = 2048
"""The default of `keep_mb` (`lsp_tap.config`), in 2**20 bytes."""

RESERVE_BYTES = 256 << 20
RESERVE_SHARE = 20
"""What is left free on the disk: `RESERVE_BYTES`, on a small one a twentieth."""

LOOK_BYTES = 16 << 20
"""By how much a journal grows before it looks again what the others take."""

_MB = 1 << 20


class Room:
    """`most_bytes`: how large the file may become, and all in `folder` together twice that. While those are more, a
    file that has not grown by `LOOK_BYTES` goes on: no short session is lost."""

    def __init__(self, most_bytes: int = KEEP_MB * _MB, folder: str | None = None) -> None:
        self._most_bytes = most_bytes
        self._folder = folder
        self._looked_at_bytes = 0
        self._is_full = False

    def check(self, fd: int, size_bytes: int, more_bytes: int) -> None:
        """Raises OSError when the file `fd` of that size must not grow by that much."""
        if size_bytes + more_bytes > self._most_bytes:
            raise OSError(errno.EFBIG, f"it has grown to the limit of {self._most_bytes // _MB} MB (keep_mb)")
        if self._folder is not None and (self._is_full or abs(size_bytes - self._looked_at_bytes) >= LOOK_BYTES):
            self._looked_at_bytes = size_bytes
            self._is_full = _measure(self._folder) > 2 * self._most_bytes
            if self._is_full:
                limit_mb = 2 * self._most_bytes // _MB
                raise OSError(errno.EFBIG, f"all journals have grown to the limit of {limit_mb} MB (twice keep_mb)")
        if hasattr(os, "fstatvfs"):  # Windows has none
            disk = os.fstatvfs(fd)
            reserve_bytes = min(RESERVE_BYTES, disk.f_blocks * disk.f_frsize // RESERVE_SHARE)
            free_bytes = disk.f_bavail * disk.f_frsize - more_bytes
            if free_bytes < reserve_bytes:
                raise OSError(errno.ENOSPC, f"only {max(0, free_bytes) // _MB} MB are left on the disk")


def read_room(folder: str) -> Room:
    """For a logs folder: `LSP_TAP_KEEP_MB`, else `keep_mb` in its `lsp-tap.toml`, else the default.

    What cannot be read there is for `lsp-tap doctor` to tell; a recorder does with the default.
    """
    try:
        found: object = int(os.environ["LSP_TAP_KEEP_MB"])
    except (KeyError, ValueError):
        found = _read_setting(os.path.join(folder, "lsp-tap.toml"))
    return Room((found if isinstance(found, int) and found > 0 else KEEP_MB) * _MB, tap_folder(folder))


def _measure(folder: str) -> int:
    """The bytes of the files in it; 0 where nobody can tell."""
    size_bytes = 0
    try:
        for entry in os.scandir(folder):
            try:
                size_bytes += entry.stat(follow_symlinks=False).st_size
            except OSError:  # gone meanwhile
                pass
    except OSError:
        pass
    return size_bytes


def _read_setting(path: str) -> object:
    if not os.path.isfile(path):
        return None
    import tomllib  # a megabyte of memory, for who has settings

    try:
        with open(path, "rb") as file:
            return tomllib.load(file).get("keep_mb")
    except (OSError, ValueError):
        return None
