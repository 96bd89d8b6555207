"""Home folders and user names in paths. Pure.

`/home/ada/shop` -> `/home/user/shop`, likewise `/Users/ada`, `C:\\Users\\ada`, with slashes of either kind, doubled
in strings, percent-encoded in URIs. A path keeps its shape, so that rows still read as what they were. A user whose
name is known is also rewritten as any other folder of a path (`/data/ada/x`, `-home-ada-shop`), and nowhere else: `ada`
may be a word.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import Final

_SEPARATOR: Final = r"(?:\\{1,8}|/{1,2}|%2[Ff]|%5[Cc]|%252[Ff])"
_HOME: Final = re.compile(
    r"(?:(?<![\w.%-])|(?<=%2[FfCc0])|(?<=%3[Aa])|(?<=%252F)|(?<=\\[nrt])"
    r"|(?<=[/\\][A-Za-z])|(?<=/var)|(?<=/usr)|(?<=/mnt)|(?<=/export)|(?<=localhost))"
    rf"(?P<head>{_SEPARATOR}(?:home|Users|Documents and Settings|Documents%20and%20Settings){_SEPARATOR})"
    rf"(?P<user>\w[^\\/:*?\"'<>|\r\n%,;()\[\]{{}}$`]{{0,40}}(?=\\{{1,8}}[\w.])|[^\W_](?:[\w@+-]|\.(?=\w)|%20|%40){{0,63}}(?![\w@+-]))"
)
_FILE: Final = re.compile(r"\.(?:html?|php|[jt]sx?|vue|css|py|rb|go|rs|md|json|xml|svg|png|jpe?g)\Z", re.IGNORECASE)
_KEPT: Final = re.compile(
    r"(?:user\d*|username|you|me|your[-_.]?(?:user)?name|root|shared|public|default|runner|runneradmin|ubuntu|debian|"
    r"node|vscode|codespace|gitpod|vagrant|linuxbrew|jovyan|circleci|docker|container|git|app|ec2-user|guest|test)",
    re.IGNORECASE,
)
"""Nobody's names."""
_COMMON: Final = re.compile(
    "src|apps?|bin|lib|data|dev|tests?|code|work|main|home|users?|root|admin|build|opt|tmp|etc|usr|var|docs|projects?|"
    "repos?|git|www|html",
    re.IGNORECASE,
)
_HOMES: Final = ("home", "sers", "ocuments")


class Homes:
    """Users get numbers as they come: `user`, `user2`."""

    def __init__(self, directories: Iterable[str] = (), users: Iterable[str] = ()) -> None:
        self._users: dict[str, str] = {}
        self._known: re.Pattern[str] | None = None
        self._known_names: tuple[str, ...] = ()
        names = dict.fromkeys([*users, *(user for directory in directories if (user := find_user(directory)))])
        for name in names:
            self._name(name)
        known = [name for name in names if len(name) >= 3 and not _COMMON.fullmatch(name) and not _KEPT.fullmatch(name)]
        if known:
            each = "|".join(sorted(map(re.escape, known), key=len, reverse=True))
            self._known = re.compile(
                rf"(?P<before>(?:[/\\~]|%2[Ff]|%5[Cc])|(?<![A-Za-z0-9])(?:home|Users)-)(?P<user>{each})(?![\w]|[.](?=\w))"
            )
            self._known_names = tuple(known)

    def rewrite(self, text: str, note: Callable[[], None]) -> str:
        """`note` is called once for each name that was rewritten."""

        def replace(match: re.Match[str]) -> str:
            user = match["user"]
            if _KEPT.fullmatch(user) or (_FILE.search(user) and text[match.end() : match.end() + 1] not in ("/", "\\")):
                return match[0]
            note()
            return match["head"] + self._name(user)

        def replace_known(match: re.Match[str]) -> str:
            note()
            return match["before"] + self._name(match["user"])

        if any(home in text for home in _HOMES):
            text = _HOME.sub(replace, text)
        if self._known is not None and any(name in text for name in self._known_names):
            text = self._known.sub(replace_known, text)
        return text

    def _name(self, user: str) -> str:
        key = user.replace("%20", " ").replace("%40", "@")
        if key not in self._users:
            number = len(self._users) + 1
            self._users[key] = "user" if number == 1 else f"user{number}"
        return self._users[key]


def find_user(directory: str) -> str | None:
    """Whose home the folder is in."""
    match = _HOME.match(directory) or _HOME.search(directory)
    return match["user"] if match and not _KEPT.fullmatch(match["user"]) else None


def find_users(environment: dict[str, str] | os._Environ[str]) -> list[str]:
    """Who this process runs as."""
    homes = (environment.get(name, "") for name in ("HOME", "USERPROFILE"))
    found = [user for home in homes if (user := find_user(home))]
    named = [user for name in ("USER", "LOGNAME", "USERNAME") if (user := environment.get(name))]
    return [user for user in dict.fromkeys([*found, *named]) if not _KEPT.fullmatch(user)]
