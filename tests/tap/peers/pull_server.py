"""A language server that answers pulls, and writes every byte it gets to a file.

Words: the file; `static` or `dynamic` (how it offers pulls) or `none`; then any of
`id-last` (writes ids after results), `cancel` (says "not now" twice), `chatty` (a notification before and after
every answer), `pieces` (writes some bytes at a time), `garbage` (a line between frames), `deaf-to-pulls` (never
answers them).
"""

import json
import os
import sys
from typing import Any

received = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
words = set(sys.argv[2:])
buffer = b""
cancelled = 0
pulls = 0


def write(data: bytes) -> None:
    size = 7 if "pieces" in words else len(data)
    for start in range(0, len(data), size):
        os.write(1, data[start : start + size])


def send(**fields: Any) -> None:
    message = {"jsonrpc": "2.0", **fields}
    if "id-last" in words and "id" in message and "method" not in message:
        message["id"] = message.pop("id")
    body = json.dumps(message).encode()
    write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    if "garbage" in words:
        write(b"[info] sent something\n")


def read() -> Any:
    global buffer
    while b"\r\n\r\n" not in buffer:
        take()
    header, _, buffer = buffer.partition(b"\r\n\r\n")
    length = int(header.partition(b":")[2])
    while len(buffer) < length:
        take()
    body, buffer = buffer[:length], buffer[length:]
    return json.loads(body)


def take() -> None:
    global buffer
    data = os.read(0, 65536)
    if not data:
        sys.exit(0)
    os.write(received, data)
    buffer += data


def register() -> None:
    options = {"identifier": "fake", "documentSelector": [{"language": "python"}]}
    registration = {"id": "r1", "method": "textDocument/diagnostic", "registerOptions": options}
    send(id=1, method="client/registerCapability", params={"registrations": [registration]})


while True:
    message = read()
    method = message.get("method")
    if method == "initialize":
        provider = {"diagnosticProvider": {"identifier": "fake"}} if "static" in words else {}
        send(id=message["id"], result={"capabilities": provider})
    elif method == "initialized":
        if "dynamic" in words:
            register()
    elif method == "textDocument/diagnostic":
        pulls += 1
        if "deaf-to-pulls" in words:
            continue
        if "chatty" in words:
            send(method="window/logMessage", params={"type": 4, "message": f"pull {pulls} of {message['id']}"})
        if "cancel" in words and cancelled < 2:
            cancelled += 1
            send(id=message["id"], error={"code": -32802, "message": "later", "data": {"retriggerRequest": True}})
        else:
            found = {"range": {}, "message": f"é {'x' * 200}", "severity": 1}
            send(id=message["id"], result={"kind": "full", "items": [found] * 20})
        if "chatty" in words:
            send(method="$/progress", params={"token": message["id"], "value": "done"})
    elif method == "shutdown":
        send(id=message["id"], result=None)
    elif method == "exit":
        sys.exit(0)
    elif "id" in message and method is not None:
        send(id=message["id"], result={"echo": message.get("params")})
