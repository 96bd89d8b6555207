"""The bytes of each direction as they were on the wire, one file a direction, and their times in a third.

`NAME.client_to_server.lsp` can be piped into a server; NAME is the journal's. Also bytes outside any frame are in them.
`NAME.times.jsonl` has first what is known of the connection, then a line for each piece of the other two, in the order
in which they were recorded: `{"direction", "bytes", "time_us", "monotonic_us"}`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Final

from lsp_tap.export.imported import Imported, ImportedJournal, OpenJournal, Origin, UnreadableSource
from lsp_tap.export.traffic import Connection, Traffic, encode_json, name_stem
from lsp_tap.journal.exact import WirePiece, read_wire
from lsp_tap.journal.files import open_replacement
from lsp_tap.journal.records import Direction
from lsp_tap.wire.exchanges import reverse_direction
from lsp_tap.wire.framing import Frame, FrameSplitter, Invalid
from lsp_tap.wire.messages import Request, Response, key_of_id, parse_message

_SUFFIXES: Final[dict[Direction, str]] = {
    "client_to_server": ".client_to_server.lsp",
    "server_to_client": ".server_to_client.lsp",
}
_TIMES: Final = ".times.jsonl"
_FORMAT: Final = "lsp-tap raw frames 1"
_CHUNK_BYTES: Final = 1 << 20


def write_raw_frames(traffic: Traffic, folder: Path) -> None:
    """Three files a connection. Frames whose bytes are not known are framed anew."""
    folder.mkdir(exist_ok=True)
    for connection in traffic.connections:
        stem = name_stem(connection.journal.path)
        with ExitStack() as files:
            outputs: dict[Direction, BinaryIO] = {
                direction: files.enter_context(open_replacement(folder / f"{stem}{suffix}"))
                for direction, suffix in _SUFFIXES.items()
            }
            times = files.enter_context(open_replacement(folder / f"{stem}{_TIMES}"))
            times.write(encode_json(_describe(connection)) + b"\n")
            for piece in read_wire(connection.journal.path, probe=traffic.probe_messages):
                if not isinstance(piece, WirePiece):
                    traffic.leave_out_unread(piece)
                    continue
                if not piece.is_exact:
                    traffic.leave_out("headers that do not fit (the recording has no exact bytes)")
                outputs[piece.direction].write(piece.data)
                line = {"direction": piece.direction, "bytes": len(piece.data)}
                times.write(encode_json(line | {"time_us": piece.time_us, "monotonic_us": piece.monotonic_us}) + b"\n")


def _describe(connection: Connection) -> dict[str, Any]:
    first, started = connection.journal.first, connection.started
    return {
        "format": _FORMAT,
        "name": connection.name,
        "command": list(started.command) if started else [],
        "cwd": started.cwd if started else "",
        "platform": started.platform if started else None,
        "time_us": first.time_us if first else 0,
        "monotonic_us": first.monotonic_us if first else 0,
    }


def import_raw_frames(path: Path, open_journal: OpenJournal, imported: Imported) -> None:
    """One of a connection's files, or a folder of them. Raises UnreadableSource, OSError."""
    stems = sorted(_find_stems(path))
    if not stems:
        wanted = " or ".join(f"NAME{suffix}" for suffix in _SUFFIXES.values())
        raise UnreadableSource(str(path), f"raw frames are in files called {wanted}")
    for stem in stems:
        with ExitStack() as files:
            inputs = {
                direction: files.enter_context(open_or_empty(Path(f"{stem}{suffix}")))
                for direction, suffix in _SUFFIXES.items()
            }
            times = Path(f"{stem}{_TIMES}")
            if times.is_file():
                _import_timed(times, inputs, open_journal, imported)
            else:
                started_us = _find_modified_us(stem)
                journal = open_journal(Origin("raw frames", Path(stem).name, started_us=started_us))
                _import_untimed(inputs, journal)
                imported.notes.append(
                    f"{Path(stem).name} has no times: all are when its files were last written, "
                    "and the order between the directions follows from requests and answers"
                )
                journal.close()


def _find_stems(path: Path) -> set[str]:
    found = path.iterdir() if path.is_dir() else [path]
    suffixes = (*_SUFFIXES.values(), _TIMES)
    return {str(file).removesuffix(suffix) for file in found for suffix in suffixes if file.name.endswith(suffix)}


def _find_modified_us(stem: str) -> int:
    files = [Path(f"{stem}{suffix}") for suffix in _SUFFIXES.values()]
    return max(file.stat().st_mtime_ns // 1000 for file in files if file.is_file())


def open_or_empty(path: Path) -> BinaryIO:
    """A direction in which nothing was said may have no file."""
    return path.open("rb") if path.is_file() else Path("/dev/null").open("rb")


def _import_timed(
    times: Path, inputs: dict[Direction, BinaryIO], open_journal: OpenJournal, imported: Imported
) -> None:
    with times.open("rb") as file:
        head = _parse_object(file.readline())
        if head is None or head.get("format") != _FORMAT:
            raise UnreadableSource(str(times), f"not the times of {_FORMAT}")
        journal = open_journal(_read_origin(head))
        time_us = monotonic_us = None
        for line in file:
            piece = _parse_object(line)
            if piece is None or str(piece.get("direction")) not in inputs or type(piece.get("bytes")) is not int:
                imported.left_out["lines of times that are none"] += 1
                continue
            time_us, monotonic_us = _as_integer(piece.get("time_us")), _as_integer(piece.get("monotonic_us"))
            for data in _read_blocks(inputs[piece["direction"]], piece["bytes"]):
                journal.add_bytes(piece["direction"], data, time_us, monotonic_us)
    for direction, stream in inputs.items():  # what came after the times end, and the end
        while data := stream.read(_CHUNK_BYTES):
            journal.add_bytes(direction, data, time_us, monotonic_us)
        journal.add_bytes(direction, b"", time_us, monotonic_us)
    journal.close()


def _read_blocks(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (data := stream.read(min(size, _CHUNK_BYTES))):
        yield data
        size -= len(data)


def _read_origin(head: dict[str, Any]) -> Origin:
    command = head.get("command")
    return Origin(
        source=_FORMAT,
        name=str(head.get("name") or "server"),
        command=tuple(map(str, command)) if isinstance(command, list) else (),
        cwd=str(head.get("cwd") or ""),
        platform=str(head["platform"]) if head.get("platform") else None,
        started_us=_as_integer(head.get("time_us")) or 0,
        monotonic_us=_as_integer(head.get("monotonic_us")),
    )


def _import_untimed(inputs: dict[Direction, BinaryIO], journal: ImportedJournal) -> None:
    """Both directions in an order that can have been: no answer before its request, and else the server is quick."""
    asked: dict[Direction, set[tuple[str, object]]] = {"client_to_server": set(), "server_to_client": set()}
    waiting = {direction: _read_frames(stream) for direction, stream in inputs.items()}
    heads = {direction: next(frames, None) for direction, frames in waiting.items()}
    began = False
    while True:
        client, server = heads["client_to_server"], heads["server_to_client"]
        is_server_free = server is not None and began and not _must_wait(server, asked["client_to_server"])
        is_client_free = client is not None and not _must_wait(client, asked["server_to_client"])
        # Where both wait, one of them answers what was never asked.
        from_server = is_server_free or (server is not None and not is_client_free)
        direction: Direction = "server_to_client" if from_server else "client_to_server"
        head = heads[direction]
        if head is None:
            break
        began = True
        match head[1]:
            case Request(id=id):
                asked[direction].add(key_of_id(id))
            case Response(id=id):
                asked[reverse_direction(direction)].discard(key_of_id(id))
        journal.add_bytes(direction, head[0], None, None)
        heads[direction] = next(waiting[direction], None)
    for direction in inputs:
        journal.add_bytes(direction, b"", None, None)


def _must_wait(head: tuple[bytes, object], asked: set[tuple[str, object]]) -> bool:
    return isinstance(head[1], Response) and key_of_id(head[1].id) not in asked


def _read_frames(stream: BinaryIO) -> Iterator[tuple[bytes, object]]:
    """Each frame, or run of bytes outside any, with its message (None when it is none)."""
    splitter = FrameSplitter()
    while True:
        data = stream.read(_CHUNK_BYTES)
        for item in splitter.feed(data) if data else splitter.close():
            match item:
                case Frame():
                    yield item.raw, _parse_body(item.body)
                case Invalid():
                    yield item.raw, None
        if not data:
            return


def _parse_body(body: bytes) -> object:
    try:
        return parse_message(json.loads(body))
    except (ValueError, RecursionError):
        return None


def _parse_object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _as_integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
