"""What a recording takes on the disk: bytes journalled per byte on the wire, as it grows and when it is finished.

    python -m tests.bench.disk [--calls N] [--server ID ...] [--json]

Plays what an agent does in two hours of work on this repository's own package (a tool call every twelve seconds, every
second one an edit, mostly of the file just read) as fast as the servers answer. The servers are real and run behind the
real tap; whole texts cross the wire with every touch, as OpenCode sends them.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lsp_tap
from lsp_tap.journal.reader import read_folder, read_lines
from lsp_tap.journal.records import Frame
from lsp_tap.journal.retention import compress_finished, prune_journal
from tests.matrix.client import Client
from tests.matrix.servers import find_row

CALLS = 600
SEED = 20260101


def play(root: Path, servers: Sequence[str], calls: int) -> None:
    """`calls` tool calls, reads and edits in turn."""
    package = Path(lsp_tap.__file__).parent
    shutil.copytree(package, root / "lsp_tap", ignore=shutil.ignore_patterns("__pycache__", "*.js"))
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*.py"))
    chance = random.Random(SEED)
    with Client(root, [find_row(server).server() for server in servers]) as client:
        client.ask("Work on it for two hours")
        name = names[0]
        for number in range(calls // 2):
            if chance.random() < 0.3:
                name = chance.choice(names)
            client.read(name)
            line = chance.choice([line for line in (root / name).read_text().splitlines() if line] or [""])
            client.edit(name, line, f"{line}\n# note {number}: {chance.random()}")
        client.finish()


def measure(folder: Path) -> dict[str, Any]:
    """Bytes, by what they are; `folder` is a `tap/`, whose journals are compressed and then pruned."""
    taps, wire = 0, 0
    for journal in read_folder(folder):
        taps += journal.path.stat().st_size if journal.kind == "server" else 0
        wire += sum(entry.raw_length for entry in read_lines(journal.path) if isinstance(entry, Frame))
    plain = _sum_sizes(folder)
    start_s = time.perf_counter()
    packed = compress_finished(folder)
    took_s = time.perf_counter() - start_s
    compressed = _sum_sizes(folder)
    compressed_taps = sum(path.stat().st_size for path in packed if path.name.startswith("server-"))
    for path in packed:
        prune_journal(path, "size", [])
    return {
        "on the wire": wire,
        "taps' journals": taps,
        "client's journal": plain - taps,
        "taps' journals, compressed": compressed_taps,
        "client's journal, compressed": compressed - compressed_taps,
        "all journals, pruned": _sum_sizes(folder),
        "journalled per byte on the wire": round(taps / wire, 4),
        "kept per byte on the wire, compressed": round(compressed_taps / wire, 5),
        "all journals per byte on the wire": round(plain / wire, 4),
        "all journals per byte on the wire, compressed": round(compressed / wire, 5),
        "compressed at MB/s": round(plain / 1e6 / took_s, 1),
    }


def _sum_sizes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.jsonl*"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--server", action="append", metavar="ID", help="a row of the matrix [ruff and basedpyright]")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "project"
        root.mkdir()
        play(root, options.server or ["ruff", "basedpyright"], options.calls)
        found = measure(root / ".opencode-logs" / "tap")
    if options.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return
    for name, value in found.items():
        sys.stdout.write(f"{name:48}{value:>14}\n")


if __name__ == "__main__":
    main()
