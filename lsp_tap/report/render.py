"""The page as HTML: jinja2 with autoescape on, one template, its style and the charts' script inlined.

The page's own policy forbids everything but that: `default-src 'none'` (no request of any kind can leave it), and only
the script with the hash of ours runs, so even markup that got past the escaping would execute nothing. Styles may be
inline, since the charts set sizes; a style can load nothing here.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from lsp_tap.report.build import Report, TurnView

BASELINES: Final = {
    "observed": "the state before was seen",
    "verified": "measured again by lsp-tap verify",
    "partial": "the state before was seen of some documents only",
    "none": "nobody saw the state before: the counts are unknown",
}
FRESHNESS: Final = {
    "fresh": "the servers spoke of the very texts that were left",
    "stale": "a server did not answer to the last text: its numbers are of an older one",
    "timed-out": "a server never said anything",
    "server-dead": "a server had crashed",
    "no-server": "no language server looks at such files",
}
DOUBTS: Final = {
    "fresh": "fresh",
    "waiting": "waiting for the server: the count of the text before",
    "stale": "stale: no answer to this text came",
    "timed-out": "unknown: the server never said anything",
    "server-dead": "unknown: the server was dead",
}


def render_report(report: Report) -> bytes:
    """The page. The same report gives the same bytes."""
    page = _environment().get_template("report.html")
    script = _read("charts.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    html = page.render(
        report=report,
        data=[_chart(turn) for turn in report.turns],
        style=Markup(_read("report.css")),
        script=Markup(script),
        policy=f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'",
    )
    return html.lstrip().encode("utf-8", "backslashreplace")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(seconds=show_seconds, count=show_count, many=show_many, size=show_size, clock=show_clock)
    environment.globals.update(baselines=BASELINES, freshness=FRESHNESS, doubts=DOUBTS)
    # What `</script>` or `<!--` in a text could end early is escaped by tojson itself; line ends of old JavaScript and
    # everything else beyond ASCII are escaped here.
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "ensure_ascii": True, "separators": (",", ":")}
    return environment


@lru_cache(maxsize=8)
def _read(name: str) -> str:
    return (files("lsp_tap.report") / "page" / name).read_text("utf-8")


def _chart(turn: TurnView) -> dict[str, Any]:
    """What the script draws of a turn."""
    return {
        "anchor": turn.anchor,
        "span": turn.span_s,
        "calls": [
            {
                "anchor": call.anchor,
                "tool": call.tool,
                "kind": call.kind,
                "ok": call.ok,
                "from": call.offset_s,
                "to": call.offset_s + (call.took_s or 0),
                "label": f"{call.tool} {call.title}\n{show_seconds(call.took_s)}" + ("" if call.ok else ", failed"),
            }
            for call in turn.calls
            if call.offset_s is not None
        ],
        "tracks": [
            {
                "anchor": track.anchor,
                "label": f"{track.path}, {track.server}",
                "stretches": [
                    {"from": s["from_s"], "to": s["to_s"], "errors": s["errors"], "warnings": s["warnings"],
                     "doubt": s["doubt"]}
                    for s in map(asdict, track.stretches)
                ],
                "versions": [
                    {"at": v.at_s, "who": v.who, "call": v.call, "label": f"version {show_count(v.version)}\n{v.label}"}
                    for v in track.versions
                ],
            }
            for track in turn.tracks
        ],
    }  # fmt: skip


def show_count(number: float | None) -> str:
    """A number with thin spaces between thousands; a question mark where nobody knows it."""
    if number is None:
        return "?"
    return f"{number:,}".replace(",", "\u202f")


def show_many(number: int | None, noun: str) -> str:
    """A number of things: `1 edit`, `2 edits`."""
    return f"{show_count(number)} {noun}{'' if number == 1 else 's'}"


def show_seconds(seconds: float | None) -> str:
    """A duration, as exact as it is short."""
    if seconds is None:
        return "?"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def show_size(size_bytes: int) -> str:
    """Bytes in the unit that fits."""
    size = float(size_bytes)
    for unit in ("B", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def show_clock(moment: str | None) -> str:
    """An ISO time in UTC as a person writes it; empty where it is not known."""
    return "" if not moment else f"{moment[:10]} {moment[11:19]} UTC"
