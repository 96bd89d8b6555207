"""Verifying a session: all its servers measured again, side by side, and the numbers compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import anyio
from filelock import FileLock

from lsp_tap.journal.reader import Unreadable, read_journal
from lsp_tap.session.build import Builder
from lsp_tap.session.history import SessionHistory
from lsp_tap.session.measuring import is_of
from lsp_tap.session.recording import Recording, read_recording
from lsp_tap.session.scope import find_scope
from lsp_tap.session.verified import Verification, fold_verification
from lsp_tap.session.writer import find_session
from lsp_tap.timeline.fold import ServerTimeline
from lsp_tap.verification.compare import TurnComparison, compare_sessions
from lsp_tap.verification.connection import NotMeasured
from lsp_tap.verification.plan import Plan, plan_replay
from lsp_tap.verification.recorded_client import RecordedClient, fold_client
from lsp_tap.verification.replay import Replayed, replay_plan

SERVERS_AT_ONCE: Final = 2
SETTLE_LIMIT_S: Final = 60.0


@dataclass(slots=True)
class VerifiedServer:
    """One server of the session. `failure` says why it could not be measured; else `replayed` holds how it went."""

    plan: Plan
    client: RecordedClient
    replayed: Replayed | None = None
    failure: str | None = None

    def as_json(self) -> dict[str, Any]:
        replayed = self.replayed
        return {
            "server": self.plan.name,
            "command": list(self.client.command),
            "root": self.plan.root,
            "documents": len(self.plan.openings),
            "changes": len(self.plan.moves),
            "measured": replayed is not None,
            "failure": self.failure,
            "unrepeatable": self.plan.unrepeatable,
            "silent": list(replayed.silent) if replayed else [],
            "durationS": round(replayed.duration_s, 3) if replayed else None,
            "journal": str(replayed.journal) if replayed else None,
        }


@dataclass(slots=True)
class Verified:
    """`is_measured`: every server of the session went through its replay. Differences are no failures."""

    session_id: str
    servers: list[VerifiedServer]
    turns: list[TurnComparison] = field(default_factory=list)

    @property
    def is_measured(self) -> bool:
        return bool(self.servers) and all(server.replayed is not None for server in self.servers)

    def as_json(self) -> dict[str, Any]:
        return {
            "session": self.session_id,
            "measured": self.is_measured,
            "servers": [server.as_json() for server in self.servers],
            "turns": [turn.as_json() for turn in self.turns],
        }


def plan_verification(folder: Path, wanted: str) -> Verified:
    """What `run_verification` will do. `wanted` as `find_session` takes it; raises SessionNotRecorded."""
    recording = read_recording(folder, find_scope(folder / "tap", [wanted]))
    sessions = recording.history.sessions
    by_time = sorted(sessions, key=lambda session_id: (sessions[session_id].last_us, session_id))
    session_id = find_session(wanted, by_time, folder)
    return Verified(session_id, _list_servers(recording, sessions[session_id]))


def _list_servers(recording: Recording, session: SessionHistory) -> list[VerifiedServer]:
    together: dict[tuple[str, str], list[ServerTimeline]] = {}
    for timeline in recording.timelines:
        if is_of(timeline, session):
            together.setdefault((timeline.name, timeline.cwd), []).append(timeline)
    servers = []
    for timelines in together.values():
        plan = plan_replay(session, recording.history, timelines)
        journals = [path for timeline in timelines for path in recording.find_journals(timeline)]
        heard = (entry for path in journals for entry in read_journal(path))
        client = fold_client(entry for entry in heard if not isinstance(entry, Unreadable))
        if plan.openings or plan.moves:
            servers.append(VerifiedServer(plan, client))
    return servers


def run_verification(
    folder: Path,
    verified: Verified,
    *,
    limit_s: float = SETTLE_LIMIT_S,
    on_step: Callable[[VerifiedServer], None] = lambda server: None,
) -> None:
    """Replay all servers and compare; completes `verified`. `on_step` is called after each settled step of a server."""
    with FileLock(folder / "tap" / ".verify.lock", mode=0o600):
        anyio.run(_replay_all, folder, verified.servers, limit_s, on_step)
    recording = read_recording(folder, find_scope(folder / "tap", [verified.session_id]))
    history, timelines = recording.history, recording.timelines
    measured = [_read_verification(s.replayed.journal) for s in verified.servers if s.replayed]
    recorded = Builder(history, timelines).build_session(verified.session_id)
    again = Builder(history, timelines, [v for v in measured if v]).build_session(verified.session_id)
    verified.turns = compare_sessions(recorded, again)


def _read_verification(journal: Path) -> Verification | None:
    return fold_verification(entry for entry in read_journal(journal) if not isinstance(entry, Unreadable))


async def _replay_all(
    folder: Path, servers: list[VerifiedServer], limit_s: float, on_step: Callable[[VerifiedServer], None]
) -> None:
    limiter = anyio.CapacityLimiter(SERVERS_AT_ONCE)

    async def replay(server: VerifiedServer) -> None:
        async with limiter:
            try:
                if server.client.initialize is None:
                    raise NotMeasured("the recording has no initialize of it")
                server.replayed = await replay_plan(
                    server.plan, server.client, folder, limit_s=limit_s, on_step=lambda: on_step(server)
                )
            except NotMeasured as failure:
                server.failure = failure.reason

    async with anyio.create_task_group() as tasks:
        for server in servers:
            tasks.start_soon(replay, server)
