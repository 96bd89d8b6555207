"""What writing costs: folding whole journals, the idles of a growing session, and how long a client's files take.

    python -m tests.bench.writing [--size MB ...] [--chart FILE] [--json]

The journals are made from a seed (`tests.bench.journals`); `--size 1000` takes a gigabyte of disk and a minute. Each
size is folded, and all its sessions written, by a process of its own, several times where that is quick: the fastest
counts. The time from idle to the files is that of the real `lsp-tap write --follow`, told of sessions whose recorder
runs, so that it waits until that is quiet. The same program is started in a project with a past, of many clients that
are gone, and in one without.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lsp_tap.journal.retention import Limits
from lsp_tap.session.writer import SessionWriter, spare_collector
from tests.bench.journals import CLIENT_PID, START_US, Work, make_journals

SIZES_MB = (1, 10, 100)
ROUNDS_BYTES = 300_000_000
"""What is folded of one size, in as many rounds."""
IDLES = 10
CALLS_A_TURN = 10
TURNS = 40
PAST_MB, CLIENT_MB = 200, 10
STARTS = 5


@dataclass(frozen=True, slots=True)
class Fold:
    """`seconds` of processor time, which is what it takes on a machine with nothing else to do; `read_seconds` of them
    until all is folded and nothing written. `texts_are_whole`: in journals of format 1."""

    texts_are_whole: bool
    size_mb: float
    seconds: float
    read_seconds: float
    peak_mb: float

    @property
    def mb_per_s(self) -> float:
        return self.size_mb / self.seconds

    @property
    def name(self) -> str:
        return f"{self.size_mb:.0f} MB{' of format 1 (whole texts)' if self.texts_are_whole else ''}"


def fold_here(logs: Path) -> dict[str, float]:
    spare_collector()
    start_s = time.process_time()
    writer = SessionWriter(logs)
    writer.read()
    read_s = time.process_time() - start_s
    deque(writer.write(), maxlen=0)
    took_s = time.process_time() - start_s
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    return {"seconds": took_s, "read_seconds": read_s, "peak_mb": peak_mb}


def measure_fold(size_mb: int, folder: Path, *, texts_are_whole: bool) -> Fold:
    work = make_journals(folder, size_mb * 1_000_000, texts_are_whole=texts_are_whole)
    work.finish()
    command = [sys.executable, "-m", "tests.bench.writing", "--fold", str(folder)]
    rounds = min(5, max(1, ROUNDS_BYTES // work.size_bytes))
    found = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(rounds)]
    best = min(found, key=lambda one: float(one["seconds"]))
    peak_mb = max(one["peak_mb"] for one in found)
    return Fold(texts_are_whole, work.size_bytes / 1e6, best["seconds"], best["read_seconds"], peak_mb)


@dataclass(frozen=True, slots=True)
class Idle:
    """What one idle cost: bytes that were new in the journals, bytes that were read, milliseconds of processor time."""

    new_bytes: int
    read_bytes: int
    ms: float


def measure_idles(folder: Path) -> list[Idle]:
    """The idles of one session, which grows."""
    work, writer, costs = Work(folder), SessionWriter(folder), []
    writer.read()
    for _ in range(IDLES):
        before = work.size_bytes
        work.add_turn(CALLS_A_TURN)
        read, start_s = _count_read(), time.process_time()
        for _ in writer.write([work.session_id]):
            pass
        took_ms = (time.process_time() - start_s) * 1000
        costs.append(Idle(work.size_bytes - before, _count_read() - read, took_ms))
    work.finish()
    return costs


def _count_read() -> int:
    """The bytes that this process has read so far, from files and all else; 0 where the system does not tell."""
    path = Path("/proc/self/io")
    counts = dict(line.split(": ") for line in path.read_text().splitlines()) if path.exists() else {}
    return int(counts.get("rchar", 0))


def measure_waits(folder: Path) -> list[float]:
    """Milliseconds from the moment at which a client says that a session is idle until its files are there."""
    work, waits = Work(folder, pid=os.getpid(), server_pid=os.getpid()), []
    command = [sys.executable, "-m", "lsp_tap", "write", "--follow", "--dir", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        for _ in range(TURNS):
            work.add_turn(CALLS_A_TURN)
            start_s = time.perf_counter()
            writer.stdin.write(f"{work.session_id}\n")
            for _ in range(2):  # the session's file, and the training file
                assert writer.stdout.readline()
            waits.append((time.perf_counter() - start_s) * 1000)
        writer.stdin.close()
        assert writer.wait(60) == 0
    work.finish()
    return waits


def make_past(folder: Path) -> None:
    """Recordings of clients that are gone, all of them written and compressed."""
    for number in range(PAST_MB // CLIENT_MB):
        pid, start_us = CLIENT_PID + 10 * number, START_US + number * 86_400_000_000
        work = Work(folder, pid=pid, server_pid=pid + 1, name=f"past{number:02}x", start_us=start_us)
        while work.size_bytes < CLIENT_MB * 1_000_000:
            work.add_turn(CALLS_A_TURN)
        work.finish()
    for _ in SessionWriter(folder).write(limits=Limits()):
        pass


def measure_starts(folder: Path, past: Path | None) -> tuple[float, float]:
    """Milliseconds from the start of a writer, for a first turn, to the first file; and the memory it took, in MB."""
    took_ms, peak_mb = [], 0.0
    for number in range(STARTS):
        logs = folder / str(number)
        shutil.copytree(past, logs, copy_function=shutil.copy2) if past else logs.mkdir(parents=True)
        work = Work(logs, pid=os.getpid(), server_pid=os.getpid(), name="new", start_us=time.time_ns() // 1000)
        work.add_turn(CALLS_A_TURN)
        command = [sys.executable, "-m", "lsp_tap", "write", "--follow", "--dir", str(logs), work.session_id]
        start_s = time.perf_counter()
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdin is not None
            assert writer.stdout is not None
            assert writer.stdout.readline()
            took_ms.append((time.perf_counter() - start_s) * 1000)
            status = Path(f"/proc/{writer.pid}/status")
            if status.exists():
                peak_mb = max(peak_mb, int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024)
            writer.stdin.close()
            writer.stdout.read()
            assert writer.wait(60) == 0
        work.finish()
    return statistics.median(took_ms), peak_mb


def judge(
    folds: Sequence[Fold], idles: Sequence[Idle], waits: Sequence[float], starts: Sequence[tuple[float, float]]
) -> list[dict[str, Any]]:
    """Each promise with what was measured."""
    whole = [fold for fold in folds if fold.size_mb > 50]
    last = idles[-1]
    typical_ms = [statistics.median(idle.ms for idle in some) for some in (idles[:3], idles[-3:])]
    p95_ms = statistics.quantiles(waits, n=20)[-1]
    rows: list[tuple[str, str, bool]] = [
        (
            f"{fold.name} fold at >= 50 MB/s (and all their sessions written)",
            f"{fold.size_mb / fold.read_seconds:.1f} MB/s ({fold.mb_per_s:.1f} MB/s)",
            fold.size_mb / fold.read_seconds >= 50,
        )
        for fold in whole
    ]
    rows += [(f"{fold.name} in <= 250 MB of memory", f"{fold.peak_mb:.0f} MB", fold.peak_mb <= 250) for fold in whole]
    rows += [
        (
            f"idle {IDLES} reads only what is new",
            f"{last.read_bytes / last.new_bytes:.2f} bytes a new byte",
            last.read_bytes <= 1.1 * last.new_bytes,
        ),
        (
            f"idle {IDLES} takes the time that idle 1 took",
            f"{typical_ms[0]:.0f} -> {typical_ms[1]:.0f} ms",
            typical_ms[1] <= 1.25 * typical_ms[0],
        ),
        (
            "from idle to the files, p95 <= 1 s",
            f"p50 {statistics.median(waits):.0f} ms, p95 {p95_ms:.0f} ms",
            p95_ms <= 1000,
        ),
        (
            f"a writer starts with {PAST_MB} MB of past as without",
            f"{starts[0][0]:.0f} -> {starts[1][0]:.0f} ms, {starts[0][1]:.0f} -> {starts[1][1]:.0f} MB of memory",
            starts[1][0] <= 1.25 * starts[0][0],
        ),
    ]
    return [{"promise": promise, "measured": measured, "met": met} for promise, measured, met in rows]


def draw_chart(folds: Sequence[Fold], path: Path) -> None:
    import pygal  # type: ignore[import-untyped]
    from pygal.style import CleanStyle  # type: ignore[import-untyped]

    chart = pygal.Line(
        logarithmic=True, style=CleanStyle(font_family="sans-serif"), js=[], no_prefix=True, width=760, height=420,
        title="Folding a recording and writing its sessions", x_title="journals", legend_at_bottom=True,
        disable_xml_declaration=True, show_minor_y_labels=False,
    )  # fmt: skip
    chart.x_labels = [f"{fold.size_mb:.0f} MB" for fold in folds]
    chart.add("seconds", [round(fold.seconds, 3) for fold in folds])
    chart.add("seconds to fold alone", [round(fold.read_seconds, 3) for fold in folds])
    chart.add("peak memory, MB", [round(fold.peak_mb) for fold in folds])
    path.write_text(chart.render() + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", action="append", type=int, metavar="MB", help="journals of so many megabytes")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw cost against size, as SVG")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--fold", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fold:
        sys.stdout.write(json.dumps(fold_here(options.fold)))
        return
    folds = []
    for size_mb in options.size or SIZES_MB:
        for texts_are_whole in (False, True) if size_mb > 50 else (False,):
            with tempfile.TemporaryDirectory() as folder:
                folds.append(measure_fold(size_mb, Path(folder), texts_are_whole=texts_are_whole))
    with tempfile.TemporaryDirectory() as folder:
        idles = measure_idles(Path(folder, "idles"))
        waits = measure_waits(Path(folder, "waits"))
        make_past(Path(folder, "past"))
        starts = [
            measure_starts(Path(folder, name), past) for name, past in (("new", None), ("old", Path(folder, "past")))
        ]
    promises = judge(folds, idles, waits, starts)
    if options.chart:
        draw_chart([fold for fold in folds if not fold.texts_are_whole], options.chart)
    if options.json:
        found = [
            {**{name: getattr(fold, name) for name in Fold.__slots__}, "mb_per_s": fold.mb_per_s} for fold in folds
        ]
        sys.stdout.write(
            json.dumps(
                {
                    "folds": found,
                    "idles": [asdict(idle) for idle in idles],
                    "waits_ms": waits,
                    "starts": starts,
                    "promises": promises,
                }
            )
            + "\n"
        )
        return
    for fold in folds:
        sys.stdout.write(
            f"{fold.size_mb:8.0f} MB{fold.seconds:9.2f} s ({fold.read_seconds:.2f} s to fold){fold.mb_per_s:8.1f} MB/s"
            f"{fold.peak_mb:8.0f} MB of memory\n"
        )
    for number, idle in enumerate(idles, 1):
        sizes = f"{idle.new_bytes / 1000:9.0f} kB new{idle.read_bytes / 1000:9.0f} kB read"
        sys.stdout.write(f"   idle {number:2}{sizes}{idle.ms:9.1f} ms\n")
    for row in promises:
        sys.stdout.write(f"{'met    ' if row['met'] else 'not met'} {row['promise']:60}{row['measured']}\n")


if __name__ == "__main__":
    main()
