"""`lsp-tap optimize`: from recordings to a better prompt, and all files of a run.

    .opencode/agent/NAME.md, NAME.instructions.md, opencode.json     see `lsp_tap.training.prompts`
    program.json             the optimised DSPy program: `make_program(layout).load("program.json")`
    results-<time>.json      what was measured, a file a run

What leaves for the models and into these files is redacted, unless that is switched off. A program that scores no
better than the one it began as is kept, but not exported as a prompt, unless that is asked for.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lsp_tap import __version__
from lsp_tap.journal.files import replace_file
from lsp_tap.redaction import Redactor
from lsp_tap.redaction.environment import Marks
from lsp_tap.session.loading import Unread, list_sources
from lsp_tap.session.observing import read_marks
from lsp_tap.training.extra import import_dspy
from lsp_tap.training.optimising import Measured, OnStep, Plan, Result, optimise
from lsp_tap.training.prompts import Prompt, check_name, describe_prompt, write_agent, write_prompt
from lsp_tap.training.recorded import examples


@dataclass(frozen=True, slots=True)
class Output:
    """Where the files of a run go. `project`: where the agent is installed as well; None: nowhere."""

    folder: Path
    name: str
    project: Path | None = None
    even_if_no_better: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run. `files`: all that were written. `is_exported`: whether the prompt is among them."""

    result: Result
    results: dict[str, Any]
    files: tuple[Path, ...]
    is_exported: bool
    unread: tuple[Unread, ...]


def run_optimisation(
    sources: Sequence[str],
    plan: Plan,
    output: Output,
    *,
    min_score: float | None = None,
    environment: Mapping[str, str] | None = None,
    on_step: OnStep | None = None,
) -> Report:
    """Read, redact, split, optimise, measure, write. `environment`: whose secrets are replaced; None: nothing is.

    Raises UsageError for a bad name, MissingExtra, TooFewRecordings, ModelUnavailable, OptimiserFailed, and OSError.
    """
    check_name(output.name)
    import_dspy()
    redactor = Redactor(environment=environment, marks=read_all_marks(sources)) if environment is not None else None
    unread: list[Unread] = []
    found = examples(sources, plan.layout, min_score=min_score, redactor=redactor, on_unread=unread.append)
    result = optimise(found, plan, on_step)
    prompt = describe_prompt(result.program)
    if redactor is not None:  # what a model wrote is its own, but may repeat what it was told elsewhere
        redactor.start_output()
        prompt = Prompt(redactor.text(prompt.instructions), tuple(map(redactor.text, prompt.demonstrations)))
    is_exported = result.gain > 0 or output.even_if_no_better
    output.folder.mkdir(parents=True, exist_ok=True)
    files = [_write_program(output.folder / "program.json", result.program, redactor)]
    if is_exported:
        description = f"Optimised by lsp-tap ({plan.optimiser}) on {len(result.split.train)} recorded examples"
        files += write_prompt(output.folder, output.name, prompt, description)
        files += [write_agent(output.project, output.name, prompt, description)] if output.project else []
    results = describe_run(plan, result, prompt, redactor) | {"name": output.name, "exported": is_exported}
    results = redactor.value(results) if redactor is not None else results
    path = output.folder / f"results-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.json"
    replace_file(path, _encode(results))
    return Report(result, results, (*files, path), is_exported, tuple(unread))


def read_all_marks(sources: Sequence[str]) -> Marks | None:
    """The marks of the environments that were recorded where the sources are. None: nothing is marked there.

    Raises OSError where their key cannot be read.
    """
    folders = dict.fromkeys(Path(group[0]).parent for group in list_sources(sources).groups)
    observed = [folder for folder in folders if (folder / "tap" / "observed.jsonl").is_file()]
    found = [marks for folder in observed if (marks := read_marks(folder)) is not None]
    if not found:
        return None
    by_mac = {mac: name for marks in found for mac, name in marks.by_mac.items()}
    return Marks(found[0].key, by_mac, frozenset().union(*(marks.lengths for marks in found)))


def _write_program(path: Path, program: Any, redactor: Redactor | None) -> Path:
    program.save(str(path))
    if redactor is not None:
        redactor.start_output()
        replace_file(path, _encode(redactor.value(json.loads(path.read_bytes()))))
    return path


def _encode(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "replace")


def describe_run(plan: Plan, result: Result, prompt: Prompt, redactor: Redactor | None) -> dict[str, Any]:
    """The content of a results file."""
    split = result.split
    parts = {"train": split.train, "validation": split.validation, "heldOut": split.held_out}
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"lsp-tap": __version__, "dspy": import_dspy().__version__, "python": sys.version.split()[0]},
        "plan": asdict(plan),
        "split": {
            "by": split.by,
            **{
                name: {"examples": len(part), split.by: sorted({_unit(example, split.by) for example in part})}
                for name, part in parts.items()
            },
        },
        "baseline": _describe(result.baseline),
        "optimised": _describe(result.optimised),
        "gain": round(result.gain, 6),
        "predictions": result.predictions,
        "heldOut": [
            {"session": example.recorded["sessionId"], "turn": example.recorded["turn"], "before": b, "after": a}
            for example, b, a in zip(split.held_out, result.baseline.scores, result.optimised.scores, strict=True)
        ],
        "prompt": {"instructions": prompt.instructions, "demonstrations": list(prompt.demonstrations)},
        "redacted": dict(sorted(redactor.report.items())) if redactor is not None else None,
    }


def _unit(example: Any, by: str) -> str:
    return str(example.recorded["repository" if by == "repository" else "sessionId"])


def _describe(measured: Measured) -> dict[str, Any]:
    spread = statistics.stdev(measured.scores) if len(measured.scores) > 1 else None
    return {
        "score": round(measured.mean, 6),
        "spread": round(spread, 6) if spread is not None else None,
        "examples": len(measured.scores),
        "failed": measured.failed,
    }
