"""A recorded session in few words, so that a test can say what it expects of each call and turn on one line.

Counts read `before -> after (-cleared +introduced =persisted)`, then the baseline and the freshness.
"""

from __future__ import annotations

import json
from typing import Any

from lsp_tap.session.writer import write_sessions
from tests.e2e.opencode import OpenCode

Json = dict[str, Any]


def read_session(opencode: OpenCode, session_id: str, *, is_alone: bool = True) -> Json:
    """The session file as it is on disk once the recorders are quiet. `is_alone`: nobody but the agent wrote."""
    (written,) = write_sessions(opencode.logs, [session_id], settle_limit_s=10)
    found: Json = json.loads(written.session_path.read_text(encoding="utf-8"))
    check_laws(found, is_alone=is_alone)
    return found


def describe_calls(session: Json) -> list[str]:
    """One line a tool call: its tool, its files, whether it failed, what it did to the errors."""
    return [_describe_call(action) for action in session["toolCalls"]]


def _describe_call(action: Json) -> str:
    words = [action["tool"], *action["files"]]
    if not action["success"]:
        words.append("failed")
    delta = action.get("lspDelta")
    if delta is None:
        return " ".join(words)
    if delta["baseline"] == "none":
        return f"{' '.join(words)}: unknown {delta['freshness']}"
    before, after = (len(action[f"lspDiagnostics{end}"]["errors"]) for end in ("Before", "After"))
    counts = f"{before} -> {after} (-{len(delta['cleared'])} +{len(delta['introduced'])} ={delta['persisted']})"
    return f"{' '.join(words)}: {counts} {delta['baseline']} {delta['freshness']}"


def describe_outcome(outcome: Json) -> str:
    """The errors of a turn or a session, and what others than the agent did to them if they did anything."""
    lsp = outcome["metrics"]["lsp"]
    before, after, cleared, introduced, persisted = (
        lsp[f"errors{name}"] for name in ("Before", "After", "Cleared", "Introduced", "Persisted")
    )
    others = f" others -{lsp['externalCleared']} +{lsp['externalIntroduced']}"
    return (
        f"{before} -> {after} (-{cleared} +{introduced} ={persisted}) {lsp['baseline']} {lsp['freshness']}"
        f"{others if lsp['externalCleared'] or lsp['externalIntroduced'] else ''}"
    )


def describe_turns(session: Json) -> list[str]:
    """One line a turn: success or not, and its errors."""
    return [
        f"{'success' if turn['outcome']['success'] else 'failure'}: {describe_outcome(turn['outcome'])}"
        for turn in session["turns"]
    ]


def check_laws(session: Json, *, is_alone: bool) -> None:
    """What holds for every recording: each span's counts agree, and its calls' net sums to the span's.

    The second only where each of the span's documents had a known before and nobody else wrote one.
    """
    actions = {action["callID"]: action for action in session["toolCalls"]}
    for action in actions.values():
        delta = action.get("lspDelta")
        if delta and delta["baseline"] == "none":
            assert "lspDiagnosticsBefore" not in action
            assert "lspDiagnosticsAfter" not in action
            assert (delta["cleared"], delta["introduced"], delta["persisted"]) == ([], [], None)
        elif delta:
            before, after = (len(action[f"lspDiagnostics{end}"]["errors"]) for end in ("Before", "After"))
            assert before == len(delta["cleared"]) + delta["persisted"], action
            assert after == len(delta["introduced"]) + delta["persisted"], action
    spans = [(turn["outcome"], turn["actions"]) for turn in session["turns"]]
    for outcome, calls in [*spans, (session["outcome"], list(actions))]:
        lsp = outcome["metrics"]["lsp"]
        if lsp["errorsBefore"] is None:
            continue
        net = lsp["errorsIntroduced"] - lsp["errorsCleared"]
        external = lsp["externalIntroduced"] - lsp["externalCleared"]
        assert lsp["errorsAfter"] == lsp["errorsBefore"] + net + external, lsp
        if lsp["baseline"] == "observed" and is_alone:
            deltas = [delta for call in calls if (delta := actions[call].get("lspDelta"))]
            assert net == sum(len(delta["introduced"]) - len(delta["cleared"]) for delta in deltas), (lsp, deltas)
