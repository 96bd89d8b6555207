"""Replays and diffs for a person: what differs first, then what was counted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from lsp_tap.inspect.summary import name_uri
from lsp_tap.inspect.terminal import one_line, styled
from lsp_tap.playback.compare import Comparison, ReportDifference, ResponseDifference
from lsp_tap.playback.diff import CaptureDifference
from lsp_tap.playback.latencies import Latency
from lsp_tap.playback.normal import normalise_result
from lsp_tap.playback.replay import Replayed
from lsp_tap.timeline.diagnostics import Diagnostic

_PATIENCE_S: Final = 2.0
_VERDICTS: Final = {"slower": "yellow", "faster": "green", "same": "", "unknown": "dim"}
_MOST_RESPONSES: Final = 20
_MOST_PLACES: Final = 5
_MOST_COUNTS: Final = 8
_ABSENT: Final = "(absent)"


@contextmanager
def show_progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal's stderr, from the third second on. Yields what to call: messages sent, and how many."""
    console = Console(stderr=True)
    columns = TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = progress.add_task("replay", total=None)
    timer = threading.Timer(_PATIENCE_S, progress.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda sent, count: progress.update(task, completed=sent, total=count)
    finally:
        timer.cancel()
        timer.join()
        progress.stop()


def print_replayed(console: Console, replayed: Replayed) -> None:
    """A replay: `a` is what was recorded, `b` what came now."""
    played = replayed.played
    if played.failure is not None:
        console.print(styled(f"failed: {one_line(played.failure, 1000)}", "bold red"))
        for line in played.stderr.strip().splitlines()[-5:]:
            console.print(styled(f"  stderr: {one_line(line, 500)}"))
    _print_comparison(console, replayed.comparison, "recorded", "now")
    for note in played.notes:
        console.print(styled(f"note: {one_line(note, 1000)}", "dim"))
    for what, count in replayed.left_out.items():
        console.print(styled(f"note: not played: {count} {what}", "dim"))
    console.print()
    speed = {"fast": "as fast as causality allows", "real": "at the recorded speed"}[played.speed]
    console.print(styled(f"{played.sent} messages sent, {speed}, in {one_line(replayed.root, 1000)}"))
    _print_verdict(console, replayed.is_different)


def print_difference(console: Console, difference: CaptureDifference, a: str, b: str) -> None:
    """Two captures, called as they were named."""
    for comparison in difference.comparisons:
        console.print(styled(f"{one_line(comparison.name, 60)}", "bold"))
        _print_comparison(console, comparison, "A", "B")
    for side, journals in zip("AB", difference.only, strict=True):
        for journal in journals:
            console.print(styled(f"only in {side}: {one_line(journal, 1000)}", "yellow"))
    console.print(styled(f"A is {one_line(a, 1000)}, B is {one_line(b, 1000)}", "dim"))
    _print_verdict(console, difference.is_different)


def _print_verdict(console: Console, is_different: bool) -> None:
    console.print(styled("different", "bold yellow") if is_different else styled("no difference", "green"))


def _print_comparison(console: Console, comparison: Comparison, a: str, b: str) -> None:
    root = comparison.root or ""
    if comparison.servers[0] != comparison.servers[1]:
        console.print(styled(f"server: {a} {comparison.servers[0]}, {b} {comparison.servers[1]}"))
    for report in comparison.reports:
        _print_report(console, report, root, a, b)
    for side, texts in zip((a, b), comparison.texts_only, strict=True):
        for uri, count in texts.items():
            console.print(
                styled(f"{_name(uri, root)}: {count} {'text' if count == 1 else 'texts'} only in {side}", "yellow")
            )
    for response in comparison.responses[:_MOST_RESPONSES]:
        _print_response(console, response, root, a, b)
    if len(comparison.responses) > _MOST_RESPONSES:
        console.print(styled(f"... and {len(comparison.responses) - _MOST_RESPONSES} more answers (--json)", "yellow"))
    for side, methods in zip((a, b), comparison.only, strict=True):
        for method, count in methods.items():
            console.print(styled(f"{one_line(method, 60)}: {count} from the server, only {side}", "yellow"))
    if comparison.endings[0] != comparison.endings[1]:
        console.print(styled(f"the server {comparison.endings[0]} {a}, {comparison.endings[1]} {b}", "yellow"))
    if comparison.latencies:
        console.print(_table_latencies(comparison.latencies, a, b))
    changed = [
        f"{one_line(method, 60)} {counts[0]}/{counts[1]}"
        for (_, method), counts in sorted(comparison.messages.items())
        if counts[0] != counts[1]
    ]
    totals = [sum(counts[side] for counts in comparison.messages.values()) for side in (0, 1)]
    told = f"messages: {totals[0]} {a}, {totals[1]} {b}" + (f"; {', '.join(changed[:_MOST_COUNTS])}" if changed else "")
    console.print(styled(told, "dim"))
    counted = comparison.compared
    answers = f", {counted['responses']} answers" if "responses" in counted else ""
    console.print(styled(f"compared: {counted['reports']} texts with diagnostics{answers}", "dim"))


def _print_report(console: Console, report: ReportDifference, root: str, a: str, b: str) -> None:
    name = _name(report.uri, root)
    version = "" if report.version is None else f", version {report.version}"
    if report.is_silent:
        console.print(styled(f"{name}{version}: no report {b}, {len(report.gone)} diagnostics {a}", "yellow"))
        return
    console.print(styled(f"{name}{version}", "bold"))
    for gone in report.gone:
        console.print(styled(f"  - {_describe(gone)}", "red"))
    for new in report.new:
        console.print(styled(f"  + {_describe(new)}", "green"))
    for old, other in report.reworded:
        console.print(styled(f"  ~ {_describe(old)}", "yellow"))
        console.print(styled(f"    {_describe(other)}", "yellow"))


def _describe(diagnostic: Diagnostic) -> str:
    rule = f" ({one_line(diagnostic.code, 60)})" if diagnostic.code else ""
    place = f"{diagnostic.line + 1}:{diagnostic.column + 1}"
    return f"{place} {diagnostic.severity.name.lower()}: {one_line(diagnostic.message)}{rule}"


def _print_response(console: Console, response: ResponseDifference, root: str, a: str, b: str) -> None:
    match response.params:
        case {"textDocument": {"uri": str(uri)}, "position": {"line": int(line), "character": int(character)}}:
            about = f" {_name(uri, root)}:{line + 1}:{character + 1}"
        case {"textDocument": {"uri": str(uri)}}:
            about = f" {_name(uri, root)}"
        case _:
            about = ""
    console.print(styled(f"{one_line(response.method, 60)}{about} answers differ", "yellow"))
    if response.a_kind == response.b_kind:
        given = [normalise_result(response.method, result) for result in (response.a, response.b)]
        for path, one, other in islice(_walk(*given), _MOST_PLACES):
            console.print(styled(f"  {path or 'result'}: {a} {_cut(one)}, {b} {_cut(other)}"))
        return
    for side, kind, outcome in ((a, response.a_kind, response.a), (b, response.b_kind, response.b)):
        said = "no answer" if kind == "none" else f"{kind} {one_line(outcome, 300)}"
        console.print(styled(f"  {side}: {said}"))


def _walk(a: Any, b: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The places where two values differ."""
    match a, b:
        case dict(), dict():
            for key in [*a, *(key for key in b if key not in a)]:
                yield from _walk(a.get(key, _ABSENT), b.get(key, _ABSENT), f"{path}.{key}".lstrip("."))
        case list(), list() if len(a) == len(b):
            for at, (one, other) in enumerate(zip(a, b, strict=True)):
                yield from _walk(one, other, f"{path}[{at}]")
        case list(), list():
            yield path, f"{len(a)} items", f"{len(b)} items"
        case _ if a != b:
            yield path, a, b


def _cut(value: Any) -> str:
    return one_line(value, 150)


def _table_latencies(latencies: list[Latency], a: str, b: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("METHOD", no_wrap=True)
    for column in (f"ANSWERS {a}", b, f"P50 ms {a}", b, f"P95 ms {a}", b):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("P95 IS")
    for latency in latencies:
        numbers = [str(count) for count in latency.counts]
        numbers += ["" if value is None else f"{value:.1f}" for value in (*latency.p50_ms, *latency.p95_ms)]
        verdict = styled(latency.verdict, _VERDICTS[latency.verdict])
        table.add_row(styled(one_line(latency.method, 60)), *numbers, verdict)
    return table


def _name(uri: str, root: str) -> str:
    return one_line(name_uri(uri, root), 200)
