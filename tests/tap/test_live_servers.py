"""The probe in front of real servers: one that is asked and registers for it late, one that pushes."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.journal.records import Frame
from tests.tap.tapped import Tapped, tap, wait_until

pytestmark = pytest.mark.live


def find_server(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert found is not None
    return found


class Editor:
    """Behaves as OpenCode does: answers what it is asked, sends whole texts, and pulls nothing."""

    def __init__(self, tapped: Tapped, root: Path) -> None:
        self.tapped = tapped
        self.root = root
        self.heard: list[Any] = []
        capabilities = {
            "textDocument": {"diagnostic": {"dynamicRegistration": True, "relatedDocumentSupport": True}},
            "workspace": {"configuration": True, "diagnostics": {"refreshSupport": True}},
        }
        folder = {"uri": root.as_uri(), "name": "project"}
        params = {"processId": None, "rootUri": folder["uri"], "workspaceFolders": [folder]}
        threading.Thread(target=self._listen, daemon=True).start()
        tapped.send_message({"id": 0, "method": "initialize", "params": {**params, "capabilities": capabilities}})
        self.wait_heard(lambda message: message.get("id") == 0 and "result" in message)
        tapped.send_message({"method": "initialized", "params": {}})

    def _listen(self) -> None:
        """Until the output ends."""
        with contextlib.suppress(AssertionError, ValueError, OSError):
            while True:
                message = self.tapped.read_message()
                self.heard.append(message)
                if "method" in message and "id" in message:
                    items = (message.get("params") or {}).get("items", [])
                    self.tapped.send_message({"id": message["id"], "result": [None] * len(items) if items else None})

    def wait_heard(self, condition: Callable[[Any], bool]) -> Any:
        """The first message that is so."""
        wait_until(lambda: any(map(condition, self.heard)), "a message from the server")
        return next(filter(condition, self.heard))

    def leave(self) -> int:
        self.tapped.send_message({"id": "bye", "method": "shutdown"})
        self.wait_heard(lambda message: message.get("id") == "bye")
        self.tapped.send_message({"method": "exit"})
        return self.tapped.wait()

    def open(self, name: str, language: str) -> str:
        uri = (self.root / name).as_uri()
        document = {"uri": uri, "languageId": language, "version": 0, "text": (self.root / name).read_text()}
        self.tapped.send_message({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        return uri

    def change(self, uri: str, text: str, version: int) -> None:
        document = {"uri": uri, "version": version}
        params = {"textDocument": document, "contentChanges": [{"text": text}]}
        self.tapped.send_message({"method": "textDocument/didChange", "params": params})


def list_answers(tapped: Tapped, uri: str) -> list[list[str]]:
    """The errors in each answer that the tap got about a document, oldest first."""
    frames = [entry for entry in tapped.read_journal() if isinstance(entry, Frame) and entry.probe]
    about = {
        frame.message["id"]: frame.message["params"]["textDocument"]["uri"]
        for frame in frames
        if frame.direction == "client_to_server"
    }
    return [
        [item["message"] for item in frame.message["result"]["items"] if item["severity"] == 1]
        for frame in frames
        if frame.direction == "server_to_client" and "result" in frame.message and about[frame.message["id"]] == uri
    ]


def test_basedpyright_is_asked_before_and_after_every_edit(tmp_path: Path) -> None:
    (tmp_path / "cart.py").write_text("import price\n\ntotal: int = price.of('tea')\n")
    (tmp_path / "price.py").write_text("def of(name: str) -> int:\n    return 'one'\n")
    server = [find_server("basedpyright-langserver"), "--stdio"]
    with tap(server, tmp_path / "logs", options=("--name", "basedpyright"), cwd=tmp_path) as tapped:
        editor = Editor(tapped, tmp_path)
        # It registers only when it has its configuration, and asks for that by itself.
        editor.wait_heard(lambda message: is_registration(message, "textDocument/diagnostic"))
        cart = editor.open("cart.py", "python")
        price = editor.open("price.py", "python")
        wait_until(lambda: [] in list_answers(tapped, cart), "the cart to be without an error")
        wait_until(lambda: any(list_answers(tapped, price)), "the error in the price")
        editor.change(price, "def of(name: str) -> str:\n    return 'one'\n", 1)
        wait_until(lambda: list_answers(tapped, price)[-1] == [], "the price to be mended")
        # The edit of one broke the other, which nobody touched.
        wait_until(lambda: any(list_answers(tapped, cart)), "the error in the cart")
        assert editor.leave() == 0
        assert not any(str(message.get("id", "")).startswith("lsp-tap:") for message in editor.heard)


def is_registration(message: Any, method: str) -> bool:
    if message.get("method") != "client/registerCapability":
        return False
    return any(registration["method"] == method for registration in message["params"]["registrations"])


def test_clangd_pushes_and_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text('int main(void) { return "x"; }\n')
    with tap([find_server("clangd")], tmp_path / "logs", options=("--name", "clangd"), cwd=tmp_path) as tapped:
        editor = Editor(tapped, tmp_path)
        uri = editor.open("main.c", "c")
        assert editor.wait_heard(lambda message: is_push(message, 0))["params"]["diagnostics"]
        editor.change(uri, "int main(void) { return 0; }\n", 1)
        assert editor.wait_heard(lambda message: is_push(message, 1))["params"]["diagnostics"] == []
        assert editor.leave() == 0
        frames = tapped.read_frames("client_to_server")
        assert not any(frame.probe for frame in frames)
        pushes = [frame.message for frame in tapped.read_frames("server_to_client") if is_push(frame.message, 1)]
        assert pushes[-1]["params"]["diagnostics"] == []


def is_push(message: Any, version: int) -> bool:
    is_push = message.get("method") == "textDocument/publishDiagnostics"
    return is_push and bool(message["params"].get("version") == version)
