from __future__ import annotations

import time

import pytest

from lsp_tap.tap.selector import matches_selector

PYTHON = ("file:///home/ada/shop/cart.py", "python")


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        (None, True),
        ([], False),
        ([{"language": "python"}], True),
        ([{"language": "c"}], False),
        ([{"language": "c"}, {"language": "python"}], True),
        ([{"language": "*"}], True),
        (["python"], True),
        (["c"], False),
        ([{"scheme": "file"}], True),
        ([{"scheme": "untitled"}], False),
        ([{"language": "python", "scheme": "untitled"}], False),
        ([{"pattern": "**/*.py"}], True),
        ([{"pattern": "**/*.{ts,py}"}], True),
        ([{"pattern": "**/c?rt.[a-p]y"}], True),
        ([{"pattern": "/home/**"}], True),
        ([{"pattern": "**/*.ts"}], False),
        ([{"pattern": "*.py"}], False),
        ([{"pattern": "[!z-]*[s-u].p[!a-x]"}], False),
        ([{"pattern": "/home/[!b]*/{x,**}/[!z-]*[s-u].p[!a-x]"}], True),
        ([{"pattern": "[z-a]"}], False),
        ([{"pattern": "/**/{shop,no/shop}/**/cart.{py}"}], True),
        ([{"pattern": "x" * 2000}], True),
        ([{"pattern": {"baseUri": "file:///home/ada", "pattern": "shop/*.py"}}], True),
        ([{"pattern": {"baseUri": {"uri": "file:///home/ada", "name": "ada"}, "pattern": "**/*.py"}}], True),
        ([{"pattern": {"baseUri": "file:///home/bob", "pattern": "**"}}], False),
        ([{"notebook": "*", "language": "python"}], False),
        ([7], False),
    ],
)
def test_selects(selector: object, matches: bool) -> None:
    assert matches_selector(selector, *PYTHON) is matches


@pytest.mark.parametrize("uri", ["file://[half/cart.py", "file://\uff05/cart.py", "cart.py", ""])
def test_what_is_no_uri_is_matched_as_well(uri: str) -> None:
    assert matches_selector([{"pattern": "**"}], uri, "python")
    assert not matches_selector([{"pattern": {"baseUri": "file://[half", "pattern": "*.c"}}], uri, "python")


@pytest.mark.parametrize("part", ["*a", "**/", "{*,**}", "*"])
def test_no_pattern_takes_for_ever(part: str) -> None:
    """A regular expression would, with the interpreter held meanwhile: nothing would pass the tap, and no signal end
    it."""
    start_s = time.process_time()
    path = "a" * 200 + "/a" * 200
    assert not matches_selector([{"pattern": f"{part * 100}nope"}], f"file:///{path}", "python")
    assert time.process_time() - start_s < 5
