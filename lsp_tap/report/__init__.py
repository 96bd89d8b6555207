"""A session as one HTML page that needs nothing else: no network, no files beside it.

    texts      the one door through which recorded text gets onto the page: redacted, made visible, cut
    diffs      two texts -> the lines around what changed, coloured by pygments
    tracks     what a server said of a document over time, with the stretches in which nobody knew
    traffic    the slowest requests, and how each server ran and ended
    calls      one tool call: its diff, and what it cleared, introduced and left
    build      a recording -> the whole page as plain data, in which no recorded object is left
    render     that data -> HTML (jinja2, autoescaped), under a policy that lets nothing be loaded
    page/      the template, its style, and the charts' script (built from `charts/`, TypeScript on Observable Plot)

What surprised: most of a turn is the model thinking, so bars of tool calls need a least width to be seen at all; and a
count that nobody vouches for is most of what is worth showing, so a stretch carries its doubt along with its number.
"""

from lsp_tap.report.build import build_report
from lsp_tap.report.render import render_report
from lsp_tap.report.write import write_report

__all__ = ["build_report", "render_report", "write_report"]
