"""Plays a golden recording again, as it grew: record by record over all its journals, in order of time."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

from lsp_tap.session.recording import read_recording
from lsp_tap.session.writer import SessionWriter

GOLDEN = Path(__file__).parents[1] / "golden"
ALL = sorted(path.parent for path in GOLDEN.glob("*/expected.json"))


def list_lines(golden: Path) -> list[tuple[str, bytes]]:
    """The lines of all journals in order of time, each with its journal's name."""
    found = []
    for path in sorted((golden / "tap").iterdir()):
        latest_us = 0
        for number, line in enumerate(path.read_bytes().splitlines(keepends=True)):
            latest_us = max(latest_us, json.loads(line)["time_us"])
            found.append((latest_us, path.name, number, line))
    return [(name, line) for _, name, _, line in sorted(found)]


def grow(golden: Path, folder: Path, stops: int, seed: int = 1) -> Iterator[None]:
    """Write the journals into `folder`, and stop on the way, at any byte; the last stop is where all is written."""
    lines = list_lines(golden)
    chance = random.Random(f"{golden.name} {seed}")
    cuts = set(chance.sample(range(len(lines)), min(stops - 1, len(lines) - 1)))
    (folder / "tap").mkdir(parents=True)
    for number, (name, line) in enumerate(lines):
        at = chance.randrange(len(line)) if number in cuts else 0
        with (folder / "tap" / name).open("ab") as file:
            file.write(line[:at])
            if number in cuts:
                file.flush()
                yield
            file.write(line[at:])
    yield


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (*folder.glob("session-*.json"), *folder.glob("dspy-*.json"))}


def write_all(writer: SessionWriter) -> dict[str, bytes]:
    """The files that `writer` writes now."""
    return _write(writer, None)


def write_each(writer: SessionWriter) -> dict[str, bytes]:
    """The same, of sessions that are named, so that it may go on from what it wrote before."""
    return _write(writer, sorted(read_recording(writer.folder).history.sessions))


def _write(writer: SessionWriter, session_ids: list[str] | None) -> dict[str, bytes]:
    for path in (*writer.folder.glob("session-*.json"), *writer.folder.glob("dspy-*.json")):
        path.unlink()
    for _ in writer.write(session_ids):
        pass
    return read_files(writer.folder)


DAY_US = 86_400_000_000


def put_on_day(golden: Path, folder: Path, day: int, suffix: str) -> None:
    """The recording as it would be, had it been made so many days later, among others: with sessions of its own."""
    (folder / "tap").mkdir(parents=True, exist_ok=True)
    for path in sorted((golden / "tap").iterdir()):
        target = folder / "tap" / path.name.replace("20260101T", f"202601{1 + day:02}T")
        lines = []
        for line in path.read_text("utf-8").replace("ses_1", f"ses_1{suffix}").splitlines():
            record = json.loads(line)
            record["time_us"] += day * DAY_US
            record.update({name: record[name] + day * DAY_US // 1000 for name in record if name.endswith("_ms")})
            lines.append(json.dumps(record, ensure_ascii=False) + "\n")
        target.write_text("".join(lines), "utf-8")
        written_s = json.loads(lines[-1])["time_us"] / 1e6
        os.utime(target, (written_s, written_s))
