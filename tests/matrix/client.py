"""A coding agent's client without the agent: what OpenCode and the plugin do when a model calls tools, in 0.2 s.

Language servers run behind `lsp-tap run` as real processes, touched and asked as OpenCode does it; the client's journal
is written beside theirs. So `.opencode-logs` is complete, and whatever reads a real session reads this one.

    with Client(root, [server]) as client:
        client.ask("Mend it")
        client.read("cart.py")
        client.edit("cart.py", "prizes", "prices")
        client.finish()
        session = client.build()
"""

from __future__ import annotations

import itertools
import os
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lsp_tap.journal import records
from lsp_tap.journal.reader import read_journal
from lsp_tap.session.build import Builder
from lsp_tap.session.models import SessionFile
from lsp_tap.session.recording import Recording, read_recording
from tests.e2e.opencode import wait_until
from tests.matrix.connection import Connection
from tests.matrix.journal import ClientJournal, now_ms

SESSION = "ses_1"


@dataclass(frozen=True)
class ServerCommand:
    """A language server as opencode.json configures it. `suffixes` are the files it is for."""

    id: str
    command: tuple[str, ...]
    suffixes: tuple[str, ...]
    initialization: Mapping[str, Any] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()


class ToolFailedError(Exception):
    """What OpenCode tells the model when a tool fails."""


class Client:
    """One client process in `root`. `pid` is what it says its own is; two clients of one recording need two."""

    def __init__(self, root: Path, servers: Sequence[ServerCommand], *, pid: int | None = None) -> None:
        self.root, self.servers = root, servers
        self.pid = pid or os.getpid()
        self.logs = root / ".opencode-logs"
        self.journal = ClientJournal(root, self.pid)
        self.connections: dict[str, Connection] = {}
        self._starting = threading.Lock()
        self._writing = threading.Lock()  # OpenCode's edits of one file take turns
        self._asked: dict[str, tuple[str, int]] = {}  # by session: the user message, and when
        self._numbers = itertools.count(1)
        self._recording = Recording(self.logs)
        # biome's processes share a daemon, which ends with any of them that is the last: so not with other clients'.
        # Not in `root`: there the name of its socket would be too long.
        self._cache = tempfile.TemporaryDirectory(prefix="tap-", ignore_cleanup_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close_servers(self) -> None:
        for connection in self.connections.values():
            connection.stop()
        self.connections.clear()

    def close(self) -> None:
        self.close_servers()
        self.journal.close()
        self._cache.cleanup()

    # What the person does

    def write_file(self, name: str, text: str) -> Path:
        """A person writes a file, line ends as they are."""
        path = self._find(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    def ask(self, task: str, *, session: str = SESSION, parent: str | None = None) -> None:
        now = now_ms()
        if session not in self._asked:
            self.journal.write(
                "session_updated", session_id=session, parent_id=parent, title=task, directory=str(self.root),
                client_version="1.18.33", created_ms=now, updated_ms=now,
            )  # fmt: skip
        message = self._new_id("msg")
        self._asked[session] = message, now
        self.journal.write(
            "message_updated", session_id=session, message_id=message, role="user", agent="build", created_ms=now
        )
        self.journal.write(
            "text_updated", session_id=session, message_id=message, part_id=self._new_id("prt"), text_kind="text",
            text=task,
        )  # fmt: skip

    def finish(self, text: str = "Done.", *, session: str = SESSION) -> None:
        """The model says its last word."""
        with self._step(session, finish="stop") as message:
            self.journal.write(
                "text_updated", session_id=session, message_id=message, part_id=self._new_id("prt"), text_kind="text",
                text=text,
            )  # fmt: skip
        self.journal.write("session_idle", session_id=session)

    # What the model calls

    def read(self, name: str, *, session: str = SESSION) -> None:
        path = self._find(name)

        def run() -> None:
            for connection in self._servers_for(path):
                connection.touch(path)

        with self._step(session) as message:
            self._call(message, session, "read", {"filePath": str(path)}, [], run)

    def edit(self, name: str, old: str, new: str, *, session: str = SESSION, wait: bool = True) -> None:
        """Replaces the first `old`; fails as the tool does where there is none. `wait`: for the servers' word."""
        self.parallel((name, old, new), session=session, wait=wait)

    def parallel(self, *edits: tuple[str, str, str], session: str = SESSION, wait: bool = True) -> None:
        """Several edits in one reply of the model, run at the same time."""
        with self._step(session) as message:
            threads = [
                threading.Thread(target=self._edit, args=(message, session, self._find(name), old, new, wait))
                for name, old, new in edits
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def write(self, name: str, text: str, *, session: str = SESSION) -> None:
        path = self._find(name)

        def run() -> None:
            self.write_file(name, text)
            self._touch(path, wait=True)

        with self._step(session) as message:
            self._call(message, session, "write", {"filePath": str(path), "content": text}, [path], run)

    def bash(self, command: str, *, session: str = SESSION) -> None:
        """Runs in the project; no server is told of what it changes."""

        def run() -> None:
            subprocess.run(shlex.split(command), cwd=self.root, check=True, capture_output=True)

        args = {"command": command, "description": "run"}
        with self._step(session) as message:
            self._call(message, session, "bash", args, [], run, exit_code=0)

    def move(self, name: str, target: str, old: str, new: str, *, session: str = SESSION) -> None:
        """Moves a file and replaces a text in it: `apply_patch` with a move."""
        path, moved = self._find(name), self._find(target)

        def run() -> None:
            self.write_file(target, path.read_bytes().decode().replace(old, new, 1))
            path.unlink()
            self._touch(moved, wait=True)

        args = {"patchText": f"*** Update File: {name}\n*** Move to: {target}\n-{old}\n+{new}"}
        metadata = {"files": [{"filePath": str(path), "movePath": str(moved), "type": "move"}]}
        with self._step(session) as message:
            self._call(message, session, "apply_patch", args, [path, moved], run, metadata=metadata)

    def task(self, description: str, work: Callable[[str], None], *, session: str = SESSION) -> str:
        """A sub-agent is asked and works in a session of its own, whose id `work` gets."""
        child = f"{session}_sub"

        def run() -> None:
            self.ask(description, session=child, parent=session)
            work(child)
            self.finish(session=child)

        args = {"description": description, "prompt": description, "subagent_type": "general"}
        with self._step(session) as message:
            self._call(message, session, "task", args, [], run, metadata={"sessionId": child})
        return child

    # What becomes of the servers

    def stop_server(self, id: str) -> None:
        """The client ends a server; the next touch starts it again. (OpenCode does so only when it ends itself.)"""
        self.connections.pop(id).stop()

    def kill_server(self, id: str) -> None:
        """The server crashes."""
        self._recording.read()
        (pid,) = (
            record.pid
            for path in (self.logs / "tap").glob(f"server-{id}-*.jsonl")
            for record in read_journal(path)
            if isinstance(record, records.ServerStarted)
        )
        os.kill(pid, signal.SIGKILL)
        self.connections[id].wait_ended()

    # What is watched

    def settle(self, *, quiet_s: float = 0.4, limit_s: float = 30.0, silent: Sequence[str] = ()) -> None:
        """Wait until every server but the `silent` has reported on the text it has of every document, and is quiet."""
        quiet_since = time.monotonic()

        def is_settled() -> bool:
            nonlocal quiet_since
            if self._recording.read():
                quiet_since = time.monotonic()
            lines = [t for t in self._recording.timelines if t.name not in silent]
            texts = {(t.name, c.uri): c.text for t in lines for c in t.changes}
            said = {(t.name, r.uri): r.change.text for t in lines for r in t.reports if r.change}
            owed = any(t.pulls_unanswered for t in lines)
            reported = all(said.get(key) == text for key, text in texts.items())
            return reported and not owed and time.monotonic() - quiet_since >= quiet_s

        wait_until(is_settled, timeout_s=limit_s, what="report on every document")

    def wait_quiet(self, quiet_s: float) -> None:
        """Wait until nothing has been journalled for so long."""
        quiet_since = time.monotonic()

        def is_quiet() -> bool:
            nonlocal quiet_since
            if self._recording.read():
                quiet_since = time.monotonic()
            return time.monotonic() - quiet_since >= quiet_s

        wait_until(is_quiet, timeout_s=quiet_s + 30, what="quiet")

    def build(self, session: str = SESSION) -> SessionFile:
        return build_session(self.logs, session)

    # How

    def _find(self, name: str) -> Path:
        return Path(os.path.normpath(self.root / name))

    def _servers_for(self, path: Path) -> list[Connection]:
        """The servers for such a file, started where they are not yet. One that ended stays ended."""
        wanted = [server for server in self.servers if path.suffix in server.suffixes]
        with self._starting:
            for server in wanted:
                if server.id not in self.connections:
                    self.connections[server.id] = Connection(
                        server.id,
                        server.command,
                        self.root,
                        initialization=dict(server.initialization) if server.initialization else None,
                        environment={"XDG_CACHE_HOME": self._cache.name, **server.environment},
                        options=server.options,
                        client_pid=self.pid,
                    )
        return [self.connections[server.id] for server in wanted]

    def _touch(self, path: Path, *, wait: bool) -> None:
        told = [(connection, *connection.touch(path)) for connection in self._servers_for(path)]
        if not wait:
            return
        waiting = [threading.Thread(target=c.wait_document, args=(path, version, at)) for c, version, at in told]
        for thread in waiting:
            thread.start()
        for thread in waiting:
            thread.join()

    def _edit(self, message: str, session: str, path: Path, old: str, new: str, wait: bool) -> None:
        def run() -> None:
            with self._writing:
                text = path.read_bytes().decode()
                if old not in text:
                    raise ToolFailedError("Could not find oldString in the file.")
                path.write_bytes(text.replace(old, new, 1).encode())
            self._touch(path, wait=wait)

        args = {"filePath": str(path), "oldString": old, "newString": new}
        self._call(message, session, "edit", args, [path], run)

    def _call(
        self,
        message: str,
        session: str,
        tool: str,
        args: Mapping[str, Any],
        files: Sequence[Path],
        run: Callable[[], None],
        *,
        metadata: Any = None,
        exit_code: int | None = None,
    ) -> None:
        call, part = self._new_id("call"), self._new_id("prt")
        ids = {"session_id": session, "call_id": call, "tool": tool}
        update = {**ids, "message_id": message, "part_id": part}
        self.journal.write("tool_updated", **update, status="pending")
        states = [self.journal.read_state(path) for path in files]
        self.journal.write("tool_starting", **ids, args=args, files=states)
        start_ms = now_ms()
        self.journal.write("tool_updated", **update, status="running", start_ms=start_ms)
        try:
            run()
        except ToolFailedError as failure:
            self.journal.write(
                "tool_updated", **update, status="error", args=args, error=str(failure), start_ms=start_ms,
                end_ms=now_ms(),
            )  # fmt: skip
            return
        self.journal.write("tool_finished", **ids, files=[self.journal.read_state(path) for path in files])
        self.journal.write(
            "tool_updated", **update, status="completed", args=args, output="", metadata=metadata, start_ms=start_ms,
            end_ms=now_ms(), exit_code=exit_code,
        )  # fmt: skip

    @contextmanager
    def _step(self, session: str, finish: str = "tool-calls") -> Iterator[str]:
        """One reply of the model: its message, and which files changed while its calls ran."""
        message, created = self._new_id("msg"), now_ms()
        ids = {"session_id": session, "message_id": message}
        about = {"role": "assistant", "parent_id": self._asked[session][0], "agent": "build", "model": "scripted/m"}
        self.journal.write("message_updated", **ids, **about, created_ms=created)
        before = self._read_texts()
        yield message
        after = self._read_texts()
        changed = sorted(str(path) for path in before.keys() | after.keys() if before.get(path) != after.get(path))
        if changed:
            self.journal.write("step_updated", **ids, part_id=self._new_id("prt"), step="patch", files=changed)
        self.journal.write("message_updated", **ids, **about, created_ms=created, completed_ms=now_ms(), finish=finish)

    def _read_texts(self) -> dict[Path, bytes]:
        """The project's files as OpenCode's snapshots see them."""
        found = (path for path in self.root.rglob("*") if ".opencode-logs" not in path.parts and path.is_file())
        return {path: path.read_bytes() for path in found}

    def _new_id(self, kind: str) -> str:
        return f"{kind}_{self.pid % 1000:03}{next(self._numbers):03}"


def build_session(logs: Path, session: str = SESSION) -> SessionFile:
    """The session as it is recorded now."""
    recording = read_recording(logs)
    assert recording.problems == []
    return Builder(recording.history, recording.timelines).build_session(session)
