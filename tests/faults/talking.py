"""A client that talks to a server behind a tap, at random and without waiting for answers, until one is gone."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import threading
from typing import Any

from lsp_tap.wire.framing import encode_frame
from tests.tap.tapped import Tapped


class Talking:
    """`sent`: bodies whose frame was begun, in order. `heard`: every byte that came back."""

    def __init__(self, tapped: Tapped, randomness: random.Random) -> None:
        self._tapped = tapped
        self._random = randomness
        self._is_dead = threading.Event()
        self._texts: dict[str, str] = {}
        self.sent: list[bytes] = []
        self.heard = b""
        self._threads = [threading.Thread(target=self._talk), threading.Thread(target=self._listen)]
        for thread in self._threads:
            thread.start()

    def die(self) -> None:
        """What a killed client's kernel does: closes both of its ends, whatever is still in them."""
        self._is_dead.set()
        self.wait()
        self._tapped.stdin.close()
        assert self._tapped.process.stdout is not None
        self._tapped.process.stdout.close()

    def wait(self) -> None:
        """Until the other side is gone and all it said was heard."""
        for thread in self._threads:
            thread.join()

    def _talk(self) -> None:
        os.set_blocking(self._tapped.stdin.fileno(), False)
        with contextlib.suppress(BrokenPipeError):
            self._say(id=0, method="initialize", params={})
            self._say(method="initialized", params={})
            number = 0
            while not self._is_dead.wait(self._random.choice((0, 0, 0, 0.001, 0.005))):
                number += 1
                self._say_something(number)

    def _say_something(self, number: int) -> None:
        uri = f"file:///{self._random.choice('abc')}.py"
        text = f"# größer {number}\n" * self._random.choice((1, 10, 100, 1000))
        if self._random.random() < 0.3:
            self._say(id=number, method="x", params=[text[:100]])
            return
        if uri not in self._texts:
            document = {"uri": uri, "languageId": "python", "version": number, "text": text}
            self._say(method="textDocument/didOpen", params={"textDocument": document})
        else:
            document = {"uri": uri, "version": number}
            params = {"textDocument": document, "contentChanges": [{"text": text}]}
            self._say(method="textDocument/didChange", params=params)
        self._texts[uri] = text

    def _say(self, **fields: Any) -> None:
        body = json.dumps({"jsonrpc": "2.0", **fields}, ensure_ascii=False).encode()
        self.sent.append(body)
        rest = memoryview(encode_frame(body))
        while rest and not self._is_dead.is_set():
            _, writable, _ = select.select([], [self._tapped.stdin], [], 0.1)
            if writable:
                with contextlib.suppress(BlockingIOError):
                    rest = rest[os.write(self._tapped.stdin.fileno(), rest) :]

    def _listen(self) -> None:
        assert self._tapped.process.stdout is not None
        output = self._tapped.process.stdout.fileno()
        while not self._is_dead.is_set():
            readable, _, _ = select.select([output], [], [], 0.1)
            if not readable:
                continue
            data = os.read(output, 1 << 16)
            if not data:
                return
            self.heard += data
