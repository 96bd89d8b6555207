"""Every key, on a small recording."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.widgets import OptionList

from lsp_tap.inspect.screen.app import Inspect
from lsp_tap.inspect.screen.calls_panel import CallsPanel
from lsp_tap.inspect.screen.details import read_wire_bytes
from lsp_tap.inspect.screen.keys import KEYS
from lsp_tap.inspect.screen.lines_view import LinesView
from lsp_tap.inspect.screen.message_list import MessageList
from lsp_tap.inspect.screen.panels import DiagnosticsPanel, HelpPanel
from tests.inspect.recorded import RecordedTap
from tests.inspect.screen.scenes import Looking, look, write_small

Steps = Callable[[Looking], Awaitable[None]]
COUNT = 15


def play(folder: Path, steps: Steps, size: tuple[int, int] = (120, 36)) -> None:
    async def run() -> None:
        async with look(folder, size) as looking:
            await steps(looking)

    write_small(folder)
    asyncio.run(run())


def test_moving(tmp_path: Path) -> None:
    async def steps(looking: Looking) -> None:
        messages = looking.app.messages
        assert (len(messages), looking.row) == (COUNT, 0)
        for keys, row in (
            (["j"], 1), (["down"], 2), (["k"], 1), (["up"], 0), (["k"], 0), (["G"], 14), (["j"], 14), (["g"], 0),
            (["space"], 14), (["b"], 0), (["pagedown"], 14), (["pageup"], 0), (["ctrl+d"], 9), (["ctrl+u"], 0),
            (["end"], 14), (["home"], 0),
        ):  # fmt: skip
            await looking.press(*keys)
            assert (keys, looking.row) == (keys, row)

    play(tmp_path, steps)


def test_following_stops_when_somebody_scrolls(tmp_path: Path) -> None:
    async def steps(looking: Looking) -> None:
        for key, follows in (("j", False), ("F", True), ("k", False), ("G", True), ("F", False)):
            await looking.press(key)
            assert (key, looking.app.messages.following, "following" in looking.text) == (key, follows, follows)
        assert looking.row == COUNT - 1

    play(tmp_path, steps)


def test_from_a_request_to_its_answer_and_back(tmp_path: Path) -> None:
    async def steps(looking: Looking) -> None:
        await looking.press("j", "j", "r")
        assert looking.row == 3
        assert "answer after 1501.0 ms" in looking.text
        await looking.press("r")
        assert looking.row == 2
        assert "answered after 1501.0 ms" in looking.text
        await looking.press("k", "r")
        assert looking.row == 1
        assert "it has no answer, and is none" in looking.said
        await looking.press("G", "k", "k", "k")
        assert "no answer" in looking.text

    play(tmp_path, steps)


def test_filters_are_typed_corrected_recalled_and_taken_away(tmp_path: Path) -> None:
    async def steps(looking: Looking) -> None:
        messages = looking.app.messages
        await looking.press("j", "j", "f")
        await looking.type("~k notice")
        assert "~k is one of request" in looking.text
        await looking.press("escape")
        assert len(messages) == COUNT
        await looking.press("f")
        await looking.type("~k response & ~l >1s")
        assert [messages.row_at(place) for place in range(len(messages))] == [3]
        assert "1 of 1 of 15" in looking.text
        await looking.press("r")
        assert "the filter hides the other one" in looking.said
        await looking.press("f", *["backspace"] * 30)
        await looking.type("~u cart.py & ~d s2c")
        assert len(messages) == 5
        await looking.press("f", "up", "up", "enter")
        assert (looking.app.filter_text, len(messages)) == ("~k response & ~l >1s", 1)
        await looking.press("f", "up", "down")
        await looking.press(*["backspace"] * 30, "enter")
        assert (looking.app.filter_text, len(messages), looking.row) == ("", COUNT, 3)

    play(tmp_path, steps)


def test_searching_goes_on_in_both_directions_among_what_is_shown(tmp_path: Path) -> None:
    async def steps(looking: Looking) -> None:
        await looking.press("n")
        assert "nothing was searched" in looking.said
        await looking.press("slash")
        await looking.type("~m publishDiagnostics")
        assert looking.row == 4
        await looking.press("n")
        assert looking.row == 6
        await looking.press("n")
        assert looking.row == 6
        assert "no match further on" in looking.said
        await looking.press("N")
        assert looking.row == 4
        await looking.press("f")
        await looking.type("~m publishDiagnostics & 1 | ~k stderr")
        await looking.press("slash")
        await looking.type("warming")
        assert looking.app.rows.read(looking.row or 0).kind == "stderr"
        await looking.press("slash")
        await looking.type("nowhere to be found")
        assert "not found" in looking.said

    play(tmp_path, steps)


def test_the_details_are_looked_at_hidden_and_shown_in_other_ways(tmp_path: Path) -> None:
    async def steps(looking: Looking) -> None:
        details = looking.app.query_one("#details")
        await looking.press("j", "j", "j", "enter")
        assert details.has_focus
        assert '"value": "```python\\n' in looking.text
        await looking.press("x")
        header = read_wire_bytes(looking.app.rows, 3).header.split(b"\r\n")[0].decode()
        assert f"{header}\\r\\n" in looking.text
        await looking.press("x")
        assert "43 6f 6e 74 65 6e 74 2d" in looking.text
        await looking.press("x", "tab")
        assert looking.app.messages.has_focus
        await looking.press("tab")
        assert details.has_focus
        await looking.press("escape")
        assert looking.app.messages.has_focus
        await looking.press("escape")
        assert not details.display
        await looking.press("enter")
        assert details.display

    play(tmp_path, steps)


def test_a_large_body_is_cut_and_loaded_on_demand(tmp_path: Path) -> None:
    async def run() -> None:
        async with look(tmp_path) as looking:
            await looking.press("j", "j", "enter", "G")
            assert "kB in all: L loads the rest" in looking.text
            assert "19999" not in looking.text
            await looking.press("L")
            await looking.wait_for(lambda: looking.app.query_one("#details", LinesView).is_whole, "the rest")
            await looking.press("G")
            assert "19999" in looking.text
            assert "cut here" not in looking.text

    tap = RecordedTap(tmp_path)
    tap.answer(tap.ask("x/numbers"), list(range(20_000)))
    asyncio.run(run())


def test_a_body_is_copied_saved_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    monkeypatch.setattr(Inspect, "copy_to_clipboard", lambda app, text: copied.append(text))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "logs"

    async def steps(looking: Looking) -> None:
        await looking.press("j", "j", "c")
        body = read_wire_bytes(looking.app.rows, 2).body
        assert copied == [body.decode()]
        await looking.press("s", "enter")
        assert (tmp_path / "alpha-2.json").read_bytes() == body
        await looking.press("s")
        assert "is there already" in looking.text
        await looking.press("escape", "m", "m", "g", "M")
        assert looking.row == 2
        await looking.press("M")
        assert looking.row == 3
        await looking.press("w", "enter")
        await looking.wait_for((tmp_path / "messages.jsonl").exists, "the file")
        await looking.wait_for(lambda: "written to" in looking.said, "its end")
        written = [json.loads(line) for line in (tmp_path / "messages.jsonl").read_text().splitlines()]
        assert [line["method"] for line in written] == ["textDocument/hover"] * 2
        assert written[0]["message"] == json.loads(body)
        await looking.press("s", *["backspace"] * 30)
        assert "a name is needed" in looking.text

    play(folder, steps)


def test_calls_are_listed_gone_to_and_filtered_by(tmp_path: Path) -> None:
    async def steps(looking: Looking) -> None:
        await looking.press("t")
        assert isinstance(looking.app.screen, CallsPanel)
        assert "cart.py" in looking.text
        await looking.press("j", "enter")
        assert looking.row == 4
        await looking.press("t", "k", "f")
        assert looking.app.filter_text == "~t call_read"
        assert len(looking.app.messages) == 4
        await looking.press("t", "q")
        assert not isinstance(looking.app.screen, CallsPanel)

    play(tmp_path, steps)


def test_a_document_has_a_history_of_diagnostics(tmp_path: Path) -> None:
    async def steps(looking: Looking) -> None:
        await looking.press("d")
        assert "about no document" in looking.said
        await looking.press("j", "d")
        assert isinstance(looking.app.screen, DiagnosticsPanel)
        assert "first seen: nothing to compare with" in looking.text
        await looking.press("j")
        assert looking.app.screen.query_one(OptionList).highlighted == 1
        assert "cleared" not in looking.text
        assert "− error" in looking.text
        await looking.press("tab", "j", "tab", "enter")
        assert looking.row == 5
        await looking.press("d", "escape")
        assert looking.row == 5

    play(tmp_path, steps)


def test_help_names_every_key_there_is(tmp_path: Path) -> None:
    listed = " ".join(key for keys in KEYS.values() for key in keys).replace("ctrl+c", "").split()
    names = {"slash": "/", "question_mark": "?"}
    bound = [
        names.get(key, key)
        for binding in Inspect.BINDINGS
        for key in binding.key.split(",")  # type: ignore[union-attr]
        if key not in ("escape", "ctrl+c", "ctrl+q")
    ]
    assert set(bound) <= set(listed)

    async def steps(looking: Looking) -> None:
        await looking.press("question_mark")
        assert isinstance(looking.app.screen, HelpPanel)
        assert "Moving" in looking.text
        await looking.press("G")
        assert "not, and, and, or" in looking.text
        await looking.press("escape")
        assert not isinstance(looking.app.screen, HelpPanel)

    play(tmp_path, steps)


def test_dark_and_light(tmp_path: Path) -> None:
    async def steps(looking: Looking) -> None:
        seen = [looking.app.current_theme.dark]
        for _ in range(2):
            await looking.press("T")
            seen.append(looking.app.current_theme.dark)
        assert seen == [True, False, True]

    play(tmp_path, steps)


def test_no_color_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def steps(looking: Looking) -> None:
        strips = looking.app.screen._compositor.render_strips()
        colours = {(s.style.color, s.style.bgcolor) for strip in strips for s in strip if s.style is not None}
        names = {colour.name for pair in colours for colour in pair if colour is not None}
        assert names <= {"default"}

    play(tmp_path, steps)


def test_the_mouse_selects_opens_and_scrolls(tmp_path: Path) -> None:
    async def steps(looking: Looking) -> None:
        pilot = looking.pilot
        await pilot.click(MessageList, offset=(5, 6))
        await looking.settle()
        assert looking.row == 6
        await pilot.click(MessageList, offset=(5, 3), times=2)
        await looking.settle()
        assert looking.row == 3
        assert looking.app.query_one("#details").has_focus
        await pilot.click("#details")

    play(tmp_path, steps, (80, 24))


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
def test_quitting_leaves_no_process_and_no_folder(tmp_path: Path, key: str) -> None:
    async def run() -> None:
        async with look(tmp_path) as looking:
            await looking.press("slash")
            await looking.type("cart.py")
            running = [feed._process for feed in looking.app._feeds._running]
            unpacked = Path(looking.app._unpacked.name)
            assert unpacked.is_dir()
            await looking.pilot.press(key)
        assert looking.app.return_code == 0
        assert len(running) == 2
        assert all(process.poll() is not None for process in running)
        assert not unpacked.exists()

    write_small(tmp_path)
    asyncio.run(run())
