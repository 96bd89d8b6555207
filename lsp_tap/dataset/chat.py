"""Rows as chats: OpenAI's fine-tuning format and TRL's dataset types. Pure.

A turn is what was said before (without its tool calls, which the files do not have there), the task, one message a tool
call and its result, and the answer. Arguments are JSON text, as in OpenAI's API, since tools' arguments differ.

The client's definitions of its tools are not recorded: a tool's parameters here are those that the turn's calls had.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from lsp_tap.dataset.rows import Row, encode_json

_ROLES: Final = {"user", "assistant", "system"}
_TYPES: Final[list[tuple[type, str]]] = [
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
]


def encode_openai(row: Row) -> Iterator[Any]:
    """`{messages, tools}`, a line of OpenAI's fine-tuning files."""
    yield {"messages": [*build_prompt(row), *build_completion(row)], "tools": describe_tools(row)}


def encode_trl(row: Row) -> Iterator[Any]:
    """TRL's conversational language modelling: the same with `tools` as JSON text, so that every line has one type."""
    messages = [*build_prompt(row), *build_completion(row)]
    yield {"messages": messages, "tools": encode_json(describe_tools(row))}


def encode_kto(row: Row) -> Iterator[Any]:
    """TRL's unpaired preference: `label` is whether the turn was a success. Nothing where that is unknown."""
    if row["success"] is not None:
        yield {
            "prompt": build_prompt(row),
            "completion": build_completion(row),
            "label": row["success"],
            "tools": encode_json(describe_tools(row)),
        }


def encode_stepwise(row: Row) -> Iterator[Any]:
    """TRL's stepwise supervision: a completion an edit, labelled by what it did to the LSP errors.

    True: it introduced no more than it cleared by fixing. Edits of which that is unknown (no known before, an answer
    that is not fresh) are left out; nothing where none is left.
    """
    labelled = [(action, label) for action in row["actions"] if (label := label_edit(action)) is not None]
    if labelled:
        yield {
            "prompt": row["task"],
            "completions": [f"{action['tool']} {action['args']}" for action, _ in labelled],
            "labels": [label for _, label in labelled],
        }


def label_edit(action: Row) -> bool | None:
    """Whether an edit made nothing worse; None: it is no edit, or unknown."""
    if not action["is_edit"] or action["baseline"] in (None, "none", "partial") or action["freshness"] != "fresh":
        return None
    fixed = sum(error["cleared_by"] in ("fix", None) for error in action["cleared"])
    return len(action["introduced"]) <= fixed


def build_prompt(row: Row) -> list[Row]:
    """What was said before, and the task."""
    history = [
        {"role": message["role"], "content": message["content"]}
        for message in row["history"]
        if message["role"] in _ROLES and message["content"]
    ]
    return [*history, {"role": "user", "content": row["task"]}]


def build_completion(row: Row) -> list[Row]:
    """What was done and answered."""
    messages: list[Row] = []
    for action in row["actions"]:
        call = {"name": action["tool"], "arguments": action["args"]}
        messages.append(
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": action["call_id"], "type": "function", "function": call}],
            }
        )
        result = action["result"] if action["result"] is not None else action["error"]
        messages.append({"role": "tool", "tool_call_id": action["call_id"], "content": result or ""})
    messages.append({"role": "assistant", "content": row["response"]})
    return messages


def describe_tools(row: Row) -> list[Row]:
    """The tools that were called, with the parameters they were called with. `required`: those of every call."""
    calls: dict[str, list[dict[str, Any]]] = {}
    for action in row["actions"]:
        args = json.loads(action["args"])
        calls.setdefault(action["tool"], []).append(args if isinstance(args, dict) else {})
    return [
        {
            "type": "function",
            "function": {
                "name": tool,
                "description": "",
                "parameters": {
                    "type": "object",
                    "properties": {name: _describe(value) for args in reversed(each) for name, value in args.items()},
                    "required": sorted(set.intersection(*(set(args) for args in each))),
                },
            },
        }
        for tool, each in sorted(calls.items())
    ]


def _describe(value: Any) -> Row:
    return next(({"type": name} for kind, name in _TYPES if isinstance(value, kind)), {})
