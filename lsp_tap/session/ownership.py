"""The steps of one server, each with the call that made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lsp_tap.session.attribution import READING_TOOLS, Attribution, Authorship, Unseen, find_deleted, find_path
from lsp_tap.session.history import Call
from lsp_tap.session.memo import Memo
from lsp_tap.timeline.diagnostics import Diagnostic
from lsp_tap.timeline.fold import Change, ServerTimeline
from lsp_tap.timeline.linemap import LineMap
from lsp_tap.timeline.span import Traced
from lsp_tap.timeline.steps import FirstSight, Mark, Step, StepFinder


@dataclass(frozen=True, slots=True, eq=False)
class OwnedStep:
    """A step and the call that made it (None: nobody's); `unseen` is what it found altered already; `loosened`: that
    call made a checker's configuration report less."""

    step: Step
    owner: Call | None
    unseen: Unseen | None = None
    loosened: bool = False
    recorded_us: int | None = None  # of a replayed step: when it was recorded

    @property
    def time_us(self) -> int:
        """When it happened in the session, wall clock."""
        return self.step.cause.time_us if self.recorded_us is None else self.recorded_us

    def list_parts(self) -> list[Call]:
        """The calls that had a part in it."""
        unseen = self.unseen.owner if self.unseen else None
        return [call for call in dict.fromkeys((self.owner, unseen)) if call is not None]

    def find_clearer(self, traced: Traced) -> Call | None:
        """Who cleared a diagnostic in this step: whoever altered its line first."""
        if self.unseen is None or not isinstance(self.step.cause, Change):
            return self.owner
        to_unseen = LineMap(self._find_reported_text(self.step.cause), self.unseen.text)
        return self.owner if _stays(traced.at_step, to_unseen) else self.unseen.owner

    def find_introducer(self, traced: Traced) -> Call | None:
        """Who introduced a diagnostic in this step: whoever altered its line last."""
        if self.unseen is None or not isinstance(self.step.cause, Change):
            return self.owner
        back = LineMap(self.step.cause.text, self.unseen.text)
        moved = back.move(traced.at_step.line)
        if moved is None or not back.is_kept(traced.at_step.line):
            return self.owner
        further = LineMap(self.unseen.text, self._find_reported_text(self.step.cause))
        return self.owner if further.is_kept(moved[0]) else self.unseen.owner

    def _find_reported_text(self, change: Change) -> str | None:
        """The text that the diagnostics before this step speak of; older than the version before, if that had none."""
        state = self.step.before.get(change.uri)
        return change.previous if state is None or state.text is None else state.text


def _stays(diagnostic: Diagnostic, lines: LineMap) -> bool:
    return all(lines.is_kept(line) for line in range(diagnostic.line, diagnostic.end_line + 1))


def find_owned_steps(timeline: ServerTimeline, attribution: Attribution, calls: Sequence[Call]) -> list[OwnedStep]:
    """All steps of a server. `calls` are all that may have altered something it looks at."""
    return Ownership(timeline, attribution).find_steps(calls, {})


class Ownership:
    """Finds the steps of a server, whose timeline grows, with their owners. Those that are as they were are the same
    objects again.
    """

    def __init__(self, timeline: ServerTimeline, attribution: Attribution) -> None:
        self._attribution, self._memo = attribution, Memo()
        self._knowledge = _Knowledge(timeline, attribution)
        self._finder = StepFinder(timeline, self._knowledge)

    def find_steps(self, calls: Sequence[Call], since_us: Mapping[str, float]) -> list[OwnedStep]:
        """All steps so far. `calls` are all that may have altered something the server looks at, `since_us` is what
        the attribution's update said.
        """
        self._knowledge.update(calls, since_us)
        self._memo.begin_round()
        latest: dict[str, OwnedStep] = {}
        return [self._own(step, latest) for step in self._finder.find()]

    def _own(self, step: Step, latest: dict[str, OwnedStep]) -> OwnedStep:
        cause = step.cause
        if isinstance(cause, Mark):
            call = self._knowledge.marking[cause.by]
            return self._memo.recall(
                lambda: OwnedStep(step, call, loosened=self._attribution.is_loosening(call)),
                (step, call, call.revision),
            )
        author, earlier = self._knowledge.authors[cause], latest.get(cause.uri)
        owned = latest[cause.uri] = self._memo.recall(
            lambda: OwnedStep(step, author.owner, author.unseen or _find_unreported(earlier, author)),
            (step, author, earlier),
        )
        return owned


def _find_unreported(earlier: OwnedStep | None, author: Authorship) -> Unseen | None:
    """The version before, of another author, if the server never spoke of it: two edits within one debounce."""
    if earlier is None or earlier.step.settled_us is not None or earlier.owner is author.owner:
        return None
    return Unseen(earlier.step.cause.text, earlier.owner) if isinstance(earlier.step.cause, Change) else None


class _Marking(NamedTuple):
    """What a call did apart from the versions of documents: it deleted files, or anything else if it `is_silent`."""

    start_us: int
    by: str
    deleted: Sequence[str]
    is_silent: bool


class _Knowledge:
    """What the calls know about a server's changes (see `timeline.steps.Knowledge`)."""

    def __init__(self, timeline: ServerTimeline, attribution: Attribution) -> None:
        self._timeline, self._attribution = timeline, attribution
        self._uri_of: dict[str, str] = {}
        self._versions: dict[str, list[Change]] = {}
        self._sights: dict[Change, FirstSight] = {}
        self._revisions: dict[Call, int] = {}
        self._marking: dict[Call, _Marking] = {}
        self._marks: list[Mark] = []
        self.authors: dict[Change, Authorship] = {}
        self.marking: dict[str, Call] = {}

    def update(self, calls: Sequence[Call], since_us: Mapping[str, float]) -> None:
        """Take in what became known; see `Ownership.find_steps`."""
        new = self._timeline.changes[len(self.authors) :]
        uri_of = {find_path(change.uri): change.uri for change in new}
        if not uri_of.items() <= self._uri_of.items():
            self._uri_of |= uri_of  # a file may have been moved from what is a document only now
            since_us = {**since_us, **dict.fromkeys(self._attribution.moved, float("-inf"))}
        for uri, versions in self._versions.items():
            first_us = since_us.get(find_path(uri))
            for number, change in enumerate(versions if first_us is not None else ()):
                if first_us is not None and change.time_us >= first_us:
                    self._attribute(change, versions[:number])
        for change in new:
            versions = self._versions.setdefault(change.uri, [])
            self._attribute(change, versions)
            versions.append(change)
        self._note_calls(calls)
        self._marks = self._find_marks()

    def _attribute(self, change: Change, earlier: list[Change]) -> None:
        self.authors[change] = self._attribution.find_author(change, earlier)
        if change.earlier is None:
            self._sights[change] = self._attribution.find_first_sight(change, self._uri_of)

    def _note_calls(self, calls: Sequence[Call]) -> None:
        for call in calls:
            if self._revisions.get(call) != call.revision:
                self._revisions[call] = call.revision
                marking = _find_marking(call)
                if marking is None:
                    self._marking.pop(call, None)
                else:
                    self._marking[call], self.marking[marking.by] = marking, call
        if len(self._revisions) > len(calls):
            for call in self._revisions.keys() - calls:
                self._marking.pop(call, None)
                del self._revisions[call]

    def find_first_sight(self, change: Change) -> FirstSight:
        return self._sights[change]

    def find_patience(self, change: Change) -> int | None:
        author = self.authors[change]
        return author.owner.end_us if author.owner and author.in_window else None

    def list_marks(self) -> Sequence[Mark]:
        return self._marks

    def _find_marks(self) -> list[Mark]:
        """The calls whose work this server saw no text of: commands, configuration, files of other kinds; deletions."""
        writers = {author.owner for change, author in self.authors.items() if change.altered}
        found = []
        for call, marking in self._marking.items():
            deleted = tuple(self._uri_of[path] for path in marking.deleted if path in self._uri_of)
            if deleted or (marking.is_silent and call not in writers):
                mark = Mark(marking.start_us, marking.by, deleted)
                found.append((mark.time_us, call.session_id, call.number, mark))
        return [mark for *_, mark in sorted(found, key=lambda one: one[:3])]


def _find_marking(call: Call) -> _Marking | None:
    if call.start_us is None or call.status != "completed":
        return None
    deleted, is_silent = find_deleted(call), call.tool not in READING_TOOLS and call.child_session_id is None
    by = f"{call.session_id}/{call.call_id}"
    return _Marking(call.start_us, by, deleted, is_silent) if deleted or is_silent else None
