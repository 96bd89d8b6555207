"""The steps of one server, each with the call that made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lsp_tap.session.attribution import READING_TOOLS, Attribution, Authorship, Unseen, find_deleted, find_path
from lsp_tap.session.history import Call
from lsp_tap.timeline.diagnostics import Diagnostic
from lsp_tap.timeline.fold import Change, ServerTimeline
from lsp_tap.timeline.linemap import LineMap
from lsp_tap.timeline.span import Traced
from lsp_tap.timeline.steps import FirstSight, Mark, Step, find_steps


@dataclass(frozen=True, slots=True)
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
    knowledge = _Knowledge(timeline, attribution, calls)
    owned = []
    latest: dict[str, OwnedStep] = {}
    for step in find_steps(timeline, knowledge):
        if isinstance(step.cause, Change):
            author = knowledge.authors[step.cause]
            unseen = author.unseen or _find_unreported(latest.get(step.cause.uri), author)
            owned.append(OwnedStep(step, author.owner, unseen))
            latest[step.cause.uri] = owned[-1]
        else:
            call = knowledge.marking[step.cause.by]
            owned.append(OwnedStep(step, call, loosened=attribution.is_loosening(call)))
    return owned


def _find_unreported(earlier: OwnedStep | None, author: Authorship) -> Unseen | None:
    """The version before, of another author, if the server never spoke of it: two edits within one debounce."""
    if earlier is None or earlier.step.settled_us is not None or earlier.owner is author.owner:
        return None
    return Unseen(earlier.step.cause.text, earlier.owner) if isinstance(earlier.step.cause, Change) else None


class _Knowledge:
    """What the calls know about a server's changes (see `timeline.steps.Knowledge`)."""

    def __init__(self, timeline: ServerTimeline, attribution: Attribution, calls: Sequence[Call]) -> None:
        self._attribution = attribution
        self._uri_of = {find_path(change.uri): change.uri for change in timeline.changes}
        self.authors: dict[Change, Authorship] = {}
        earlier: dict[str, list[Change]] = {}
        for change in timeline.changes:
            versions = earlier.setdefault(change.uri, [])
            self.authors[change] = attribution.find_author(change, versions)
            versions.append(change)
        self.marking = {f"{c.session_id}/{c.call_id}": c for c in calls}
        self._marks = self._find_marks(timeline)

    def find_first_sight(self, change: Change) -> FirstSight:
        return self._attribution.find_first_sight(change, self._uri_of)

    def find_patience(self, change: Change) -> int | None:
        author = self.authors[change]
        return author.owner.end_us if author.owner and author.in_window else None

    def list_marks(self) -> Sequence[Mark]:
        return self._marks

    def _find_marks(self, timeline: ServerTimeline) -> list[Mark]:
        """The calls whose work this server saw no text of: commands, configuration, files of other kinds; deletions."""
        writers = {id(author.owner) for change, author in self.authors.items() if change.altered and author.owner}
        marks = []
        for by, call in self.marking.items():
            deleted = tuple(self._uri_of[path] for path in find_deleted(call) if path in self._uri_of)
            is_silent = id(call) not in writers and call.tool not in READING_TOOLS and call.child_session_id is None
            if call.start_us is not None and call.status == "completed" and (deleted or is_silent):
                marks.append(Mark(call.start_us, by, deleted))
        return sorted(marks, key=lambda mark: mark.time_us)
