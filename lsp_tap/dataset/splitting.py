"""Which split a repository's rows go to. Pure.

All of a repository is in one split, since its turns share files and tasks; without a repository all of a session. By a
hash of its name, so the same repository is in the same split whatever else is in the dataset, in whatever order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from lsp_tap.errors import UsageError


def choose_split(group: str, splits: Mapping[str, float], seed: str = "") -> str:
    """`splits`: shares by name, in an order that counts."""
    digest = hashlib.sha256(f"{seed}\0{group}".encode("utf-8", "surrogatepass")).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64 * sum(splits.values())
    for name, share in splits.items():
        place -= share
        if place < 0:
            return name
    return list(splits)[-1]


def parse_splits(text: str) -> dict[str, float]:
    """`train=0.8,test=0.2`, or one name. Raises UsageError."""
    splits: dict[str, float] = {}
    for item in text.split(","):
        name, separator, share = item.strip().partition("=")
        try:
            splits[name] = float(share) if separator else 1.0
        except ValueError:
            raise UsageError(f"--splits: {share!r} is no number") from None
        if not name.isidentifier() or not 0 < splits[name] < float("inf"):
            raise UsageError(f"--splits: {item.strip()!r} is not NAME=SHARE, as in train=0.8,test=0.2")
    return splits
