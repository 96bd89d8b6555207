"""Randomness that can be repeated: `LSP_TAP_TEST_SEED` sets the seed, and a failure tells it."""

from __future__ import annotations

import contextlib
import os
import random
import sys
import time
from collections.abc import Iterator

NAME = "LSP_TAP_TEST_SEED"


def list_rounds(count: int) -> Iterator[tuple[str, random.Random]]:
    """`count` rounds, each with its name and its own randomness. `SEED/ROUND` as the seed repeats a single one."""
    seed, _, only = os.environ.get(NAME, str(time.time_ns())).partition("/")
    sys.stdout.write(f"{NAME}={seed}, {count} rounds\n")
    for number in range(count) if not only else [int(only)]:
        yield f"{seed}/{number}", random.Random(f"{seed}/{number}")


@contextlib.contextmanager
def told_of(name: str) -> Iterator[None]:
    """Puts the round's name into whatever goes wrong in it."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"repeat it with {NAME}={name}")
        raise
