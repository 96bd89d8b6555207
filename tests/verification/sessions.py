"""Small recorded sessions: what an agent did, in a line each. An error is a line with `bad`."""

from __future__ import annotations

from lsp_tap.session.history import HistoryFold
from tests.session.recorded import PROJECT, Recorded
from tests.timeline.conversation import Conversation, lsp_diagnostic


def uri(name: str) -> str:
    return f"file://{PROJECT}/{name}"


class Session:
    """One session of one turn and one server, which pushes. `is_heard` False: the server is told and says nothing."""

    def __init__(self) -> None:
        self.talk = Conversation("words")
        self.recorded = Recorded(self.talk)
        self.reply = self.recorded.ask("Mend it")
        self._calls = 0
        self._open: set[str] = set()

    @property
    def history(self) -> HistoryFold:
        return self.recorded.history

    def report(self, name: str, text: str) -> None:
        errors = [
            lsp_diagnostic(n, f"{line} is not good", columns=(line.index("bad"), line.index("bad") + 3))
            for n, line in enumerate(text.splitlines())
            if "bad" in line
        ]
        self.talk.push(uri(name), *errors)

    def tell(self, name: str, text: str, *, is_heard: bool = True) -> None:
        if name in self._open:
            self.talk.change(uri(name), text)
        else:
            self._open.add(name)
            self.talk.open(uri(name), text)
        if is_heard:
            self.report(name, text)

    def read(self, name: str, text: str) -> None:
        call = self._next_call()
        self.recorded.start_call(self.reply, call, "read", {"filePath": f"{PROJECT}/{name}"})
        self.tell(name, text)
        self.recorded.end_call(self.reply, call, "read")

    def write(
        self,
        name: str,
        old: str | None,
        new: str,
        *,
        is_told: bool = True,
        is_known: bool = True,
        is_heard: bool = True,
    ) -> str:
        """A call that writes; `old` None: the file is new; not `is_known`: the plugin could not read the old text."""
        call = self._next_call()
        args = {"filePath": f"{PROJECT}/{name}", "content": new}
        self.recorded.start_call(self.reply, call, "write", args, before={name: old} if is_known else None)
        if is_told:
            self.tell(name, new, is_heard=is_heard)
        self.recorded.end_call(self.reply, call, "write", after={name: new})
        return call

    def finish(self) -> Recorded:
        self.recorded.finish(self.reply)
        return self.recorded

    def ask(self) -> None:
        """The next turn, after `finish`."""
        self.reply = self.recorded.ask("And now?")

    def _next_call(self) -> str:
        self._calls += 1
        return f"call{self._calls}"
