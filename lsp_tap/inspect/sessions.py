"""Sessions for a person: the table of all, and one in full."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lsp_tap.inspect.terminal import one_line, styled
from lsp_tap.session.models import Action, Finding, Lsp, SessionFile, Turn
from lsp_tap.session.scoring import describe_lsp

_UNKNOWN = "?"


def summarise_session(session: SessionFile) -> dict[str, Any]:
    """A session as a row: plain values, camelCase, None where nobody knows."""
    metrics = session.outcome.metrics
    cost = metrics.token_cost
    counted = (cost.input, cost.output, cost.cache.read, cost.cache.write)
    known = [count for count in counted if count is not None]
    return {
        "session": session.session_id,
        "when": session.start_time,
        "task": session.turns[0].task if session.turns else session.title,
        "turns": len(session.turns),
        "successfulTurns": sum(turn.outcome.success for turn in session.turns),
        "success": session.outcome.success,
        "errorsCleared": metrics.lsp.errors_cleared,
        "errorsIntroduced": metrics.lsp.errors_introduced,
        "freshness": metrics.lsp.freshness,
        "baseline": metrics.lsp.baseline,
        "tokens": sum(known) if known else None,
        "duration": metrics.time_to_completion,
        "parent": session.parent_id,
    }


def print_sessions(console: Console, sessions: Iterable[SessionFile]) -> None:
    """The table of sessions, newest first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, right in (
        ("WHEN", False), ("SESSION", False), ("TURNS", True), ("SUCCESS", False), ("CLEARED", True),
        ("INTRODUCED", True), ("TOKENS", True), ("SECONDS", True), ("TASK", False),
    ):  # fmt: skip
        cut = name == "TASK"
        table.add_column(
            name, justify="right" if right else "left", no_wrap=True, overflow="ellipsis" if cut else "fold"
        )
    for session in sorted(sessions, key=lambda s: s.start_time or "", reverse=True):
        row = summarise_session(session)
        when = (row["when"] or _UNKNOWN)[:16].replace("T", " ")
        table.add_row(
            when,
            styled(row["session"]),
            str(row["turns"]),
            Text("yes", "green") if row["success"] else Text("no", "red"),
            _count(row["errorsCleared"]),
            _count(row["errorsIntroduced"]),
            _count(row["tokens"]),
            f"{row['duration']:.1f}" if row["duration"] is not None else _UNKNOWN,
            one_line(row["task"] or "", 80),
        )
    console.print(table)


def print_session(console: Console, session: SessionFile) -> None:
    """One session: every edit with what it cleared, introduced and left, how sure that is, and the verdicts."""
    console.print(styled(f"Session {session.session_id}", "bold"), styled(session.title or ""))
    console.print(styled(f"  {session.start_time or _UNKNOWN}  {session.directory}", "dim"))
    if session.parent_id:
        console.print(styled(f"  sub-agent of {session.parent_id}", "dim"))
    actions = {action.call_id: action for action in session.tool_calls}
    for number, turn in enumerate(session.turns, 1):
        console.print()
        _print_turn(console, number, turn, [actions[call] for call in turn.actions])
    if not session.turns:
        console.print("  no turns recorded")


def _print_turn(console: Console, number: int, turn: Turn, actions: Sequence[Action]) -> None:
    outcome = turn.outcome
    verdict = Text("success", "bold green") if outcome.success else Text("no success", "bold red")
    seconds = outcome.metrics.time_to_completion
    console.print(
        Text.assemble(f"Turn {number}  ", verdict, f"  {seconds:.1f} s" if seconds is not None else ""),
        styled(f" {one_line(turn.task, 120)}"),
    )
    numbers = describe_lsp(outcome.metrics.lsp)  # a reason of its own for a success
    for reason in outcome.reasons:
        if reason != numbers:
            console.print(styled(f"  because {one_line(reason)}"))
    _print_lsp(console, outcome.metrics.lsp)
    for action in actions:
        _print_action(console, action)


def _print_lsp(console: Console, lsp: Lsp) -> None:
    """How sure the numbers among the reasons are, and what they are made of."""
    by = lsp.cleared_by
    parts = [f"baseline {lsp.baseline}", lsp.freshness, ", ".join(lsp.servers) or "no server"]
    if lsp.errors_cleared:
        parts.insert(0, f"cleared by fix {by.fix}, suppression {by.suppression}, deletion {by.deletion}")
    if lsp.external_cleared or lsp.external_introduced:
        parts.append(f"by somebody else: {lsp.external_cleared} cleared, {lsp.external_introduced} introduced")
    console.print(styled(f"  {describe_lsp(lsp)}", "bold"))
    console.print(styled(f"  {'; '.join(parts)}", "dim"))


def _print_action(console: Console, action: Action) -> None:
    mark = Text("✓ ", "green") if action.success else Text("✗ ", "red")
    files = ", ".join(action.files)
    took = f"  {action.duration:.2f} s" if action.duration is not None else ""
    console.print(Text.assemble("  ", mark, styled(action.tool, "bold"), styled(f" {files}"), (took, "dim")))
    error = getattr(action, "error", None)
    if error:
        console.print(styled(f"      {one_line(error)}", "red"))
    delta = getattr(action, "lsp_delta", None)
    if delta is None:
        return
    if delta.freshness == "no-server":
        console.print(Text("      no language server looked at it", "dim"))
        return
    for finding in delta.cleared:
        console.print(
            Text.assemble("      ", ("cleared     ", "green"), _finding(finding), f"  by {finding.cleared_by}")
        )
    for finding in delta.introduced:
        console.print(Text.assemble("      ", ("introduced  ", "red"), _finding(finding)))
    if delta.baseline == "none":
        console.print(Text(f"      what was there before is unknown; {delta.freshness}", "dim"))
        return
    elapsed = f" after {delta.elapsed_ms:.0f} ms" if delta.elapsed_ms is not None else ""
    known = "" if delta.baseline in ("observed", "verified") else f", baseline {delta.baseline}"
    console.print(Text(f"      {delta.persisted} left; {delta.freshness}{elapsed}{known}", "dim"))


def _finding(finding: Finding) -> Text:
    code = f" ({one_line(finding.code, 60)})" if finding.code else ""
    return styled(f"{finding.file}:{finding.line}:{finding.column} {one_line(finding.message)}{code}")


def _count(number: int | None) -> str:
    return _UNKNOWN if number is None else str(number)
