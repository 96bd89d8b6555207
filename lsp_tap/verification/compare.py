"""Where recorded and verified numbers differ, for each turn and edit. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lsp_tap.session.models import Action, Delta, Diagnostics, Finding, Lsp, SessionFile

Agreement = Literal["same", "filled", "differs"]
"""`filled`: the recording knew no full baseline, so there is nothing to differ from."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Errors of a turn or an edit; None is unknown."""

    before: int | None
    after: int | None
    cleared: int | None
    introduced: int | None
    persisted: int | None
    baseline: str
    freshness: str

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One turn (`tool` None) or edit. `only_recorded`, `only_verified`: errors of before or after that only one knows,
    each with the moment it belongs to."""

    id: str
    tool: str | None
    files: tuple[str, ...]
    recorded: Numbers
    verified: Numbers
    only_recorded: tuple[tuple[str, Finding], ...]
    only_verified: tuple[tuple[str, Finding], ...]

    @property
    def agreement(self) -> Agreement:
        if self.recorded.baseline in ("none", "partial"):
            return "filled" if self.recorded != self.verified else "same"
        mine, theirs = self.recorded.as_json(), self.verified.as_json()
        numbers = ("before", "after", "cleared", "introduced", "persisted")
        same = all(mine[name] == theirs[name] for name in numbers) and not (self.only_recorded or self.only_verified)
        return "same" if same else "differs"

    def as_json(self) -> dict[str, Any]:
        def findings(found: tuple[tuple[str, Finding], ...]) -> list[dict[str, Any]]:
            return [{"at": at, **finding.model_dump(mode="json", by_alias=True)} for at, finding in found]

        return {
            "id": self.id,
            **({"tool": self.tool, "files": list(self.files)} if self.tool else {}),
            "agreement": self.agreement,
            "recorded": self.recorded.as_json(),
            "verified": self.verified.as_json(),
            "onlyRecorded": findings(self.only_recorded),
            "onlyVerified": findings(self.only_verified),
        }


@dataclass(frozen=True, slots=True)
class TurnComparison:
    turn: Comparison
    edits: tuple[Comparison, ...]

    def as_json(self) -> dict[str, Any]:
        return {**self.turn.as_json(), "edits": [edit.as_json() for edit in self.edits]}


def compare_sessions(recorded: SessionFile, verified: SessionFile) -> list[TurnComparison]:
    """Two builds of one session, turn by turn and edit by edit."""
    old, new = ({a.call_id: a for a in file.tool_calls} for file in (recorded, verified))
    found = []
    for mine, theirs in zip(recorded.turns, verified.turns, strict=True):
        at_start = mine.context.lsp_diagnostics, theirs.context.lsp_diagnostics
        numbers = [_count_turn(turn.outcome.metrics.lsp) for turn in (mine, theirs)]
        only = _diff({"before": at_start})
        turn = Comparison(mine.message_id, None, (), numbers[0], numbers[1], *only)
        edits = [_compare_edits(old[call], new[call]) for call in mine.actions if _find_delta(new[call])]
        found.append(TurnComparison(turn, tuple(edits)))
    return found


_NOTHING = Diagnostics(errors=(), warnings=())


def _compare_edits(recorded: Action, verified: Action) -> Comparison:
    only = _diff(
        {
            "before": tuple(getattr(a, "lsp_diagnostics_before", None) or _NOTHING for a in (recorded, verified)),
            "after": tuple(getattr(a, "lsp_diagnostics_after", None) or _NOTHING for a in (recorded, verified)),
        }
    )
    numbers = [_count_edit(recorded), _count_edit(verified)]
    return Comparison(verified.call_id, verified.tool, verified.files, numbers[0], numbers[1], *only)


def _count_turn(lsp: Lsp) -> Numbers:
    return Numbers(
        before=lsp.errors_before,
        after=lsp.errors_after,
        cleared=lsp.errors_cleared,
        introduced=lsp.errors_introduced,
        persisted=lsp.errors_persisted,
        baseline=lsp.baseline,
        freshness=lsp.freshness,
    )


def _find_delta(action: Action) -> Delta | None:
    return getattr(action, "lsp_delta", None)  # left out where no server was concerned


def _count_edit(action: Action) -> Numbers:
    delta = _find_delta(action)
    if delta is None or delta.baseline == "none":
        freshness = "no-server" if delta is None else delta.freshness
        return Numbers(None, None, None, None, None, "none", freshness)
    before, after = len(action.lsp_diagnostics_before.errors), len(action.lsp_diagnostics_after.errors)
    counts = before, after, len(delta.cleared), len(delta.introduced), delta.persisted
    return Numbers(*counts, delta.baseline, delta.freshness)


_Findings = tuple[tuple[str, Finding], ...]


def _diff(moments: Mapping[str, tuple[Diagnostics, ...]]) -> tuple[_Findings, _Findings]:
    only_recorded: list[tuple[str, Finding]] = []
    only_verified: list[tuple[str, Finding]] = []
    for moment, (recorded, verified) in moments.items():
        only_recorded += [(moment, finding) for finding in _without(recorded.errors, verified.errors)]
        only_verified += [(moment, finding) for finding in _without(verified.errors, recorded.errors)]
    return tuple(only_recorded), tuple(only_verified)


def _without(found: Iterable[Finding], others: Iterable[Finding]) -> list[Finding]:
    left = list(others)
    missing = []
    for finding in found:
        if finding in left:
            left.remove(finding)
        else:
            missing.append(finding)
    return missing
