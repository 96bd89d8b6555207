"""What to replay: which documents to open with which text, and which texts to change in which order. Pure.

A document that a server knew before the session is opened with the text it had then. One that it first saw in the
session is opened

- at the start with the text it had, if it was seen as it stood (`read`);
- at the start with the text the plugin had read, if a call had written over it unseen (`written`); where nobody knows
  that text, with the new one when it was written, and what was before stays unknown;
- when it was `created` or `moved`; the document it was moved from is closed.

Then every text that differs from the one before is sent again, in the order in which the servers were told; what the
servers were not told (they had died, or nobody touched the file again) when the call that wrote it had ended. Several
client processes of one session (it was continued in another) make one replay.

What reached the servers through the disk alone cannot be replayed: a command, a configuration file, a module that was
missing. Where the recording shows that it mattered, the plan says so (`unrepeatable`), and the recorded numbers stay.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pygls.uris import from_fs_path

from lsp_tap.session.attribution import Attribution, find_deleted, find_files, find_path
from lsp_tap.session.history import Call, HistoryFold, SessionHistory
from lsp_tap.session.ownership import OwnedStep, find_owned_steps
from lsp_tap.session.turns import find_turns
from lsp_tap.timeline.fold import Change, ServerTimeline
from lsp_tap.timeline.states import EMPTY
from lsp_tap.timeline.steps import READ, FirstSight, Mark

_CREATED: Final = FirstSight("created")


@dataclass(frozen=True, slots=True)
class Opening:
    """A document to open before anything changes."""

    uri: str
    text: str
    known_since_us: int


@dataclass(frozen=True, slots=True)
class Move:
    """A change to replay. `text` None: the document was deleted. `sight`: how it comes into view if it is not open."""

    time_us: int
    uri: str
    text: str | None
    owner: Call | None
    sight: FirstSight = READ


@dataclass(slots=True)
class Plan:
    """The replay of one server (its `name` and `root`) of one session, up to `until_us`."""

    session_id: str
    name: str
    root: str
    until_us: int
    openings: dict[str, Opening] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    unrepeatable: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Heard:
    """A text that a server was told of, or should have been."""

    time_us: int
    uri: str
    text: str | None
    owner: Call | None
    sight: FirstSight
    unseen: Move | None = None


def plan_replay(session: SessionHistory, history: HistoryFold, timelines: Sequence[ServerTimeline]) -> Plan:
    """The plan for one server; `timelines` are all that it has in the session."""
    turns = find_turns(session)
    start_us, until_us = (turns[0].start_us, turns[-1].end_us) if turns else (session.last_us, session.last_us)
    family = history.find_family(session)
    plan = Plan(session.session_id, timelines[0].name, timelines[0].cwd, until_us)
    attribution = Attribution(history)
    heard = _list_heard(timelines, attribution)
    heard += _list_unheard(heard, history, family)
    _Replay(plan, history, start_us).run(
        h for h in sorted(heard, key=lambda h: h.time_us) if h.time_us <= until_us or _is_of(h.owner, family)
    )
    calls = [call for s in history.sessions.values() for call in s.calls.values()]
    for timeline in timelines:
        for owned in find_owned_steps(timeline, attribution, calls):
            if start_us <= owned.time_us <= until_us and (reason := _find_unrepeatable(owned)):
                plan.unrepeatable.append(reason)
    return plan


def _is_of(owner: Call | None, family: Mapping[str, SessionHistory]) -> bool:
    return owner is not None and owner.session_id in family


def _list_heard(timelines: Sequence[ServerTimeline], attribution: Attribution) -> list[_Heard]:
    """What the servers were told, by whom."""
    changes = sorted((change for timeline in timelines for change in timeline.changes), key=lambda c: c.time_us)
    uri_of = {find_path(change.uri): change.uri for change in changes}
    earlier: dict[str, list[Change]] = {}
    heard = []
    for change in changes:
        versions = earlier.setdefault(change.uri, [])
        author = attribution.find_author(change, versions)
        sight = READ if versions else attribution.find_first_sight(change, uri_of)
        found = author.unseen
        unseen = Move(change.time_us, change.uri, found.text, found.owner) if found else None
        heard.append(_Heard(change.time_us, change.uri, change.text, author.owner, sight, unseen))
        versions.append(change)
    return heard


def _list_unheard(heard: Sequence[_Heard], history: HistoryFold, family: Mapping[str, SessionHistory]) -> list[_Heard]:
    """What the session's calls wrote and deleted without the server hearing of it, in files of the kinds it knows."""
    uri_of = {find_path(h.uri): h.uri for h in heard}
    suffixes = {os.path.splitext(path)[1] for path in uri_of}
    told = {(id(h.owner), h.uri) for h in heard}
    unheard = []
    for session in family.values():
        for call in session.calls.values():
            if call.status != "completed" or call.end_us is None:
                continue
            gone = set(find_deleted(call))
            for path in find_files(call, session.directory):
                uri = uri_of.get(path) or from_fs_path(path) or path
                before, after = call.files_before.get(path), call.files_after.get(path)
                text = history.text_of(after)
                if (id(call), uri) in told or os.path.splitext(path)[1] not in suffixes:
                    continue
                if path in gone:
                    unheard.append(_Heard(call.end_us, uri, None, call, READ))
                elif text is not None and after is not None and after.existed is not False:
                    is_new = before is not None and before.existed is False
                    sight = _CREATED if is_new else FirstSight("written")
                    if text != history.text_of(before):
                        unheard.append(_Heard(call.end_us, uri, text, call, sight))
    return unheard


class _Replay:
    """Follows the texts, and notes where they change."""

    def __init__(self, plan: Plan, history: HistoryFold, start_us: int) -> None:
        self._plan, self._history, self._start_us = plan, history, start_us
        self._texts: dict[str, str] = {}
        self._seen: set[str] = set()

    def run(self, heard: Iterable[_Heard]) -> None:
        for one in heard:
            if one.time_us < self._start_us:
                self._step_before(one)
            else:
                self._step(one)

    def _step_before(self, heard: _Heard) -> None:
        self._seen.add(heard.uri)
        since_us = self._plan.openings[heard.uri].known_since_us if heard.uri in self._texts else heard.time_us
        if heard.text is None:
            self._texts.pop(heard.uri, None)
            self._plan.openings.pop(heard.uri, None)
        else:
            self._open(heard.uri, heard.text, since_us)

    def _open(self, uri: str, text: str, since_us: int) -> None:
        self._texts[uri] = text
        self._plan.openings[uri] = Opening(uri, text, since_us)

    def _move(self, move: Move) -> None:
        self._plan.moves.append(move)
        if move.sight.origin is not None:
            self._texts.pop(move.sight.origin, None)
        if move.text is None:
            self._texts.pop(move.uri, None)
        else:
            self._texts[move.uri] = move.text

    def _step(self, heard: _Heard) -> None:
        move = Move(heard.time_us, heard.uri, heard.text, heard.owner)
        is_first = heard.uri not in self._seen
        self._seen.add(heard.uri)
        if heard.uri in self._texts:
            if heard.unseen is not None and heard.unseen.text != self._texts[heard.uri]:
                self._move(heard.unseen)
            if heard.text != self._texts[heard.uri]:
                self._move(move)
        elif heard.text is not None:
            self._see_first(move, heard.text, heard.sight if is_first else _CREATED)

    def _see_first(self, move: Move, text: str, sight: FirstSight) -> None:
        """A document that is not open."""
        if sight.kind == "created" or (sight.kind == "moved" and sight.origin in self._texts):
            self._move(replace(move, sight=sight))
        elif sight.kind == "read":
            self._open(move.uri, text, move.time_us)
        else:
            before = move.owner.files_before.get(find_path(move.uri)) if move.owner else None
            known = self._history.text_of(before)
            if known is None:
                self._move(replace(move, sight=FirstSight("written")))
            else:
                self._open(move.uri, known, move.time_us)
                if known != text:
                    self._move(move)


def _find_unrepeatable(owned: OwnedStep) -> str | None:
    """Why a recorded step cannot be had again by sending texts; None if it can."""
    step, cause = owned.step, owned.step.cause
    own = cause.deleted if isinstance(cause, Mark) else (cause.uri,)
    is_of_disk = isinstance(cause, Mark) or step.origin is not None or step.before.get(cause.uri) is EMPTY
    others = [u for u, matching in step.matchings.items() if u not in own and (matching.cleared or matching.introduced)]
    if not is_of_disk or not others:
        return None
    who, files = owned.owner.tool if owned.owner else "somebody", ", ".join(sorted(map(find_path, others)))
    return f"{who} changed what was said of {files} by what it did on the disk, which is there already"
