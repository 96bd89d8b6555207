"""A replay: the recorded client against a server behind a tap, and what that tap recorded against what was recorded."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from pygls.uris import to_fs_path

from lsp_tap.errors import LspTapError, UsageError
from lsp_tap.journal.files import create_replacement
from lsp_tap.journal.reader import Journal, read_head
from lsp_tap.playback.compare import Comparison, compare_conversations
from lsp_tap.playback.conversation import Conversation, allow_deep_messages, list_opened, read_conversation
from lsp_tap.playback.latencies import Slower
from lsp_tap.playback.player import Played, Speed, Stage, play
from lsp_tap.playback.roots import RootMap


class NotPlayed(LspTapError):
    """A recording could not be played: `reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class Options:
    """`root`: the project's folder now; None: the recorded one, where it is still there, else an own folder with the
    recorded documents as they were opened. `output`: where to keep the new journal. `timeout_s`: what an answer may
    take."""

    root: Path | None = None
    speed: Speed = "fast"
    timeout_s: float = 60.0
    output: Path | None = None
    slower: Slower | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """`left_out`: what is in the recording and cannot be played."""

    played: Played
    comparison: Comparison
    root: str
    left_out: dict[str, int]

    @property
    def is_different(self) -> bool:
        return self.played.failure is not None or self.comparison.is_different

    def to_json(self) -> dict[str, Any]:
        """Plain values; A is the recording, B what came now."""
        played = self.played
        return {
            **self.comparison.to_json(),
            "different": self.is_different,
            "root": self.root,
            "sent": played.sent,
            "failure": played.failure,
            "notes": played.notes,
            "left_out": self.left_out,
            "stderr": played.stderr,
            "exit_code": played.exit_code,
        }


@allow_deep_messages()
def run_replay(
    journal: Journal,
    command: Sequence[str],
    options: Options,
    on_step: Callable[[int, int], None] = lambda sent, count: None,
) -> Replayed:
    """Play a connection against `command`. The server is gone when this returns, or raises.

    Raises UsageError where the command or the recording cannot be played, NotPlayed where the tap left no journal.
    """
    conversation = read_conversation(journal)
    if not any(step.is_client for step in conversation.steps):
        raise UsageError(f"{journal.path}: no message of a client is recorded in it")
    if options.output is not None and not options.output.parent.is_dir():
        raise UsageError(f"{options.output.parent}: no such folder")
    executable = shutil.which(command[0])
    if executable is None:
        raise UsageError(f"{command[0]}: no such command")
    with tempfile.TemporaryDirectory(prefix="lsp-tap-replay-", ignore_cleanup_errors=True) as place:
        root = _prepare_root(conversation, options.root, Path(os.path.realpath(place), "project"))
        roots = RootMap(conversation.root, root)
        folder = Path(place, "logs")
        started = conversation.started
        cwd = roots.map_text(started.cwd) if started else root
        stage = Stage(
            command=[os.path.abspath(executable) if os.sep in command[0] else command[0], *command[1:]],
            name=conversation.name,
            cwd=cwd if os.path.isdir(cwd) else root,
            folder=folder,
            roots=roots,
            probe=started.probe if started else False,
            speed=options.speed,
            timeout_s=options.timeout_s,
        )
        played = anyio.run(play, conversation, stage, on_step)
        new = next(iter((folder / "tap").glob("*.jsonl")), None)
        recorded = read_head(new) if new is not None else None
        if new is None or recorded is None:
            raise NotPlayed(played.failure or f"the replay was not recorded: {played.stderr.strip()}")
        again = read_conversation(recorded)
        played.notes += [f"now there are {count} {what}" for what, count in again.left_out.items()]
        comparison = compare_conversations(conversation, again, slower=options.slower)
        if options.output is not None:
            with create_replacement(options.output) as created:
                shutil.copyfile(new, created)
    return Replayed(played, comparison, root, conversation.left_out)


def _prepare_root(conversation: Conversation, wanted: Path | None, own: Path) -> str:
    """The folder to play in; `own` is made where there is no other. Raises UsageError."""
    if wanted is not None:
        if not wanted.is_dir():
            raise UsageError(f"{wanted}: no such folder")
        return os.path.realpath(wanted)
    recorded = conversation.root
    if recorded is not None and os.path.isdir(recorded):
        return recorded
    own.mkdir(parents=True)
    roots = RootMap(recorded, str(own))
    for uri, text in list_opened(conversation.steps).items():
        path = os.path.normpath(to_fs_path(roots.map_uri(uri)) or "")
        if path.startswith(f"{own}{os.sep}"):
            with suppress(OSError, ValueError):  # a name that no file can have
                os.makedirs(os.path.dirname(path), exist_ok=True)
                Path(path).write_bytes(text.encode("utf-8", "replace"))
    return str(own)
