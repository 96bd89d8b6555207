"""How long answers took, on two sides. Pure. Percentiles are nearest ranks, in milliseconds."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from lsp_tap.playback.conversation import Conversation
from lsp_tap.wire.messages import Response

MIN_SAMPLES: Final = 20
"""A 95th percentile of fewer is their maximum, and that is chance."""

FLOOR_MS: Final = 20.0
"""What one answer may be later than another without anybody noticing."""

Verdict = Literal["slower", "faster", "same", "unknown"]


@dataclass(frozen=True, slots=True)
class Slower:
    """What counts as slower: the 95th percentile by more than `ratio` times, and `floor_ms` at least, among
    `min_samples` answers on each side."""

    ratio: float = 1.5
    floor_ms: float = FLOOR_MS
    min_samples: int = MIN_SAMPLES


@dataclass(frozen=True, slots=True)
class Latency:
    """One method of the client's requests; None where nothing was answered. `verdict` on the 95th percentiles;
    `unknown` with too few answers."""

    method: str
    counts: tuple[int, int]
    p50_ms: tuple[float | None, float | None]
    p95_ms: tuple[float | None, float | None]
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        a, b = (
            {"answers": self.counts[side], "p50_ms": self.p50_ms[side], "p95_ms": self.p95_ms[side]} for side in (0, 1)
        )
        return {"method": self.method, "a": a, "b": b, "verdict": self.verdict}


def compare_latencies(a: Conversation, b: Conversation, slower: Slower) -> list[Latency]:
    """By method, the slowest now first. What was cancelled or refused is left out."""
    sides = _collect(a), _collect(b)
    found = []
    for method in sides[0].keys() | sides[1].keys():
        left, right = (sorted(side.get(method, ())) for side in sides)
        p95 = _rank(left, 95), _rank(right, 95)
        verdict = _judge(p95[0], p95[1], slower) if min(len(left), len(right)) >= slower.min_samples else "unknown"
        p50 = _rank(left, 50), _rank(right, 50)
        found.append(Latency(method, (len(left), len(right)), p50, p95, verdict))
    return sorted(found, key=lambda latency: (-(latency.p95_ms[1] or 0), latency.method))


def _judge(a_ms: float | None, b_ms: float | None, slower: Slower) -> Verdict:
    if a_ms is None or b_ms is None:
        return "unknown"
    if b_ms > a_ms * slower.ratio and b_ms - a_ms >= slower.floor_ms:
        return "slower"
    if a_ms > b_ms * slower.ratio and a_ms - b_ms >= slower.floor_ms:
        return "faster"
    return "same"


def _collect(conversation: Conversation) -> dict[str, list[float]]:
    latencies: defaultdict[str, list[float]] = defaultdict(list)
    for step in conversation.steps:
        if not step.is_client or step.probe or step.answer is None or step.is_cancelled:
            continue
        if isinstance(step.answer.message, Response) and step.answer.message.error is None:
            latencies[step.method].append((step.answer.time_us - step.time_us) / 1000)
    return latencies


def _rank(ordered: Sequence[float], percent: int) -> float | None:
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)] if ordered else None
