"""Which turns are wanted. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from lsp_tap.dataset.options import Selection
from lsp_tap.dataset.rows import Row


def find_objection(row: Row, selection: Selection) -> str | None:
    """Why a row is not wanted; None: it is."""
    if selection.outcome != "all" and row["success"] is not (selection.outcome == "success"):
        return "outcome unknown" if row["success"] is None else "failed" if not row["success"] else "succeeded"
    if selection.least_score is not None and (row["correctness"] is None or row["correctness"] < selection.least_score):
        return "score"
    if selection.servers and selection.servers.isdisjoint(row["servers"]):
        return "server"
    if selection.languages and row["language"] not in selection.languages:
        return "language"
    if selection.agents and row["agent"] not in selection.agents:
        return "agent"
    if selection.models and not _is_model(row["model"], selection.models):
        return "model"
    if selection.since or selection.until:
        time = parse_time(row["timestamp"])
        if (
            time is None
            or (selection.since and time < selection.since)
            or (selection.until and time >= selection.until)
        ):
            return "date"
    return None


def _is_model(model: str | None, wanted: frozenset[str]) -> bool:
    """`provider/model`, or the model alone."""
    return model is not None and (model in wanted or model.partition("/")[2] in wanted)


def parse_time(text: str | None) -> datetime | None:
    """ISO 8601; without a zone it is UTC."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
