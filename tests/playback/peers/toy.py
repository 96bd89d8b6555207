"""A language server to which every line with `bad` is an error. `toy.py MANNER...`.

It publishes diagnostics with versions, answers hover and completion, resolves the items that it gave itself, and asks
for `workspace/configuration` when initialized. Manners: `strict` (`worse` is an error, too), `shuffled` (completions in
another order), `asking` (asks what no client knows), `pulled` (is asked for diagnostics), `busy` (refuses the first
pull), `dying` (at the first change), `hanging` (no answer to hover), `mute` (no diagnostics), `slow` (hover takes a
while), `lower` (header names), `stubborn` (does not end by itself).
"""

import itertools
import json
import os
import secrets
import signal
import sys
import time
from typing import Any

from lsp_tap.wire.framing import Frame, FrameSplitter

MANNERS = set(sys.argv[1:])
GIVEN: dict[str, str] = {}
TEXTS: dict[str, str] = {}
ids = itertools.count(1)
refusals = 1 if "busy" in MANNERS else 0


def send(**message: Any) -> None:
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    name = b"content-length" if "lower" in MANNERS else b"Content-Length"
    sys.stdout.buffer.write(b"%s: %d\r\n\r\n%s" % (name, len(body), body))
    sys.stdout.buffer.flush()


def find_errors(uri: str) -> list[dict[str, Any]]:
    words = ("bad", "worse") if "strict" in MANNERS else ("bad",)
    return [
        {
            "range": {"start": {"line": number, "character": at}, "end": {"line": number, "character": at + len(word)}},
            "severity": 1,
            "source": "toy",
            "code": word,
            "message": f"{line.strip()} in {uri}",
        }
        for number, line in enumerate(TEXTS[uri].split("\n"))
        for word in words
        if (at := line.find(word)) >= 0
    ]


def publish(uri: str, version: Any) -> None:
    if not MANNERS & {"mute", "pulled"}:
        params = {"uri": uri, "version": version, "diagnostics": find_errors(uri)}
        send(method="textDocument/publishDiagnostics", params=params)


def complete() -> list[dict[str, Any]]:
    items = []
    for label in ("one", "two", "three"):
        key = secrets.token_hex(4)
        GIVEN[key] = label
        items.append({"label": label, "data": {"key": key}})
    return items[::-1] if "shuffled" in MANNERS else items


def answer(method: str, params: Any) -> dict[str, Any] | None:
    global refusals
    match method:
        case "initialize":
            provider = {"diagnosticProvider": {"identifier": "toy"}} if "pulled" in MANNERS else {}
            return {"result": {"capabilities": {"hoverProvider": True, **provider}, "serverInfo": {"name": "toy"}}}
        case "textDocument/hover":
            if "hanging" in MANNERS:
                return None
            time.sleep(0.3 if "slow" in MANNERS else 0)
            return {"result": {"contents": f"{params['textDocument']['uri']}:{params['position']['line']}"}}
        case "textDocument/completion":
            return {"result": {"isIncomplete": False, "items": complete()}}
        case "completionItem/resolve":
            label = GIVEN.get(params["data"]["key"])
            if label is None:
                return {"error": {"code": -32602, "message": "never given"}}
            return {"result": {**params, "detail": f"the word {label}"}}
        case "textDocument/diagnostic":
            if refusals:
                refusals -= 1
                return {"error": {"code": -32802, "message": "not now"}}
            return {"result": {"kind": "full", "items": find_errors(params["textDocument"]["uri"])}}
        case "shutdown":
            return {"result": None}
    return {"error": {"code": -32601, "message": method}}


def hear(message: Any) -> None:
    method, params = message.get("method"), message.get("params")
    if method is None:
        return
    if "id" in message:
        outcome = answer(method, params)
        if outcome is not None:
            send(id=message["id"], **outcome)
    match method:
        case "initialized":
            send(id=next(ids), method="workspace/configuration", params={"items": [{"section": "toy"}]})
            if "asking" in MANNERS:
                send(id=next(ids), method="toy/unheardOf", params={})
        case "textDocument/didOpen":
            TEXTS[params["textDocument"]["uri"]] = params["textDocument"]["text"]
            publish(params["textDocument"]["uri"], params["textDocument"]["version"])
        case "textDocument/didChange":
            if "dying" in MANNERS:
                sys.stderr.write("toy: out of memory\n")
                sys.stderr.flush()
                os._exit(7)
            TEXTS[params["textDocument"]["uri"]] = params["contentChanges"][0]["text"]
            publish(params["textDocument"]["uri"], params["textDocument"]["version"])
        case "exit":
            sys.exit(0)


if __name__ == "__main__":
    splitter = FrameSplitter()
    if "stubborn" in MANNERS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while data := os.read(0, 1 << 16):
        for frame in splitter.feed(data):
            if isinstance(frame, Frame):
                hear(json.loads(frame.body))
    while "stubborn" in MANNERS:
        signal.pause()
