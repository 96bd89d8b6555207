from __future__ import annotations

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
        ([{"pattern": "[z-a]"}], True),
        ([{"pattern": {"baseUri": "file:///home/ada", "pattern": "shop/*.py"}}], True),
        ([{"pattern": {"baseUri": {"uri": "file:///home/ada", "name": "ada"}, "pattern": "**/*.py"}}], True),
        ([{"pattern": {"baseUri": "file:///home/bob", "pattern": "**"}}], False),
        ([{"notebook": "*", "language": "python"}], False),
        ([7], False),
    ],
)
def test_selects(selector: object, matches: bool) -> None:
    assert matches_selector(selector, *PYTHON) is matches
