"""Pictures of `inspect`: what is recorded, which keys are pressed, and what the screen then is.

    python -m tests.inspect.screen.scenes       writes them anew, and the README's

They are compared as SVG, without the numbers that differ from run to run. The README's is the recording of a real
session with basedpyright and ruff, from the golden scenarios.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lsp_tap.inspect import log
from lsp_tap.inspect.screen.app import Inspect
from lsp_tap.inspect.screen.panels import DiagnosticsPanel
from lsp_tap.journal.capture import open_capture
from tests.golden.test_golden import GOLDEN
from tests.inspect.recorded import SERVER, RecordedClient, RecordedTap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from textual.pilot import Pilot

PICTURES = Path(__file__).parent / "pictures"
README_PICTURE = Path(__file__).parents[2] / "pictures" / "inspect.svg"
PATIENCE_S = 30.0
_UNIQUE = re.compile(r"terminal-\d+")
CART = "file:///p/cart.py"


class Looking:
    """The screen without a terminal. A key is pressed when all that came before is done."""

    def __init__(self, app: Inspect, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def settle(self) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        await self.pilot.pause()
        while not self._is_settled():
            if time.monotonic() > deadline_s:
                raise AssertionError("it is still at work")
            await self.pilot.pause(0.01)
        await self.pilot.pause()

    def _is_settled(self) -> bool:
        screen = self.app.screen
        return self.app.is_settled and (not isinstance(screen, DiagnosticsPanel) or screen.is_filled)

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.settle()

    async def type(self, text: str) -> None:
        """Text as a person types it, and the end of the line."""
        names = {" ": "space", "~": "tilde", "/": "slash", ">": "greater_than_sign", ".": "full_stop", "&": "ampersand"}
        await self.pilot.press(*(names.get(character, character) for character in text), "enter")
        await self.settle()

    async def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline_s:
                raise AssertionError(f"waited {PATIENCE_S} s for {what}")
            await self.pilot.pause(0.01)

    @property
    def lines(self) -> list[str]:
        """What is on the screen, without styles."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def said(self) -> str:
        """The notes that are shown, which come up slowly."""
        return "\n".join(note.message for note in self.app._notifications)

    @property
    def row(self) -> int | None:
        return self.app.messages.row


@contextmanager
def utc() -> Iterator[None]:
    """Times of day as in the pictures."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    log._format_second.cache_clear()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()
        log._format_second.cache_clear()


@asynccontextmanager
async def look(
    folder: Path, size: tuple[int, int] = (120, 36), *, watch: bool = False, text: str = ""
) -> AsyncIterator[Looking]:
    """The recordings in a folder, on a screen."""
    app = Inspect(open_capture([str(folder)], folder), folder if watch else None, text, keeps_spare=False)
    async with app.run_test(size=size) as pilot:
        looking = Looking(app, pilot)
        await looking.settle()
        yield looking


def write_small(folder: Path) -> RecordedTap:
    """One of everything: messages of each kind, an answer that is late, one that never comes, two calls."""
    tap = RecordedTap(folder, "alpha", root="/p")
    tap.open(CART, 1, "a\nb\n")
    hover = tap.ask("textDocument/hover", CART)
    tap.wait(1500)
    tap.answer(hover, {"contents": {"kind": "markdown", "value": "```python\nx: int\n```\nsome words on it"}})
    tap.publish(CART, 1, 1, 2, version=1)
    tap.change(CART, 2, "a\n")
    tap.publish(CART, 2, version=2)
    failed = tap.ask("textDocument/rename", CART)
    tap.answer(failed, error={"code": -32602, "message": "no symbol here"})
    probe = tap.ask("textDocument/diagnostic", CART, id="lsp-tap:9f3c:1", probe=True)
    tap.answer(probe, {"kind": "full", "items": []}, probe=True)
    tap.ask("workspace/symbol")
    tap.complain("warming up\nindexed 3 files\n")
    tap.say_invalid(b"Print this\x00\xff\n")
    tap.stop()
    client = RecordedClient(folder)
    client.session("ses_one", 0, 3000)
    client.call("call_read", "read", 1, 4)
    client.call("call_edit", "edit", 1503, 1507, "/p/cart.py")
    return tap


def write_hostile(folder: Path) -> None:
    """What a repository or a server could put into a recording to be obeyed."""
    evil = (
        "[bold red]markup[/] \x1b[31mred\x1b[0m \x1b]0;title\x07 \u202eright to left\u202c \x9b5m [@click=app.quit]x[/]"
    )
    tap = RecordedTap(folder, "[reverse]alpha\x1b[7m", root="/p")
    tap.open("file:///p/[red]cart.py", 0, "")
    tap.publish("file:///p/[red]cart.py", version=0)
    tap.change("file:///p/[red]cart.py", 1, evil)
    spot = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 1}}
    found = [{"range": spot, "message": evil, "severity": 1, "code": "[blink]code", "source": evil}]
    params = {"uri": "file:///p/[red]cart.py", "version": 1, "diagnostics": found}
    tap.say(SERVER, method="textDocument/publishDiagnostics", params=params)
    tap.say(SERVER, method="window/logMessage", params={"type": 1, "message": evil})
    tap.say(SERVER, method=evil, params={evil: evil})
    tap.complain(evil)
    tap.say_invalid(evil.encode())
    tap.stop()
    client = RecordedClient(folder)
    client.session("ses_one", 0, 100)
    client.call("[red]call\x1b[1m", "[b]tool\x1b[2m", 3.5, 7, "/p/[red]cart.py")


@dataclass(frozen=True, slots=True)
class Scene:
    """`keys`: pressed one by one; what begins with `type:` is typed into the line that asks."""

    recording: str | Callable[[Path], object]
    keys: Sequence[str] = ()
    size: tuple[int, int] = (100, 30)


MENDED = "an-edit-that-breaks-another-file-counts-with-a-server-that-is-asked"
SCENES: dict[str, Scene] = {
    "list": Scene(write_small, ["j", "j"]),
    "list-narrow": Scene(write_small, ["G"], (80, 24)),
    "details": Scene(write_small, ["j", "j", "j", "enter"]),
    "details-raw": Scene(write_small, ["j", "j", "x"]),
    "invalid-bytes": Scene(write_small, ["G", "k"]),
    "stderr": Scene(write_small, ["G", "k", "k"]),
    "filter": Scene(write_small, ["f", "type:~k error | ~l >1s"]),
    "filter-wrong": Scene(write_small, ["f", "type:~k nothing"]),
    "search": Scene(write_small, ["slash", "type:cart.py", "n"]),
    "calls": Scene(MENDED, ["t", "j", "j"]),
    "diagnostics": Scene(MENDED, ["slash", "type:shop.py", "n", "d", "j"]),
    "help": Scene(write_small, ["question_mark"]),
    "hostile": Scene(write_hostile, ["G", "k", "k", "k", "k"]),
    "hostile-diagnostics": Scene(write_hostile, ["j", "d", "j"]),
    "hostile-calls": Scene(write_hostile, ["t"]),
}
README_SCENE = Scene(
    "two-servers-on-one-file-have-two-findings",
    ["f", "type:~u cart.py & !~m didChangeWatchedFiles", "slash", "type:reportUndefinedVariable", "G", *"kkkkk"],
    (120, 36),
)


async def draw(scene: Scene, place: Path) -> str:
    """The picture of a scene, recorded in the folder `place`."""
    if isinstance(scene.recording, str):
        place = GOLDEN / scene.recording
    else:
        scene.recording(place)
    async with look(place, scene.size) as looking:
        for key in scene.keys:
            if key.startswith("type:"):
                await looking.type(key.removeprefix("type:"))
            else:
                await looking.press(key)
        looking.app.clear_notifications()
        await looking.settle()
        return _UNIQUE.sub("terminal", looking.app.export_screenshot())


def main() -> int:
    PICTURES.mkdir(exist_ok=True)
    README_PICTURE.parent.mkdir(exist_ok=True)
    wanted = {**{PICTURES / f"{name}.svg": scene for name, scene in SCENES.items()}, README_PICTURE: README_SCENE}
    for path, scene in wanted.items():
        with tempfile.TemporaryDirectory() as place, utc():
            path.write_text(asyncio.run(draw(scene, Path(place))), "utf-8")
        sys.stdout.write(f"{path.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
