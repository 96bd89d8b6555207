"""The screen looks as a person saw it. After a change: `python -m tests.inspect.screen.scenes`, and look."""

from __future__ import annotations

import asyncio
import re
from html import unescape
from pathlib import Path

import pytest

from tests.inspect.screen.scenes import PICTURES, README_PICTURE, README_SCENE, SCENES, Scene, draw, utc

ALL = {**{PICTURES / f"{name}.svg": scene for name, scene in SCENES.items()}, README_PICTURE: README_SCENE}


def read_words(svg: str) -> list[str]:
    return [unescape(text).replace("\xa0", " ") for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


@pytest.mark.parametrize(("path", "scene"), ALL.items(), ids=[path.stem for path in ALL])
def test_the_screen_is_as_in_the_picture(path: Path, scene: Scene, tmp_path: Path) -> None:
    with utc():
        drawn = asyncio.run(draw(scene, tmp_path))
    kept = path.read_text("utf-8")
    assert read_words(drawn) == read_words(kept)
    assert drawn == kept, "the same words in other colours or places"


def test_every_picture_is_of_a_scene() -> None:
    assert {path.name for path in PICTURES.iterdir()} == {f"{name}.svg" for name in SCENES}


def test_nothing_recorded_is_obeyed() -> None:
    """Escape sequences and markup are shown as they are, whatever is looked at."""
    for name in ("hostile", "hostile-diagnostics", "hostile-calls"):
        words = "".join(read_words((PICTURES / f"{name}.svg").read_text("utf-8")))
        assert "[red]cart.py" in words
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", words)
    shown = "".join(read_words((PICTURES / "hostile.svg").read_text("utf-8")))
    assert "[bold red]markup[/] \\x1b[31m" in shown
