"""A language server that only initializes, in one of several manners. `toy_server.py MANNER [PID_FILE]`."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any


def read_message() -> dict[str, Any] | None:
    length = 0
    while (line := sys.stdin.buffer.readline()) not in (b"", b"\r\n"):
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    body = sys.stdin.buffer.read(length)
    message: dict[str, Any] | None = json.loads(body) if body else None
    return message


def write_message(message: dict[str, Any]) -> None:
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    sys.stdout.buffer.flush()


def main(manner: str, pid_file: str | None = None) -> int:
    if pid_file:
        Path(pid_file).write_text(str(os.getpid()))
    if manner == "crashing":
        sys.stderr.write("toy: no licence found\n")
        return 3
    if manner == "noisy":
        sys.stderr.write("x" * 500_000 + "\n")
        sys.stderr.flush()
    if manner == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while (message := read_message()) is not None or manner == "stubborn":
        if message is None:
            signal.pause()
            continue
        if manner == "silent":
            continue
        match message.get("method"):
            case "initialize" if manner == "chatty":
                for _ in range(100):
                    write_message({"method": "window/logMessage", "params": {"type": 3, "message": "hello"}})
                write_message({"id": message["id"], "result": {"capabilities": {}}})
            case "initialize" if manner == "refusing":
                write_message({"id": message["id"], "error": {"code": -32803, "message": "no project here"}})
            case "initialize":
                options = message["params"]["initializationOptions"]
                capabilities: dict[str, Any] = {"positionEncoding": options.get("encoding", "utf-16")}
                if manner == "pull":
                    capabilities["diagnosticProvider"] = {
                        "interFileDependencies": False,
                        "workspaceDiagnostics": False,
                    }
                info = {"name": "toy", "version": os.environ.get("TOY_VERSION", "1")}
                write_message({"id": message["id"], "result": {"capabilities": capabilities, "serverInfo": info}})
            case "initialized" if manner == "registering":
                write_message(
                    {
                        "id": "r",
                        "method": "client/registerCapability",
                        "params": {"registrations": [{"id": "d", "method": "textDocument/diagnostic"}]},
                    }
                )
            case "shutdown" if manner != "stubborn":
                write_message({"id": message["id"], "result": None})
            case "exit" if manner != "stubborn":
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
