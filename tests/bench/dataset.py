"""What making a dataset costs: time and memory by the size of the sources, and what follows for 10 and 100 GB.

    python -m tests.bench.dataset [--sizes 200,500,1000] [--folder DIR] [--json]

Sources are generated (megabytes, twenty projects) into a temporary folder. Each size is built to Parquet by one process
with redaction, and the smallest also without, by all processors, and by Ray Data on this machine. The extrapolation is
a straight line through the processor time of the two largest sizes: every part costs the same. Processor time, since
that forgives a busy machine; of Ray's workers, which are no children of ours, it is not known.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.dataset.generated import vary, write_projects
from tests.dataset.measured import measure_build

PROJECTS: Final = 20
TEXT_BYTES: Final = 2000
EXTRAPOLATED_GB: Final = (1, 10, 100)


def generate(folder: Path, megabytes: int) -> Path:
    size = len(json.dumps(vary(0, 0, TEXT_BYTES), indent=2))
    write_projects(folder, PROJECTS, max(1, megabytes * 1_000_000 // size // PROJECTS), TEXT_BYTES)
    return folder


def run(sizes: list[int], place: Path, report: Callable[[str], None]) -> dict[str, Any]:
    """Measure each size, and the smallest in other ways."""
    measured: dict[str, Any] = {"processors": os.cpu_count(), "one_process": []}
    for megabytes in sizes:
        source = generate(place / f"source-{megabytes}", megabytes)
        one = _measure(source, place, workers=1)
        measured["one_process"].append(one)
        report(f"{megabytes} MB, one process: {_describe(one)}")
        if megabytes == min(sizes):
            for label, fields in (
                ("without redaction", {"workers": 1, "redact": False}),
                ("all processors", {"part_bytes": 16 << 20}),
                ("Ray Data", {"engine": "ray", "part_bytes": 16 << 20}),
            ):
                measured[label] = other = _measure(source, place, **fields)
                report(f"{megabytes} MB, {label}: {_describe(other)}")
        shutil.rmtree(source)
    measured["extrapolated"] = extrapolate(measured["one_process"])
    for gigabytes, hours in measured["extrapolated"].items():
        report(f"{gigabytes} GB: {hours:.2f} processor hours (extrapolated)")
    return measured


def _measure(source: Path, place: Path, **fields: Any) -> dict[str, Any]:
    output = place / "output"
    shutil.rmtree(output, ignore_errors=True)
    measured = measure_build(source, output, format="parquet", **fields)
    if fields.get("engine") == "ray":
        measured["cpu_seconds"] = None
    return measured


def _describe(one: dict[str, Any]) -> str:
    rate = "" if one["cpu_seconds"] is None else f"{one['source_mb'] / one['cpu_seconds']:.1f} MB a processor second, "
    return f"{rate}{one['seconds']:.0f} s, {one['peak_mb']:.0f} MB of memory at most, {one['rows']} rows"


def extrapolate(measured: list[dict[str, Any]]) -> dict[int, float]:
    """Processor hours by gigabytes of sources."""
    last = measured[-1]
    first = measured[-2] if len(measured) > 1 else {"cpu_seconds": 0.0, "source_mb": 0.0}
    slope = (last["cpu_seconds"] - first["cpu_seconds"]) / (last["source_mb"] - first["source_mb"])
    return {size: (last["cpu_seconds"] + slope * (size * 1000 - last["source_mb"])) / 3600 for size in EXTRAPOLATED_GB}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="200,500,1000", help="megabytes, the smallest first")
    parser.add_argument("--folder", type=Path, help="where the sources go for a while [default: a temporary folder]")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    given = parse_arguments()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        wanted = [int(size) for size in given.sizes.split(",")]
        found = run(wanted, Path(folder), lambda line: print(line, file=sys.stderr))  # noqa: T201
    if given.json:
        print(json.dumps(found, indent=2))  # noqa: T201
