"""Stands before a real language server and makes it slow or silent: `python faulty.py DELAY_S|never SERVER ARG...`.

What the server pushes (publishDiagnostics) comes so much later, in order, or not at all; all else passes at once.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from typing import IO


def read_frame(stream: IO[bytes]) -> bytes | None:
    """One message's body; None at the end."""
    length, header = 0, stream.readline()
    while header.strip():
        name, _, value = header.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
        header = stream.readline()
    return stream.read(length) if length else None


def write_frame(stream: IO[bytes], lock: threading.Lock, body: bytes) -> None:
    with lock:
        stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        stream.flush()


def forward_input(server: subprocess.Popen[bytes]) -> None:
    assert server.stdin is not None
    while block := os.read(sys.stdin.fileno(), 65536):
        server.stdin.write(block)
        server.stdin.flush()
    server.stdin.close()


def main(delay: str, command: list[str]) -> None:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        lock, late = threading.Lock(), queue.Queue[tuple[float, bytes]]()

        def send_late() -> None:
            while True:
                due, body = late.get()
                time.sleep(max(0.0, due - time.monotonic()))
                write_frame(sys.stdout.buffer, lock, body)

        threading.Thread(target=forward_input, args=(server,), daemon=True).start()
        threading.Thread(target=send_late, daemon=True).start()
        assert server.stdout is not None
        while (body := read_frame(server.stdout)) is not None:
            if json.loads(body).get("method") != "textDocument/publishDiagnostics":
                write_frame(sys.stdout.buffer, lock, body)
            elif delay != "never":
                late.put((time.monotonic() + float(delay), body))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
