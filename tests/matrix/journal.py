"""The client's journal as the plugin writes it (`lsp_tap/journal/FORMAT.md`), for a client that is a test."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from pathlib import Path
from typing import Any


class ClientJournal:
    """One file in `.opencode-logs/tap` of `root`. Fields that are None are left out. Safe for several threads."""

    def __init__(self, root: Path, pid: int) -> None:
        folder = root / ".opencode-logs" / "tap"
        folder.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        number = len(list(folder.glob("client-*.jsonl")))
        self._file = (folder / f"client-{stamp}-{pid}-{number}.jsonl").open("x", encoding="utf-8")
        self._lock = threading.Lock()
        self._seq = 0
        self._stored: set[str] = set()
        client = {"name": "opencode", "version": "1.18.33"}
        self.write(
            "client_started", format=1, recorder="lsp-tap tests", client=client, pid=pid, directory=str(root),
            worktree=str(root),
        )  # fmt: skip

    def write(self, kind: str, **fields: Any) -> None:
        with self._lock:
            record = {
                "seq": self._seq,
                "time_us": time.time_ns() // 1000,
                "monotonic_us": time.monotonic_ns() // 1000,
                "kind": kind,
                **{name: value for name, value in fields.items() if value is not None},
            }
            self._seq += 1
            self._file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
            self._file.flush()

    def read_state(self, path: Path) -> dict[str, Any]:
        """One of FILES: the file's state now, its text stored."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return {"path": str(path), "existed": False}
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 not in self._stored:
            self._stored.add(sha256)
            self.write("text_stored", sha256=sha256, text=content.decode())
        return {"path": str(path), "existed": True, "sha256": sha256, "bytes": len(content)}

    def close(self) -> None:
        self.write("client_stopped")
        self._file.close()


def now_ms() -> int:
    return time.time_ns() // 1_000_000
