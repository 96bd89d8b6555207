"""A synthetic recording as a logs folder, of a project that is there, with a server that can be started."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lsp_tap.journal import records
from tests.session.recorded import PROJECT, Recorded

SERVER = Path(__file__).parent / "peers" / "word_server.py"


def file_recording(folder: Path, recorded: Recorded, manner: str) -> Path:
    """Write the journals below `folder`, as if `folder / "project"` were the project. Returns the logs folder."""
    project = folder / "project"
    project.mkdir(exist_ok=True)
    logs = project / ".opencode-logs"
    (logs / "tap").mkdir(parents=True, exist_ok=True)
    client = [recorded.client, *recorded.records]
    _write(logs / "tap" / "client-1.jsonl", client, project, [])
    command = [sys.executable, str(SERVER), manner]
    for number, talk in enumerate(recorded.servers):
        _write(logs / "tap" / f"server-{number}.jsonl", talk.records, project, command)
    return logs


def _write(path: Path, recorded: list[records.Record], project: Path, command: list[str]) -> None:
    lines = []
    for record in recorded:
        fields: dict[str, Any] = record.model_dump(mode="json", exclude_unset=True)
        if fields["kind"] == "tap_started":
            fields["command"] = command
        if fields.get("message", {}).get("method") == "initialize":
            workspace = {"configuration": True}
            fields["message"]["params"] = {"rootUri": f"file://{PROJECT}", "capabilities": {"workspace": workspace}}
        line = json.dumps(fields).replace(f'"{PROJECT}"', json.dumps(str(project)))
        line = line.replace(f'"file://{PROJECT}"', json.dumps(project.as_uri()))
        lines.append(line.replace(f"{PROJECT}/", f"{project}/") + "\n")
    path.write_text("".join(lines))
