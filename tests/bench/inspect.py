"""What looking at a large recording costs: `log` with filters, `stats`, and `inspect`, on a million messages.

    python -m tests.bench.inspect [--messages N] [--json]

The capture is written by the journal's own writer into a temporary folder: an editing session with changes, pulls and
their answers, pushed diagnostics, progress, completions with fifty items now and then, two servers. The aims: a filter
reads 100 000 messages a second, `stats` of a million takes 15 s, `inspect` shows its first screen within 2 s.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Final

from lsp_tap.cli import main
from lsp_tap.journal.lines import encode_fields, encode_frame
from lsp_tap.journal.writer import JournalWriter, create_file, create_folder, name_server_journal
from tests.inspect.screen.terminal import Terminal, memory_mb

START_US: Final = 1_764_000_000_000_000
FILTERS: Final = (
    "~m textDocument/rename",
    "~m textDocument/diagnostic & ~l >200ms",
    "~d s2c & ~m *publishDiagnostics & ~u module_7.py & !~p",
    "~k error | ~k invalid",
    "no-such-text-anywhere",
    "~b 'no (such )?text'",
)
FIRST_SCREEN_MS: Final = 2000
_KEYS: Final = 60
CLIENT, SERVER = "client_to_server", "server_to_client"


def make_messages(count: int, seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Direction and message, `count` of them."""
    chance = random.Random(seed)
    versions = dict.fromkeys((f"file:///home/ada/shop/module_{n}.py" for n in range(20)), 0)
    made, number = 0, 0
    for uri in versions:
        item = {"uri": uri, "languageId": "python", "version": 0, "text": "x = 1\n" * 200}
        yield CLIENT, {"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": item}}
        made += 1
    while made < count:
        uri = chance.choice(list(versions))
        versions[uri] += 1
        place = {"line": chance.randrange(200), "character": 0}
        change = {"range": {"start": place, "end": place}, "text": f"y{number} = undefined\n"}
        named = {"uri": uri, "version": versions[uri]}
        changed = {"textDocument": named, "contentChanges": [change]}
        exchange: list[tuple[str, dict[str, Any]]] = [(CLIENT, {"method": "textDocument/didChange", "params": changed})]
        found = [
            {"range": {"start": place, "end": place}, "severity": chance.randrange(1, 4), "source": "bench",
             "code": "reportUndefinedVariable", "message": f'"undefined_{n}" is not defined'}
            for n in range(chance.randrange(6))
        ]  # fmt: skip
        published = {**named, "diagnostics": found}
        exchange.append((SERVER, {"method": "textDocument/publishDiagnostics", "params": published}))
        for method in ("textDocument/diagnostic", "textDocument/hover", "textDocument/completion"):
            number += 1
            params: dict[str, Any] = {"textDocument": {"uri": uri}}
            result: Any = {"kind": "full", "items": found}
            if method != "textDocument/diagnostic":
                params["position"] = place
                result = {"contents": {"kind": "markdown", "value": "```python\nx: int\n```"}}
            if method == "textDocument/completion":
                result = [{"label": f"name_{n}", "kind": 6} for n in range(50 if number % 10 == 0 else 3)]
            exchange.append((CLIENT, {"id": number, "method": method, "params": params}))
            failed = {"error": {"code": -32801, "message": "content modified"}}
            exchange.append((SERVER, {"id": number, **(failed if number % 97 == 0 else {"result": result})}))
        exchange.append((SERVER, {"method": "$/progress", "params": {"token": 1, "value": {"kind": "report"}}}))
        for direction, message in exchange:
            yield direction, {"jsonrpc": "2.0", **message}
        made += len(exchange)


def write_capture(folder: Path, name: str, count: int, seed: int) -> int:
    """One tap's journal; how many messages are in it."""
    inner = create_folder(str(folder))
    descriptor, _ = create_file(inner, name_server_journal(name, START_US, 1))
    writer = JournalWriter(descriptor)
    started = {"format": 1, "recorder": "bench", "name": name, "command": [name], "cwd": "/home/ada/shop", "pid": 1}
    writer.write("tap_started", encode_fields(started), START_US, 0)
    at_us = written = 0
    for direction, message in make_messages(count, seed):
        at_us += 40_000 if direction == SERVER and "id" in message and message["id"] % 50 == 0 else 900
        body = json.dumps(message, separators=(",", ":")).encode()
        fields, _ = encode_frame(direction, b"Content-Length: %d\r\n\r\n" % len(body), body)
        writer.write("frame", fields, START_US + at_us, at_us)
        written += 1
    stopped = encode_fields({"reason": "client closed", "exit_code": 0})
    writer.write("tap_stopped", stopped, START_US + at_us, at_us)
    writer.close(START_US + at_us, at_us)
    return written


def measure(arguments: list[str]) -> tuple[float, int]:
    """How long a command takes, from its arguments to its last line, and how many lines it prints."""
    printed = io.StringIO()
    start_s = time.perf_counter()
    with redirect_stdout(printed):
        code = main(arguments)
    assert code == 0, code
    return time.perf_counter() - start_s, printed.getvalue().count("\n")


def measure_inspect(folder: Path, total: int) -> dict[str, float]:
    """`inspect` in a terminal: when the first messages are shown, how soon a key shows while it loads, when all is
    indexed, what it holds in memory then, and how soon a filter's first hits are there."""
    keys_ms: list[float] = []
    with Terminal(["inspect", str(folder)]) as terminal:
        terminal.wait_for("didOpen")
        first_ms = (time.perf_counter() - terminal.start_s) * 1000
        pressed = 1
        while len(keys_ms) < _KEYS:
            pressed += 1
            terminal.press("j")
            keys_ms.append(terminal.wait_for(rf"(?<!\d) ?{pressed} of ") * 1000)
        whole = f"{total + 4:,}".replace(",", " ")  # with the starts and ends of two taps
        if f" of {whole}" not in terminal.text:
            terminal.wait_for(f" of {whole}")
        indexed_s = time.perf_counter() - terminal.start_s
        used_mb = memory_mb(terminal.process.pid)
        terminal.press("f")
        terminal.wait_for("filter:")
        terminal.press("~k error\r")
        filter_ms = terminal.wait_for(rf"[\d ]+ of [\d ]+ of {whole}") * 1000
        terminal.press("q")
        assert terminal.wait() == 0
    keys_ms.sort()
    return {
        "first_screen_ms": first_ms,
        "key_p50_ms": keys_ms[len(keys_ms) // 2],
        "key_p95_ms": keys_ms[len(keys_ms) * 95 // 100],
        "key_max_ms": keys_ms[-1],
        "indexed_s": indexed_s,
        "memory_mb": used_mb,
        "filter_first_hits_ms": filter_ms,
    }


def run(count: int, report: Callable[[str], None]) -> dict[str, Any]:
    """Write the capture and measure each command on it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / ".opencode-logs"
        total = sum(write_capture(folder, name, count // 2, seed) for seed, name in enumerate(("alpha", "beta")))
        size = sum(path.stat().st_size for path in (folder / "tap").iterdir())
        report(f"{total} messages, {size / 1e6:.0f} MB")
        rates: dict[str, float] = {}
        for text in FILTERS:
            took_s, lines = measure(["log", str(folder), text])
            rates[text] = total / took_s
            report(f"log {text!r}: {rates[text]:.0f} messages/s ({took_s:.1f} s, {lines} lines)")
        stats_s, _ = measure(["stats", str(folder), "--json"])
        report(f"stats: {stats_s:.1f} s")
        looked = measure_inspect(folder, total)
        verdict = "met" if looked["first_screen_ms"] <= FIRST_SCREEN_MS else "not met"
        report(
            f"inspect: first screen {looked['first_screen_ms']:.0f} ms (aim {FIRST_SCREEN_MS} ms: {verdict}), "
            f"a key while loading {looked['key_p50_ms']:.0f} ms (p95 {looked['key_p95_ms']:.0f} ms, "
            f"most {looked['key_max_ms']:.0f} ms), all indexed {looked['indexed_s']:.1f} s, "
            f"{looked['memory_mb']:.0f} MB with its workers, "
            f"a filter's first hits {looked['filter_first_hits_ms']:.0f} ms"
        )
        return {
            "messages": total, "bytes": size, "filter_messages_per_s": rates, "stats_s": stats_s, "inspect": looked,
        }  # fmt: skip


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    given = parse_arguments()
    measured = run(given.messages, lambda line: print(line, file=sys.stderr))  # noqa: T201
    if given.json:
        print(json.dumps(measured, indent=2))  # noqa: T201
