"""The card of a dataset folder, `README.md`: what the Hub and `load_dataset` read of it, and what people do. Pure."""

from __future__ import annotations

import json
from typing import Final

from lsp_tap.dataset.options import Options, Summary

_SIZES: Final = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def write_card(summary: Summary, options: Options) -> str:
    """The card's text."""
    folder = "data/" if options.format == "hf" else ""
    pattern = "/*" if options.format == "hf-traces" else "*"
    files = "\n".join(
        f"      - split: {split}\n        path: {json.dumps(f'{folder}{split}{pattern}')}" for split in summary.rows
    )
    rows = "\n".join(f"| {split} | {count} |" for split, count in summary.rows.items())
    count = sum(summary.rows.values())
    size = next((name for limit, name in _SIZES if count < limit), "n>1M")
    configs = f"configs:\n  - config_name: default\n    data_files:\n{files}\n" if files else ""
    return f"""---
pretty_name: Coding agent sessions with LSP diagnostics
license: other
task_categories:
  - text-generation
tags:
  - agent-traces
  - coding-agent
  - tool-use
  - lsp
size_categories:
  - {size}
{configs}---

# Coding agent sessions with LSP diagnostics

Turns of a coding agent, recorded by [lsp-tap](https://pypi.org/project/lsp-tap/): what was asked, which tools were
called, what they gave back, what was answered, and which errors of language servers each edit cleared and introduced.

| split | rows |
|---|---|
{rows}

All turns of a repository are in one split. {_describe_selection(options)} {_describe_duplicates(options, summary)}

## Privacy

{_describe_redaction(summary)} What was said in the sessions is otherwise as it was: source code, prompts, answers of
models. Look at it before you publish it, and choose a licence that the code and the prompts allow.

## Limits

Language servers' errors are a part of what is right or wrong with code: an edit that clears errors may still be wrong.
Errors that were suppressed or deleted, and errors nobody saw, are marked as such (`cleared_by`, `baseline`,
`freshness`).
"""


def _describe_selection(options: Options) -> str:
    chosen = {
        "success": "Only turns that were a success are here",
        "failed": "Only turns that failed are here",
        "all": "Turns that failed are here, too (`success`)",
    }
    score = options.selection.least_score
    return chosen[options.selection.outcome] + (f", with a correctness of at least {score}." if score else ".")


def _describe_duplicates(options: Options, summary: Summary) -> str:
    alike = f", and of those at least {options.similarity:.0%} alike," if options.similarity < 1 else ""
    count = summary.left_out["equal to another"] + summary.left_out["much like another"]
    return f"Of equal turns{alike} one is here ({count} left out)."


def _describe_redaction(summary: Summary) -> str:
    if summary.redacted is None:
        return "**Nothing was redacted** (`--no-redact`)."
    counted = ", ".join(f"{kind} ({count})" for kind, count in sorted(summary.redacted.items()))
    return (
        "Secrets that rules know (those of gitleaks, and others), values of the recording's environment, and user "
        f"names in paths were replaced: {counted or 'none were found'}."
    )
