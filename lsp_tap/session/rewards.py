"""A reward for every step of an agent: how much nearer to error-free it brought the code.

After Lanser-CLI (arXiv 2510.22907), whose reward weighs diagnostics cleared against introduced. Here it is the
difference of a potential (Ng, Harada and Russell 1999):

    Phi = - sum over severities of weight x (diagnostics shown + diagnostics hidden)
    r   = Phi(after the step) - Phi(before it)
        = sum of weight x (fixed - introduced, without those of the introduced that were hidden before)

*Hidden* are those an earlier step suppressed or deleted instead of fixing: they count as still there. Therefore

- rewards telescope: their sum over a session is Phi at its end less Phi at its beginning;
- breaking and fixing again sums to zero, so does suppressing and taking the suppression back;
- suppressing and deleting earn nothing, and no round of steps that ends where it began earns anything.

Weights are settings (`error_weight` 1, `warning_weight` 0.1). A step is what its call did to the diagnostics of all
documents, not what others did at the same time. A hidden error is known again by server, code and message; of warnings
only counts are kept, so one that shows again costs.

A reward is 0 for a call that cannot have changed a file (it only reads, or it failed), and null where the difference is
unknown: no server knew the file, it was not known before (baseline `none` or `partial`), the answer is not fresh, or it
is of a command (`bash`) of which no server learned a change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from lsp_tap.config import Thresholds
from lsp_tap.session.attribution import READING_TOOLS
from lsp_tap.session.models import Action, Delta, Finding


def fold_rewards(actions: Iterable[Action], thresholds: Thresholds) -> list[float | None]:
    """The rewards of a session's calls, in their order."""
    fold = RewardFold(thresholds)
    return [
        fold.step(
            action.tool,
            action.status if "status" in action.model_fields_set else None,
            action.lsp_delta if "lsp_delta" in action.model_fields_set else None,
        )
        for action in actions
    ]


class RewardFold:
    """Feed it a session's calls in their order."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self._hidden: Counter[tuple[str, str, str]] = Counter()

    def step(self, tool: str, status: str | None, delta: Delta | None) -> float | None:
        """The reward of one call."""
        if delta is None:
            return 0.0 if status == "error" or tool in READING_TOOLS else None
        errors = self._count_errors(delta)
        by = delta.warnings.cleared_by if "cleared_by" in delta.warnings.model_fields_set else None
        if delta.baseline in ("none", "partial") or delta.freshness != "fresh":
            return None
        fixed_warnings = (by.fix if by else delta.warnings.cleared) or 0
        warnings = fixed_warnings - (delta.warnings.introduced or 0)
        return round(self._thresholds.error_weight * errors + self._thresholds.warning_weight * warnings, 6) + 0.0

    def _count_errors(self, delta: Delta) -> int:
        """Fixed less introduced; keeps `hidden` up to date."""
        fixed = new = 0
        for error in delta.cleared:
            if error.cleared_by == "fix":
                fixed += 1
            else:
                self._hidden[_identify(error)] += 1
        for brought in delta.introduced:
            if self._hidden[_identify(brought)]:
                self._hidden[_identify(brought)] -= 1
            else:
                new += 1
        return fixed - new


def _identify(error: Finding) -> tuple[str, str, str]:
    return error.server, error.code, error.message
