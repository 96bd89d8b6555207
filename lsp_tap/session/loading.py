"""Reading session and training files back, ours and the two older layouts: one row a turn.

| layout | known by |
|---|---|
| 2.x `session-<id>.json` | `turns`: all of them, also the failed ones |
| 2.x `dspy-<id>.json` | `schemaVersion`: the successful turns |
| 1.2 `dspy-<id>.json` | no top-level `outcome`; `totalTurns, successfulTurns, overallSuccess, totalToolCalls` |
| 1.0 `dspy-<id>.json` | `session, generated, totalExamples, outcome, examples` |

The two files of one session in one folder are read as a pair: a turn that is in both is one row. Nothing is lost in
silence: a file, or a turn of one, that cannot be read comes out as an `Unread` with its reason, in its place.

    list_sources(paths)       files, folders, projects, globs -> groups of files, one group a session
    parse_sources(documents)  the bytes of one group -> rows. Pure, so that a cluster can run it on what it fetched
    read_turns(paths)         both, one group in memory at a time
"""

from __future__ import annotations

import glob
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from lsp_tap.session.numbers import read_number

LOGS_FOLDER: Final = ".opencode-logs"
NOT_SEARCHED: Final = frozenset({"node_modules", ".git", ".venv", "venv", "__pycache__", "site-packages", "tap"})

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TurnRow:
    """One turn, plain data in the files' own (camelCase) shapes; what a file does not tell is None or empty.

    `turn`: the turn's place in its session, from 1; in training files that do not tell, the example's place in the
    file. `repository`: what to split by; the folder the session ran in. `success` is the turn's; in a 1.0 file without
    outcomes of its turns, the session's. `schema_version`: "2.1", "2.0", "1.2", "1.0". `kind`: which file it came
    from, and `source` that file's name.
    """

    session_id: str
    turn: int
    repository: str | None
    task: str
    context: Json
    history: tuple[Json, ...]
    actions: tuple[Json, ...]
    response: str
    final_message: str | None
    outcome: Json
    success: bool | None
    agent: Json
    metadata: Json
    timestamp: str | None
    duration_s: float | None
    source: str
    kind: Literal["session", "training"]
    schema_version: str

    @property
    def key(self) -> tuple[str, str, str]:
        """The same for the same turn in a session and in a training file."""
        if self.final_message:
            return self.session_id, "message", self.final_message
        return self.session_id, self.timestamp or "", self.task

    @property
    def model(self) -> str | None:
        model = self.agent.get("model")
        return model if isinstance(model, str) else None


@dataclass(frozen=True, slots=True)
class Unread:
    """What could not be read: a file, or a `place` in it (`turns[3]`), and why."""

    source: str
    reason: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.source}: {self.place}: {self.reason}" if self.place else f"{self.source}: {self.reason}"


@dataclass(slots=True)
class Sources:
    """`groups`: the files of one session in one folder go together. `unread`: paths that lead to none."""

    groups: list[tuple[str, ...]] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


def list_sources(paths: str | Path | Iterable[str | Path]) -> Sources:
    """The session and training files meant by files, folders (searched downwards), projects and glob patterns.

    A file that several of them mean is listed once. In order of the paths, within a folder by name.
    """
    named = [paths] if isinstance(paths, str | Path) else list(paths)
    found: dict[str, str] = {}
    sources = Sources()
    for path in map(str, named):
        files = _list_files(path)
        if isinstance(files, Unread):
            sources.unread.append(files)
        else:
            for file in map(os.path.normpath, files):
                found.setdefault(os.path.realpath(file), file)
    sources.groups = group_sources(found.values())
    return sources


def group_sources(names: Iterable[str]) -> list[tuple[str, ...]]:
    """The names, those of one session in one folder together (`session-` first), in the order of their first."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        session = file.removeprefix("session-").removeprefix("dspy-")
        groups.setdefault((folder, session), []).append(name)
    return [tuple(sorted(group, key=lambda n: (not _is_named_session(n), n))) for group in groups.values()]


def _is_named_session(name: str) -> bool:
    return name.rpartition("/")[2].startswith("session-")


def is_source_name(file: str) -> bool:
    """Whether a file in a folder is one of ours by its name."""
    return file.endswith(".json") and file.startswith(("session-", "dspy-"))


def _list_files(path: str) -> list[str] | Unread:
    if os.path.isfile(path):
        return [path]
    if os.path.isdir(path):
        files = list(_walk(path))
        return files or Unread(path, "no session-*.json or dspy-*.json in it")
    if glob.has_magic(path):
        files = []
        for match in sorted(glob.glob(path, recursive=True, include_hidden=True)):
            if os.path.isdir(match):
                files += _walk(match)
            elif os.path.isfile(match):
                files.append(match)
        return files or Unread(path, "matches no session or training file")
    return Unread(path, "no such file or folder")


def _walk(folder: str) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in NOT_SEARCHED)
        yield from (os.path.join(place, file) for file in sorted(files) if is_source_name(file))


def read_turns(paths: str | Path | Iterable[str | Path]) -> Iterator[TurnRow | Unread]:
    """The turns in files, folders, projects and globs, and what could not be read, session by session."""
    sources = list_sources(paths)
    yield from sources.unread
    for group in sources.groups:
        documents = []
        for name in group:
            try:
                documents.append((name, Path(name).read_bytes()))
            except OSError as error:
                yield Unread(name, error.strerror or str(error))
        yield from parse_sources(documents)


def parse_sources(documents: Sequence[tuple[str, bytes]]) -> Iterator[TurnRow | Unread]:
    """The turns of one group: names and contents of the files of one session. A turn in two files is one row."""
    seen: set[tuple[str, str, str]] = set()
    for name, content in documents:
        for row in _parse_document(name, content):
            if isinstance(row, TurnRow) and len(documents) > 1:
                if row.key in seen and row.kind == "training":
                    continue
                seen.add(row.key)
            yield row


def _parse_document(name: str, content: bytes) -> Iterator[TurnRow | Unread]:
    try:
        document = json.loads(content, parse_constant=_read_float, parse_float=_read_float)
    except (ValueError, RecursionError) as error:
        yield Unread(name, f"not JSON: {error}")
        return
    if not isinstance(document, dict):
        yield Unread(name, "not a session or training file: no JSON object")
    elif isinstance(document.get("turns"), list):
        yield from _parse_session(name, document)
    elif isinstance(document.get("examples"), list):
        yield from _parse_training(name, document)
    else:
        yield Unread(name, "not a session or training file: neither `turns` nor `examples`")


def _read_float(text: str) -> float | None:
    """None for infinity and what is no number: JSON has no word for them, though Python reads and writes some."""
    value = float(text)
    return value if math.isfinite(value) else None


class _Malformed(Exception):
    pass


def _parse_training(name: str, document: Json) -> Iterator[TurnRow | Unread]:
    if "schemaVersion" in document:
        version = str(document["schemaVersion"])
    else:
        version = "1.0" if "outcome" in document else "1.2"
    for number, example in enumerate(document["examples"], 1):
        try:
            asked, answered = _object(example, "input"), _object(example, "output")
            metadata = _object(example, "metadata")
            outcome = _object(example, "outcome") or _object(document, "outcome")
            yield _build_row(
                metadata.get("sessionId") or document.get("session"),
                metadata.get("turn") or number,
                asked.get("task"),
                context=_object(asked, "context"),
                history=_objects(asked, "conversationHistory"),
                actions=_objects(example, "actions"),
                output=answered,
                outcome=outcome,
                agent=_object(example, "agent"),
                metadata=metadata,
                generated=document.get("generated"),
                source=name,
                kind="training",
                version=version,
            )
        except _Malformed as error:
            yield Unread(name, str(error), f"examples[{number - 1}]")


def _parse_session(name: str, document: Json) -> Iterator[TurnRow | Unread]:
    try:
        messages = [message for message in _objects(document, "messages") if message.get("content")]
        calls = [(action.get("callID"), action) for action in _objects(document, "toolCalls")]
        actions = {call: action for call, action in calls if isinstance(call, str)}
    except _Malformed as error:
        yield Unread(name, str(error))
        return
    for number, turn in enumerate(document["turns"], 1):
        try:
            if not isinstance(turn, dict):
                raise _Malformed("no object")
            named = turn.get("actions") or []
            if not isinstance(named, list) or not all(isinstance(c, str) and c in actions for c in named):
                raise _Malformed("an action that is not among `toolCalls`")
            yield _build_row(
                document.get("sessionId"),
                number,
                turn.get("task"),
                context=_object(turn, "context"),
                history=_find_history(messages, turn.get("messageId")),
                actions=[{**actions[call], "step": step} for step, call in enumerate(named, 1)],
                output=_object(turn, "output"),
                outcome=_object(turn, "outcome"),
                agent=_object(turn, "agent"),
                metadata=_object(turn, "metadata"),
                generated=document.get("generated"),
                source=name,
                kind="session",
                version=str(document.get("schemaVersion", "2.0")),
            )
        except _Malformed as error:
            yield Unread(name, str(error), f"turns[{number - 1}]")


def _find_history(messages: Sequence[Json], message_id: Any) -> list[Json]:
    """What was said before a turn's first message, as a training file has it."""
    at = next((n for n, message in enumerate(messages) if message.get("messageId") == message_id), 0)
    return [{key: message.get(key) for key in ("role", "content", "timestamp")} for message in messages[:at]]


def _build_row(
    session_id: Any,
    turn: Any,
    task: Any,
    *,
    context: Json,
    history: Sequence[Json],
    actions: Sequence[Json],
    output: Json,
    outcome: Json,
    agent: Json,
    metadata: Json,
    generated: Any,
    source: str,
    kind: Literal["session", "training"],
    version: str,
) -> TurnRow:
    if not isinstance(session_id, str) or not session_id:
        raise _Malformed("no session id")
    if not isinstance(task, str):
        raise _Malformed("no task")
    response = output.get("response")
    if not isinstance(response, str | None):
        raise _Malformed("`response` is no text")
    success = outcome.get("success")
    return TurnRow(
        session_id=session_id,
        turn=turn if isinstance(turn, int) else 1,
        repository=_text(context.get("workingDirectory")),
        task=task,
        context=context,
        history=tuple(history),
        actions=tuple(actions),
        response=response or "",
        final_message=_text(output.get("finalMessage")),
        outcome=outcome,
        success=success if isinstance(success, bool) else None,
        agent=agent,
        metadata=metadata,
        timestamp=_text(metadata.get("timestamp")) or _text(generated),
        duration_s=read_number(metadata.get("duration")),
        source=source,
        kind=kind,
        schema_version=version,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _object(parent: Any, name: str) -> Json:
    """A field that is an object; {} where it is missing or null."""
    if not isinstance(parent, Mapping):
        raise _Malformed("no object")
    value = parent.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _Malformed(f"`{name}` is no object")
    return value


def _objects(parent: Any, name: str) -> list[Json]:
    """A field that is a list of objects; [] where it is missing or null."""
    value = parent.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _Malformed(f"`{name}` is no list of objects")
    return value
