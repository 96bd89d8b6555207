"""What a turn is judged by, made by hand: a success unless told otherwise."""

from __future__ import annotations

from typing import Any

from lsp_tap.session.models import Action, ClearanceCounts, ClearedFinding, Counted, Delta, Finding, Lsp
from lsp_tap.session.scoring import TurnFacts


def make_error(message: str = '"retunr" is not defined', file: str = "a.py") -> Finding:
    return Finding(
        file=file, line=1, column=1, message=message, severity="error", code="rule", source="test", server="s"
    )


def make_lsp(
    before: int | None = 0, introduced: int = 0, *, fix: int = 0, suppression: int = 0, deletion: int = 0, **fields: Any
) -> Lsp:
    """`before` None: nobody knows."""
    cleared = fix + suppression + deletion
    known = before is not None
    counts: dict[str, Any] = {
        "errors_before": before,
        "errors_after": before - cleared + introduced if before is not None else None,
        "errors_cleared": cleared if known else None,
        "errors_introduced": introduced if known else None,
        "errors_persisted": before - cleared if before is not None else None,
        "cleared_by": ClearanceCounts(
            fix=fix if known else None, suppression=suppression if known else None, deletion=deletion if known else None
        ),
        "external_cleared": 0 if known else None,
        "external_introduced": 0 if known else None,
        "baseline": "observed" if known else "none",
        "freshness": "fresh" if known else "no-server",
        "servers": ("s",) if known else (),
    }
    sums = ("before", "after", "cleared", "introduced", "persisted")
    return Lsp(**{**{f"warnings_{name}": None for name in sums}, **counts, **fields})


def make_action(tool: str = "edit", **fields: Any) -> Action:
    given: dict[str, Any] = {
        "step": 1, "tool": tool, "call_id": "c", "args": None, "result": "ok", "success": True, "status": "completed",
        "timestamp": None, "duration": None, "files": (),
    }  # fmt: skip
    return Action.model_construct(**{**given, **fields})


def make_step(cleared: dict[str, str], introduced: list[str], *, warnings: int = 0, **fields: Any) -> Action:
    """`cleared`: error -> how. `warnings`: fixed if positive, introduced if negative."""
    return make_action(
        lsp_delta=Delta(
            cleared=tuple(
                ClearedFinding.model_validate({**dict(make_error(e)), "cleared_by": how}) for e, how in cleared.items()
            ),
            introduced=tuple(make_error(e) for e in introduced),
            persisted=0,
            elapsed_ms=None,
            warnings=Counted(
                cleared=max(0, warnings),
                introduced=max(0, -warnings),
                persisted=0,
                cleared_by=ClearanceCounts(fix=max(0, warnings), suppression=0, deletion=0),
            ),
            servers=("s",),
            **{"freshness": "fresh", "baseline": "observed", **fields},
        )
    )


def run(command: str, exit_code: int | None) -> Action:
    return make_action("bash", args={"command": command}, exit_code=exit_code, success=not exit_code)


def make_facts(**fields: Any) -> TurnFacts:
    given: dict[str, Any] = {
        "task": "do it", "messages": 2, "finish": "stop", "errors": (), "actions": (make_action(),), "seconds": 10.0,
        "lsp": make_lsp(), "at_start": (), "files_modified": 1,
    }  # fmt: skip
    return TurnFacts(**{**given, **fields})
