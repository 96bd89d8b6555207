"""The tool calls, over the list. Imported when there are any: what it needs takes long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from lsp_tap.inspect.log import format_latency, format_time
from lsp_tap.inspect.screen.panels import DIM, Panel
from lsp_tap.inspect.terminal import one_line
from lsp_tap.session.attribution import find_files
from lsp_tap.session.history import Call, HistoryFold

_MARKS: Final = {"completed": ("✓", "$success"), "error": ("✗", "$error")}


class CallsPanel(Panel):
    """The tool calls. Dismissed with `("go", call)` or `("filter", call)`."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f", "filter", "only its messages", show=False)]

    def __init__(self, history: HistoryFold, windows: Sequence[tuple[int, int, Call]], current: Call | None) -> None:
        super().__init__()
        self._history, self._calls, self._current = history, [call for _, _, call in windows], current

    def compose(self) -> ComposeResult:
        with Vertical(classes="panel") as panel:
            panel.border_title = f"tool calls · {len(self._calls)}"
            panel.border_subtitle = "enter: go there   f: only its messages   esc: back"
            options = OptionList(*(Option(self._describe(call)) for call in self._calls), id="calls")
            if self._current in self._calls:
                options.highlighted = self._calls.index(self._current)
            yield options

    def _describe(self, call: Call) -> Content:
        session = self._history.sessions[call.session_id]
        folder = session.directory.rstrip("/") + "/"
        files = ", ".join(path.removeprefix(folder) for path in find_files(call, session.directory))
        about = "" if files else _name_subject(call).removeprefix(folder)
        took = format_latency(call.end_us - call.start_us) if call.start_us and call.end_us else "running"
        mark, colour = _MARKS.get(call.status, ("…", "$warning"))
        return Content.assemble(
            (f"{format_time(call.start_us or 0)}  ", DIM),
            (f"{one_line(call.tool, 12):<12} ", "$secondary"),
            (f"{mark} ", colour),
            f"{one_line(call.status, 10):<10}",
            (f"{took:>11}  ", DIM),
            one_line(files, 200),
            (one_line(about, 100), DIM),
            (f"  {one_line(call.error, 200)}" if call.error else "", "$error"),
            (f"  {one_line(call.call_id, 60)}", DIM),
        )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(("go", self._calls[event.option_index]))

    def action_filter(self) -> None:
        highlighted = self.query_one(OptionList).highlighted
        if highlighted is not None:
            self.dismiss(("filter", self._calls[highlighted]))


def _name_subject(call: Call) -> str:
    """What a call that changes no file is about, as far as its arguments say."""
    args = call.args if isinstance(call.args, dict) else {}
    return next((str(args[name]) for name in ("filePath", "path", "command", "pattern") if args.get(name)), "")
