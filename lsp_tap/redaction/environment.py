"""Secrets that are known because they were in the environment, of this process or of the one that was recorded.

Of a recording's environment nobody keeps the values. `lsp-tap observe` keeps marks: for each variable whose name speaks
of a secret its name, and its value's length and keyed hash (HMAC-SHA-256, half of it). The key is made once for each
user, is kept outside of all projects (`read_key`), and is in no recording: who has only the recording cannot even try
out guesses, and the same user's exporter can tell a value again where it stands as a token of its own.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from lsp_tap.redaction.finding import Found

MIN_LENGTH: Final = 12
"""Characters. Shorter values are words too often."""
_MAX_LENGTH: Final = 4096
_SPEAKING: Final = re.compile(
    r"(?:^|_)(?:\w*API_?KEY|\w*TOKEN|\w*SECRET|\w*PASSW(?:OR)?D|PASS|\w*PASSPHRASE|PWD|\w*CREDENTIALS?|PAT|DSN|AUTH|"
    r"(?:ACCESS|PRIVATE|SECRET|ENCRYPTION|SIGNING|MASTER|DEPLOY|ACCOUNT|LICENSE)_KEY|DATABASE_URL|CONNECTION_STRING|"
    r"WEBHOOK_URL)(?:_BASE)?(?:_?V?\d+)?$",
    re.IGNORECASE,
)
_NO_SECRET: Final = re.compile(
    r"/[\w./~@ -]*|https?://[\w.:-]+(?:/[a-z./-]*)?|(?:[a-z]+\.)+[a-z]+|[\w.-]+:\d+(?:/[a-z./-]*)?|[A-Za-z]+"
)
"""Places, and single words."""
_LONG: Final = re.compile(r"""[^\s"'`\\]{12,}""")
_PIECES: Final = tuple(re.compile(source) for source in (r"[\w-]+", r"[\w+/=-]+", r"[\w+/=.~-]+", r"[^=:,;()<>&?@\s]+"))


@dataclass(frozen=True, slots=True)
class Mark:
    """What is kept of a value: `mac` is hex."""

    name: str
    length: int
    mac: str


@dataclass(frozen=True, slots=True)
class Marks:
    """Values of a recording's environment, with the key to tell them again."""

    key: bytes
    by_mac: Mapping[str, str] = field(default_factory=dict)
    lengths: frozenset[int] = frozenset()

    @classmethod
    def of(cls, key: bytes, marks: Iterable[Mark]) -> Marks:
        known = tuple(marks)
        return cls(key, {mark.mac: mark.name for mark in known}, frozenset(mark.length for mark in known))

    def find(self, text: str) -> list[Found]:
        """Tokens that are one of the values."""
        if not self.lengths:
            return []
        shortest = min(self.lengths)
        return [
            Found(start, start + len(token), f"environment {name}")
            for long in _LONG.finditer(text)
            if long.end() - long.start() >= shortest
            for start, token in _split(long)
            if len(token) in self.lengths and (name := self.by_mac.get(compute_mac(self.key, token)))
        ]


def _split(long: re.Match[str]) -> set[tuple[int, str]]:
    text = long.string
    whole = {(long.start(), long[0])}
    return whole.union((m.start(), m[0]) for piece in _PIECES for m in piece.finditer(text, long.start(), long.end()))


def select_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables whose names speak of secrets and whose values may be some."""
    return {
        name: value
        for name, value in environment.items()
        if MIN_LENGTH <= len(value) <= _MAX_LENGTH and _SPEAKING.search(name) and not _NO_SECRET.fullmatch(value)
    }


def select_known(environment: Mapping[str, str]) -> dict[str, str]:
    """What a redactor wants to know of its own environment, and no more of it."""
    names = ("HOME", "USERPROFILE", "USER", "LOGNAME", "USERNAME")
    return {name: environment[name] for name in names if name in environment} | select_secrets(environment)


def compute_mac(key: bytes, value: str) -> str:
    return hmac.digest(key, value.encode("utf-8", "surrogatepass"), "sha256")[:16].hex()


def name_key(key: bytes) -> str:
    """Tells whether a recording was marked with this key, and nothing else of it."""
    return hashlib.sha256(b"lsp-tap redaction key\0" + key).hexdigest()[:16]


def mark_environment(environment: Mapping[str, str], key: bytes) -> dict[str, Any]:
    """What a `project_observed` record keeps, as JSON: `{key, values: [{name, length, mac}]}`."""
    values = [
        {"name": name, "length": len(value), "mac": compute_mac(key, value)}
        for name, value in sorted(select_secrets(environment).items())
    ]
    return {"key": name_key(key), "values": values}


def parse_marks(value: Any, key: bytes) -> list[Mark]:
    """Those of a record that were made with this key. Anything else is none."""
    if not isinstance(value, dict) or value.get("key") != name_key(key) or not isinstance(value.get("values"), list):
        return []
    return [
        Mark(each["name"], each["length"], each["mac"])
        for each in value["values"]
        if isinstance(each, dict)
        and isinstance(each.get("name"), str)
        and isinstance(each.get("length"), int)
        and isinstance(each.get("mac"), str)
    ]


def read_key(folder: Path, *, create: bool = False) -> bytes | None:
    """The user's key, from a file in `folder` that only the user can read. None: there is none yet.

    Raises OSError where it cannot be read, or be made.
    """
    path = folder / "redaction.key"
    if create and not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = folder / f".redaction.key.{os.getpid()}"
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_hex(32).encode())
        try:
            os.link(beside, path)  # whoever comes second keeps the first one's
        except FileExistsError:
            pass
        finally:
            beside.unlink()
    try:
        return bytes.fromhex(path.read_text("ascii"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise OSError(f"not a key: {error}") from error


@dataclass(frozen=True, slots=True)
class Exact:
    """Values that are known as they are, also where they are spelled for a URL or in a JSON string."""

    names: Mapping[str, str]
    pattern: re.Pattern[str] | None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Exact:
        names: dict[str, str] = {}
        for name, value in select_secrets(environment).items():
            for spelling in (value, quote(value, safe=""), quote(value), json.dumps(value)[1:-1]):
                names.setdefault(spelling, name)
        sources = [re.escape(spelling) for spelling in sorted(names, key=len, reverse=True)]
        return cls(names, re.compile("|".join(sources)) if sources else None)

    def find(self, text: str) -> list[Found]:
        if self.pattern is None:
            return []
        return [
            Found(match.start(), match.end(), f"environment {self.names[match[0]]}")
            for match in self.pattern.finditer(text)
        ]
