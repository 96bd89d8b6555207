"""One tool call as the page shows it: what it was asked, what it changed, and what became of the errors."""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lsp_tap.report.diffs import Diff, Note, Painter, annotate
from lsp_tap.report.texts import Excerpt, Texts
from lsp_tap.session.attribution import READING_TOOLS, find_files, find_path
from lsp_tap.session.history import Call, HistoryFold, SessionHistory
from lsp_tap.session.models import Action, Delta, Finding
from lsp_tap.session.ownership import OwnedStep
from lsp_tap.timeline.fold import Change

_RESULT_LIMIT: Final = 1_500
_ARGS_LIMIT: Final = 1_500
_SPEAKING: Final = ("filePath", "command", "pattern", "path", "url", "query", "description", "prompt", "name")
_FINDINGS_LIMIT: Final = 60


@dataclass(frozen=True, slots=True)
class FindingView:
    place: str
    message: str
    rule: str
    server: str
    by: str | None = None


@dataclass(frozen=True, slots=True)
class DeltaView:
    """`left` and the lists are what the session file says; `more_*`: how many are not listed."""

    cleared: tuple[FindingView, ...]
    introduced: tuple[FindingView, ...]
    more_cleared: int
    more_introduced: int
    left: int | None
    freshness: str
    baseline: str
    elapsed_ms: float | None
    servers: tuple[str, ...]
    warnings_cleared: int | None
    warnings_introduced: int | None


@dataclass(frozen=True, slots=True)
class CallView:
    """`kind`: `edit`, `command`, `read` or `other`, which is its colour. `offset_s`: since its turn began."""

    anchor: str
    number: int
    tool: str
    kind: str
    ok: bool
    title: str
    offset_s: float | None
    took_s: float | None
    args: Excerpt | None
    result: Excerpt | None
    error: Excerpt | None
    diffs: tuple[Diff, ...]
    delta: DeltaView | None
    child_session: str | None


class CallViews:
    """Makes the views of one session's calls. `steps`: of all its servers, to see what commands wrote."""

    def __init__(
        self, texts: Texts, history: HistoryFold, session: SessionHistory | None, steps: Sequence[OwnedStep]
    ) -> None:
        self._texts, self._history, self._session = texts, history, session
        self._painter = Painter(texts)
        self._changes: dict[int, list[Change]] = {}
        for owned in steps:
            if owned.owner is not None and isinstance(owned.step.cause, Change):
                self._changes.setdefault(id(owned.owner), []).append(owned.step.cause)

    def make(self, action: Action, anchor: str, number: int, offset_s: float | None) -> CallView:
        """The view of one action of the session file."""
        call = self._session.calls.get(action.call_id) if self._session else None
        diffs = self._list_diffs(call, action) if action.success or call is None else []
        delta = getattr(action, "lsp_delta", None)
        if delta is not None:
            _annotate(self._texts, diffs, delta, self._session.directory if self._session else "")
        error = getattr(action, "error", None)
        child = call.child_session_id if call else None
        kind = find_kind(action)
        return CallView(
            anchor=anchor,
            number=number,
            tool=self._texts.show(action.tool, 40),
            kind=kind,
            ok=action.success,
            title=self._texts.show(self._relative(_find_title(action)), 160),
            offset_s=offset_s,
            took_s=action.duration,
            args=None if diffs or action.args in (None, {}) else self._texts.excerpt(action.args, _ARGS_LIMIT),
            result=self._texts.excerpt(action.result, _RESULT_LIMIT) if action.result else None,
            error=self._texts.excerpt(error, _RESULT_LIMIT) if error else None,
            diffs=tuple(diffs),
            delta=view_delta(self._texts, delta) if delta is not None else None,
            child_session=self._texts.show(child, 80) if child else None,
        )

    def _list_diffs(self, call: Call | None, action: Action) -> list[Diff]:
        if call is None or self._session is None:
            return []
        directory = self._session.directory
        before = {os.path.normpath(os.path.join(directory, p)): s for p, s in call.files_before.items()}
        after = {os.path.normpath(os.path.join(directory, p)): s for p, s in call.files_after.items()}
        if not before and not after:
            return self._list_unnamed(call, action, directory)
        moves = {new: old for new, old in call.moves.items() if new in after}
        diffs = []
        for path in find_files(call, directory):
            if path in moves.values() and path not in moves:
                continue
            old = self._history.text_of(before.get(moves.get(path, path)))
            new = self._history.text_of(after.get(path))
            existed = getattr(before.get(moves.get(path, path)), "existed", None)
            exists = getattr(after.get(path), "existed", None)
            diffs.append(self._compare(call, path, old, new, moves.get(path), existed, exists))
        return diffs

    def _compare(
        self,
        call: Call,
        path: str,
        old: str | None,
        new: str | None,
        origin: str | None,
        existed: bool | None,
        exists: bool | None,
    ) -> Diff:
        name = self._relative(path)
        if old is None or new is None:
            return self._guess(call, name)
        diff = self._painter.compare(name, old, new, "moved" if origin else "changed")
        if origin:
            diff.origin = self._texts.show(self._relative(origin))
        elif existed is False and exists is not False:
            diff.kind = "created"
        elif exists is False and existed:
            diff.kind = "deleted"
        elif old == new:
            diff.kind = "unchanged"
        return diff

    def _guess(self, call: Call, name: str) -> Diff:
        """A diff from what the client or the arguments say, where the texts are not known."""
        patch = call.metadata.get("diff") if isinstance(call.metadata, dict) else None
        if isinstance(patch, str) and patch:
            return self._painter.parse(name, patch, "the client's own diff: the texts were not recorded")
        args: Mapping[str, Any] = call.args if isinstance(call.args, dict) else {}
        old, new = args.get("oldString"), args.get("newString")
        if isinstance(old, str) and isinstance(new, str):
            diff = self._painter.compare(name, old, new)
            diff.doubt = "from the arguments: lines count from the replaced piece, not from the file's beginning"
            return diff
        return Diff(self._texts.show(name), "unknown", doubt="its text before or after is not known")

    def _list_unnamed(self, call: Call, action: Action, directory: str) -> list[Diff]:
        """What a call that names no files (a command) wrote, as a server was told of it later."""
        versions: dict[str, list[Change]] = {}
        for change in self._changes.get(id(call), ()):
            versions.setdefault(change.uri, []).append(change)
        diffs = []
        for uri, changes in versions.items():
            if changes[0].previous is not None:
                name = self._relative(find_path(uri))
                diff = self._painter.compare(name, changes[0].previous, changes[-1].text)
                diff.doubt = "as a language server was told of it"
                diffs.append(diff)
        if not diffs and find_files(call, directory) and action.success:
            diffs.append(self._guess(call, self._relative(find_files(call, directory)[0])))
        return diffs

    def _relative(self, path: str) -> str:
        return relative_to(path, self._session.directory if self._session else "")


def relative_to(path: str, directory: str) -> str:
    root = directory.rstrip("/") + "/"
    return path.removeprefix(root) if directory and path.startswith(root) else path


def find_kind(action: Action) -> str:
    """What a call is by its colour: reading, writing, running a command, or something else."""
    if action.tool in READING_TOOLS:
        return "read"
    if action.files or action.tool in ("edit", "write", "multiedit", "apply_patch", "patch"):
        return "edit"
    return "command" if action.tool in ("bash", "shell") else "other"


def _find_title(action: Action) -> str:
    if action.files:
        more = f" and {len(action.files) - 3} more" if len(action.files) > 3 else ""
        return ", ".join(action.files[:3]) + more
    args = action.args if isinstance(action.args, dict) else {}
    return next((str(args[name]) for name in _SPEAKING if isinstance(args.get(name), str)), "")


def view_delta(texts: Texts, delta: Delta) -> DeltaView:
    """What a call did to the errors."""
    return DeltaView(
        cleared=tuple(view_finding(texts, one, one.cleared_by) for one in delta.cleared[:_FINDINGS_LIMIT]),
        introduced=tuple(view_finding(texts, one) for one in delta.introduced[:_FINDINGS_LIMIT]),
        more_cleared=max(0, len(delta.cleared) - _FINDINGS_LIMIT),
        more_introduced=max(0, len(delta.introduced) - _FINDINGS_LIMIT),
        left=delta.persisted,
        freshness=delta.freshness,
        baseline=delta.baseline,
        elapsed_ms=delta.elapsed_ms,
        servers=tuple(texts.show(server, 60) for server in delta.servers),
        warnings_cleared=delta.warnings.cleared,
        warnings_introduced=delta.warnings.introduced,
    )


def view_finding(texts: Texts, finding: Finding, by: str | None = None) -> FindingView:
    """One diagnostic, with where it is."""
    return FindingView(
        place=f"{texts.show(finding.file, 160)}:{finding.line}:{finding.column}",
        message=texts.show(finding.message, 400),
        rule=texts.show(finding.code or finding.source, 80),
        server=texts.show(finding.server, 60),
        by=by,
    )


def _annotate(texts: Texts, diffs: Sequence[Diff], delta: Delta, directory: str) -> None:
    """Put what the call cleared and introduced beside the lines of its diffs."""
    for diff in diffs:
        if diff.kind == "unknown" or (diff.doubt and "arguments" in diff.doubt):
            continue
        notes = [
            (one.line, Note("cleared", f"{texts.show(one.message, 200)} (by {one.cleared_by})"))
            for one in delta.cleared
            if texts.show(relative_to(one.file, directory)) in (diff.path, diff.origin)
        ]
        notes += [
            (one.line, Note("introduced", texts.show(one.message, 200)))
            for one in delta.introduced
            if texts.show(relative_to(one.file, directory)) == diff.path
        ]
        annotate(diff, notes)
