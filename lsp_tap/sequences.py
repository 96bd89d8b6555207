"""What two sequences have in common at their ends, found by halving: slices are compared at the speed of memory."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def count_common(old: Sequence[object], new: Sequence[object]) -> int:
    """How many items both begin with."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def count_common_end(old: Sequence[object], new: Sequence[object], limit: int) -> int:
    """How many items both end with, if not more than `limit`."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if old[len(old) - middle : len(old) - low] == new[len(new) - middle : len(new) - low]:
            low = middle
        else:
            high = middle - 1
    return low
