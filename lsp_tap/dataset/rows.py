"""A turn as a row of a table: the same columns whatever wrote the file, JSON text where a shape is not always the same.

| columns | |
|---|---|
| `id, session_id, turn, split` | `id` is `<session>:<turn>` |
| `repository, language, servers` | the folder, the language of most files touched, the servers that judged |
| `timestamp, duration_s, agent, model, temperature` | |
| `success, task_completed, reasons` | null: the file does not tell |
| `task, history, actions, response` | what was asked, said before, done, answered |
| `diagnostics, context` | LSP findings as the turn began; the rest of the context as JSON |
| `errors_*, cleared_by_*, baseline, freshness` | the turn's LSP errors; null is unknown |
| `correctness, efficiency, minimal_edits` | scores |
| `files_modified, lines_changed, tests_pass, compilation_success` | |
| `*_tokens, cost` | null where not recorded |

An action has `args` as JSON (tools' arguments differ), and of an edit `cleared`, `introduced`, `persisted`, `baseline`,
`freshness` and `reward`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from lsp_tap.session.loading import TurnRow

if TYPE_CHECKING:
    import pyarrow  # type: ignore[import-untyped]

Row = dict[str, Any]

LANGUAGES: Final = {
    suffix: language
    for language, suffixes in {
        "python": "py pyi pyx ipynb",
        "typescript": "ts tsx mts cts",
        "javascript": "js jsx mjs cjs",
        "go": "go",
        "rust": "rs",
        "c": "c h",
        "c++": "cc cpp cxx hpp hh hxx",
        "c#": "cs",
        "java": "java",
        "kotlin": "kt kts",
        "ruby": "rb",
        "php": "php",
        "swift": "swift",
        "lua": "lua",
        "shell": "sh bash zsh",
        "html": "html htm",
        "css": "css scss less",
        "vue": "vue",
        "svelte": "svelte",
        "astro": "astro",
        "zig": "zig",
        "haskell": "hs",
        "ocaml": "ml mli",
        "elixir": "ex exs",
        "erlang": "erl hrl",
        "dart": "dart",
        "scala": "scala sc",
        "clojure": "clj cljs cljc",
        "nix": "nix",
        "gleam": "gleam",
        "terraform": "tf tfvars",
        "sql": "sql",
        "prisma": "prisma",
        "typst": "typ",
        "latex": "tex",
        "yaml": "yaml yml",
        "json": "json jsonc",
        "toml": "toml",
        "markdown": "md mdx",
    }.items()
    for suffix in suffixes.split()
}
_NOT_CODE: Final = {"yaml", "json", "toml", "markdown"}
_LSP_COUNTS: Final = {
    "errors_before": "errorsBefore",
    "errors_after": "errorsAfter",
    "errors_cleared": "errorsCleared",
    "errors_introduced": "errorsIntroduced",
    "errors_persisted": "errorsPersisted",
}


def build_row(turn: TurnRow) -> Row:
    """All columns but `split`, which is not the turn's own. Values of another type than the column's are unknown."""
    metrics, evaluation = _object(turn.outcome, "metrics"), _object(turn.outcome, "evaluation")
    lsp, tokens = _object(metrics, "lsp"), _object(metrics, "tokenCost")
    cleared_by, cache = _object(lsp, "clearedBy"), _object(tokens, "cache")
    context = {name: value for name, value in turn.context.items() if name != "lspDiagnostics"}
    actions = [_build_action(number, action) for number, action in enumerate(turn.actions, 1)]
    diagnostics = build_findings(turn.context.get("lspDiagnostics"))
    return {
        "id": f"{turn.session_id}:{turn.turn}",
        "session_id": turn.session_id,
        "turn": turn.turn,
        "repository": turn.repository,
        "language": find_language(actions, diagnostics, turn.context),
        "servers": _texts(lsp.get("servers")) or sorted({f["server"] for f in diagnostics if f["server"]}),
        "timestamp": turn.timestamp,
        "duration_s": turn.duration_s,
        "agent": _text(turn.agent.get("name")),
        "model": turn.model,
        "temperature": _number(turn.agent.get("temperature")),
        "success": turn.success,
        "task_completed": _bool(turn.outcome.get("taskCompleted")),
        "reasons": _texts(turn.outcome.get("reasons")),
        "task": turn.task,
        "history": [
            {name: _text(message.get(name)) for name in ("role", "content", "timestamp")} for message in turn.history
        ],
        "actions": actions,
        "response": turn.response,
        "diagnostics": diagnostics,
        "context": context,
        **{column: _integer(lsp.get(name)) for column, name in _LSP_COUNTS.items()},
        **{f"cleared_by_{how}": _integer(cleared_by.get(how)) for how in ("fix", "suppression", "deletion")},
        "baseline": _text(lsp.get("baseline")),
        "freshness": _text(lsp.get("freshness")),
        "correctness": _number(evaluation.get("correctness")),
        "efficiency": _number(evaluation.get("efficiency")),
        "minimal_edits": _number(evaluation.get("minimalEdits")),
        "files_modified": _integer(metrics.get("filesModified")),
        "lines_changed": _integer(metrics.get("linesChanged")),
        "tests_pass": _bool(metrics.get("testsPass")),
        "compilation_success": _bool(metrics.get("compilationSuccess")),
        "input_tokens": _first_integer(tokens.get("input"), turn.agent.get("promptTokens")),
        "output_tokens": _first_integer(tokens.get("output"), turn.agent.get("completionTokens")),
        "cache_read_tokens": _integer(cache.get("read")),
        "cache_write_tokens": _integer(cache.get("write")),
        "cost": _number(metrics.get("cost")),
    }


def _build_action(number: int, action: Mapping[str, Any]) -> Row:
    delta = action.get("lspDelta")
    is_edit = isinstance(delta, dict)
    delta = delta if isinstance(delta, dict) else {}
    return {
        "step": _first_integer(action.get("step"), number),
        "tool": _text(action.get("tool")) or "unknown",
        "call_id": _text(action.get("callID")) or f"call_{number}",
        "args": action.get("args"),
        "result": _text(action.get("result")),
        "success": _bool(action.get("success")),
        "error": _text(action.get("error")),
        "exit_code": _integer(action.get("exitCode")),
        "reward": _number(action.get("reward")),
        "timestamp": _text(action.get("timestamp")),
        "duration_s": _number(action.get("duration")),
        "files": _texts(action.get("files")),
        "is_edit": is_edit,
        "cleared": _build_list(delta.get("cleared"), "error"),
        "introduced": _build_list(delta.get("introduced"), "error"),
        "persisted": _integer(delta.get("persisted")),
        "baseline": _text(delta.get("baseline")),
        "freshness": _text(delta.get("freshness")),
    }


def build_findings(diagnostics: Any) -> list[Row]:
    """DIAGS of a file as one list."""
    if not isinstance(diagnostics, dict):
        return []
    return _build_list(diagnostics.get("errors"), "error") + _build_list(diagnostics.get("warnings"), "warning")


def _build_list(findings: Any, severity: str) -> list[Row]:
    if not isinstance(findings, list):
        return []
    return [
        {
            "file": _text(finding.get("file")),
            "line": _integer(finding.get("line")),
            "column": _integer(finding.get("column")),
            "message": _text(finding.get("message")),
            "severity": _text(finding.get("severity")) or severity,
            "code": None if finding.get("code") is None else str(finding["code"]),
            "source": _text(finding.get("source")),
            "server": _text(finding.get("server")),
            "cleared_by": _text(finding.get("clearedBy")),
        }
        for finding in findings
        if isinstance(finding, dict)
    ]


def find_language(actions: Iterable[Row], diagnostics: Iterable[Row], context: Mapping[str, Any]) -> str | None:
    """Of most files that were changed, else touched, else found fault with, else of the project. Code before prose."""
    edited = [file for action in actions if action["is_edit"] for file in action["files"]]
    touched = [file for action in actions for file in action["files"]]
    for files in (edited, touched, [f["file"] for f in diagnostics if f["file"]], _texts(context.get("relevantFiles"))):
        counted = Counter(
            language
            for file in files
            if (language := LANGUAGES.get(os.path.splitext(file)[1].removeprefix(".").lower())) is not None
        )
        if counted:
            return min(counted, key=lambda name: (name in _NOT_CODE, -counted[name], name))
    return _text(context.get("projectType"))


def encode_row(row: Row) -> Row:
    """The same with JSON text where the table has it."""
    actions = [{**action, "args": encode_json(action["args"])} for action in row["actions"]]
    return {**row, "context": encode_json(row["context"]), "actions": actions}


def encode_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def describe_columns() -> pyarrow.Schema:
    """The table's columns and their types."""
    import pyarrow as pa

    text, number, integer, flag = pa.string(), pa.float64(), pa.int64(), pa.bool_()
    texts = pa.list_(text)

    def struct(**fields: pyarrow.DataType) -> pyarrow.DataType:
        return pa.struct(list(fields.items()))

    finding = struct(
        file=text, line=integer, column=integer, message=text, severity=text, code=text, source=text, server=text,
        cleared_by=text,
    )  # fmt: skip
    action = struct(
        step=integer, tool=text, call_id=text, args=text, result=text, success=flag, error=text, exit_code=integer,
        reward=number, timestamp=text, duration_s=number, files=texts, is_edit=flag, cleared=pa.list_(finding),
        introduced=pa.list_(finding), persisted=integer, baseline=text, freshness=text,
    )  # fmt: skip
    message = struct(role=text, content=text, timestamp=text)
    columns = {
        "id": text, "session_id": text, "turn": integer, "split": text, "repository": text, "language": text,
        "servers": texts, "timestamp": text, "duration_s": number, "agent": text, "model": text, "temperature": number,
        "success": flag, "task_completed": flag, "reasons": texts, "task": text, "history": pa.list_(message),
        "actions": pa.list_(action), "response": text, "diagnostics": pa.list_(finding), "context": text,
        **dict.fromkeys(_LSP_COUNTS, integer),
        **{f"cleared_by_{how}": integer for how in ("fix", "suppression", "deletion")},
        "baseline": text, "freshness": text, "correctness": number, "efficiency": number, "minimal_edits": number,
        "files_modified": integer, "lines_changed": integer, "tests_pass": flag, "compilation_success": flag,
        "input_tokens": integer, "output_tokens": integer, "cache_read_tokens": integer, "cache_write_tokens": integer,
        "cost": number,
    }  # fmt: skip
    return pa.schema(list(columns.items()))


def _object(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _texts(value: Any) -> list[str]:
    return [item for item in map(_text, value) if item is not None] if isinstance(value, list | tuple) else []


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _integer(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None


def _first_integer(*values: Any) -> int | None:
    return next((number for value in values if (number := _integer(value)) is not None), None)


def _bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None
