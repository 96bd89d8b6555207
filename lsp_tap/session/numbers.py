"""Numbers that anybody may have written: what nobody can have counted or measured is unknown."""

from __future__ import annotations

from typing import Any, Final

_MOST: Final = 2**53
"""Beyond it floats leave integers out."""


def read_count(value: Any) -> int | None:
    """From 0 on."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST else None


def read_number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MOST
    return float(value) if is_number else None
