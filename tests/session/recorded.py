"""Writes the client's half of a recording, in step with the server's half, for tests of the pure parts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from lsp_tap.journal import records
from lsp_tap.session.build import Builder
from lsp_tap.session.history import HistoryFold
from lsp_tap.session.models import SessionFile, TrainingFile
from tests.timeline.conversation import Conversation

SESSION = "ses_1"
PROJECT = "/p"


class Recorded:
    """One client process with its sessions. All clocks are that of the first server's conversation."""

    def __init__(self, *servers: Conversation, directory: str = PROJECT) -> None:
        self.servers = servers or (Conversation(),)
        self.directory = directory
        self.history = HistoryFold()
        self.records: list[records.Record] = []
        self._seq = 0
        self.client = records.ClientStarted(
            seq=0,
            time_us=self.now,
            monotonic_us=0,
            kind="client_started",
            format=1,
            recorder="t",
            pid=1,
            directory=directory,
        )
        self._turn = 0
        self.session()

    @property
    def now(self) -> int:
        return self.servers[0].time_us

    def wait(self, ms: int) -> None:
        for server in self.servers:
            server.wait(ms)

    def add(self, model: type[Any], kind: str, /, **fields: Any) -> None:
        self.wait(1)
        self._seq += 1
        fields.setdefault("session_id", SESSION)
        record = model(seq=self._seq, time_us=self.now, monotonic_us=0, kind=kind, **fields)
        self.records.append(record)
        self.history.step(record, self.client)

    def session(self, session_id: str = SESSION, parent: str | None = None) -> None:
        self.add(
            records.SessionUpdated, "session_updated", session_id=session_id, parent_id=parent, title="t",
            directory=self.directory, created_ms=self.now / 1000,
        )  # fmt: skip

    def ask(self, task: str, session: str = SESSION) -> str:
        """The user asks, and the assistant's message begins; returns that message's id."""
        self._turn += 1
        user, reply = f"{session}-u{self._turn}", f"{session}-a{self._turn}"
        self.message(user, "user", session=session)
        self.add(
            records.TextUpdated,
            "text_updated",
            session_id=session,
            message_id=user,
            part_id=f"{user}-t",
            text_kind="text",
            text=task,
        )
        self.message(reply, "assistant", session=session, parent=user)
        return reply

    def message(
        self, message_id: str, role: str, *, session: str = SESSION, parent: str | None = None, **fields: Any
    ) -> None:
        fields.setdefault("created_ms", self.now / 1000)
        self.add(
            records.MessageUpdated,
            "message_updated",
            session_id=session,
            message_id=message_id,
            role=role,
            parent_id=parent,
            **fields,
        )

    def finish(
        self, reply: str, *, finish: str | None = "stop", session: str = SESSION, text: str = "Done.", **fields: Any
    ) -> None:
        parent = reply.replace("-a", "-u")
        self.add(
            records.TextUpdated,
            "text_updated",
            session_id=session,
            message_id=reply,
            part_id=f"{reply}-t",
            text_kind="text",
            text=text,
        )
        created = self.history.sessions[session].messages[reply].created_us / 1000
        self.message(
            reply, "assistant", session=session, parent=parent, created_ms=created, completed_ms=self.now / 1000,
            finish=finish, **fields,
        )  # fmt: skip
        self.add(records.SessionIdle, "session_idle", session_id=session)

    def store(self, path: str, text: str | None) -> records.FileState:
        if text is None:
            return records.FileState(path=path, existed=False)
        sha = hashlib.sha256(text.encode()).hexdigest()
        self.add(records.TextStored, "text_stored", sha256=sha, text=text)
        return records.FileState(path=path, existed=True, sha256=sha, bytes=len(text.encode()))

    def start_call(
        self,
        reply: str,
        call: str,
        tool: str,
        args: Any = None,
        *,
        session: str = SESSION,
        before: Mapping[str, str | None] | None = None,
    ) -> None:
        """A tool is about to run; `before` are the files it is about to change, by their names in the project."""
        files = tuple(self.store(f"{self.directory}/{name}", text) for name, text in (before or {}).items())
        self._tool(reply, call, tool, "pending", session=session, args=args)
        self.add(
            records.ToolStarting, "tool_starting", session_id=session, call_id=call, tool=tool, args=args, files=files
        )

    def end_call(
        self,
        reply: str,
        call: str,
        tool: str,
        *,
        session: str = SESSION,
        metadata: Any = None,
        exit_code: int | None = None,
        after: Mapping[str, str | None] | None = None,
    ) -> None:
        files = tuple(self.store(f"{self.directory}/{name}", text) for name, text in (after or {}).items())
        self.add(records.ToolFinished, "tool_finished", session_id=session, call_id=call, tool=tool, files=files)
        self._tool(
            reply,
            call,
            tool,
            "completed",
            session=session,
            output="ok",
            metadata=metadata,
            exit_code=exit_code,
            end_ms=self.now / 1000,
        )

    def fail_call(
        self, reply: str, call: str, tool: str, error: str = "oldString not found", *, session: str = SESSION
    ) -> None:
        self._tool(reply, call, tool, "error", session=session, error=error, end_ms=self.now / 1000)

    def _tool(self, reply: str, call: str, tool: str, status: str, *, session: str, **fields: Any) -> None:
        self.add(
            records.ToolUpdated,
            "tool_updated",
            session_id=session,
            message_id=reply,
            part_id=f"{call}-p",
            call_id=call,
            tool=tool,
            status=status,
            **fields,
        )

    def build(self, session: str = SESSION) -> tuple[SessionFile, TrainingFile | None]:
        builder = Builder(self.history, [server.timeline() for server in self.servers])
        built = builder.build_session(session)
        return built, builder.build_training(built)
