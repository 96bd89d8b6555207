"""What a recording comes to: a few lines to reason about by hand, and all of it to compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lsp_tap.session.build import Builder
from lsp_tap.session.models import Action, SessionFile, Turn
from lsp_tap.session.recording import read_recording

Json = dict[str, Any]


def build_sessions(folder: Path) -> list[SessionFile]:
    """All sessions of a recording, in the order of their ids."""
    recording = read_recording(folder)
    assert recording.problems == []
    builder = Builder(recording.history, recording.timelines)
    return [builder.build_session(session_id) for session_id in sorted(recording.history.sessions)]


def sum_up(session: SessionFile) -> list[str]:
    """One line a call that wrote something, and one a turn. What is as it mostly is (fresh, observed) is left out.

    edit: -1 (fix) +0 =1            cleared (how) introduced, persisted
    turn: 2 -1 +0 -> 1              before, cleared, introduced, after
    """
    calls = {action.call_id: action for action in session.tool_calls}
    lines = []
    for turn in session.turns:
        lines += [line for call in turn.actions if (line := _sum_up_call(calls[call]))]
        lines.append(_sum_up_turn(turn))
    return lines


def _sum_up_call(action: Action) -> str | None:
    if not action.success:
        return f"{action.tool}: failed"
    delta = getattr(action, "lsp_delta", None)
    if delta is None:
        return None
    if delta.baseline == "none":
        return f"{action.tool}: unknown" + _name_doubts(delta.freshness, delta.baseline)
    how = f" ({', '.join(error.cleared_by for error in delta.cleared)})" if delta.cleared else ""
    line = f"{action.tool}: -{len(delta.cleared)}{how} +{len(delta.introduced)} ={delta.persisted}"
    if delta.warnings.cleared or delta.warnings.introduced:
        line += f", warnings -{delta.warnings.cleared} +{delta.warnings.introduced}"
    return line + _name_doubts(delta.freshness, delta.baseline)


def _sum_up_turn(turn: Turn) -> str:
    lsp = turn.outcome.metrics.lsp
    if lsp.errors_before is None:
        line = "turn: unknown"
    else:
        line = f"turn: {lsp.errors_before} -{lsp.errors_cleared} +{lsp.errors_introduced} -> {lsp.errors_after}"
    if lsp.external_cleared or lsp.external_introduced:
        line += f", others -{lsp.external_cleared} +{lsp.external_introduced}"
    return line + _name_doubts(lsp.freshness, lsp.baseline)


def _name_doubts(freshness: str, baseline: str) -> str:
    doubts = [word for word, sure in ((freshness, "fresh"), (baseline, "observed")) if word != sure]
    return "".join(f", {word}" for word in doubts)


def measure_essence(session: SessionFile) -> Json:
    """The measured part of a session file, without what differs from recording to recording."""
    whole = session.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {
        "calls": [
            {
                key: call[key]
                for key in ("tool", "files", "success", "lspDiagnosticsBefore", "lspDiagnosticsAfter", "lspDelta")
                if key in call
            }
            | (
                {"lspDelta": {k: v for k, v in call["lspDelta"].items() if k != "elapsedMs"}}
                if "lspDelta" in call
                else {}
            )
            for call in whole["toolCalls"]
        ],
        "turns": [
            {
                "task": turn["task"],
                "success": turn["outcome"]["success"],
                "reasons": turn["outcome"]["reasons"],
                "lsp": turn["outcome"]["metrics"]["lsp"],
                "start": turn["context"]["lspDiagnostics"],
            }
            for turn in whole["turns"]
        ],
        "session": {"success": whole["outcome"]["success"], "lsp": whole["outcome"]["metrics"]["lsp"]},
    }
