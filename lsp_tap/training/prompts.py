"""What OpenCode can use of an optimised program: its instructions and its demonstrations, as text.

    .opencode/agent/NAME.md   an agent: `opencode run --agent NAME`. Its prompt takes the place of OpenCode's own
    NAME.instructions.md      the same text as instructions, which OpenCode adds to the prompt of every agent
    opencode.json             the configuration that makes it do so; to be merged into the project's

Use one or the other. An agent's file has a front matter in YAML; JSON strings are YAML strings too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lsp_tap.errors import UsageError
from lsp_tap.journal.files import replace_file
from lsp_tap.training.evidence import describe_error
from lsp_tap.training.scorer import list_calls

DEMONSTRATION_LIMIT: Final = 4_000
"""How many characters of one field of a demonstration go into a prompt."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """What was optimised, as text."""

    instructions: str
    demonstrations: tuple[str, ...]

    def render(self) -> str:
        """Markdown."""
        parts = [self.instructions.strip()]
        if self.demonstrations:
            parts.append("# Examples of good work")
        parts += [f"## Example {number}\n\n{text}" for number, text in enumerate(self.demonstrations, 1)]
        return "\n\n".join(parts) + "\n"


def check_name(name: str) -> str:
    """The name of an agent, which is that of a file. Raises UsageError."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for an agent: letters, digits, - and _, at most 64")
    return name


def describe_prompt(program: Any) -> Prompt:
    """The prompt of a program of `lsp_tap.training.programs`."""
    (predictor,) = program.predictors()
    return Prompt(predictor.signature.instructions, tuple(_describe(demo) for demo in predictor.demos))


def _describe(demo: Any) -> str:
    fields = dict(demo.items())
    said = [f"Task: {_cut(fields.get('task'))}"]
    if "diagnostics" in fields or "context" in fields:
        said.append(f"LSP errors:\n{_list_errors(fields)}")
    steps = _list_steps(fields.get("history"))
    if steps:
        said.append("Steps before:\n" + "\n".join(f"- {step}" for step in steps))
    if fields.get("next_thought"):
        said.append(f"Thought: {_cut(fields['next_thought'])}")
    if "tool_calls" in fields:
        calls = [f"- {_tell(call)}" for call in list_calls(fields["tool_calls"])]
        said.append("Tool calls:\n" + ("\n".join(calls) or "none"))
    if fields.get("response"):
        said.append(f"Answer: {_cut(fields['response'])}")
    return "\n\n".join(said)


def _list_steps(history: Any) -> list[str]:
    messages = history.get("messages") if isinstance(history, Mapping) else getattr(history, "messages", None)
    return [_tell(call) for message in messages or () for call in list_calls(message.get("tool_calls"))]


def _tell(call: Mapping[str, Any]) -> str:
    return f"{call['name']} {_cut(json.dumps(call['args'], ensure_ascii=False))}"


def _list_errors(fields: Mapping[str, Any]) -> str:
    if "diagnostics" in fields:
        return _cut(fields["diagnostics"])
    context = fields["context"]
    diagnostics = context.get("lspDiagnostics") if isinstance(context, Mapping) else None
    errors = diagnostics.get("errors") if isinstance(diagnostics, Mapping) else None
    return _cut("\n".join(f"- {describe_error(error)}" for error in errors or ()) or "none")


def _cut(value: Any) -> str:
    text = str(value if value is not None else "").strip()
    return text if len(text) <= DEMONSTRATION_LIMIT else text[:DEMONSTRATION_LIMIT] + " ..."


def encode_agent(prompt: Prompt, description: str) -> str:
    """An agent's file."""
    return f"---\ndescription: {json.dumps(description)}\nmode: primary\n---\n\n{prompt.render()}"


def encode_snippet(name: str) -> str:
    """The part of an opencode.json that makes the instructions everybody's."""
    snippet = {"$schema": "https://opencode.ai/config.json", "instructions": [f"{name}.instructions.md"]}
    return json.dumps(snippet, indent=2) + "\n"


def write_agent(project: Path, name: str, prompt: Prompt, description: str) -> Path:
    """The agent's file in a project. Raises UsageError for a bad name, OSError where it cannot be written."""
    return _write(project / ".opencode" / "agent" / f"{check_name(name)}.md", encode_agent(prompt, description))


def write_prompt(folder: Path, name: str, prompt: Prompt, description: str) -> list[Path]:
    """All three in a folder. Raises UsageError for a bad name, OSError where they cannot be written."""
    return [
        write_agent(folder, name, prompt, description),
        _write(folder / f"{name}.instructions.md", prompt.render()),
        _write(folder / "opencode.json", encode_snippet(name)),
    ]


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode("utf-8", "replace"))
    return path
