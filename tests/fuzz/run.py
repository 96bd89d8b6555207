"""Coverage-guided fuzzing with atheris: `python -m tests.fuzz.run TARGET [libFuzzer's options and corpus folders]`.

    python -m tests.fuzz.run relay -runs=1000000

Starts from inputs made of the fixtures. An input that breaks a law is written to `crash-<hash>`; giving that file as
the last argument runs it again.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["lsp_tap", "json"]):
    from tests.fuzz.corpus import list_seeds
    from tests.fuzz.targets import TARGETS


LENGTHS = {"reader": 4096, "sessions": 4096}
"""The longest inputs, in bytes, where short ones cannot be enough; elsewhere they are tried ten times as fast."""
SHORT_LENGTH = 512


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz.run {{{','.join(TARGETS)}}} [OPTION...]")
    name = sys.argv.pop(1)
    with tempfile.TemporaryDirectory(prefix="lsp-tap-corpus-") as folder:
        for number, seed in enumerate(list_seeds(name)):
            Path(folder, str(number)).write_bytes(seed)
        words = [*sys.argv, f"-max_len={LENGTHS.get(name, SHORT_LENGTH)}", "-rss_limit_mb=2048", folder]
        atheris.Setup(words, TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
