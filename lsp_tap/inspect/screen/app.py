"""The screen of `lsp-tap inspect`: the list, what is under its cursor, a line to ask, and what is going on.

Nothing here reads more than what is shown; what takes time is said by workers (`feed`) as it comes.
"""

from __future__ import annotations

import asyncio
import signal
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.constants import DEFAULT_THEME
from textual.filter import LineFilter, NoColor
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer, Static

from lsp_tap.inspect.filter_language import ALL, format_filter, parse_filter
from lsp_tap.inspect.log import format_bytes
from lsp_tap.inspect.screen.clients import find_clients, index_calls
from lsp_tap.inspect.screen.details import VIEWS, View, describe_message, read_wire_bytes
from lsp_tap.inspect.screen.feeding import Feed, Found, Indexed, Seeking, Told, Workers
from lsp_tap.inspect.screen.hangup import is_hung_up
from lsp_tap.inspect.screen.keys import write_help
from lsp_tap.inspect.screen.lines_view import LinesView
from lsp_tap.inspect.screen.message_list import MessageList
from lsp_tap.inspect.screen.panels import DiagnosticsPanel, HelpPanel
from lsp_tap.inspect.screen.prompt import Prompt, Question
from lsp_tap.inspect.screen.rows import Hits, Rows
from lsp_tap.inspect.screen.saving import check_new_file, save_bytes, save_rows
from lsp_tap.inspect.screen.status import Status, write_status, write_title
from lsp_tap.inspect.selection import limit_to_sessions
from lsp_tap.inspect.terminal import one_line
from lsp_tap.journal.capture import Capture, is_live
from lsp_tap.journal.reader import read_head

if TYPE_CHECKING:
    from lsp_tap.inspect.calls import CallIndex
    from lsp_tap.session.history import Call

_W = TypeVar("_W", bound=Widget)
_THEMES: Final = ("tokyo-night", "textual-light")
_TEXTUALS_OWN: Final = "textual-dark"
_VIEW_NAMES: Final[dict[View, str]] = {"pretty": "details", "raw": "as sent", "hex": "hexadecimal"}
_LARGE_BYTES: Final = 100_000
_CALLS_EVERY_S: Final = 1.0
_OPENING: Final = frozenset({"filter", "search", "save", "write", "diagnostics", "calls", "help"})
_NEAR_ROWS: Final = 200
_COPIED_BYTES: Final = 1_000_000
_SPARE_EVERY_S: Final = 0.5


class Inspect(App[None]):
    """The recordings of `capture`; with a `folder` (the `.opencode-logs`) also the taps that start in it. `text` is the
    filter to begin with; `keeps_spare`: have a worker ready for the next one."""

    CSS_PATH = "inspect.tcss"
    TITLE = "lsp-tap inspect"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "details", "details"),
        Binding("tab", "other_pane", "pane", show=False, priority=True),
        Binding("escape", "leave", "list", show=False),
        Binding("f", "filter", "filter", priority=True),
        Binding("slash", "search", "search", priority=True),
        Binding("n", "next_hit(1)", "next hit", show=False),
        Binding("N", "next_hit(-1)", "hit before", show=False),
        Binding("r", "jump", "answer"),
        Binding("d", "diagnostics", "diagnostics", priority=True),
        Binding("t", "calls", "calls", priority=True),
        Binding("F", "follow", "follow", show=False),
        Binding("x", "view", "view", show=False),
        Binding("L", "load", "load all", show=False),
        Binding("c", "copy", "copy", show=False),
        Binding("s", "save", "save", show=False, priority=True),
        Binding("w", "write", "write", show=False, priority=True),
        Binding("m", "mark", "mark", show=False),
        Binding("M", "next_mark", "next mark", show=False),
        Binding("T", "theme", "theme", show=False),
        Binding("question_mark", "help", "help", priority=True),
        Binding("q", "quit", "quit"),
        Binding("ctrl+c,ctrl+q", "quit", "quit", show=False, priority=True),
    ]

    def __init__(
        self, capture: Capture, folder: Path | None = None, text: str = "", *, keeps_spare: bool = True
    ) -> None:
        self.capture, self._watched = capture, folder
        self._unpacked = TemporaryDirectory(prefix="lsp-tap-")
        live = [str(tap.path) for tap in capture.taps if is_live(tap)]
        self._feeds = Workers()
        self._index = self._feeds.send(
            {
                "role": "index",
                "taps": [str(tap.path) for tap in capture.taps],
                "live": live,
                "folder": str(folder) if folder else None,
                "unpack": self._unpacked.name,
            }
        )
        super().__init__()
        self.rows = Rows()
        self.calls: CallIndex | None = None
        self.filter_text = text
        self._keeps_spare = keeps_spare
        self._is_live = bool(live)
        self._filtering: Seeking | None = None
        self._searching: Seeking | None = None
        self._pending_hit = 0
        self._view: View = "pretty"
        self._progress = (0, 0)
        self._is_indexed = False
        self._doing = ""
        self._problems: list[str] = []
        self._tick = 0
        self._read_stamp: object = None
        self._is_reading_calls = False
        self._earlier_filters, self._earlier_searches = [text] if text else [], list[str]()

    # Its parts

    def compose(self) -> ComposeResult:
        yield Static(id="title")
        messages = MessageList(self.rows)
        yield messages
        yield LinesView(id="details")
        yield Prompt(messages)
        yield Static(id="status")
        yield Footer(compact=True, show_command_palette=False)

    @property
    def messages(self) -> MessageList:
        """The list."""
        return self._of(MessageList)

    def _of(self, kind: type[_W]) -> _W:
        return self.screen_stack[0].query_one(kind)

    @property
    def _details(self) -> LinesView:
        return self.screen_stack[0].query_one("#details", LinesView)

    @property
    def is_settled(self) -> bool:
        """Whether all that is recorded is indexed, filtered and searched."""
        seeking = [s for s in (self._filtering, self._searching) if s is not None]
        return self._is_indexed and self._read_stamp is not None and all(s.is_done for s in seeking)

    async def on_mount(self) -> None:
        if DEFAULT_THEME == _TEXTUALS_OWN:  # nobody chose another one by TEXTUAL_THEME
            self.theme = _THEMES[0]
        self.set_class(self.no_color, "no-colour")
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self.exit)
        self.messages.following = self._is_live
        self._of(Prompt).close()  # which gives the list the focus
        self.run_worker(self._take_index())
        self._apply_filter(self.filter_text)
        self._look_for_calls()
        self.set_interval(0.1, self._step_clock)
        self.set_interval(_CALLS_EVERY_S, self._look_for_calls)
        self.set_interval(_SPARE_EVERY_S, self._keep_spare)
        self._tell()

    async def on_unmount(self) -> None:
        self._feeds.stop_all()
        self.rows.close()
        self._unpacked.cleanup()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """With NO_COLOR no colours at all, where Textual would show shades of grey."""
        return [NoColor()] if self.no_color else super().get_line_filters()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that open something work before the next key is looked at, which is for what they opened."""
        if action in _OPENING:
            return len(self.screen_stack) == 1 and not self._of(Prompt).display
        return True

    # What workers say

    async def _take_index(self) -> None:
        try:
            async for chunk in self._index.read():
                match chunk:
                    case Told(fields):
                        self._take_news(fields)
                    case Indexed(journals, offsets, times_us, requests):
                        self.rows.add(journals, offsets, times_us, requests)
                        self._sight_hits()
                        self.messages.grow()
                self._tell()
        except (ChildProcessError, OSError) as error:
            self._doing = ""
            self._say(f"reading failed: {error}", is_wrong=True)
        self._is_indexed = True
        self._tell()

    def _take_news(self, fields: Mapping[str, Any]) -> None:
        if "journal" in fields:
            journal = read_head(Path(fields["journal"]))
            if journal is not None:
                self.rows.add_journal(journal)
                for seeking in (self._filtering, self._searching):
                    if seeking is not None:
                        seeking.feed.tell({"journal": fields["journal"]})
                self.messages.renew()
        elif "unpacking" in fields:
            self._doing = f"unpacking {one_line(fields['unpacking'], 60)}"
        elif "problems" in fields:
            self._problems = fields["problems"]
            self._say("\n".join(one_line(line, 160) for line in self._problems[:3]), is_wrong=True)
        elif "read" in fields:
            self._doing = ""
            self._progress = fields["read"], fields["size"]
            self._is_indexed = fields["done"]

    async def _take_hits(self, seeking: Seeking) -> None:
        try:
            async for chunk in seeking.feed.read():
                if seeking not in (self._filtering, self._searching):
                    return
                match chunk:
                    case Told(fields) if "read" in fields:
                        seeking.percent = round(100 * fields["read"] / max(1, fields["size"]))
                        seeking.is_done = fields["done"]
                    case Found(journals, ordinals):
                        seeking.hits.add(zip(journals, ordinals, strict=True))
                        self._show_hits(seeking)
                if seeking.is_done and self._pending_hit and seeking is self._searching:
                    self._pending_hit = 0
                    self._say(f"not found: {seeking.text}")
                self._tell()
        except (ChildProcessError, OSError, ValueError) as error:
            if seeking in (self._filtering, self._searching):
                seeking.is_done = True
                self._say(f"filtering failed: {error}", is_wrong=True)

    def _sight_hits(self) -> None:
        """Hits may have been found before it was known where they are."""
        for seeking in (self._filtering, self._searching):
            if seeking is not None:
                seeking.hits.add(())

    def _show_hits(self, seeking: Seeking) -> None:
        if seeking is self._searching and self._pending_hit:
            self.action_next_hit(self._pending_hit)
        self.messages.grow()
        self.messages.refresh()

    def _look_for_calls(self) -> None:
        if not self._is_reading_calls:
            self._is_reading_calls = True
            self.run_worker(self._read_calls())

    async def _read_calls(self) -> None:
        """Take in the clients' journals, where they have grown."""
        clients, stamp = await asyncio.to_thread(find_clients, self._watched, self.capture.clients)
        if stamp != self._read_stamp:
            calls = await asyncio.to_thread(index_calls, clients) if clients else None
            self._read_stamp = stamp
            self.calls = self.messages.calls = calls
            self.messages.renew()
        self._is_reading_calls = False

    # Filter and search

    def action_filter(self) -> None:
        hint = "~m method  ~k kind  ~s server  ~u document  ~l >200ms  text  & | ! ( )   all: ?"
        question = Question("filter: ", parse_filter, hint, self._earlier_filters)
        self._of(Prompt).ask(question, self.filter_text)

    def action_search(self) -> None:
        self._of(Prompt).ask(
            Question("search: ", parse_filter, "text, or as a filter; n and N go on", self._earlier_searches)
        )

    def _apply_filter(self, text: str) -> None:
        if self._filtering is not None:
            self._feeds.stop(self._filtering.feed)
            self._filtering = None
        self.filter_text = text
        wanted = limit_to_sessions(parse_filter(text), self.capture.session_ids)
        if wanted != ALL:
            self._filtering = self._seek(text, format_filter(wanted))
        self.messages.show(self._filtering.hits if self._filtering else None)
        self._tell()

    def _apply_search(self, text: str) -> None:
        if self._searching is not None:
            self._feeds.stop(self._searching.feed)
            self._searching = None
        self.messages.hits = None
        if text:
            self._searching = self._seek(text, format_filter(parse_filter(text)))
            self.messages.hits = self._searching.hits
            self._pending_hit = 1
        self.messages.renew()
        self._tell()

    def _seek(self, text: str, wanted: str) -> Seeking:
        feed = self._send_worker({"role": "filter", "filter": wanted})
        seeking = Seeking(text, feed, Hits(self.rows))
        self.run_worker(self._take_hits(seeking))
        return seeking

    def _send_worker(self, order: Mapping[str, Any]) -> Feed:
        """A worker with an order, on the journals that are known by now."""
        opened = [str(opened.path) for opened in self.rows.journals]
        return self._feeds.send(
            {
                "taps": opened or [str(tap.path) for tap in self.capture.taps],
                "clients": [str(client.path) for client in self.capture.clients],
                "folder": str(self._watched) if self._watched else None,
                **order,
            }
        )

    def _keep_spare(self) -> None:
        if self._is_indexed and self._keeps_spare:
            self._feeds.keep_spare()

    def action_next_hit(self, by: int) -> None:
        if self._searching is None:
            self._say("nothing was searched: / searches")
            return
        messages, found = self.messages, self._searching.hits.found
        row = messages.row if messages.row is not None else -1
        at = bisect_right(found, row) if by > 0 else bisect_left(found, row) - 1
        while 0 <= at < len(found) and not messages.shows(found[at]):
            at += by
        if 0 <= at < len(found):
            self._pending_hit = 0
            messages.go_to(found[at])
        elif by > 0 and not self._searching.is_done:
            self._pending_hit = by
        else:
            self._pending_hit = 0
            self._say("no match further on" if by > 0 else "no match before")

    def on_prompt_answered(self, event: Prompt.Answered) -> None:
        match event.question.label:
            case "filter: ":
                self._apply_filter(event.text)
            case "search: ":
                self._apply_search(event.text)
            case "save to: ":
                self._save(event.text)
            case "write to: ":
                self.run_worker(self._write(event.text))

    # The message under the cursor

    def on_message_list_moved(self) -> None:
        self._show_details()
        self._tell()

    def on_message_list_opened(self) -> None:
        self.action_details()

    def _show_details(self) -> None:
        row = self.messages.row
        if row is None:
            self._details.show([])
            return
        item = self.rows.read(row)
        size = item.raw_length or 0
        note = f"… cut here, {format_bytes(size)} in all: L loads the rest" if size > _LARGE_BYTES else ""
        self._details.show(
            describe_message(self.rows, row, self._view, self.messages.find_calls(self.messages.cursor)), note or "… L"
        )
        self._details.border_title = f" {_VIEW_NAMES[self._view]} "

    def action_details(self) -> None:
        self._details.display = True
        self._details.focus()

    def action_other_pane(self) -> None:
        if len(self.screen_stack) > 1 or self._of(Prompt).display:
            self.screen.focus_next()
        elif self.messages.has_focus:
            self.action_details()
        else:
            self.messages.focus()

    def action_leave(self) -> None:
        """From the details to the list; from the list, the details away."""
        if self.messages.has_focus:
            self._details.display = not self._details.display
        self.messages.focus()

    def action_view(self) -> None:
        self._view = VIEWS[(VIEWS.index(self._view) + 1) % len(VIEWS)]
        self._show_details()

    def action_load(self) -> None:
        self.run_worker(self._details.load_all(), exclusive=True, group="load")

    def action_jump(self) -> None:
        row = self.messages.row
        partner = self.rows.find_partner(row) if row is not None else None
        if partner is None:
            self._say("it has no answer, and is none")
        elif not self.messages.shows(partner):
            self._say("the filter hides the other one: f changes it")
        else:
            self.messages.go_to(partner)

    def action_copy(self) -> None:
        row = self.messages.row
        if row is not None:
            body = read_wire_bytes(self.rows, row).body
            if len(body) > _COPIED_BYTES:
                self._say(f"{format_bytes(len(body))} are too much for a terminal: s saves them", is_wrong=True)
                return
            self.copy_to_clipboard(body.decode("utf-8", "replace"))
            self._say(f"copied {format_bytes(len(body))}")

    def action_save(self) -> None:
        row = self.messages.row
        if row is not None:
            item = self.rows.read(row)
            suffix = "json" if item.message is not None else "txt"
            name = "".join(c if c.isalnum() else "-" for c in item.server.name)
            self._of(Prompt).ask(Question("save to: ", check_new_file, "the body, as it was"),
                                 f"{name}-{item.seq}.{suffix}")  # fmt: skip

    def _save(self, text: str) -> None:
        row = self.messages.row
        if row is not None:
            try:
                path = save_bytes(text, read_wire_bytes(self.rows, row).body)
            except OSError as error:
                self._say(f"{error.filename}: {error.strerror}", is_wrong=True)
            else:
                self._say(f"saved to {path}")

    def action_write(self) -> None:
        marked = self.messages.marked
        hint = f"{len(marked)} marked messages" if marked else f"all {len(self.messages)} messages shown"
        self._of(Prompt).ask(Question("write to: ", check_new_file, f"{hint}, as `log --json -v`"), "messages.jsonl")

    async def _write(self, text: str) -> None:
        rows = sorted(self.messages.marked) or self.messages.list_rows()
        try:
            if self.calls is None:
                self.calls = await asyncio.to_thread(index_calls, ())
            path = await save_rows(text, self.rows, rows, self.calls, lambda done: self._work(f"written {done}"))
        except OSError as error:
            self._say(f"{error.filename}: {error.strerror}", is_wrong=True)
        else:
            self._say(f"{len(rows)} messages written to {path}")
        self._work("")

    def action_mark(self) -> None:
        row = self.messages.row
        if row is not None:
            self.messages.marked ^= {row}
            self.messages.action_move(1)
            self._tell()

    def action_next_mark(self) -> None:
        marked = sorted(row for row in self.messages.marked if self.messages.shows(row))
        if not marked:
            self._say("nothing is marked: m marks")
            return
        row = self.messages.row or 0
        self.messages.go_to(next((other for other in marked if other > row), marked[0]))

    def action_follow(self) -> None:
        if self.messages.following:
            self.messages.following = False
        else:
            self.messages.action_last()
        self._tell()

    def action_theme(self) -> None:
        self.theme = _THEMES[(_THEMES.index(self.theme) + 1) % len(_THEMES) if self.theme in _THEMES else 0]

    # Panels

    def action_help(self) -> None:
        self.push_screen(HelpPanel(write_help()))

    def action_calls(self) -> None:
        if self.calls is None or not self.calls.windows:
            self._say("no tool calls are recorded")
            return
        from lsp_tap.inspect.screen.calls_panel import CallsPanel

        row = self.messages.row
        time_us = self.rows.time_us(row) if row is not None else 0
        earlier = [call for start_us, _, call in self.calls.windows if start_us <= time_us]
        panel = CallsPanel(self.calls.history, self.calls.windows, earlier[-1] if earlier else None)
        self.push_screen(panel, self._leave_calls)

    def _leave_calls(self, chosen: tuple[str, Call] | None) -> None:
        match chosen:
            case ("go", call):
                self.messages.go_to(self._find_first(call))
            case ("filter", call):
                self._earlier_filters.append(f"~t {call.call_id}")
                self._apply_filter(f"~t {call.call_id}")

    def _find_first(self, call: Call) -> int:
        """The first message of a call, or of its time."""
        first = self.rows.find_time(call.start_us or 0)
        near = range(first, min(first + _NEAR_ROWS, len(self.rows)))
        belongs = (row for row in near if self.calls and call in self.calls.find_calls(self.rows.read(row)))
        return next(belongs, first)

    def action_diagnostics(self) -> None:
        row = self.messages.row
        item = self.rows.read(row) if row is not None else None
        uri = item.uri if item is not None else None
        if item is None or uri is None:
            self._say("this message is about no document")
            return
        panel = DiagnosticsPanel(uri, item.server.cwd, item.time_us)
        self.push_screen(panel, self._leave_diagnostics)
        self.run_worker(self._fill_diagnostics(panel, uri, item.time_us), exclusive=True, group="document")

    async def _fill_diagnostics(self, panel: DiagnosticsPanel, uri: str, time_us: int) -> None:
        feed = self._send_worker({"role": "document", "uri": uri, "time_us": time_us})
        try:
            async for chunk in feed.read():
                if isinstance(chunk, Told) and panel.is_attached:
                    panel.fill(chunk.fields["history"])
        except (ChildProcessError, OSError) as error:
            if panel.is_attached:
                panel.fail(str(error))
        finally:
            self._feeds.stop(feed)

    def _leave_diagnostics(self, time_us: int | None) -> None:
        if time_us is not None:
            self.messages.go_to(self.rows.find_time(time_us))

    # What is going on

    def _say(self, text: str, *, is_wrong: bool = False) -> None:
        self.notify(one_line(text, 400), severity="error" if is_wrong else "information", timeout=4, markup=False)

    def _work(self, doing: str) -> None:
        self._doing = doing
        self._tell()

    def _step_clock(self) -> None:
        if not self.is_headless and is_hung_up():
            self.exit()
            return
        if not self.is_settled or self._doing:
            self._tick += 1
            self._tell()

    def _tell(self) -> None:
        if not self.is_running or not self.screen_stack:
            return
        screen: Screen[Any] = self.screen_stack[0]
        where = ", ".join(self.capture.session_ids) or (str(self._watched) if self._watched else "")
        servers = [opened.parser.server.name for opened in self.rows.journals]
        screen.query_one("#title", Static).update(write_title(servers, where))
        messages = self.messages
        state = Status(
            place=min(messages.cursor + 1, len(messages)),
            shown=len(messages),
            total=len(self.rows),
            filter_text=self.filter_text,
            is_filtered=self._filtering is not None,
            search=(self._searching.text, len(self._searching.hits)) if self._searching is not None else None,
            marked=len(messages.marked),
            is_following=messages.following,
            problems=len(self._problems),
            doings=self._list_doings(),
        )
        screen.query_one("#status", Static).update(write_status(state, self._tick))

    def _list_doings(self) -> list[str]:
        doings = [self._doing] if self._doing else []
        if not self._is_indexed and not self._doing:
            read, size = self._progress
            doings.append(f"indexing {round(100 * read / size)} %" if size else "opening")
        for name, seeking in (("filtering", self._filtering), ("searching", self._searching)):
            if seeking is not None and not seeking.is_done:
                doings.append(f"{name} {seeking.percent} %")
        return doings
