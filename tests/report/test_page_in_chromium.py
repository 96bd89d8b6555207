"""The page in a real browser: what it draws, that it asks the network for nothing and runs nothing but its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.report import render_report
from tests.golden.test_golden import GOLDEN
from tests.report.browser import Browser, Page
from tests.report.sessions import report_folder, tell_hostile_story, tell_long_story, write_folder
from tests.report.story import tell_picture_story
from tests.session.recorded import Recorded

CRASH = GOLDEN / "a-server-that-dies-in-the-middle-of-a-turn-knows-nothing-of-what-follows"


def write_page(folder: Path, path: Path) -> Path:
    path.write_bytes(render_report(report_folder(folder)))
    return path


def tell(recorded: Recorded, tmp_path: Path) -> Path:
    return write_page(write_folder(recorded, tmp_path / "logs"), tmp_path / "page.html")


def read_data(page: Page) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = page.evaluate("JSON.parse(document.getElementById('data').textContent)")
    return data


def check_quiet(page: Page, path: Path) -> None:
    assert page.requests == [path.as_uri()]
    assert page.console == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_charts_show_as_many_marks_as_there_is_data(browser: Browser, tmp_path: Path, dark: bool) -> None:
    path = tell(tell_picture_story(), tmp_path)
    page = browser.open(path, dark=dark)
    page.draw_all()
    data = read_data(page)
    assert page.count("svg.plot") == sum(1 + len(turn["tracks"]) for turn in data)
    for turn in data:
        bars = page.count(f"#{turn['anchor']}-calls g[aria-description$=' calls']:not([aria-label^=failed]) rect")
        assert bars == len(turn["calls"]) > 0
        crosses = page.count(f"#{turn['anchor']}-calls g[aria-description='failed calls'] text")
        assert crosses == sum(not call["ok"] for call in turn["calls"])
        for track in turn["tracks"]:
            stretches, here = track["stretches"], f"#{track['anchor']}"
            known = [s for s in stretches if s["errors"] is not None]
            fresh = [s for s in known if s["doubt"] == "fresh"]
            dead = [s for s in stretches if s["doubt"] == "server-dead"]
            for label, marks in (
                ("error count, fresh", fresh),
                ("error count, not fresh", [s for s in known if s not in fresh]),
            ):
                assert page.count(f"{here} g[aria-description='{label}'] line") == len(marks)
            assert page.count(f"{here} g[aria-description='server dead'] rect") == len(dead)
            assert page.count(f"{here} g[aria-description='unknown'] rect") == len(stretches) - len(known) - len(dead)
            assert page.count(f"{here} g[aria-description='versions'] path") == len(track["versions"])
    check_quiet(page, path)
    page.close()


def test_an_unknown_stretch_has_no_line_at_zero(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(write_page(CRASH, tmp_path / "page.html"))
    page.draw_all()
    ((track,),) = [turn["tracks"] for turn in read_data(page)]
    dead_from = next(s["from"] for s in track["stretches"] if s["doubt"] == "server-dead")
    chart = f"document.querySelector('#{track['anchor']}')"
    lines = page.evaluate(
        f"[...{chart}.querySelectorAll('g[aria-description^=\"error count\"] line')].map(l => +l.getAttribute('x2'))"
    )
    band = page.evaluate(f"+{chart}.querySelector('g[aria-description=\"server dead\"] rect').getAttribute('x')")
    assert dead_from > 0
    assert max(lines) <= band + 0.5
    page.close()


def test_hostile_texts_execute_nothing_and_ask_for_nothing(browser: Browser, tmp_path: Path) -> None:
    path = tell(tell_hostile_story(), tmp_path)
    page = browser.open(path)
    page.draw_all()
    assert page.evaluate("document.title") == "t · lsp-tap"
    assert page.count("img, iframe, link, base, object, embed, form") == 0
    assert page.count("svg:not(.plot, .patterns), main script") == 0
    check_quiet(page, path)
    page.close()


def test_the_policy_stops_what_the_escaping_would_have_let_through(browser: Browser, tmp_path: Path) -> None:
    """The same page with live markup put into it by force."""
    path = tmp_path / "broken.html"
    injected = b"""<main id="main"><img src="http://127.0.0.1:9/x" onerror="document.title='owned'">
        <script>document.title='owned'</script><iframe src="http://127.0.0.1:9/"></iframe>
        <style>@import url(http://127.0.0.1:9/s.css); main {background: url(http://127.0.0.1:9/b.png)}</style>"""
    path.write_bytes(render_report(report_folder(CRASH)).replace(b'<main id="main">', injected))
    page = browser.open(path)
    page.evaluate("fetch('http://127.0.0.1:9/').catch(() => 0)")
    page.draw_all()
    assert page.evaluate("document.title") == "Mend it · lsp-tap"
    refused = [text for text in page.console if "Content Security Policy" in text]
    kinds = ("loading the image", "inline script", "framing", "loading the stylesheet", "connecting to")
    assert [kind for kind in kinds if kind not in " ".join(refused).lower()] == []
    page.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_colours_follow_the_system_and_the_switch(browser: Browser, tmp_path: Path, dark: bool) -> None:
    page = browser.open(write_page(CRASH, tmp_path / "page.html"), dark=dark)

    def is_dark() -> bool:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return max(map(int, re.findall(r"\d+", colour)[:3])) < 64

    assert is_dark() == dark
    page.evaluate("document.getElementById('theme-dark').click()")
    assert is_dark()
    page.evaluate("document.getElementById('theme-light').click()")
    assert not is_dark()
    page.call("Emulation.setEmulatedMedia", media="print")
    page.evaluate("document.getElementById('theme-dark').click()")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    page.close()


_CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true})
  const rgba = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1)
    return [...canvas.getImageData(0, 0, 1, 1).data] }
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0)
  const ground = element => { for (let e = element; e; e = e.parentElement) {
    const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c } return [255, 255, 255, 255] }
  const poor = new Map()
  for (const element of document.querySelectorAll('main *, header *, footer')) {
    if (element.closest('svg') || ![...element.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(ground(element))]
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    if (ratio < 4.5) poor.set(`${element.tagName}.${element.className}`, ratio.toFixed(2))
  }
  return [...poor]
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_has_the_contrast_that_wcag_asks_for(browser: Browser, tmp_path: Path, dark: bool) -> None:
    page = browser.open(tell(tell_picture_story(), tmp_path), dark=dark)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate(_CONTRAST) == []
    page.close()


@pytest.mark.parametrize("width", [320, 480, 1280])
def test_nothing_sticks_out_of_the_window(browser: Browser, tmp_path: Path, width: int) -> None:
    page = browser.open(tell(tell_picture_story(), tmp_path), width=width)
    page.draw_all()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    drawn = page.evaluate("[...document.querySelectorAll('.plot > svg')].map(s => s.getBoundingClientRect().right)")
    assert drawn
    assert max(drawn) <= width
    page.close()


def test_charts_are_drawn_again_when_the_window_changes(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(write_page(CRASH, tmp_path / "page.html"), width=1280)
    page.draw_all()
    wide = page.evaluate("document.querySelector('svg.plot').getAttribute('width')")
    page.call("Emulation.setDeviceMetricsOverride", width=480, height=900, deviceScaleFactor=1, mobile=False)
    page.draw_all()
    narrow = page.evaluate("document.querySelector('svg.plot').getAttribute('width')")
    assert int(narrow) < 480 < int(wide)
    page.close()


def test_everything_is_reached_by_keyboard_and_said_to_a_screen_reader(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(tell(tell_picture_story(), tmp_path))
    page.draw_all()
    assert page.count("svg.plot:not([role=img][aria-label])") == 0
    assert page.count("svg a:not([tabindex='-1'])") == 0
    assert page.count("figure.diff pre:not([tabindex='0'])") == 0
    assert page.count("h1") == 1
    for turn in read_data(page):
        rows = page.count(f"#{turn['anchor']} details.table table:not(:has(caption)) tbody tr")
        assert rows == sum(len(track["stretches"]) for track in turn["tracks"])
        assert page.count(f"#{turn['anchor']} article.call") == len(turn["calls"])
    page.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert page.evaluate("document.activeElement.className") == "skip-link"
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = {node["role"]["value"] for node in tree if "role" in node}
    assert {"main", "heading", "table", "radio", "navigation", "article"} <= roles
    page.close()


def test_pointing_at_a_bar_says_what_it_is_and_a_click_goes_there(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(tell(tell_picture_story(), tmp_path), height=3000)
    page.draw_all()
    chart = "document.querySelector('#turn-1-calls')"
    box = page.evaluate(f"{chart}.querySelector('a[*|href$=call-6] rect').getBoundingClientRect().toJSON()")
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    page.call("Input.dispatchMouseEvent", type="mouseMoved", **place)
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert "bash python -m pytest" in page.evaluate(f"{chart}.querySelector('g[aria-label=tip]').textContent")
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)
    arrived = "new Promise(done => location.hash ? done() : addEventListener('hashchange', () => done()))"
    page.evaluate(arrived)
    assert page.evaluate("document.querySelector(':target').id") == "turn-1-call-6"
    assert page.console == []
    page.close()


def test_a_printed_page_has_all_charts_and_no_cut_diffs(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(tell(tell_long_story(2, 15), tmp_path))
    pdf = page.call("Page.printToPDF")["data"]
    assert len(pdf) > 10_000
    assert page.count("svg.plot") == sum(1 + len(turn["tracks"]) for turn in read_data(page))
    page.close()


def test_without_scripts_the_page_still_says_everything(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(re.sub(rb"script-src &#39;[^&]*&#39;", b"script-src 'none'", render_report(report_folder(CRASH))))
    page = browser.open(path)
    assert page.count("svg") == 0
    said = page.evaluate("document.querySelector('main').textContent")
    assert "unknown: the server was dead" in said
    page.close()


def test_thousands_of_actions_do_not_freeze_the_page(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(tell(tell_long_story(1, 400), tmp_path))
    assert page.count("article.call") == 400
    longest = page.evaluate(
        "new Promise(done => { const start = performance.now(); requestAnimationFrame(() => {"
        " scrollTo(0, document.body.scrollHeight / 2);"
        " requestAnimationFrame(() => done(performance.now() - start)) }) })"
    )
    assert longest < 3000
    page.draw_all()
    (turn,) = read_data(page)
    assert page.count(f"#{turn['anchor']}-calls g[aria-description='edit calls'] rect") == 400
    page.close()


def test_the_data_block_is_what_the_table_says(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(write_page(CRASH, tmp_path / "page.html"))
    rows = page.evaluate(
        "[...document.querySelectorAll('details.table table:not(:has(caption)) tbody tr')]"
        ".map(row => [...row.cells].map(cell => cell.textContent))"
    )
    ((track,),) = [turn["tracks"] for turn in read_data(page)]
    assert [row[4] for row in rows] == ["?" if s["errors"] is None else str(s["errors"]) for s in track["stretches"]]
    assert json.dumps([row[2] for row in rows]) == json.dumps([f"{s['from']:.3f} s" for s in track["stretches"]])
    page.close()
