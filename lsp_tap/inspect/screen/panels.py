"""The screens over the list: the diagnostics of a document, help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from lsp_tap.inspect.log import format_time
from lsp_tap.inspect.screen.body import Line, Piece, Tone
from lsp_tap.inspect.screen.lines_view import LinesView
from lsp_tap.inspect.summary import name_uri
from lsp_tap.inspect.terminal import one_line

_BARS: Final = " ▁▂▃▄▅▆▇█"
_CHART_HEIGHT: Final = 4
DIM: Final = "$foreground 55%"
_CLOSING: Final[list[BindingType]] = [
    Binding("escape,q", "dismiss", "back", show=False),
    Binding("j", "cursor(1)", "down", show=False),
    Binding("k", "cursor(-1)", "up", show=False),
]


class Panel(ModalScreen[Any]):
    """A window over the list, with a list of its own. Closed by escape and q."""

    BINDINGS: ClassVar[list[BindingType]] = _CLOSING

    def action_cursor(self, by: int) -> None:
        for options in self.query(OptionList):
            if options.highlighted is not None:
                options.highlighted = max(0, min(options.highlighted + by, options.option_count - 1))

    def on_click(self, event: Any) -> None:
        if event.widget is self:
            self.dismiss()


class DiagnosticsPanel(Panel):
    """A document's diagnostics, version by version. Dismissed with the time of the version to go to."""

    def __init__(self, uri: str, folder: str, time_us: int) -> None:
        super().__init__()
        self._document, self._folder, self._time_us = one_line(name_uri(uri, folder), 100), folder, time_us
        self._versions: list[Mapping[str, Any]] = []
        self.is_filled = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="panel") as panel:
            panel.border_title = Content(f"diagnostics of {self._document}").markup
            panel.border_subtitle = "enter: go there   tab: findings   esc: back"
            yield Static(Content("computing…"), id="chart")
            yield OptionList(id="versions")
            yield LinesView(id="findings")

    def fill(self, history: Mapping[str, Any]) -> None:
        """What the worker computed."""
        self._versions = history["versions"]
        self.query_one("#chart", Static).update(self._draw_chart(history))
        options = self.query_one(OptionList)
        options.add_options([Option(self._describe(version)) for version in self._versions])
        if self._versions:
            earlier = [n for n, version in enumerate(self._versions) if version["time_us"] <= self._time_us]
            options.highlighted = earlier[-1] if earlier else 0
        options.focus()
        self.is_filled = True

    def fail(self, reason: str) -> None:
        """What went wrong instead."""
        self.is_filled = True
        self.query_one("#chart", Static).update(Content.styled(one_line(reason), "$error"))

    def _draw_chart(self, history: Mapping[str, Any]) -> Content:
        """A bar a version: errors, and warnings on top of them."""
        if not self._versions:
            return Content("no server was told of this document, or spoke of it")
        room = max(1, self.app.size.width - 16)
        shown = self._versions[-room:]
        width = max(1, min(4, room // len(shown)))
        counts = [(version["errors"], version["warnings"]) for version in shown]
        most = max([1, *(errors + warnings for errors, warnings in counts if errors is not None)])
        parts: list[tuple[str, str]] = []
        for level in range(_CHART_HEIGHT - 1, -1, -1):
            label = str(most) if level == _CHART_HEIGHT - 1 else "0" if level == 0 else ""
            parts.append((f"{label:>4} ", DIM))
            for errors, warnings in counts:
                parts += _draw_cell(errors, warnings, most, level, width)
            parts.append(("\n", ""))
        parts += [("     errors", "$error"), (" and ", DIM), ("warnings", "$warning")]
        parts.append((f", {len(self._versions)} versions", DIM))
        if history["cut"]:
            parts.append((f" (the nearest; {history['cut']} left out)", DIM))
        if history["partial"]:
            parts.append(("; large recording: other documents' edits are not told apart", DIM))
        return Content.assemble(*parts)

    def _describe(self, version: Mapping[str, Any]) -> Content:
        number = f"v{version['version']}" if version["version"] is not None else ""
        parts = [
            (f"{format_time(version['time_us'])}  ", DIM),
            (f"{one_line(version['server'], 14):<14} {number:<5}", ""),
            _count("✗", version["errors"], "$error"),
            _count("⚠", version["warnings"], "$warning"),
        ]
        introduced, cleared = version["introduced"], version["cleared"]
        parts.append((f"+{len(introduced)} ".rjust(5) if introduced else "     ", "$error"))
        parts.append((f"−{len(cleared)} ".rjust(5) if cleared else "     ", "$success"))
        waited = f" {version['waited_ms']:.0f} ms" if version["waited_ms"] is not None else ""
        freshness = version["freshness"] or "?"
        parts.append((f" {freshness + waited:<16}", DIM if freshness == "fresh" else "$warning"))
        tool = one_line(version["tool"] or ("" if version["introduced"] is None else "nobody's call"), 20)
        what = version["what"]
        what = f"by {name_uri(what, self._folder)}" if "://" in what else what
        parts.append((f"{tool} ", "$secondary"))
        parts.append((one_line(what if what != "changed" else version["call"] or "", 60), DIM))
        return Content.assemble(*parts)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self.query_one(LinesView).show(self._list_findings(self._versions[event.option_index]))

    def _list_findings(self, version: Mapping[str, Any]) -> list[Line]:
        if version["introduced"] is None:
            known = "first seen: nothing to compare with" if version["errors"] is not None else "nothing known"
            return [[Piece(known, "dim")]]
        lines: list[Line] = []
        lines += [_describe_finding("−", "good", finding) for finding in version["cleared"]]
        lines += [_describe_finding("+", "error", finding) for finding in version["introduced"]]
        for other in version["elsewhere"]:
            counts = f"+{other['introduced']} −{other['cleared']}"
            lines.append(
                [Piece(f"{counts} ", "warning"), Piece(f"in {one_line(name_uri(other['uri'], self._folder))}")]
            )
        return lines or [[Piece("cleared nothing, introduced nothing", "dim")]]

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(self._versions[event.option_index]["time_us"])


def _describe_finding(sign: str, style: Tone, finding: Mapping[str, Any]) -> Line:
    code = f" ({one_line(finding['code'], 60)})" if finding["code"] else ""
    return [
        Piece(f"{sign} {finding['severity']:<11} ", style),
        Piece(f"{finding['line']}:{finding['column']} ", "number"),
        Piece(one_line(finding["message"], 400)),
        Piece(code, "dim"),
    ]


def _count(sign: str, count: int | None, colour: str) -> tuple[str, str]:
    return f"{sign} {'?' if count is None else count:<4}", colour if count else DIM


def _draw_cell(errors: int | None, warnings: int | None, most: int, level: int, width: int) -> list[tuple[str, str]]:
    """One cell of a bar whose lower part, the errors, has another colour than what is above it."""
    if errors is None or warnings is None:
        return [(("?" if level == 0 else "").ljust(width), DIM)]
    steps = len(_BARS) - 1

    def height(count: int) -> int:
        return max(0, min(steps, -(-count * _CHART_HEIGHT * steps // most) - level * steps))

    lower, whole = height(errors), height(errors + warnings)
    bar = max(1, width - 1)
    gap = " " * (width - bar), ""
    if lower in (0, whole):
        return [(_BARS[whole] * bar, "$error" if lower else "$warning"), gap]
    # A cell has one shape and two colours: with both parts in it, it is full.
    return [(_BARS[lower] * bar, "$error on $warning"), gap]


class HelpPanel(Panel):
    """All keys, and the filter language."""

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__()
        self._lines = lines

    def compose(self) -> ComposeResult:
        with Vertical(classes="panel") as panel:
            panel.border_title = "help"
            panel.border_subtitle = "esc: back"
            yield LinesView(id="help")

    def on_mount(self) -> None:
        view = self.query_one(LinesView)
        view.show(self._lines)
        view.focus()
