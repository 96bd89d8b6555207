"""The list of messages: virtual, since it may be a million lines; what is not on the screen costs nothing."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click, MouseScrollDown, MouseScrollUp, Resize
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from lsp_tap.inspect.screen.colours import find_style
from lsp_tap.inspect.screen.line import Columns, Part, describe_item
from lsp_tap.inspect.screen.rows import Hits, Rows

if TYPE_CHECKING:
    from lsp_tap.inspect.calls import CallIndex
    from lsp_tap.session.history import Call

_CACHED_STRIPS: Final = 2048
_STYLES: Final = (
    "mark", "time", "call", "call-other", "sent", "received", "request", "method", "group", "size", "slow",
    "summary", "summary-errors", "summary-warnings", "summary-clean", "error", "invalid", "stderr", "event", "probe",
    "server-0", "server-1", "server-2", "server-3", "server-4", "cursor", "cursor-blurred", "partner", "hit",
)  # fmt: skip


class MessageList(ScrollView, can_focus=True):
    """Rows, or those of them that a filter means. The cursor is a place in what is shown."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"list--{name}" for name in _STYLES}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "next message", show=False),
        Binding("k,up", "move(-1)", "message before", show=False),
        Binding("space,pagedown,ctrl+f", "page(1)", "page down", show=False),
        Binding("b,pageup,ctrl+b", "page(-1)", "page up", show=False),
        Binding("ctrl+d", "page(0.5)", "half a page down", show=False),
        Binding("ctrl+u", "page(-0.5)", "half a page up", show=False),
        Binding("g,home", "first", "first message", show=False),
        Binding("G,end", "last", "last message, and follow", show=False),
    ]
    cursor: reactive[int] = reactive(0, repaint=False)
    following: reactive[bool] = reactive(False, repaint=False)

    class Moved(Message):
        """Another message is under the cursor."""

    class Opened(Message):
        """The message under the cursor is to be looked at."""

    def __init__(self, rows: Rows) -> None:
        super().__init__(id="list")
        self.rows = rows
        self.calls: CallIndex | None = None
        self.shown: Hits | None = None
        self.hits: Hits | None = None
        self.marked: set[int] = set()
        self._strips: dict[tuple[int, str, bool], Strip] = {}
        self._styles: dict[str, Style] = {}
        self._columns = Columns.fit(80, [], has_calls=False)
        self._servers: dict[str, int] = {}
        self._count = 0

    # What is shown

    def __len__(self) -> int:
        return len(self.rows) if self.shown is None else len(self.shown)

    def row_at(self, place: int) -> int:
        """The row of a place in what is shown."""
        return place if self.shown is None else self.shown.found[place]

    def place_of(self, row: int) -> int:
        """Where a row is shown, or the first after it."""
        return row if self.shown is None else bisect_left(self.shown.found, row)

    def shows(self, row: int) -> bool:
        return self.shown is None or self.shown.contains(row)

    @property
    def row(self) -> int | None:
        """The row under the cursor; None where nothing is shown."""
        return self.row_at(self.cursor) if self.cursor < len(self) else None

    def list_rows(self) -> Sequence[int]:
        return range(len(self.rows)) if self.shown is None else array("I", self.shown.found)

    def show(self, shown: Hits | None) -> None:
        """Other rows; the cursor stays at its message, or goes to the next one that is shown."""
        row = self.row
        self.shown = shown
        self.cursor = 0 if row is None else min(self.place_of(row), max(0, len(self) - 1))
        self.renew()

    def grow(self) -> None:
        """There may be more rows."""
        count = len(self)
        if count != self._count:
            was_empty = self._count == 0
            self._count = count
            self.virtual_size = Size(self._width, count)
            if self.following and count:
                self._move_to(count - 1, follows=True)
            elif was_empty:
                self._announce()
        self.refresh()

    def renew(self) -> None:
        """Everything may look different."""
        self._strips.clear()
        self._count = len(self)
        self._fit()
        self.virtual_size = Size(self._width, self._count)
        self._announce()
        self.reveal()
        self.refresh()

    def _fit(self) -> None:
        names = list(dict.fromkeys(opened.parser.server.name for opened in self.rows.journals))
        self._servers = {name: number for number, name in enumerate(names)}
        self._columns = Columns.fit(self._width, names, has_calls=self.calls is not None and bool(self.calls.windows))

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width

    # The cursor

    def action_move(self, by: int) -> None:
        self._move_to(self.cursor + by)

    def action_page(self, by: float) -> None:
        self._move_to(self.cursor + round(by * max(1, self.size.height - 1)))

    def action_first(self) -> None:
        self._move_to(0)

    def action_last(self) -> None:
        self._move_to(len(self) - 1)
        self.following = True

    def go_to(self, row: int) -> None:
        self._move_to(self.place_of(row))

    def _move_to(self, place: int, *, follows: bool = False) -> None:
        last = len(self) - 1
        place = max(0, min(place, last))
        if not follows and place != last:
            self.following = False
        if place != self.cursor:
            self.cursor = place
            self._announce()
        self.reveal()
        self.refresh()

    def _announce(self) -> None:
        self.post_message(self.Moved())

    def reveal(self) -> None:
        """Scroll so that the cursor can be seen."""
        top, height = round(self.scroll_offset.y), max(1, self.size.height)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        self.following = False

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        self.following = False

    def on_click(self, event: Click) -> None:
        place = round(self.scroll_offset.y) + event.y
        if place < len(self):
            self._move_to(place)
            if event.chain > 1:
                self.post_message(self.Opened())

    def on_resize(self, event: Resize) -> None:
        self._fit()
        self._strips.clear()
        self.virtual_size = Size(self._width, len(self))
        self.call_after_refresh(self.reveal)

    # Drawing

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()
        self._strips.clear()

    def _style(self, name: str) -> Style:
        found = self._styles.get(name)
        if found is None:
            found = self._styles[name] = find_style(self, f"list--{name}")
        return found

    def render_line(self, y: int) -> Strip:
        place = round(self.scroll_offset.y) + y
        width = self._width
        if place >= len(self):
            return Strip.blank(width, self.rich_style)
        row = self.row_at(place)
        strip = self._draw(row, self._name_call(place)).adjust_cell_length(width)
        current = self.row
        if place == self.cursor:
            strip = strip.apply_style(self._style("cursor" if self.has_focus else "cursor-blurred"))
        elif current is not None and self.rows.find_partner(current) == row:
            strip = strip.apply_style(self._style("partner"))
        return strip.apply_style(self.rich_style)

    def _draw(self, row: int, call: str) -> Strip:
        is_hit = self.hits is not None and self.hits.contains(row)
        mark = "★" if row in self.marked else "»" if is_hit else ""
        key = row, call + mark, is_hit
        strip = self._strips.get(key)
        if strip is None:
            if len(self._strips) >= _CACHED_STRIPS:
                self._strips.clear()
            item = self.rows.read(row)
            server = self._servers.get(item.server.name, 0)
            parts = describe_item(item, self._columns, server, call, mark)
            strip = self._strips[key] = lay_out(parts, self._width, self._style)
        return strip

    def _name_call(self, place: int) -> str:
        """What the calls' column shows: a bar while a call runs, with its tool where it begins."""
        if not self._columns.has_calls:
            return ""
        found = self.find_calls(place)
        if not found:
            return ""
        before = self.find_calls(place - 1) if place else []
        more = "+" if len(found) > 1 else ""
        is_first = all(call not in before for call in found)
        return f"┃{found[0].tool[:6]}{more}" if is_first else f"┃{more}"

    def find_calls(self, place: int) -> list[Call]:
        """The tool calls that the message at a place belongs to, as far as they are known."""
        return self.calls.find_calls(self.rows.read(self.row_at(place))) if self.calls is not None else []


def lay_out(parts: Sequence[Part], width: int, style: Callable[[str], Style]) -> Strip:
    """Parts in their columns, cut at the width."""
    segments: list[Strip] = []
    used = 0
    for part in parts:
        room = part.width or max(0, width - used)
        piece = Strip([Segment(part.text, style(part.style))])
        if piece.cell_length > room:
            piece = Strip.join([piece.crop(0, max(0, room - 1)), Strip([Segment("…", style(part.style))])])
        if part.is_right:
            piece = Strip.join([Strip([Segment(" " * max(0, room - piece.cell_length))]), piece])
        segments.append(piece if part.width == 0 else piece.adjust_cell_length(room))
        used += room
    return Strip.join(segments).crop(0, width)
