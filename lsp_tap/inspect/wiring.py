"""What `init` and `doctor` did and found, for a person and for programs."""

from __future__ import annotations

from typing import Any

import click

from lsp_tap.inspect.terminal import clean
from lsp_tap.wiring.doctor import Check
from lsp_tap.wiring.init import Plan

_MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


def describe_plan(plan: Plan, *, applied: bool) -> dict[str, Any]:
    """A plan as plain values."""
    return {
        "applied": applied,
        "changes": [
            {"file": str(change.path), "action": _action(change.before, change.after)} for change in plan.changes
        ],
        "servers": [{"id": s.id, "action": s.action, "command": list(s.command)} for s in plan.servers],
        "notes": list(plan.notes),
    }


def print_plan(plan: Plan, *, removed: bool, applied: bool) -> None:
    """Each file and server on a line."""
    would = "" if applied else "would "
    for change in plan.changes:
        verb = _action(change.before, change.after)
        click.echo(f"{would}{verb if not applied else _PAST[verb]} {clean(change.path)}")
        if not applied and change.path.suffix in (".json", ".jsonc") and not change.private:
            click.echo(clean(change.diff()), nl=False)
    for server in plan.servers:
        click.echo(f"  {clean(server.id)}: {server.action}  {clean(' '.join(server.command))}")
    for note in plan.notes:
        click.echo(clean(note))
    if not plan.changes:
        click.echo("nothing to remove" if removed else "everything is in place")
    elif applied and not removed:
        click.echo("Start OpenCode as usual. `lsp-tap doctor` checks the chain; `lsp-tap init --remove` undoes this.")


def print_check(check: Check) -> None:
    """A check on a line, what to do about it below."""
    mark, colour = _MARKS[check.status]
    click.echo(f"{click.style(mark, fg=colour)} {clean(check.name)}: {clean(check.detail)}")
    if check.remedy:
        click.echo(f"    {clean(check.remedy)}")


_PAST = {"create": "created", "change": "changed", "delete": "deleted"}


def _action(before: str | None, after: str | None) -> str:
    if before is None:
        return "create"
    return "delete" if after is None else "change"
