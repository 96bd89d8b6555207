"""Two captures, one against the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lsp_tap.journal.capture import Capture
from lsp_tap.playback.compare import Comparison, compare_conversations
from lsp_tap.playback.conversation import allow_deep_messages, pair_connections, read_conversation
from lsp_tap.playback.latencies import Slower


@dataclass(slots=True)
class CaptureDifference:
    """`comparisons`: one a pair of connections; `only`: the journals that have no counterpart, of A and of B."""

    comparisons: list[Comparison] = field(default_factory=list)
    only: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))

    @property
    def is_different(self) -> bool:
        return any(self.only) or any(comparison.is_different for comparison in self.comparisons)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "different": self.is_different,
            "connections": [comparison.to_json() for comparison in self.comparisons],
            "only_a": self.only[0],
            "only_b": self.only[1],
        }


@allow_deep_messages()
def compare_captures(a: Capture, b: Capture, *, responses: bool, slower: Slower | None) -> CaptureDifference:
    """Connections are paired by server name and order."""
    difference = CaptureDifference()
    for left, right in pair_connections(a.taps, b.taps):
        if left is None or right is None:
            alone = left or right
            assert alone is not None
            difference.only[0 if right is None else 1].append(str(alone.path))
            continue
        pair = read_conversation(left), read_conversation(right)
        difference.comparisons.append(compare_conversations(*pair, responses=responses, slower=slower))
    return difference
