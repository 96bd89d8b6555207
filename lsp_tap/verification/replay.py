"""Runs a plan through a fresh server, and files what was said as a verification's journal."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio

from lsp_tap._version import __version__
from lsp_tap.journal.lines import encode_fields, encode_line
from lsp_tap.journal.reader import read_lines
from lsp_tap.journal.records import FORMAT_VERSION, Recorded
from lsp_tap.session.attribution import find_path
from lsp_tap.session.writer import encode_file_name
from lsp_tap.verification.client import ReplayClient, start_client
from lsp_tap.verification.connection import NotMeasured
from lsp_tap.verification.plan import Move, Plan
from lsp_tap.verification.recorded_client import RecordedClient

INITIALIZE_LIMIT_S: Final = 45.0  # what OpenCode gives a server


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay that went through. `silent`: documents that nobody changed, and of which the server said nothing."""

    journal: Path
    silent: tuple[str, ...]
    duration_s: float


async def replay_plan(
    plan: Plan, recorded: RecordedClient, folder: Path, *, limit_s: float, on_step: Callable[[], None]
) -> Replayed:
    """Replay into `folder` (the `.opencode-logs`). `limit_s` is what the server gets to settle after each change.

    Raises NotMeasured; then nothing is filed, and an earlier verification stays.
    """
    if not os.path.isdir(plan.root):
        raise NotMeasured(f"its project folder {plan.root} is gone")
    if any("\0" in word for word in recorded.command):
        raise NotMeasured("no command has a NUL in it, as the recorded one does")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder, prefix=".verifying-", ignore_cleanup_errors=True) as place:
        try:
            async with start_client(recorded, plan.name, Path(place)) as client:
                run = _Run(plan, recorded, client, limit_s)
                await run.run(on_step)
        except OSError as error:
            raise NotMeasured(f"it cannot be started: {error.strerror or error}") from error
        journals = list(Path(place, "tap").glob("*.jsonl"))
        if len(journals) != 1:
            raise NotMeasured("its replay could not be journalled")
        target = folder / "tap" / name_verification(plan)
        _close_journal(journals[0], run.describe())
        os.replace(journals[0], target)
    return Replayed(target, tuple(run.silent), time.monotonic() - started)


def name_verification(plan: Plan) -> str:
    """The file of a verification. There is one for each session and server."""
    name = encode_file_name(plan.name)
    root = hashlib.sha256(plan.root.encode("utf-8", "replace")).hexdigest()[:8]
    return f"verified-{encode_file_name(plan.session_id)}-{name}-{root}.jsonl"


class _Run:
    def __init__(self, plan: Plan, recorded: RecordedClient, client: ReplayClient, limit_s: float) -> None:
        self._plan, self._recorded, self._client, self._limit_s = plan, recorded, client, limit_s
        self._replayed: list[dict[str, Any]] = []
        self.silent: list[str] = []

    async def run(self, on_step: Callable[[], None]) -> None:
        with anyio.move_on_after(max(self._limit_s, INITIALIZE_LIMIT_S)) as scope:
            await self._client.initialize()
        if scope.cancelled_caught:
            raise NotMeasured("it did not answer initialize in time")
        for opening in self._plan.openings.values():
            self._client.open(opening.uri, self._find_language(opening.uri), 0, opening.text)
        silent = await self._client.wait_settled(self._limit_s) if self._plan.openings else []
        altered = {move.uri for move in self._plan.moves} | {move.sight.origin for move in self._plan.moves}
        self.silent = [uri for uri in silent if uri not in altered]
        self._check(uri for uri in silent if uri in altered)
        on_step()
        for number, move in enumerate(self._plan.moves, 1):
            self._send(number, move)
            silent = await self._client.wait_settled(self._limit_s)
            self._check(uri for uri in silent if uri == move.uri)
            on_step()

    def _check(self, silent: Iterable[str]) -> None:
        files = ", ".join(os.path.basename(find_path(uri)) for uri in silent)
        if files:
            raise NotMeasured(f"it did not report on {files} within {self._limit_s:g} s")

    def _find_language(self, uri: str) -> str:
        """As the recorded client called it, or a file of the same kind."""
        known = self._recorded.languages
        suffix = os.path.splitext(uri)[1]
        alike = (language for other, language in known.items() if os.path.splitext(other)[1] == suffix)
        return known.get(uri) or next(alike, "plaintext")

    def _send(self, version: int, move: Move) -> None:
        client, sight = self._client, move.sight
        self._replayed.append(
            {
                "uri": move.uri,
                "version": version,
                "time_us": move.time_us,
                "replayed_us": time.time_ns() // 1000,
                "session_id": move.owner.session_id if move.owner else None,
                "call_id": move.owner.call_id if move.owner else None,
                "sight": "deleted" if move.text is None else sight.kind,
                **({"origin": sight.origin} if sight.origin else {}),
            }
        )
        if move.text is None:
            client.close(move.uri)
        elif client.is_open(move.uri):
            client.change(move.uri, version, move.text)
        else:
            if sight.origin is not None:
                client.close(sight.origin)
            is_new = sight.kind in ("created", "moved")
            client.open(move.uri, self._find_language(move.uri), version, move.text, is_new=is_new)

    def describe(self) -> dict[str, Any]:
        """The fields of `verification_finished`."""
        plan = self._plan
        return {
            "format": FORMAT_VERSION,
            "recorder": f"lsp-tap {__version__}",
            "session_id": plan.session_id,
            "server": plan.name,
            "root": plan.root,
            "until_us": plan.until_us,
            "opened": [{"uri": o.uri, "known_since_us": o.known_since_us} for o in plan.openings.values()],
            "replayed": self._replayed,
            "unrepeatable": plan.unrepeatable,
        }


def _close_journal(journal: Path, fields: dict[str, Any]) -> None:
    last = [line for line in read_lines(journal) if isinstance(line, Recorded)][-1]
    now_us, monotonic_us = time.time_ns() // 1000, max(last.monotonic_us, time.monotonic_ns() // 1000)
    line = encode_line(last.seq + 1, now_us, monotonic_us, "verification_finished", encode_fields(fields))
    with journal.open("ab") as file:
        file.write(line)
