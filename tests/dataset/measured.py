"""Builds a dataset in a process of its own and says what it took: `python -m tests.dataset.measured JOB` (JSON).

On standard output, as JSON: `seconds`, `cpu_seconds`, `peak_mb` (of memory, of the largest process), `rows`,
`source_mb`.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lsp_tap.dataset import Options, build_dataset
from lsp_tap.dataset.options import Privacy, Selection


def measure_build(source: Path, output: Path, **fields: Any) -> dict[str, Any]:
    """`fields`: of the options."""
    job = json.dumps({"source": str(source), "output": str(output), "options": fields})
    command = [sys.executable, "-m", "tests.dataset.measured", job]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def main() -> None:
    job = json.loads(sys.argv[1])
    fields = job["options"]
    privacy = Privacy(redact=fields.pop("redact", True))
    options = Options(**fields, selection=Selection(outcome="all"), privacy=privacy)
    started = time.monotonic()
    summary = build_dataset([job["source"]], job["output"], options)
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    measured = {
        "seconds": time.monotonic() - started,
        "cpu_seconds": sum(usage.ru_utime + usage.ru_stime for usage in usages),
        "peak_mb": max(usage.ru_maxrss for usage in usages) * 1024 / 1e6,
        "rows": sum(summary.rows.values()),
        "source_mb": summary.source_bytes / 1e6,
    }
    sys.stdout.write(json.dumps(measured))


if __name__ == "__main__":
    main()
