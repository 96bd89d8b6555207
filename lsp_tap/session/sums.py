"""Adding up: spans of several servers become the numbers and lists of the contract."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lsp_tap.session.attribution import find_path
from lsp_tap.session.history import Call
from lsp_tap.session.models import (
    Baseline,
    ClearanceCounts,
    ClearedFinding,
    Counted,
    Delta,
    Diagnostics,
    Finding,
    Lsp,
)
from lsp_tap.session.ownership import OwnedStep
from lsp_tap.timeline.clearance import ClearedBy, classify_clearance
from lsp_tap.timeline.contents import Content
from lsp_tap.timeline.diagnostics import Diagnostic, Severity
from lsp_tap.timeline.span import Traced, fold_span
from lsp_tap.timeline.steps import FRESHNESS_ORDER, Freshness, Step, map_lines


@dataclass(frozen=True, slots=True)
class CallMeasure:
    """What a call did. `before` and `after` are of the documents it wrote or whose errors it changed."""

    before: Diagnostics
    after: Diagnostics
    delta: Delta


class Sums:
    """Adds up spans of several servers."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.steps: list[Step] = []
        self.before: list[Diagnostic] = []
        self.after: list[Diagnostic] = []
        self.persisted: list[Diagnostic] = []
        self.cleared: list[Traced] = []
        self.introduced: list[Traced] = []
        self.external_cleared: list[Traced] = []
        self.external_introduced: list[Traced] = []
        self._finished: set[int] = set()  # steps (their id) whose last writer is ours
        self.freshness: list[Freshness] = []
        self.servers: set[str] = set()
        self.known = self.unknown = self.verified = self.altered_known = 0
        self._loosening: set[int] = set()

    def add_span(
        self,
        run: Sequence[OwnedStep],
        is_ours: Callable[[Call | None], bool],
        counts: Callable[[str], bool] = lambda uri: True,
        *,
        is_verified: bool = False,
    ) -> None:
        steps = [owned.step for owned in run]
        owned_by = {id(owned.step): owned for owned in run}
        self._loosening.update(id(owned.step) for owned in run if owned.loosened)
        span = fold_span(steps, counts)
        self.steps += steps
        self.servers.add(steps[0].server)
        self.before += span.before
        self.after += span.after
        self.persisted += span.persisted
        for traced in span.cleared:
            ours = is_ours(owned_by[id(traced.step)].find_clearer(traced))
            (self.cleared if ours else self.external_cleared).append(traced)
        for traced in span.introduced:
            ours = is_ours(owned_by[id(traced.step)].find_introducer(traced))
            (self.introduced if ours else self.external_introduced).append(traced)
        self.known += len(span.known)
        self.verified += len(span.known) if is_verified else 0
        self.unknown += len(span.altered - span.known)
        self.altered_known += len(span.altered & span.known)
        self._finished.update(id(owned.step) for owned in run if is_ours(owned.owner))
        last = {
            o.step.uri or o.step.cause: o.step
            for o in run
            if is_ours(o.owner) or (o.unseen and is_ours(o.unseen.owner))
        }
        self.freshness += [step.freshness for step in last.values()]

    def add_still(
        self, server: str, diagnostics: Sequence[Diagnostic], *, has_state: bool, is_verified: bool = False
    ) -> None:
        """A server whose documents nobody altered."""
        self.before += diagnostics
        self.after += diagnostics
        self.persisted += diagnostics
        if has_state:
            self.servers.add(server)
            self.known += 1
            self.verified += is_verified

    def add_silence(self, freshness: Freshness, server: str) -> None:
        """A server that was told nothing, and knows such files."""
        self.freshness.append(freshness)
        self.servers.add(server)

    def _find_baseline(self) -> Baseline:
        if not self.known:
            return "none"
        if self.unknown:
            return "partial"
        return "verified" if self.verified == self.known else "observed"

    def _find_freshness(self) -> Freshness:
        if self.freshness:
            return max(self.freshness, key=FRESHNESS_ORDER.index)
        return "fresh" if self.known else "no-server"

    def diagnostics(self, found: Iterable[Diagnostic]) -> Diagnostics:
        ordered = sorted(found)
        return Diagnostics(
            errors=tuple(self._finding(d) for d in ordered if d.severity is Severity.ERROR),
            warnings=tuple(self._finding(d) for d in ordered if d.severity is Severity.WARNING),
        )

    def _finding(self, diagnostic: Diagnostic) -> Finding:
        return _make_finding(diagnostic, self.directory)

    def _classify(self, traced: Traced) -> ClearedBy:
        uri, step = traced.at_step.uri, traced.step
        if id(step) in self._loosening:
            return "suppression"
        return _classify_between(traced.at_step, step.before[uri].content, step.after[uri].content)

    def _count_kinds(self, severity: Severity) -> ClearanceCounts:
        kinds = [self._classify(traced) for traced in self.cleared if traced.diagnostic.severity is severity]
        by = {kind: kinds.count(kind) for kind in ("fix", "suppression", "deletion")}
        return ClearanceCounts(**by)

    def _find_ends(self) -> tuple[list[Diagnostic], list[Diagnostic], list[Diagnostic]]:
        """Before, after and persisted as one call saw them. Where it shares a step, what the other one did came first
        if the step is this call's (so it found it done), else later."""
        before, after, persisted = list(self.before), list(self.after), list(self.persisted)
        for traced in self.external_cleared:
            if id(traced.step) in self._finished:
                before.remove(traced.diagnostic)
            else:
                after.append(traced.diagnostic)
                persisted.append(traced.diagnostic)
        for traced in self.external_introduced:
            if id(traced.step) in self._finished:
                before.append(traced.diagnostic)
                persisted.append(traced.diagnostic)
            else:
                after.remove(traced.diagnostic)
        return before, after, persisted

    def build_call_measure(self) -> CallMeasure:
        before, after, persisted = self._find_ends()
        # What is known of other documents says nothing about an edit of unknown ones.
        baseline = self._find_baseline() if self.altered_known or not self.unknown else "none"
        touched = {step.uri for step in self.steps}
        touched |= {traced.diagnostic.uri for traced in self.cleared + self.introduced}
        texts = [step for step in self.steps if step.uri is not None]
        elapsed = [(step.settled_us - step.cause.time_us) / 1000 for step in texts if step.settled_us is not None]

        def count(found: Iterable[Diagnostic], severity: Severity) -> int | None:
            return None if baseline == "none" else len(_only(found, severity))

        kept = [d for d in persisted if d.uri in touched]
        warnings = Counted(
            cleared=count(_of(self.cleared), Severity.WARNING),
            introduced=count(_of(self.introduced), Severity.WARNING),
            persisted=count(kept, Severity.WARNING),
        )
        if warnings.cleared:
            warnings = warnings.model_copy(update={"cleared_by": self._count_kinds(Severity.WARNING)})
        delta = Delta(
            cleared=tuple(
                ClearedFinding(**_describe(traced.diagnostic, self.directory), cleared_by=self._classify(traced))
                for traced in _errors(self.cleared)
            ),
            introduced=tuple(self._finding(traced.diagnostic) for traced in _errors(self.introduced)),
            persisted=count(kept, Severity.ERROR),
            freshness=self._find_freshness(),
            baseline=baseline,
            elapsed_ms=max(elapsed) if elapsed and len(elapsed) == len(texts) else None,
            warnings=warnings,
            servers=tuple(sorted(self.servers)),
        )
        return CallMeasure(
            before=self.diagnostics(d for d in before if d.uri in touched),
            after=self.diagnostics(d for d in after if d.uri in touched),
            delta=delta,
        )

    def build_lsp(self) -> Lsp:
        baseline = self._find_baseline()
        unknown = ClearanceCounts(fix=None, suppression=None, deletion=None)

        def count(found: Iterable[Diagnostic], severity: Severity) -> int | None:
            return None if baseline == "none" else len(_only(found, severity))

        cleared, introduced = _of(self.cleared), _of(self.introduced)
        return Lsp(
            errors_before=count(self.before, Severity.ERROR),
            errors_after=count(self.after, Severity.ERROR),
            errors_cleared=count(cleared, Severity.ERROR),
            errors_introduced=count(introduced, Severity.ERROR),
            errors_persisted=count(self.persisted, Severity.ERROR),
            warnings_before=count(self.before, Severity.WARNING),
            warnings_after=count(self.after, Severity.WARNING),
            warnings_cleared=count(cleared, Severity.WARNING),
            warnings_introduced=count(introduced, Severity.WARNING),
            warnings_persisted=count(self.persisted, Severity.WARNING),
            external_cleared=count(_of(self.external_cleared), Severity.ERROR),
            external_introduced=count(_of(self.external_introduced), Severity.ERROR),
            cleared_by=unknown if baseline == "none" else self._count_kinds(Severity.ERROR),
            baseline=baseline,
            freshness=self._find_freshness(),
            servers=tuple(sorted(self.servers)),
        )


def _of(found: Iterable[Traced]) -> list[Diagnostic]:
    return [traced.diagnostic for traced in found]


def _only(found: Iterable[Diagnostic], severity: Severity) -> list[Diagnostic]:
    return [diagnostic for diagnostic in found if diagnostic.severity is severity]


def _errors(found: Iterable[Traced]) -> list[Traced]:
    errors = (traced for traced in found if traced.diagnostic.severity is Severity.ERROR)
    return sorted(errors, key=lambda traced: traced.diagnostic)


def _describe(diagnostic: Diagnostic, directory: str) -> dict[str, Any]:
    return {
        "file": _find_relative(find_path(diagnostic.uri), directory),
        "line": diagnostic.line + 1,
        "column": diagnostic.column + 1,
        "message": diagnostic.message,
        "severity": "error" if diagnostic.severity is Severity.ERROR else "warning",
        "code": diagnostic.code,
        "source": diagnostic.source,
        "server": diagnostic.server,
    }


# Most diagnostics outlive many calls and turns.
@lru_cache(maxsize=1024)
def _make_finding(diagnostic: Diagnostic, directory: str) -> Finding:
    return Finding(**_describe(diagnostic, directory))


# A call, its turn, its session and each later writing of them ask the same.
@lru_cache(maxsize=1024)
def _classify_between(diagnostic: Diagnostic, before: Content | None, after: Content | None) -> ClearedBy:
    return classify_clearance(diagnostic, map_lines(before, after))


@lru_cache(maxsize=4096)
def _find_relative(path: str, directory: str) -> str:
    return os.path.relpath(path, directory) if is_within(path, directory) else path


def is_within(path: str, directory: str) -> bool:
    return bool(directory) and (path == directory or path.startswith(directory.rstrip("/") + "/"))
