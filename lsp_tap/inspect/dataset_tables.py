"""What `lsp-tap dataset stats` shows a person."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from lsp_tap.dataset.counting import GROUPINGS, Counts, Sums, rank
from lsp_tap.inspect.terminal import one_line, styled

_MOST_RULES = 20


def print_counts(console: Console, counts: Counts) -> None:
    """Success by model, agent and language, then errors by rule."""
    splits = ", ".join(f"{split} {count}" for split, count in sorted(counts.splits.items()))
    told = f"{counts.total.turns} turns, {len(counts.sessions)} sessions, {len(counts.repositories)} repositories"
    console.print(styled(f"{told} ({splits})" if splits else told))
    for grouping in GROUPINGS:
        console.print()
        console.print(_table_sums(grouping, counts))
    if counts.cleared or counts.introduced:
        console.print()
        console.print(_table_rules(counts))


def _table_sums(grouping: str, counts: Counts) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(grouping.upper(), no_wrap=True)
    for column in ("TURNS", "SUCCESS", "CLEARED", "INTRODUCED", "IN", "OUT", "CACHED", "COST"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, sums in counts.list_group(grouping):
        table.add_row(styled(one_line(name, 50)), *_list_cells(sums))
    if len(counts.groups[grouping]) > 1:
        table.add_row(styled("all", "bold"), *_list_cells(counts.total))
    return table


def _list_cells(sums: Sums) -> list[str]:
    share, cost = sums.success_share, sums.read("cost")
    names = ("errors_cleared", "errors_introduced", "input_tokens", "output_tokens", "cache_read_tokens")
    return [
        str(sums.turns),
        "-" if share is None else f"{share:.0%}",
        *("-" if (number := sums.read(name)) is None else f"{number:,.0f}" for name in names),
        "-" if cost is None else f"{cost:.2f}",
    ]


def _table_rules(counts: Counts) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("RULE", no_wrap=True)
    table.add_column("CLEARED", justify="right")
    table.add_column("INTRODUCED", justify="right")
    for rule, _ in rank(counts.cleared + counts.introduced)[:_MOST_RULES]:
        table.add_row(styled(one_line(rule, 60)), str(counts.cleared[rule]), str(counts.introduced[rule]))
    return table
