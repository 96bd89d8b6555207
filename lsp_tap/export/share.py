"""A capture as a bundle that is safe to attach to a bug report: every name, path and text under a pseudonym.

What stays: the shape of every message, the protocol's own keys, methods and enumerations, numbers, punctuation, line
breaks, times, lengths in UTF-8 and UTF-16, and so every position, the names that client and server give themselves
(`clientInfo`, `serverInfo`) and the `source` and `code` of diagnostics. What goes is in
`lsp_tap.export.pseudonyms`. A client's journal (the session, its prompts) is not in the bundle.
"""

from __future__ import annotations

import json
import re
import secrets
import zipfile
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import lsprotocol.types

from lsp_tap.errors import UsageError
from lsp_tap.export.json_strings import rewrite_strings
from lsp_tap.export.pseudonyms import Pseudonyms
from lsp_tap.export.traffic import UNREADABLE, name_stem
from lsp_tap.journal.capture import Capture
from lsp_tap.journal.files import create_replacement
from lsp_tap.journal.lines import decode_part, parse_json
from lsp_tap.journal.reader import Journal, JournalReader, Unreadable, parse_line
from lsp_tap.journal.records import BodyPart, Direction, Frame

_KEPT_IN_RECORDS: Final = {"kind", "direction", "recorder", "client", "python", "platform", "reason", "error"}
_PERCENT: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+|[^%]|%")
_NAME: Final = re.compile(r"server-(.*)(-\d{8}T\d{6}Z-\d+(?:-\d+)?)")


@dataclass(slots=True)
class Shared:
    """How many `journals` are in the bundle, and different `words`; replaced `strings` by what they are."""

    journals: int = 0
    words: int = 0
    strings: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        counted = {kind: count for kind, count in self.strings.items() if count}
        left_out = {what: count for what, count in self.left_out.items() if count}
        return {"recordings": self.journals, "words": self.words, "strings": counted, "leftOut": left_out}


def share_capture(capture: Capture, output: Path) -> Shared:
    """Write the bundle: one journal, or, to a `.zip`, all of the capture's. Raises UsageError, OSError."""
    if len(capture.taps) > 1 and output.suffix != ".zip":
        raise UsageError(
            f"{len(capture.taps)} recordings are in this capture: name a .zip (-o FILE.zip), or one of them"
        )
    pseudonyms = Pseudonyms(secrets.token_bytes(32))
    for journal in capture.taps:
        pseudonyms.collect_text(name_stem(journal.path))
        for _ in _Rewriter(pseudonyms.collect_text).rewrite_journal(journal):
            pass
    rewriter = _Rewriter(pseudonyms.replace_text)
    with create_replacement(output) as created:
        if output.suffix == ".zip":
            with zipfile.ZipFile(created, "w", zipfile.ZIP_DEFLATED) as archive:
                for journal in capture.taps:
                    with archive.open(_rename(journal.path, pseudonyms), "w") as file:
                        file.writelines(rewriter.rewrite_journal(journal))
        else:
            with created.open("wb") as file:
                for journal in capture.taps:
                    file.writelines(rewriter.rewrite_journal(journal))
    left_out = rewriter.left_out
    left_out["client's journals"] = len(capture.clients)
    return Shared(len(capture.taps), pseudonyms.word_count, rewriter.strings, left_out)


def _rename(path: Path, pseudonyms: Pseudonyms) -> str:
    stem = name_stem(path)
    found = _NAME.fullmatch(stem)
    if found is None:
        return f"{pseudonyms.replace_text(stem)}.jsonl"
    return f"server-{pseudonyms.replace_text(found[1])}{found[2]}.jsonl"


class _Rewriter:
    def __init__(self, replace_text: Callable[[str], str]) -> None:
        self._replace_text = replace_text
        self.strings: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()

    def rewrite_journal(self, journal: Journal) -> Iterator[bytes]:
        """The journal's lines. From a large frame on they wait until its last part is there: its body is one text."""
        held: list[tuple[bytes, Frame | BodyPart | None]] = []
        waiting: dict[Direction, tuple[int, int]] = {}  # the frame, and how many of its parts are to come
        reader = JournalReader(journal.path)
        for line in reader.read_new_lines():
            record = line if isinstance(line, Unreadable) else parse_line(line)
            if isinstance(record, Unreadable) or isinstance(line, Unreadable):
                self.left_out[UNREADABLE] += 1
                continue
            if isinstance(record, Frame):
                waiting.pop(record.direction, None)  # parts that were lost do not come any more
                if record.body_parts:
                    waiting[record.direction] = record.seq, record.body_parts
            elif isinstance(record, BodyPart):
                for direction, (seq, missing) in tuple(waiting.items()):
                    if seq == record.of and missing > 1:
                        waiting[direction] = seq, missing - 1
                    elif seq == record.of:
                        del waiting[direction]
            held.append((line, record if isinstance(record, Frame | BodyPart) else None))
            if not waiting:
                yield from self._rewrite_lines(held)
                held.clear()
        yield from self._rewrite_lines(held)
        self.left_out[UNREADABLE] += sum(isinstance(left, Unreadable) for left in reader.give_up())

    def _rewrite_lines(self, held: list[tuple[bytes, Frame | BodyPart | None]]) -> Iterator[bytes]:
        bodies: dict[int, bytes] = {}
        for _, record in held:
            if isinstance(record, BodyPart):
                bodies[record.of] = bodies.get(record.of, b"") + decode_part(record.text, record.base64)
        new = {of: memoryview(self._rewrite_body(body)) for of, body in bodies.items()}
        for line, record in held:
            if not isinstance(record, BodyPart):
                yield rewrite_strings(line.decode(), self._replace_in_record).encode("utf-8", "surrogatepass")
                continue
            size = len(decode_part(record.text, record.base64))
            data, new[record.of] = bytes(new[record.of][:size]), new[record.of][size:]
            fields = json.loads(line)
            if record.text is not None:
                fields["text"] = data.decode()
            else:
                fields["base64"] = b64encode(data).decode()
            yield (
                json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
                + b"\n"
            )

    def _rewrite_body(self, body: bytes) -> bytes:
        return self._rewrite_text(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def _rewrite_text(self, text: str) -> str:
        _, error = parse_json(text.removeprefix("\ufeff"))
        if error is None:
            return rewrite_strings(text, self._replace_in_message)
        return self._replace(text, "bodies that are no JSON")

    def _replace_in_record(self, path: tuple[str, ...], text: str, is_key: bool) -> str:
        if path[:1] == ("message",):
            return self._replace_in_message(path[1:], text, is_key)
        if is_key:
            return text if path[:1] != ("imported",) else self._replace_key(text)
        match path:
            case ("body",):
                return self._rewrite_text(text)
            case ("body_base64",) | ("base64",):
                with suppress(ValueError):  # some other field of that name
                    return b64encode(self._rewrite_body(b64decode(text))).decode()
            case (name,) if name in _KEPT_IN_RECORDS:
                return text
        kind = "stderr and stray bytes" if path == ("text",) else "fields of records"
        return self._replace(text, "paths" if path == ("cwd",) else kind)

    def _replace_in_message(self, path: tuple[str, ...], text: str, is_key: bool) -> str:
        if is_key:
            return self._replace_key(text)
        match path:
            case ("method" | "jsonrpc",) | ("params", "textDocument", "languageId"):
                return text
            case ("params", "clientInfo", "name" | "version") | ("result", "serverInfo", "name" | "version"):
                return text
            case ("params", "registrations" | "unregisterations", "*", "method"):
                return text
            case (*_, "diagnostics" | "items", "*", "source" | "code"):
                return text
        return self._replace(text, _name_kind(path, text))

    def _replace_key(self, key: str) -> str:
        return key if key in find_protocol_keys() else self._replace(key, "keys")

    def _replace(self, text: str, kind: str) -> str:
        if "%" in text and "://" in text and not any(map(str.isspace, text)):
            new = self._replace_uri(text)
        else:
            new = self._replace_text(text)
        if new != text:
            self.strings[kind] += 1
        return new

    def _replace_uri(self, uri: str) -> str:
        """Words of a URI are the same words when they are percent-encoded."""
        units = [unit for found in _PERCENT.findall(uri) for unit in _split_percent(found)]
        new = self._replace_text("".join(character for character, _ in units))
        return "".join(
            spelling if character == other else _spell_percent(other) if len(spelling) > 1 else other
            for (character, spelling), other in zip(units, new, strict=True)
        )


def _split_percent(found: str) -> list[tuple[str, str]]:
    """Characters, each with how it is spelled."""
    if len(found) == 1:
        return [(found, found)]
    try:
        decoded = bytes.fromhex(found.replace("%", "")).decode()
    except UnicodeDecodeError:
        return [("%", found)]
    units, at = [], 0
    for character in decoded:
        end = at + 3 * len(character.encode())
        units.append((character, found[at:end]))
        at = end
    return units


def _spell_percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def _name_kind(path: tuple[str, ...], text: str) -> str:
    last = next((name for name in reversed(path) if name != "*"), "")
    if "://" in text or last in ("uri", "rootUri", "rootPath", "targetUri", "baseUri"):
        return "paths"
    if last in ("text", "newText"):
        return "texts"
    return "messages" if last in ("message", "value", "title", "detail") else "other strings"


@cache
def find_protocol_keys() -> frozenset[str]:
    """The names of all members of the protocol's messages."""
    names: set[str] = {"jsonrpc", "id", "method", "params", "result", "error", "code", "message", "data"}
    for name in dir(lsprotocol.types):
        members: Any = getattr(getattr(lsprotocol.types, name), "__attrs_attrs__", ())
        for member in members:
            first, *rest = str(member.name).rstrip("_").split("_")
            names.add(first + "".join(part[:1].upper() + part[1:] for part in rest))
    return frozenset(names)
