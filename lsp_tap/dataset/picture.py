"""Counts as a picture: bars of success by model, agent and language, and of errors by rule (Matplotlib).

The same counts give the same bytes. Text stays text, so that it can be searched and read aloud.
"""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from lsp_tap.dataset.counting import GROUPINGS, Counts, rank
from lsp_tap.errors import LspTapError, UsageError

_MOST: Final = 12
"""Bars of a chart; what there is more is in the table and in `--json`."""
_SUCCESS, _FAILURE, _UNKNOWN, _CLEARED, _INTRODUCED = "#1f8f50", "#c2362b", "#b8bfc9", "#2166c4", "#c98a12"


def write_picture(counts: Counts, path: Path) -> None:
    """An `.svg`, or an `.html` page that needs nothing else. Raises UsageError, LspTapError, OSError."""
    if path.suffix not in (".svg", ".html"):
        raise UsageError(f"{path}: a picture is an .svg or an .html file")
    drawing = draw(counts)
    content = drawing if path.suffix == ".svg" else _wrap(drawing, counts)
    path.write_text(content, "utf-8")


def draw(counts: Counts) -> str:
    """The picture as SVG."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise LspTapError("Matplotlib is not installed: pip install 'lsp-tap[dataset]'") from error
    matplotlib.rcParams.update({"svg.hashsalt": "lsp-tap", "svg.fonttype": "none", "font.family": "sans-serif"})
    matplotlib.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure = Figure(figsize=(11, 7), layout="constrained")
    figure.suptitle(_describe(counts))
    axes = figure.subplots(2, 2)
    for chart, grouping in zip(axes.flat, GROUPINGS, strict=False):
        _draw_success(chart, counts, grouping)
    _draw_rules(axes.flat[3], counts)
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def _describe(counts: Counts) -> str:
    total = counts.total
    share = "" if total.success_share is None else f", {total.success_share:.0%} a success"
    return f"{total.turns} turns of {len(counts.sessions)} sessions{share}"


def _draw_success(chart: Any, counts: Counts, grouping: str) -> None:
    rows = counts.list_group(grouping)[:_MOST][::-1]
    parts = (
        ("success", _SUCCESS, [sums.successes for _, sums in rows]),
        ("failure", _FAILURE, [sums.failures for _, sums in rows]),
        ("not known", _UNKNOWN, [sums.turns - sums.successes - sums.failures for _, sums in rows]),
    )
    left = [0] * len(rows)
    for label, colour, widths in parts:
        if any(widths):
            chart.barh(range(len(rows)), widths, left=left, color=colour, label=label)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    _name_bars(chart, f"turns by {grouping}", [name for name, _ in rows])


def _draw_rules(chart: Any, counts: Counts) -> None:
    rules = [rule for rule, _ in rank(counts.cleared + counts.introduced)[:_MOST]][::-1]
    for label, colour, counted, offset in (
        ("cleared", _CLEARED, counts.cleared, 0.2),
        ("introduced", _INTRODUCED, counts.introduced, -0.2),
    ):
        places = [place + offset for place in range(len(rules))]
        chart.barh(places, [counted[rule] for rule in rules], height=0.4, color=colour, label=label)
    _name_bars(chart, "LSP errors by rule", rules)


def _name_bars(chart: Any, title: str, names: Sequence[str]) -> None:
    chart.set_title(title, loc="left")
    chart.set_yticks(range(len(names)), [_shorten(name) for name in names], parse_math=False)
    chart.xaxis.get_major_locator().set_params(integer=True)
    chart.set_ylim(min(-0.6, len(names) - 4.5), max(0.6, len(names) - 0.4))
    if names:
        chart.legend(frameon=False, fontsize=8, ncols=3, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)


def _shorten(name: str) -> str:
    """For a label: recorded, so also what XML has no place for is in it, perhaps."""
    plain = "".join(character if character.isprintable() else "?" for character in name)
    return plain if len(plain) <= 40 else f"{plain[:39]}…"


def _wrap(drawing: str, counts: Counts) -> str:
    svg = drawing[drawing.index("<svg") :]
    tables = "".join(_tabulate(counts, grouping) for grouping in GROUPINGS)
    title = html.escape(_describe(counts))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}"
        "svg{max-width:100%;height:auto}td,th{padding:.1rem .8rem .1rem 0;text-align:right}"
        "td:first-child,th:first-child{text-align:left}</style></head>\n"
        f"<body>{svg}\n{tables}</body></html>\n"
    )


def _tabulate(counts: Counts, grouping: str) -> str:
    heads = (grouping, "turns", "successes", "failures", "errors cleared", "errors introduced")
    rows = [
        (name, s.turns, s.successes, s.failures, _show(s.read("errors_cleared")), _show(s.read("errors_introduced")))
        for name, s in counts.list_group(grouping)
    ]
    head = "".join(f"<th>{each}</th>" for each in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_shorten(str(cell)))}</td>" for cell in row) + "</tr>\n" for row in rows
    )
    return f"<table><tr>{head}</tr>\n{body}</table>\n"


def _show(number: float | None) -> str:
    return "unknown" if number is None else f"{number:.0f}"
