"""Recordings of a toy server, made by a small client through a real tap."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lsp_tap.journal.reader import Journal, read_head
from lsp_tap.playback.conversation import Conversation, read_conversation
from tests.tap.tapped import Tapped, tap

TOY = Path(__file__).parent / "peers" / "toy.py"
FIRST, SECOND = "good\nbad one\nworse\n", "bad\nbad one\nworse\n"


def toy(*manners: str) -> list[str]:
    return [sys.executable, str(TOY), *manners]


def read(path: Path) -> Conversation:
    return read_conversation(find_journal(path))


def find_journal(path: Path) -> Journal:
    journal = read_head(path)
    assert journal is not None
    return journal


class Talk:
    """A client that speaks with one server about `a.x` in `root`. What it hears is in `heard`."""

    def __init__(self, tapped: Tapped, root: Path) -> None:
        self._tapped = tapped
        self._id = 0
        self.uri = (root / "a.x").as_uri()
        self.heard: list[dict[str, Any]] = []
        self.root = root

    def tell(self, method: str, params: Any = None) -> None:
        self._tapped.send_message({"method": method, **({} if params is None else {"params": params})})

    def ask(self, method: str, params: Any = None) -> Any:
        """The answer's message, once it is here."""
        self._id += 1
        fields = {} if params is None else {"params": params}
        self._tapped.send_message({"id": self._id, "method": method, **fields})
        return self.wait(lambda message: message.get("id") == self._id and "method" not in message)

    def wait(self, is_it: Any) -> Any:
        while True:
            message = self._tapped.read_message()
            self.heard.append(message)
            if "id" in message and "method" in message:
                self._tapped.send_message({"id": message["id"], "result": [{"word": "bad"}]})
            if is_it(message):
                return message

    def start(self) -> None:
        params = {"processId": 1, "rootUri": self.root.as_uri(), "capabilities": {}, "clientInfo": {"name": "t"}}
        self.ask("initialize", params)
        self.tell("initialized", {})
        self.wait(lambda message: message.get("method") == "workspace/configuration")

    def open(self, text: str) -> None:
        item = {"uri": self.uri, "languageId": "x", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": item})

    def change(self, version: int, text: str) -> None:
        params = {"textDocument": {"uri": self.uri, "version": version}, "contentChanges": [{"text": text}]}
        self.tell("textDocument/didChange", params)

    def wait_published(self) -> None:
        self.wait(lambda message: message.get("method") == "textDocument/publishDiagnostics")

    def ask_about(self, method: str, line: int = 0) -> Any:
        position = {"line": line, "character": 0}
        return self.ask(method, {"textDocument": {"uri": self.uri}, "position": position})

    def stop(self) -> None:
        self.ask("shutdown")
        self.tell("exit")


def record(folder: Path, root: Path, command: Sequence[str]) -> Path:
    """The usual conversation: open, hover, complete, resolve, change, hover, end. Returns the journal."""
    root.mkdir(exist_ok=True)
    (root / "a.x").write_text(FIRST)
    with tap(command, folder, cwd=root) as tapped:
        talk = Talk(tapped, root)
        talk.start()
        talk.open(FIRST)
        talk.wait_published()
        talk.ask_about("textDocument/hover", 1)
        items = talk.ask_about("textDocument/completion")["result"]["items"]
        talk.ask("completionItem/resolve", items[1])
        talk.change(2, SECOND)
        talk.wait_published()
        talk.ask_about("textDocument/hover", 2)
        talk.stop()
        tapped.wait()
    return tapped.journal_path
