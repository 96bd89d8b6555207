"""The findings of a capture, grouped, for a person and for programs. Memory stays flat: of each rule a few places."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from lsp_tap.inspect.findings import Finding, find_problems
from lsp_tap.inspect.rules import Severity
from lsp_tap.inspect.terminal import clean, one_line
from lsp_tap.journal.capture import Capture
from lsp_tap.journal.reader import Journal
from lsp_tap.journal.records import TapStarted

PLACES_KEPT: Final = 20
_PLACES_SHOWN: Final = 3
_ORDER: Final[tuple[Severity, ...]] = ("error", "warning", "note")
_MARKS: Final[dict[Severity, tuple[str, str]]] = {"error": ("✗", "red"), "warning": ("!", "yellow"), "note": ("·", "")}
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(slots=True)
class Group:
    """All findings of a rule and severity in a journal; `places` are the first of them."""

    journal: Journal
    server: str
    severity: Severity
    count: int = 0
    places: list[Finding] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        rule = self.places[0].rule
        return {
            "journal": str(self.journal.path),
            "server": self.server,
            "rule": rule.name,
            "severity": self.severity,
            "meaning": rule.meaning,
            "source": rule.source,
            "count": self.count,
            "places": [
                {"seq": found.seq, "time_us": found.time_us, "detail": found.detail, "excerpt": found.excerpt}
                for found in self.places
            ],
        }


def examine_capture(capture: Capture) -> list[Group]:
    """The findings of every tap, by journal, then the worst first."""
    listed: list[Group] = []
    for journal in capture.taps:
        server = journal.first.name if isinstance(journal.first, TapStarted) else journal.path.stem
        groups: dict[tuple[str, Severity], Group] = {}
        for found in find_problems(journal):
            key = found.rule.name, found.severity
            group = groups.setdefault(key, Group(journal, server, found.severity))
            group.count += 1
            if len(group.places) < PLACES_KEPT:
                group.places.append(found)
        listed += sorted(groups.values(), key=lambda group: _ORDER.index(group.severity))
    return listed


def print_findings(capture: Capture, groups: list[Group]) -> None:
    """Each journal with what was found in it; the record, and the beginning of its bytes, below."""
    for journal in capture.taps:
        found = [group for group in groups if group.journal is journal]
        click.echo(click.style(clean(journal.path), bold=True))
        for group in found:
            _print_group(group)
        if not found:
            click.echo(f"{click.style('✓', fg='green')} nothing found")


def _print_group(group: Group) -> None:
    rule = group.places[0].rule
    mark, colour = _MARKS[group.severity]
    times = f" ({group.count} times)" if group.count > 1 else ""
    click.echo(f"{click.style(mark, fg=colour or None)} {rule.name}{times}: {rule.meaning}")
    click.echo(f"    {rule.source}")
    for found in group.places[:_PLACES_SHOWN]:
        when = "" if found.time_us is None else f"{_EPOCH + timedelta(microseconds=found.time_us):%H:%M:%S.%f} "
        where = "" if found.seq is None else f"seq {found.seq} "
        click.echo(f"    {where}{when}{one_line(found.detail)}")
        if found.excerpt:
            click.echo(f"        {one_line(found.excerpt, 160)}")
    if group.count > _PLACES_SHOWN:
        click.echo(f"    and {group.count - _PLACES_SHOWN} more")
