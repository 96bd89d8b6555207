"""Which folder recordings go to. Standard library only, but for the last resort."""

from __future__ import annotations

import os
import stat

FOLDER_NAME = ".opencode-logs"
TAP_FOLDER_NAME = "tap"


def find_folder(explicit: str | None = None, cwd: str | None = None) -> str:
    """The logs folder, absolute; it need not exist yet.

    `--dir`, else `LSP_TAP_DIR`, else the nearest `.opencode-logs` from `cwd` upward, else the user's state
    folder.
    """
    chosen = explicit or os.environ.get("LSP_TAP_DIR")
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    place = os.path.abspath(cwd or os.getcwd())
    while True:
        folder = os.path.join(place, FOLDER_NAME)
        if _is_own_folder(folder):
            return folder
        parent = os.path.dirname(place)
        if parent == place:
            break
        place = parent
    import platformdirs

    return platformdirs.user_state_dir("lsp-tap", appauthor=False)


def tap_folder(folder: str) -> str:
    """Where in a logs folder the journals are."""
    return os.path.join(folder, TAP_FOLDER_NAME)


def _is_own_folder(path: str) -> bool:
    """A real folder (a link could lead recordings anywhere) and not another user's, as one in `/tmp` may
    be.
    """
    try:
        status = os.lstat(path)
    except OSError:
        return False
    if not stat.S_ISDIR(status.st_mode):
        return False
    return not hasattr(os, "geteuid") or os.geteuid() in (0, status.st_uid)
