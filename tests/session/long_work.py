"""Long work at random: many turns, two servers, a sub-agent, commands, other people, and answers that come late."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from lsp_tap.journal import records
from lsp_tap.session.verified import Verification
from lsp_tap.timeline.fold import fold_server
from tests.session.recorded import PROJECT, SESSION, Recorded
from tests.timeline.conversation import Conversation, lsp_diagnostic

OTHER, CHILD = "ses_2", "ses_3"
LINES = ("ok", "bad", "bad one", "warn", "x = 1", "# noqa", "pass", "")
LATE_MS = (1, 130, 7_000, 60_000)


class LongWork:
    """`recorded` is what came of `turns`; `verify` measures one of its servers again, up to then."""

    def __init__(self, chance: random.Random, turns: int) -> None:
        self.chance = chance
        self.recorded = Recorded(Conversation("one"), Conversation("two"))
        self.recorded.session(OTHER)
        self._texts = {f"{name}.py": self._invent() for name in "abcd"}
        self._open: set[tuple[Conversation, str]] = set()
        self._owed: list[Callable[[], None]] = []
        self._calls = 0
        for _ in range(turns):
            self._take_turn(chance.choice((SESSION, SESSION, OTHER)))

    def _take_turn(self, session: str) -> None:
        chance, recorded = self.chance, self.recorded
        asked = chance.choice(("Mend the errors", "Fix `bad one` in a.py", "Add a line", "why is `bad` wrong?"))
        self._reply, self._session = recorded.ask(asked, session), session
        user = self._reply.replace("-a", "-u")
        self._say(records.ParametersChosen, "parameters_chosen", agent="build", temperature=chance.random())
        self._say(records.ProjectObserved, "project_observed", message_id=user, format=1, directory=PROJECT)
        doings = (self._edit, self._edit, self._edit, self._read, self._run, self._delete, self._move, self._delegate,
                  self._loosen, self._fail, self._restart, self._meddle, self._step_clock, self._wander)  # fmt: skip
        for _ in range(chance.randrange(7)):
            chance.choice(doings)()
            self._pay(0.3)
            recorded.wait(chance.choice((1, 20, 400)))
        if chance.random() < 0.2:
            error = records.ErrorNamed(name="Overloaded", message="try later")
            self._say(records.SessionErrored, "session_error", error=error)
        if chance.random() < 0.9:
            recorded.finish(self._reply, session=session)
        recorded.wait(chance.choice(LATE_MS))
        if chance.random() < 0.5:
            change = records.FileChange(file="a.py", additions=chance.randrange(4), deletions=1)
            self._say(records.FilesChanged, "files_changed", message_id=user, files=(change,))
        self._pay(0.5)

    def _say(self, model: type[Any], kind: str, **fields: Any) -> None:
        self.recorded.add(model, kind, session_id=self._session, **fields)

    def _invent(self) -> str:
        return "".join(f"{self.chance.choice(LINES)}\n" for _ in range(self.chance.randrange(1, 7)))

    def _alter(self, name: str) -> str:
        lines = self._texts[name].splitlines()
        at = self.chance.randrange(len(lines) + 1)
        lines[at : at + self.chance.randrange(2)] = [self.chance.choice(LINES)] * self.chance.randrange(3)
        return "".join(f"{line}\n" for line in lines)

    def _owe(self, debt: Callable[[], None]) -> None:
        if self.chance.random() < 0.7:
            debt()
        else:
            self._owed.append(debt)

    def _pay(self, share: float) -> None:
        due = [debt for debt in self._owed if self.chance.random() < share]
        self._owed = [debt for debt in self._owed if debt not in due]
        for debt in due:
            debt()

    def _tell(self, name: str, text: str) -> None:
        """Some servers learn of a text, and say what they think of it, now or later."""
        uri = f"file://{PROJECT}/{name}"
        found = [lsp_diagnostic(n, f"error {line}", severity=1 + (line == "warn"))
                 for n, line in enumerate(text.splitlines()) if line.startswith(("bad", "warn"))]  # fmt: skip
        for talk in self.recorded.servers:
            if self.chance.random() < 0.2:
                continue
            version = (talk.change if (talk, uri) in self._open else talk.open)(uri, text)
            self._open.add((talk, uri))
            asked = talk.ask(uri, probe=self.chance.random() < 0.5) if self.chance.random() < 0.5 else None
            if asked is not None:
                self._owe(lambda talk=talk, asked=asked: talk.answer(asked, *found))  # type: ignore[misc]
            for told in self.chance.choices((version, None), k=self.chance.randrange(3)):
                said = found[self.chance.randrange(2) :]
                self._owe(lambda talk=talk, said=said, told=told: talk.push(uri, *said, version=told))  # type: ignore[misc]

    def _call(
        self, tool: str, before: dict[str, str | None], after: dict[str, str | None], tell: bool = True, **ends: Any
    ) -> None:
        """A call that leaves these texts; its end may be journalled much later."""
        self._calls += 1
        reply, session, call = self._reply, self._session, f"call{self._calls}"
        args = {"filePath": f"{PROJECT}/{next(iter(after))}"} if after else {"command": "make test"}
        self.recorded.start_call(reply, call, tool, args, session=session, before=before)
        for name, text in after.items():
            if text is not None and tell:
                self._tell(name, text)
        self._owe(lambda: self.recorded.end_call(reply, call, tool, session=session, after=after, **ends))

    def _edit(self) -> None:
        name = self.chance.choice([*self._texts])
        old, self._texts[name] = self._texts[name], self._alter(name)
        if self.chance.random() < 0.1:  # somebody else was faster
            old = self._alter(name)
        self._call("edit", {name: old}, {name: self._texts[name]})

    def _read(self) -> None:
        name = self.chance.choice([*self._texts])
        self._call("read", {}, {})
        self._tell(name, self._texts[name])

    def _run(self) -> None:
        name = self.chance.choice([*self._texts])
        self._texts[name] = self._alter(name)
        self._call("bash", {}, {}, exit_code=self.chance.randrange(2))
        part = f"part{self._calls}"
        self._say(
            records.StepUpdated, "step_updated", message_id=self._reply, part_id=part, step="patch", files=(name,)
        )

    def _delete(self) -> None:
        name = self.chance.choice([*self._texts])
        self._call("patch", {name: self._texts[name]}, {name: None})

    def _move(self) -> None:
        old, new = self.chance.choice([*self._texts]), f"n{self._calls}.py"
        self._texts[new] = self._texts[old]
        files = [{"filePath": f"{PROJECT}/{old}", "movePath": f"{PROJECT}/{new}"}]
        before: dict[str, str | None] = {old: self._texts[old], new: None}
        self._call("patch", before, {old: None, new: self._texts[old]}, metadata={"files": files})

    def _loosen(self) -> None:
        self._call("edit", {"pyproject.toml": "[tool.ty]\n"}, {"pyproject.toml": "[tool.ty]\nignore = 1\n"}, tell=False)

    def _fail(self) -> None:
        self._calls += 1
        self.recorded.start_call(self._reply, f"call{self._calls}", "edit", {}, session=self._session)
        self.recorded.fail_call(self._reply, f"call{self._calls}", "edit", session=self._session)

    def _delegate(self) -> None:
        """A sub-agent edits, in a session of its own."""
        reply, session = self._reply, self._session
        self.recorded.session(CHILD, parent=session)
        self._calls += 1
        call, metadata = f"call{self._calls}", {"sessionId": CHILD}
        self.recorded.start_call(reply, call, "task", {}, session=session)
        self._reply, self._session = self.recorded.ask("Mend a part", CHILD), CHILD
        for _ in range(self.chance.randrange(3)):
            self._edit()
        self.recorded.finish(self._reply, session=CHILD)
        self._reply, self._session = reply, session
        self._owe(lambda: self.recorded.end_call(reply, call, "task", session=session, metadata=metadata))

    def _restart(self) -> None:
        talk = self.chance.choice(self.recorded.servers)
        talk.stop(self.chance.choice(("client closed", "server exited")))
        if self.chance.random() < 0.8:
            talk.start()
        self._open = {(other, uri) for other, uri in self._open if other is not talk}

    def _meddle(self) -> None:
        """A person edits, and the servers may hear of it."""
        name = self.chance.choice([*self._texts])
        self._texts[name] = self._alter(name)
        self._tell(name, self._texts[name])

    def _step_clock(self) -> None:
        if self.chance.random() < 0.3:
            self.chance.choice(self.recorded.servers).wait(self.chance.choice((-3_000, 2_000)))

    def _wander(self) -> None:
        """The session goes on in another folder, which may not be the servers'."""
        if self.chance.random() < 0.3:
            directory = self.chance.choice((PROJECT, PROJECT, "/p/src", "/"))
            self._say(records.SessionUpdated, "session_updated", directory=directory, created_ms=1.0)

    def verify(self, until_us: int) -> Verification:
        """The first server's edits so far, as if they had been played again, each with one error in its first line."""
        talk, replayed = Conversation("one"), []
        changes = [c for c in self.recorded.servers[0].timeline().changes if c.altered and c.time_us <= until_us]
        calls = [c for s in self.recorded.history.ordered_sessions() for c in s.calls.values()]
        for version, change in enumerate(changes, 1):
            talk.open(change.uri, change.previous or "")
            talk._versions[change.uri] = version - 1
            talk.change(change.uri, change.text)
            call = calls[version % len(calls)] if calls else None
            replayed.append(
                records.ChangeReplayed(
                    uri=change.uri, version=version, time_us=change.time_us, replayed_us=talk.time_us,
                    session_id=SESSION, call_id=call.call_id if call else None,
                )
            )  # fmt: skip
            talk.push(change.uri, lsp_diagnostic(0, "error"))
        finished = records.VerificationFinished(
            seq=0, time_us=until_us, monotonic_us=0, kind="verification_finished", format=1, recorder="t",
            session_id=SESSION, server="one", root="/p", until_us=until_us, replayed=tuple(replayed),
        )  # fmt: skip
        return Verification(finished, fold_server("one", talk.records))
