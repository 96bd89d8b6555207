"""Rows as trajectories: ATIF (harbor-framework/harbor, rfcs/0001-trajectory-format.md) and the Hugging Face Hub's
session traces. Pure.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from lsp_tap._version import __version__
from lsp_tap.dataset.rows import Row, encode_json
from lsp_tap.dataset.selecting import parse_time

ATIF_VERSION: Final = "ATIF-v1.6"
HARNESS: Final = "opencode"
_UNKNOWN: Final = "unknown"
_SOURCES: Final = {"user": "user", "assistant": "agent", "system": "system"}


def encode_atif(row: Row) -> Iterator[Any]:
    """One trajectory a turn. What ATIF has no place for, the LSP's findings above all, is in `extra`."""
    steps: list[Row] = []
    for message in row["history"]:
        source = _SOURCES.get(message["role"] or "")
        if source is not None:
            steps.append(_step(steps, source, message["content"] or "", message["timestamp"]))
    extra = {"diagnostics": [_drop_unknown(finding) for finding in row["diagnostics"]]}
    steps.append(_step(steps, "user", row["task"], row["timestamp"]) | {"extra": extra})
    for action in row["actions"]:
        steps.append(_step(steps, "agent", "", action["timestamp"], row["model"]) | _describe_call(action))
    steps.append(_step(steps, "agent", row["response"], None, row["model"]))
    known = ("success", "reasons", "split", "repository", "language", "correctness", "efficiency", "minimal_edits")
    yield {
        "schema_version": ATIF_VERSION,
        "session_id": row["id"],
        "agent": _drop_unknown({"name": row["agent"] or _UNKNOWN, "version": _UNKNOWN, "model_name": row["model"]}),
        "steps": steps,
        "final_metrics": _drop_unknown(
            {
                "total_prompt_tokens": row["input_tokens"],
                "total_completion_tokens": row["output_tokens"],
                "total_cached_tokens": row["cache_read_tokens"],
                "total_cost_usd": row["cost"],
                "total_steps": len(steps),
            }
        ),
        "extra": {"exporter": f"lsp-tap {__version__}"} | _drop_unknown({name: row[name] for name in known}),
    }


def _step(steps: list[Row], source: str, message: str, timestamp: str | None, model: str | None = None) -> Row:
    step = {"step_id": len(steps) + 1, "timestamp": timestamp if parse_time(timestamp) else None, "source": source}
    return _drop_unknown({**step, "model_name": model}) | {"message": message}


def _describe_call(action: Row) -> Row:
    args = json.loads(action["args"])
    known = ("success", "exit_code", "duration_s", "files", "reward")
    call_extra = _drop_unknown({name: action[name] for name in known})
    result: Row = {"source_call_id": action["call_id"], "content": action["result"] or action["error"] or ""}
    if action["is_edit"]:
        found = {name: [_drop_unknown(finding) for finding in action[name]] for name in ("cleared", "introduced")}
        state = {name: action[name] for name in ("persisted", "baseline", "freshness")}
        result["extra"] = {"diagnostics": found | _drop_unknown(state)}
    return {
        "tool_calls": [
            {
                "tool_call_id": action["call_id"],
                "function_name": action["tool"],
                "arguments": args if isinstance(args, dict) else {"value": args},
                "extra": call_extra,
            }
        ],
        "observation": {"results": [result]},
    }


def encode_traces(row: Row) -> Iterator[Any]:
    """The lines of a file of its own, which the Hub's trace viewer opens."""
    yield {"type": "session", "harness": HARNESS, "id": row["id"], "name": row["task"][:100]}
    for message in row["history"]:
        yield _message(message["role"] or _UNKNOWN, message["content"] or "", message["timestamp"])
    yield _message("user", row["task"], row["timestamp"])
    for action in row["actions"]:
        call = {"id": action["call_id"], "function": {"name": action["tool"], "arguments": action["args"]}}
        yield _message("assistant", "", action["timestamp"], toolCalls=[call], model=row["model"])
        content = action["result"] or action["error"] or ""
        yield _message("tool", content, action["timestamp"], toolCallId=action["call_id"])
    yield _message("assistant", row["response"], None, model=row["model"])


def _message(role: str, content: str, timestamp: str | None, **fields: Any) -> Row:
    time = parse_time(timestamp)
    known = _drop_unknown({"timestamp": _count_ms(time) if time else None, **fields})
    return {"type": "message", "message": {"role": role, "content": content, **known}}


def _count_ms(time: datetime) -> int:
    return round((time - datetime.fromtimestamp(0, UTC)).total_seconds() * 1000)


def name_trace(row: Row) -> str:
    """A name for a row's own file, whatever is in its id, and though another may have the same."""
    plain = re.sub(r"[^\w.-]+", "-", row["id"], flags=re.ASCII)[:80].strip(".")
    return f"{plain}-{hashlib.sha256(encode_json(row).encode()).hexdigest()[:12]}"


def _drop_unknown(fields: Row) -> Row:
    return {name: value for name, value in fields.items() if value is not None}
