"""A scrolling view of styled lines that come from an iterator: as many are made as are looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from lsp_tap.inspect.screen.body import Line, Piece
from lsp_tap.inspect.screen.colours import find_style

_FIRST_LINES: Final = 300
_MORE_LINES: Final = 2000
_STYLES: Final = ("key", "string", "number", "word", "mark", "text", "dim", "title", "error", "warning", "good")


class LinesView(ScrollView, can_focus=True):
    """Lines, wrapped at the width. What is cut is loaded by `load_all`."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"lines--{name}" for name in _STYLES}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "scroll_down", "line down", show=False),
        Binding("k,up", "scroll_up", "line up", show=False),
        Binding("space,pagedown,ctrl+f", "page_down", "page down", show=False),
        Binding("b,pageup,ctrl+b", "page_up", "page up", show=False),
        Binding("g,home", "scroll_home", "top", show=False),
        Binding("G,end", "scroll_end", "bottom", show=False),
    ]

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._source: Iterator[Line] = iter(())
        self._lines: list[Line] = []
        self._places: list[tuple[int, int]] = []  # of each line on the screen: which line, from which cell
        self._is_whole = True
        self._note = ""
        self._strips: dict[int, Strip] = {}
        self._styles: dict[str, Style] = {}

    @property
    def is_whole(self) -> bool:
        """Whether all lines are there."""
        return self._is_whole

    def show(self, lines: Iterable[Line], cut_note: str = "") -> None:
        """Other lines. `cut_note` stands after the last one while there are more."""
        self._source, self._lines, self._places, self._note = iter(lines), [], [], cut_note
        self._is_whole = False
        self._strips.clear()
        self._load(_FIRST_LINES)
        self.scroll_to(y=0, animate=False, immediate=True)

    async def load_all(self) -> None:
        """Load what was cut, a piece at a time."""
        source = self._source
        while not self._is_whole and source is self._source:
            self._load(_MORE_LINES)
            await asyncio.sleep(0)

    def _load(self, count: int) -> None:
        if self._places and not self._is_whole and self._note:
            self._places.pop()  # the note
            self._lines.pop()
            self._strips.pop(len(self._lines), None)
        first = len(self._lines)
        self._lines += islice(self._source, count)
        self._is_whole = len(self._lines) - first < count
        if not self._is_whole and self._note:
            self._lines.append([Piece(self._note, "warning")])
        self._place(first)

    def _place(self, first: int) -> None:
        width = max(8, self.scrollable_content_region.width)
        for number in range(first, len(self._lines)):
            cells = sum(cell_len(piece.text) for piece in self._lines[number])
            self._places += [(number, start) for start in range(0, max(1, cells), width)]
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._places))
        self.refresh()

    def on_resize(self, event: Resize) -> None:
        self._places.clear()
        self._place(0)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()
        self._strips.clear()

    def _style(self, name: str) -> Style:
        if name not in self._styles:
            self._styles[name] = find_style(self, f"lines--{name}")
        return self._styles[name]

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        place = round(self.scroll_offset.y) + y
        if place >= len(self._places):
            return Strip.blank(width, self.rich_style)
        number, start = self._places[place]
        strip = self._strips.get(number)
        if strip is None:
            pieces = self._lines[number]
            strip = self._strips[number] = Strip([Segment(text, self._style(style)) for text, style in pieces])
        return strip.crop(start, start + max(8, width)).adjust_cell_length(width).apply_style(self.rich_style)
