"""Makes the README's pictures of a report: `python -m tests.report.pictures` (needs chromium and its fonts)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lsp_tap.report import render_report
from tests.report.browser import start_browser
from tests.report.sessions import report_folder, write_folder
from tests.report.story import tell_picture_story

PICTURES = Path(__file__).parents[1] / "pictures"
_WIDTH = 1080


def main() -> None:
    """A turn, from its question down to its first edit, in light and dark."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "report.html"
        path.write_bytes(render_report(report_folder(write_folder(tell_picture_story(), folder / "logs"))))
        with start_browser(folder / "profile") as browser:
            for theme in ("light", "dark"):
                page = browser.open(path, dark=theme == "dark", width=_WIDTH, height=2400)
                page.draw_all()
                top = int(page.evaluate("document.querySelector('.turn').getBoundingClientRect().top"))
                bottom = int(page.evaluate("document.querySelector('article.edit').getBoundingClientRect().bottom"))
                page.screenshot(PICTURES / f"report-{theme}.png", clip=(0, top - 16, _WIDTH, bottom - top + 32))
                page.close()


if __name__ == "__main__":
    main()
