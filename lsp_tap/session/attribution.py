"""Which tool call wrote which document version.

Every version the servers saw is matched with the calls the plugin saw, by file, window and text:

1. calls whose window (before-hook to after-hook) holds the moment the server was told, and which name the file. The
   client tells its servers inside that window. If several overlap, the one whose own text it is: the text read in the
   after-hook, or the old text with the call's replacement made.
2. otherwise the text became known late, at somebody's later touch: calls that ended since the server's last text of
   that file and that changed it (an edit's own text; a command whose step lists the file as patched), the last of them.
3. otherwise nobody's call: external (a person in an editor).

A call may find a text on disk that no server was told of: a command or a person wrote it, and the server then sees both
changes as one. The before-hook read that text, so the two are told apart line by line (`Unseen`). The same where two
parallel calls had both written before either told the server.
"""

from __future__ import annotations

import os.path
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import Any, Final

from pygls.uris import to_fs_path

from lsp_tap.session.history import Call, HistoryFold, SessionHistory
from lsp_tap.timeline.clearance import is_loosened
from lsp_tap.timeline.contents import Content
from lsp_tap.timeline.fold import Change
from lsp_tap.timeline.steps import READ, FirstSight

CLOCK_SLACK_US: Final = 20_000
"""Two processes' readings of one wall clock, one of them in whole milliseconds."""

READING_TOOLS: Final = frozenset(
    {"read", "glob", "grep", "list", "lsp", "webfetch", "websearch", "todowrite", "todoread", "skill"}
)


@lru_cache(maxsize=4096)
def find_path(uri: str) -> str:
    """The file a uri means, or the uri itself where it is none."""
    return to_fs_path(uri) or uri


@lru_cache(maxsize=4096)
def _resolve(directory: str, path: str) -> str:
    return os.path.normpath(os.path.join(directory, path))


def find_files(call: Call, directory: str) -> list[str]:
    """The files a call named as about to be changed, absolute, in the order it named them."""
    named = [*call.files_before, *call.files_after]
    if not named and call.tool in READING_TOOLS:
        return named
    if not named and call.path is not None:
        named = [call.path]
    return list(dict.fromkeys(_resolve(directory, path) for path in named))


def find_deleted(call: Call) -> list[str]:
    """The files that were there before a call, and after it neither there nor under another name."""
    moved = set(call.moves.values())
    return [
        path
        for path, after in call.files_after.items()
        if after.existed is False
        and (before := call.files_before.get(path)) is not None
        and before.existed
        and os.path.normpath(path) not in moved
    ]


@dataclass(frozen=True, slots=True)
class Unseen:
    """A text that a call found on disk and no server had been told of, and whose it was (None: nobody's call)."""

    text: str
    owner: Call | None


@dataclass(frozen=True, slots=True)
class Authorship:
    """Who wrote a document version. `in_window`: while it ran, so it also waited for the server."""

    owner: Call | None
    in_window: bool
    unseen: Unseen | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a call is in the index: under the files it names, and under those its step patched. No version of before
    `since_us` can be its."""

    named: Sequence[str] = ()
    patched: Sequence[str] = ()
    since_us: float = float("inf")


_NOWHERE: Final = _Place()


class Attribution:
    """Answers for all sessions of a recording, since they share the servers."""

    def __init__(self, history: HistoryFold) -> None:
        self._history = history
        self._revision = 0
        self._directories: dict[str, str] = {}
        self._places: dict[Call, _Place] = {}
        self._by_file: dict[str, list[Call]] = {}
        self._patching: dict[str, list[Call]] = {}
        self.moved: set[str] = set()  # paths to which calls moved files
        self.update()

    def update(self) -> dict[str, float]:
        """Take in what became known of calls since the last time. By file: since when (wall clock, microseconds) its
        versions may have other authors, or may be seen otherwise, than was said before.
        """
        since_us: dict[str, float] = {}
        for session in self._history.ordered_sessions():
            if session.revision > self._revision:
                for call in self._list_altered(session):
                    self._place(call, session, since_us)
        self._revision = self._history.revision
        return since_us

    def _list_altered(self, session: SessionHistory) -> list[Call]:
        known, messages = self._revision, session.messages
        directory, session_id = session.directory, session.session_id
        if directory != self._directories.get(session_id, directory):
            known = 0
        self._directories[session_id] = directory
        altered = {message_id for message_id, message in messages.items() if message.revision > known}
        return [call for call in session.calls.values() if call.revision > known or call.message_id in altered]

    def _place(self, call: Call, session: SessionHistory, since_us: dict[str, float]) -> None:
        files, moves = find_files(call, session.directory), call.moves
        message = session.messages.get(call.message_id or "")
        patched = message.patched_files if message and not files and call.tool not in READING_TOOLS else ()
        place = _Place(
            (*files, *moves),
            tuple(_resolve(session.directory, path) for path in patched),
            # The moment of a call is compared with that of a version, each way with a slack.
            min((us for us in (call.start_us, call.end_us) if us is not None), default=float("inf"))
            - 2 * CLOCK_SLACK_US,
        )
        if not place.named and not place.patched and call not in self._places:
            return
        self.moved.update(moves)
        before, self._places[call] = self._places.get(call, _NOWHERE), place
        for index, old, new in (
            (self._by_file, before.named, place.named),
            (self._patching, before.patched, place.patched),
        ):
            for path in set(old).difference(new):
                index[path].remove(call)
            for path in set(new).difference(old):
                insort(index.setdefault(path, []), call, key=lambda other: (other.session_id, other.number))
            for path in {*old, *new}:
                since_us[path] = min(since_us.get(path, place.since_us), before.since_us, place.since_us)

    def find_first_sight(self, change: Change, uri_of: Mapping[str, str]) -> FirstSight:
        """What a document's first version was. `uri_of` are the documents the server knows, by path."""
        path = find_path(change.uri)
        for call in self._in_window(path, change):
            origin = uri_of.get(call.moves.get(path, ""))
            if origin is not None:
                return FirstSight("moved", origin)
            before = call.files_before.get(path)
            if before is not None and before.existed is False:
                return FirstSight("created")
            if before is None or self._history.content_of(before) != change.content:
                return FirstSight("written")
        return READ

    def find_author(self, change: Change, earlier: list[Change]) -> Authorship:
        """Who wrote `change`; `earlier` are the server's versions of the document before it, in order."""
        path, since_us = find_path(change.uri), earlier[-1].time_us if earlier else 0
        inside = self._in_window(path, change)
        if not inside:
            return Authorship(self._find_late_owner(path, change.content, since_us, change.time_us), False)
        both = _find_pair(inside, change)
        if both is not None:
            return both
        owner = max(inside, key=lambda call: (self._fits(call, path, change), -(call.start_us or 0)))
        found = self._history.content_of(owner.files_before.get(path))
        if not earlier or found is None or any(found == version.content for version in earlier):
            return Authorship(owner, True)
        before = self._find_late_owner(path, found, since_us, owner.start_us or change.time_us)
        return Authorship(owner, True, Unseen(found.text, before))

    def is_loosening(self, call: Call) -> bool:
        """Whether a call made a checker's configuration report less."""
        return any(
            is_loosened(
                path, self._history.text_of(call.files_before.get(path)), self._history.text_of(call.files_after[path])
            )
            for path in call.files_after
        )

    def _find_late_owner(self, path: str, content: Content, since_us: int, until_us: int) -> Call | None:
        late = [
            call
            for call in self._by_file.get(path, ())
            if self._ended_between(call, since_us, until_us)
            and self._history.content_of(call.files_after.get(path)) == content
        ]
        late += [c for c in self._patching.get(path, ()) if self._ended_between(c, since_us, until_us)]
        return max(late, key=lambda call: call.end_us or 0, default=None)

    def _in_window(self, path: str, change: Change) -> list[Call]:
        """The calls that were running then or, clocks being two, ran about then and left that very text."""

        def runs(call: Call, slack_us: int) -> bool:
            if call.start_us is None:
                return False
            return call.start_us - slack_us <= change.time_us <= (call.end_us or change.time_us) + slack_us

        calls = self._by_file.get(path, ())
        inside = [call for call in calls if runs(call, 0)]
        return inside or [c for c in calls if runs(c, CLOCK_SLACK_US) and self._fits(c, path, change)]

    @staticmethod
    def _ended_between(call: Call, since_us: int, until_us: int) -> bool:
        return call.end_us is not None and since_us - CLOCK_SLACK_US <= call.end_us <= until_us + CLOCK_SLACK_US

    def _fits(self, call: Call, path: str, change: Change) -> int:
        """How surely the text of `change` is this call's: 2 its replacement made, 1 the text it left, 0 not."""
        if change.previous is not None and change.text in _replacements(call.args, change.previous):
            return 2
        return int(self._history.content_of(call.files_after.get(path)) == change.content)


def _find_pair(calls: list[Call], change: Change) -> Authorship | None:
    """The two parallel calls whose replacements, one upon the other, make the change. None: one does it, or more."""
    previous = change.previous
    if previous is None or any(change.text in _replacements(call.args, previous) for call in calls):
        return None
    for first, second in permutations(sorted(calls, key=lambda call: call.start_us or 0), 2):
        for text in _replacements(first.args, previous):
            if change.text in _replacements(second.args, text):
                return Authorship(second, True, Unseen(text, first))
    return None


def _replacements(args: Any, text: str) -> Iterable[str]:
    """The texts an edit's arguments can make of `text`."""
    if not isinstance(args, Mapping):
        return ()
    old, new = args.get("oldString"), args.get("newString")
    if isinstance(old, str) and isinstance(new, str) and old and old in text:
        return text.replace(old, new, 1), text.replace(old, new)
    content = args.get("content")
    return (content,) if isinstance(content, str) else ()
