"""What rescoring changed, for a person and for programs."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lsp_tap.inspect.terminal import one_line, styled
from lsp_tap.session.judging import Judged
from lsp_tap.session.rescoring import Rescored, Scores, sum_up


def list_scores(judged: Judged) -> dict[str, Any]:
    """All of it as plain values, camelCase."""
    return {
        "turns": [
            {
                "session": turn.session_id,
                "turn": turn.turn,
                "task": turn.task,
                "changed": turn.changed,
                "before": _list(turn.before),
                "after": _list(turn.after),
            }
            for turn in judged.turns
        ],
        "total": sum_up(judged.turns),
        "written": [str(path) for path in judged.written],
        "unread": [str(unread) for unread in judged.unread],
    }


def _list(scores: Scores | None) -> dict[str, Any] | None:
    if scores is None:
        return None
    return {
        "success": scores.success,
        "reasons": list(scores.reasons),
        "correctness": scores.correctness,
        "efficiency": scores.efficiency,
        "minimalEdits": scores.minimal_edits,
    }


def print_scores(console: Console, judged: Judged) -> None:
    """A row a turn, with an arrow where something changed and the reasons of a verdict that is new."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("SESSION", "TURN", "SUCCESS", "CORRECTNESS", "EFFICIENCY", "MINIMAL EDITS", "TASK OR REASON"):
        table.add_column(name, no_wrap=name != "TASK OR REASON", overflow="fold")
    for turn in judged.turns:
        table.add_row(
            styled(turn.session_id),
            str(turn.turn),
            Text(_change(turn, "success"), "green" if turn.after.success else "red"),
            *(_change(turn, name) for name in ("correctness", "efficiency", "minimal_edits")),
            one_line(turn.task, 80),
        )
        if turn.changed:
            for reason in turn.after.reasons:
                table.add_row("", "", "", "", "", "", styled(f"  {one_line(reason)}", "dim"))
    console.print(table)
    total = sum_up(judged.turns)
    console.print(
        f"{total['turns']} turns, {total['changed']} changed: "
        f"{total['nowSuccess']} became a success, {total['noSuccessNow']} ceased to be one"
    )


def _change(turn: Rescored, name: str) -> str:
    after = _show(getattr(turn.after, name))
    before = _show(getattr(turn.before, name)) if turn.before else "-"
    return after if before == after else f"{before} -> {after}"


def _show(value: bool | float | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "?" if value is None else f"{value:.2f}"
