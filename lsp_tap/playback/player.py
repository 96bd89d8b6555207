"""The client's side of a recording, played against a server: what to send when, and what to wait for before."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import unquote

import anyio
from anyio.abc import TaskGroup

from lsp_tap.playback.answers import AnswerBook
from lsp_tap.playback.causality import Causality
from lsp_tap.playback.conversation import Conversation, Step
from lsp_tap.playback.handed import Handed
from lsp_tap.playback.probing import ProbeWatch
from lsp_tap.playback.process import ServerProcess, start_server
from lsp_tap.playback.roots import RootMap
from lsp_tap.wire.messages import Message, Notification, Request, Response, key_of_id

Speed = Literal["fast", "real"]

PATIENCE_S: Final = 20.0
"""For what may stay away, on top of three times what it took when it was recorded. Halved each time it was in vain: a
server that changed its ways must not cost hours."""

LEAST_PATIENCE_S: Final = 0.5
QUIET_S: Final = 1.0
"""How long nothing may come before a document that is nearly as recorded is taken as settled."""

EXIT_S: Final = 5.0
"""For a server that was told to exit. The tap ends it then."""

POLL_S: Final = 0.05  # of the tap's journal
RETRY_S: Final = 0.1
MOST_TRIES: Final = 8
_NOT_NOW: Final = frozenset({-32801, -32802})  # ContentModified, ServerCancelled
_TEXTS: Final = frozenset({"textDocument/didOpen", "textDocument/didChange"})


class _Stopped(Exception):
    """The server says nothing: `reason`. None: it ended."""

    def __init__(self, reason: str | None) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Played:
    """`failure`: why not all of the client's messages were sent and answered. `notes`: what was not as recorded in the
    playing itself. `stderr`: the end of what the server wrote there."""

    speed: Speed
    sent: int = 0
    failure: str | None = None
    notes: list[str] = field(default_factory=list)
    stderr: str = ""
    exit_code: int | None = None


@dataclass(slots=True)
class Stage:
    """Where a replay takes place: `cwd` of the server, `folder` for the tap's journal. `roots` maps the recorded
    project's folder to the present one. `probe`: the tap asks for diagnostics itself, as the recorded one did."""

    command: Sequence[str]
    name: str
    cwd: str
    folder: Path
    roots: RootMap
    probe: bool
    speed: Speed = "fast"
    timeout_s: float = 60.0


async def play(conversation: Conversation, stage: Stage, on_step: Callable[[int, int], None]) -> Played:
    """Play all of it. Returns in any case, with the server ended. `on_step`: messages sent, and how many there are."""
    player = _Player(conversation, stage, on_step)
    played = player.played
    stopped: _Stopped | None = None
    async with anyio.create_task_group() as tasks:
        async with start_server(
            stage.command,
            name=stage.name,
            cwd=stage.cwd,
            folder=stage.folder,
            probe=stage.probe,
            hear=lambda message: player.hear(message, tasks),
        ) as server:
            player.server = server
            try:
                await player.play()
            except _Stopped as error:
                stopped = error
        tasks.cancel_scope.cancel()
    played.stderr, played.exit_code = server.stderr, server.exit_code
    if stopped is not None:
        ended = f"the server ended with exit code {server.exit_code} {player.describe_place()}"
        played.failure = stopped.reason or ended
    played.notes += [told if n == 1 else f"{told} ({n} times)" for told, n in player.answers.notes.items()]
    return played


class _Player:
    """`server` is there before anything is heard or said."""

    server: ServerProcess

    def __init__(self, conversation: Conversation, stage: Stage, on_step: Callable[[int, int], None]) -> None:
        self._steps, self._stage, self._on_step = conversation.steps, stage, on_step
        self._said = [step for step in self._steps if _is_said(step)]
        self._causality = Causality(stage.roots)
        self._handed = Handed()
        self._watch = ProbeWatch(stage.folder) if stage.probe else None
        self._changes: dict[str, int] = {}
        self._asked: dict[int, Step] = {}  # by our ids
        self._id_of: dict[tuple[str, object], int] = {}  # our id for a recorded one, the latest
        self._tries: dict[int, int] = {}
        self._next_id = 0
        self._exit_sent = False
        self._patience_s = PATIENCE_S
        self._recorded_wait_s = 0.0  # for the last that came before the next message
        self.answers = AnswerBook(conversation, stage.roots)
        self.played = Played(stage.speed)

    # What the server says

    def hear(self, message: Message, tasks: TaskGroup) -> None:
        """A message of the server's."""
        match message:
            case Response():
                self._hear_answer(message, tasks)
            case Request():
                answer = self.answers.answer(message)
                outcome = {"result": answer.result} if answer.error is None else {"error": answer.error}
                self.server.send(id=answer.id, **outcome)
                self._causality.hear(message)
            case Notification():
                self._causality.hear(message)

    def _hear_answer(self, message: Response, tasks: TaskGroup) -> None:
        step = self._asked.pop(message.id, None) if isinstance(message.id, int) else None
        if step is None:
            return
        recorded = step.answer.message if step.answer is not None else None
        if isinstance(recorded, Response):
            tries = self._tries.get(step.index, 0)
            is_pull = step.method == "textDocument/diagnostic"
            if is_pull and _is_not_now(message.error) and recorded.error is None and tries < MOST_TRIES:
                self._tries[step.index] = tries + 1
                tasks.start_soon(self._ask_again, step, RETRY_S * 2**tries)
                return
            self._handed.learn(self._stage.roots.map(recorded.result), message.result)
        self._causality.hear_answer(step.index)

    async def _ask_again(self, step: Step, delay_s: float) -> None:
        """As every client does that wants to know."""
        await anyio.sleep(delay_s)
        self._send(step)

    # What the client says

    async def play(self) -> None:
        """Send everything, and wait for what is to come. Raises _Stopped."""
        previous: Step | None = None
        previous_s = anyio.current_time()
        for step in self._steps:
            if not step.is_client:
                self._causality.pass_recorded(step)
                if previous is not None:
                    self._recorded_wait_s = (step.time_us - previous.time_us) / 1e6
            elif _is_said(step):
                if self._stage.speed == "real" and previous is not None:
                    await anyio.sleep_until(previous_s + (step.time_us - previous.time_us) / 1e6)
                await self._wait_heard()
                self._recorded_wait_s = 0.0
                self._send(step)
                previous, previous_s = step, anyio.current_time()
                self.played.sent += 1
                self._on_step(self.played.sent, len(self._said))
        await self._wait_heard()
        await self._wait(lambda: self.server.has_taken_all, "take what is sent")
        if self._exit_sent:
            with anyio.move_on_after(EXIT_S):
                while not self.server.has_ended:
                    await self.server.changed.wait()

    def _send(self, step: Step) -> None:
        params = self._handed.map(self._stage.roots.map(step.params))
        match step.method, params:
            case "initialize", {"processId": int()}:
                params["processId"] = os.getpid()  # a server ends when that process is gone
            case "$/cancelRequest", {"id": id}:
                params["id"] = self._id_of.get(key_of_id(id))
            case method, {"textDocument": {"uri": str(uri)}} if method in _TEXTS:
                self._changes[unquote(uri)] = self._changes.get(unquote(uri), 0) + 1
            case "exit", _:
                self._exit_sent = True
        fields = {"method": step.method} if params is None else {"method": step.method, "params": params}
        if isinstance(step.message, Request):
            self._next_id += 1
            self._asked[self._next_id] = step
            self._id_of[key_of_id(step.message.id)] = self._next_id
            fields = {"id": self._next_id, **fields}
        self._causality.send(step.method, params)
        self.server.send(**fields)

    # Waiting

    async def _wait_heard(self) -> None:
        """Until what the client had heard is heard. Raises _Stopped."""
        causality = self._causality
        if causality.answers:
            method = next(iter(causality.answers.values())).method
            await self._wait(lambda: not causality.answers, f"answer {method}")
        if causality.find_readiness() != "ready":
            await self._wait_patiently()
        if self._watch is not None and causality.list_probed() and not self._exit_sent:
            await self._wait_probes(self._watch)
        if self.server.has_ended and not self._exit_sent:
            raise _Stopped(None)

    async def _wait(self, is_done: Callable[[], bool], what: str) -> None:
        limit_s = self._stage.timeout_s
        with anyio.move_on_after(limit_s) as scope:
            while not is_done() and not self.server.has_ended:
                await self.server.changed.wait()
        if scope.cancelled_caught:
            raise _Stopped(f"the server did not {what} within {limit_s:g} s {self.describe_place()}")
        if not is_done() and not self._exit_sent:
            raise _Stopped(None)

    async def _wait_patiently(self) -> None:
        readiness, limit_s = self._causality.find_readiness(), self._find_limit_s()
        until_s = anyio.current_time() + limit_s
        while readiness != "ready" and not self.server.has_ended:
            left_s = until_s - anyio.current_time()
            changed = self.server.changed
            with anyio.move_on_after(max(min(left_s, QUIET_S) if readiness == "nearly" else left_s, 0)) as scope:
                await changed.wait()
            if scope.cancelled_caught:
                break
            readiness = self._causality.find_readiness()
        if readiness != "ready" and not self.server.has_ended:
            self._lose_patience(self._causality.forgive(), limit_s)

    async def _wait_probes(self, watch: ProbeWatch) -> None:
        wanted = self._causality.list_probed()
        limit_s = self._find_limit_s()
        with anyio.move_on_after(limit_s):
            counted, since_s = -1, anyio.current_time()
            while not self.server.has_ended:
                watch.read_new()
                found = {uri: watch.count_answers(uri, self._changes.get(uri, 0)) for uri in wanted}
                if all(found[uri] >= count for uri, count in wanted.items()):
                    return
                if counted != (counted := sum(found.values())):
                    since_s = anyio.current_time()
                # How often a tap asks again depends on the server's refreshes; one answer on each text is enough.
                if all(found.values()) and anyio.current_time() > since_s + QUIET_S:
                    self._causality.forgive_probes()
                    return
                await anyio.sleep(POLL_S)
        if not self.server.has_ended:
            self._causality.forgive_probes()
            self._lose_patience([f"the tap got no answer on {', '.join(wanted)}"], limit_s)

    def _find_limit_s(self) -> float:
        return min(self._patience_s + 3 * self._recorded_wait_s, self._stage.timeout_s)

    def _lose_patience(self, told: list[str], waited_s: float) -> None:
        self.played.notes += [f"{one} (waited {waited_s:g} s)" for one in told]
        if told:
            self._patience_s = max(LEAST_PATIENCE_S, self._patience_s / 2)

    def describe_place(self) -> str:
        """How far the replay is."""
        sent = self.played.sent
        last = f", {self._said[sent - 1].method}" if sent else ""
        return f"after message {sent} of {len(self._said)}{last}"


def _is_said(step: Step) -> bool:
    """Whether the client says it by itself, and the tap did not."""
    return step.is_client and not step.probe and not isinstance(step.message, Response)


def _is_not_now(error: Any) -> bool:
    match error:
        case {"code": -32802, "data": {"retriggerRequest": False}}:
            return False
        case {"code": code}:
            return code in _NOT_NOW
    return False
