"""`lsp-tap log` from its options to standard output, of what is recorded or of what is being recorded."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lsp_tap.errors import UsageError
from lsp_tap.inspect.calls import CallIndex
from lsp_tap.inspect.filter_language import parse_filter
from lsp_tap.inspect.filtering import compile_filter, needs_calls
from lsp_tap.inspect.flows import Item, describe_problems
from lsp_tap.inspect.following import Following, follow
from lsp_tap.inspect.log import LineWriter, Look, TemplateWriter, Writer, write_json
from lsp_tap.inspect.selection import limit_to_sessions, select, split_words
from lsp_tap.inspect.terminal import clean, has_colours, measure_width
from lsp_tap.journal.capture import Capture, open_capture, open_folder
from lsp_tap.journal.records import TapStarted

_FOLLOWED_LAST: Final = 10
_SERVER_WIDTH: Final = 16
_GATHERED_LINES: Final = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of the command. `folder` is the `.opencode-logs`."""

    words: tuple[str, ...]
    folder: Path
    last: int | None = None
    is_verbose: bool = False
    is_relative: bool = False
    template: str | None = None
    as_json: bool = False

    @property
    def shows_calls(self) -> bool:
        """Whether lines name tool calls and sessions, which are looked up for that."""
        template = self.template or ""
        return self.as_json or "{calls" in template or "{session" in template

    def make_writer(self, calls: CallIndex, server_names: Iterable[str]) -> Writer:
        """Raises UsageError for a template that cannot be filled, or two ways to write."""
        if self.as_json and self.template is not None:
            raise UsageError("--json and --format exclude each other")
        if self.as_json:
            return write_json(calls, is_verbose=self.is_verbose)
        if self.template is not None:
            return TemplateWriter(self.template, calls)
        width = min(_SERVER_WIDTH, max((len(clean(name)) for name in server_names), default=0))
        return LineWriter(Look(has_colours(), measure_width(), self.is_relative, self.is_verbose, width))


def print_log(wanted: Wanted, complain: Callable[[str], object]) -> None:
    """Print what is recorded. Raises BadFilter, CaptureNotFound and UsageError."""
    selection = select(wanted.words, wanted.folder, with_calls=wanted.shows_calls)
    write = wanted.make_writer(selection.calls, _list_servers(selection.capture))
    items: Iterable[Item] = selection.read()
    with _show_reading() as stop_showing:
        if wanted.last is not None:
            items = deque(items, maxlen=wanted.last)
        print_lines(map(write, items), before_first=stop_showing)
    for problem in describe_problems(selection.readers):
        complain(problem)


@contextmanager
def _show_reading() -> Iterator[Callable[[], object]]:
    """On a terminal, says that something is being read; what it gives ends that, before lines come to the same one."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console

    with Console(stderr=True).status("reading") as status:
        yield status.stop if sys.stdout.isatty() else (lambda: None)


def follow_log(wanted: Wanted, pause: Callable[[float], object] = time.sleep) -> None:
    """Print what is recorded from now on, until `pause` raises. Raises as `print_log`."""
    names, text = split_words(wanted.words, wanted.folder)
    wish = parse_filter(text)
    capture = open_capture(names, wanted.folder) if names else None
    wish = limit_to_sessions(wish, capture.session_ids if capture else ())
    calls = CallIndex()
    reads_calls = needs_calls(wish) or wanted.shows_calls
    test = compile_filter(wish, calls)
    write = wanted.make_writer(calls, _list_servers(capture or open_folder(wanted.folder)))
    following = Following(wanted.folder, capture, last=_FOLLOWED_LAST if wanted.last is None else wanted.last)
    for items in follow(following, pause):
        if items and reads_calls:
            calls.read(capture.clients if capture else open_folder(wanted.folder).clients)
        print_lines(write(item) for item in items if test(item))


def print_lines(lines: Iterable[str], before_first: Callable[[], object] = lambda: None) -> None:
    """Lines to standard output, some hundred at a time; what its encoding has not is escaped."""
    gathered: list[str] = []
    for line in lines:
        gathered.append(line)
        if len(gathered) >= _GATHERED_LINES:
            before_first()
            _print_gathered(gathered)
    before_first()
    _print_gathered(gathered)
    sys.stdout.flush()


def _print_gathered(lines: list[str]) -> None:
    if not lines:
        return
    text = "\n".join(lines) + "\n"
    lines.clear()
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _list_servers(capture: Capture) -> list[str]:
    return [tap.first.name for tap in capture.taps if isinstance(tap.first, TapStarted)]
