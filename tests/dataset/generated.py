"""Session files of many projects: written by the real builder once, then with other words, files, models and times.

python -m tests.dataset.generated FOLDER MEGABYTES [PROJECTS]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

from lsp_tap.session.models import SessionFile
from tests.session.recorded import PROJECT, Recorded
from tests.timeline.conversation import Conversation, lsp_diagnostic

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
WORDS: Final = (
    *("cart", "price", "order", "total", "line", "item", "tax", "rate", "sum", "round"),
    *("parse", "token", "user", "name", "list", "map", "read", "write", "close", "open"),
)
MODELS: Final = ("anthropic/claude-x", "openai/gpt-y", "local/small")
AGENTS: Final = ("build", "plan")
SUFFIXES: Final = (".py", ".ts", ".go")


@cache
def build_session() -> dict[str, Any]:
    """Three turns: an edit clears two errors; one introduces one, so a failure; one changes none."""
    talk = Conversation("basedpyright")
    recorded = Recorded(talk)
    uri = f"file://{PROJECT}/a.py"

    def edit(reply: str, call: str, old: str, new: str, *errors: int) -> None:
        args = {"filePath": f"{PROJECT}/a.py", "oldString": old, "newString": new}
        recorded.start_call(reply, call, "edit", args, before={"a.py": old})
        talk.change(uri, new)
        talk.push(uri, *(lsp_diagnostic(line, f"error in {new.splitlines()[line]}") for line in errors))
        recorded.end_call(reply, call, "edit", after={"a.py": new})

    texts = ["bad\nworse\nok\n", "good\nfine\nok\n", "good\nfine\noops\n", "good\nfine\noops\nmore\n"]
    reply = recorded.ask("TASK-1")
    recorded.start_call(reply, "c1", "read", {"filePath": f"{PROJECT}/a.py"})
    talk.open(uri, texts[0])
    talk.push(uri, lsp_diagnostic(0, "error in bad"), lsp_diagnostic(1, "error in worse", code="other"))
    recorded.end_call(reply, "c1", "read")
    edit(reply, "c2", texts[0], texts[1])
    recorded.finish(reply, text="ANSWER-1", agent="build")
    reply = recorded.ask("TASK-2")
    edit(reply, "c3", texts[1], texts[2], 2)
    recorded.finish(reply, text="ANSWER-2", agent="build")
    reply = recorded.ask("TASK-3")
    edit(reply, "c4", texts[2], texts[3], 2)
    recorded.finish(reply, text="ANSWER-3", agent="build")
    session, _ = recorded.build()
    assert [turn.outcome.success for turn in session.turns] == [True, False, True]
    document: dict[str, Any] = json.loads(session.model_dump_json(exclude_unset=True))
    for turn in document["turns"]:
        turn["agent"]["model"] = "m/x"  # `Recorded` has none
    return document


def vary(number: int, project: int, text_bytes: int = 400) -> dict[str, Any]:
    """The session of that number; `text_bytes`: about how long each of its texts is."""
    random = Random(f"{number}")
    suffix, model, agent = random.choice(SUFFIXES), random.choice(MODELS), random.choice(AGENTS)
    started = START + timedelta(hours=number)
    directory = f"/home/ada/project-{project}"

    def speak() -> str:
        words = " ".join(f"{random.choice(WORDS)}{random.randrange(10_000)}" for _ in range(text_bytes // 9))
        return f"{words}."

    said: dict[str, str] = {}

    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: change(item) for key, item in value.items()}
        if isinstance(value, list):
            return [change(item) for item in value]
        if not isinstance(value, str):
            return value
        if value.startswith(("TASK-", "ANSWER-")) or value in ("ok", "good\nfine\nok\n", "good\nfine\noops\n"):
            return said.setdefault(value, speak())
        if value.startswith("2025-"):
            return started.isoformat()
        value = value.replace("/p/", f"{directory}/").replace("a.py", f"module_{number}{suffix}")
        return (
            directory
            if value == PROJECT
            else {"m/x": model, "build": agent}.get(value, value).replace("ses_1", f"ses_{number}")
        )

    document: dict[str, Any] = change(build_session())
    SessionFile.model_validate(document)
    return document


def write_project(folder: Path, project: int, numbers: Iterator[int] | range, text_bytes: int = 400) -> Path:
    """A project's logs folder with the sessions of those numbers. Returns the project's folder."""
    logs = folder / f"project-{project}" / ".opencode-logs"
    logs.mkdir(parents=True)
    for number in numbers:
        text = json.dumps(vary(number, project, text_bytes), ensure_ascii=False, indent=2)
        (logs / f"session-ses_{number}.json").write_text(text, "utf-8")
    return logs.parent


def write_projects(folder: Path, projects: int, sessions: int, text_bytes: int = 400) -> list[Path]:
    """So many projects of so many sessions each."""
    return [
        write_project(folder, project, range(project * sessions, (project + 1) * sessions), text_bytes)
        for project in range(projects)
    ]


def main() -> None:
    folder, megabytes = Path(sys.argv[1]), int(sys.argv[2])
    projects = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    size = len(json.dumps(vary(0, 0, 2000), indent=2))
    sys.stdout.write(f"{size} bytes a session\n")
    write_projects(folder, projects, max(1, megabytes * 1_000_000 // size // projects), 2000)


if __name__ == "__main__":
    main()
