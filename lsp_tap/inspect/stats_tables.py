"""What `lsp-tap stats` shows a person: traffic, freshness, and what tool calls waited for."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from lsp_tap.inspect.log import format_bytes
from lsp_tap.inspect.summary import name_uri
from lsp_tap.inspect.terminal import one_line, styled

_ARROWS = {"client_to_server": "→", "server_to_client": "←", None: "·"}


def print_stats(console: Console, stats: dict[str, Any], folder: str = "") -> None:
    """The tables of `StatsFold.to_json`; documents are shown relative to `folder`."""
    console.print(_table_methods(stats["methods"]))
    if stats["freshness"]:
        console.print()
        console.print(_table_freshness(stats["freshness"]))
    if stats["waiting"]:
        console.print()
        _print_waiting(console, stats["waiting"], folder)


def _start_table(*columns: str) -> Table:
    """Columns that begin with `>` hold numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", no_wrap=True)
    return table


def _table_methods(rows: list[dict[str, Any]]) -> Table:
    table = _start_table(
        "SERVER", "METHOD", ">COUNT", ">P50 ms", ">P95", ">P99", ">MAX", ">SIZE", ">ERRORS", ">UNANSWERED",
        ">CANCELLED",
    )  # fmt: skip
    for row in rows:
        method = styled(f"{_ARROWS[row['direction']]} {one_line(row['method'], 60)}")
        table.add_row(
            styled(one_line(row["server"], 40)),
            method,
            str(row["count"]),
            *_list_latencies(row["latency_ms"]),
            format_bytes(row["bytes"]),
            *(_count(row[name]) for name in ("errors", "unanswered", "cancelled")),
        )
    return table


def _table_freshness(rows: list[dict[str, Any]]) -> Table:
    table = _start_table("DIAGNOSTICS OF", "AFTER", ">TEXTS", ">REPORTED", ">P50 ms", ">P95", ">P99", ">MAX")
    for row in rows:
        for what, sent in (("an edit", "edits"), ("opening", "opens")):
            latencies = row["after_edit_ms" if sent == "edits" else "after_open_ms"]
            counts = str(row[sent]), str(row[f"{sent}_reported"])
            table.add_row(styled(one_line(row["server"], 40)), what, *counts, *_list_latencies(latencies))
    return table


def _print_waiting(console: Console, rows: list[dict[str, Any]], folder: str) -> None:
    table = _start_table("TOOL CALL", "ID", ">TOOK ms", ">SERVER THINKING", ">QUEUED", ">REQUESTS", "GAVE UP ON")
    for row in rows:
        given_up = row["given_up"]
        table.add_row(
            styled(one_line(row["tool"], 20)),
            styled(one_line(row["call"], 40)),
            _milliseconds(row["duration_ms"]),
            _milliseconds(row["thinking_ms"]),
            _milliseconds(row["queued_ms"]),
            str(row["requests"]),
            str(len(given_up)) if given_up else "",
        )
    console.print(table)
    for row in rows:
        for one in row["given_up"]:
            document = name_uri(one["uri"], folder) if one["uri"] else ""
            console.print(
                styled(f"{row['tool']} {row['call']}: {describe_given_up(one)} {document}".rstrip(), "yellow")
            )


def describe_given_up(one: dict[str, Any]) -> str:
    """In a sentence: how long was waited, and how long it would have taken."""
    asked = f"{one['server']} {one['method']} asked for {one['asked_for_ms'] / 1000:.1f} s"
    if one["succeeded_at_ms"] is None:
        return f"{asked}, never succeeded"
    return f"{asked}, would have succeeded at {one['succeeded_at_ms'] / 1000:.1f} s"


def _list_latencies(latencies: dict[str, float] | None) -> tuple[str, ...]:
    return tuple(_milliseconds(latencies[name]) if latencies else "" for name in ("p50", "p95", "p99", "max"))


def _milliseconds(value: float | None) -> str:
    return "?" if value is None else f"{value:.1f}"


def _count(value: int | None) -> str:
    return "" if value is None else str(value)
