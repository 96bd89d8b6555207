"""Where two connections differ: what the servers said of the same texts, and how they answered. Pure.

Texts are paired document by document, as a diff pairs lines; so are requests, by method and params. B has to say all
that A said; what it says beyond that of texts or requests on which A kept silent is no difference, since how soon the
next text came decided that. A diagnostic is the same one by the rules of `lsp_tap.timeline.identity`.

What counts as different (`Comparison.is_different`) is listed in `Comparison`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import Any, Final, Literal
from urllib.parse import unquote

from lsp_tap.journal import records
from lsp_tap.playback.conversation import Conversation, Step
from lsp_tap.playback.latencies import Latency, Slower, compare_latencies
from lsp_tap.playback.normal import spell_params, spell_result
from lsp_tap.playback.roots import RootMap
from lsp_tap.timeline.diagnostics import Diagnostic
from lsp_tap.timeline.fold import Change, Ending, ServerTimeline, fold_server
from lsp_tap.timeline.identity import match_diagnostics
from lsp_tap.timeline.linemap import LineMap
from lsp_tap.wire.messages import Request, Response

Outcome = Literal["result", "error", "none"]

_SERVER: Final = "server"  # identity compares diagnostics of one server: here that is whoever is on the other side
_PULLS: Final = frozenset({"textDocument/diagnostic", "workspace/diagnostic"})
_NOT_NOW: Final = frozenset({-32800, -32801, -32802})  # RequestCancelled, ContentModified, ServerCancelled
_CHATTER: Final = frozenset(
    {
        *("window/logMessage", "window/showMessage", "telemetry/event", "$/progress", "$/logTrace"),
        *("window/workDoneProgress/create", "textDocument/publishDiagnostics", "workspace/diagnostic/refresh"),
        *("workspace/semanticTokens/refresh", "workspace/inlayHint/refresh", "workspace/codeLens/refresh"),
        *("workspace/foldingRange/refresh", "workspace/inlineValue/refresh", "$/cancelRequest"),
    }
)
"""Messages of a server's of which there may be none in one run and some in the next."""


@dataclass(frozen=True, slots=True)
class ReportDifference:
    """What is said of one text. `edit`: the how-manieth text of the document, from 1; 0: nobody opened it. `gone`: only
    A has them; `new`: only B; `reworded`: the same ones with another message or range. `is_silent`: A reported on this
    text, and B never did."""

    uri: str
    version: int | None
    edit: int
    gone: tuple[Diagnostic, ...] = ()
    new: tuple[Diagnostic, ...] = ()
    reworded: tuple[tuple[Diagnostic, Diagnostic], ...] = ()
    is_silent: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "uri": self.uri,
            "version": self.version,
            "edit": self.edit,
            "silent": self.is_silent,
            "gone": [_show(one) for one in self.gone],
            "new": [_show(one) for one in self.new],
            "reworded": [[_show(one), _show(other)] for one, other in self.reworded],
        }


@dataclass(frozen=True, slots=True)
class ResponseDifference:
    """Answers to one request, as they were; `a_kind` and `b_kind` say what they are."""

    method: str
    params: Any
    a_kind: Outcome
    a: Any
    b_kind: Outcome
    b: Any

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "method": self.method,
            "params": self.params,
            "a": {self.a_kind: self.a},
            "b": {self.b_kind: self.b},
        }


@dataclass(slots=True)
class Comparison:
    """A and B. Different is: a `reports` entry; texts only one was sent (`texts_only`); a `responses` entry, if
    responses were asked for; messages of a server's that only one has (`only`); an end that is not the same; a method
    that is `slower`, if slowness was asked for. `compared` counts what was looked at; `messages` are counts by
    direction and method.
    """

    name: str
    compared: dict[str, int] = field(default_factory=dict)
    reports: list[ReportDifference] = field(default_factory=list)
    texts_only: tuple[dict[str, int], dict[str, int]] = field(default_factory=lambda: ({}, {}))
    responses: list[ResponseDifference] = field(default_factory=list)
    only: tuple[dict[str, int], dict[str, int]] = field(default_factory=lambda: ({}, {}))
    messages: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    endings: tuple[str, str] = ("", "")
    latencies: list[Latency] = field(default_factory=list)
    judges_latency: bool = False
    servers: tuple[str, str] = ("", "")
    root: str | None = None

    @property
    def slower(self) -> list[Latency]:
        return [latency for latency in self.latencies if self.judges_latency and latency.verdict == "slower"]

    @property
    def is_different(self) -> bool:
        found = self.reports, *self.texts_only, self.responses, *self.only, self.slower
        return any(found) or self.endings[0] != self.endings[1]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "server": self.name,
            "different": self.is_different,
            "a": {"server": self.servers[0], "end": self.endings[0], "texts_only": self.texts_only[0]},
            "b": {"server": self.servers[1], "end": self.endings[1], "texts_only": self.texts_only[1]},
            "compared": self.compared,
            "diagnostics": [report.to_json() for report in self.reports],
            "responses": [response.to_json() for response in self.responses],
            "missing": self.only[0],
            "extra": self.only[1],
            "messages": [
                {"direction": direction, "method": method, "a": counts[0], "b": counts[1]}
                for (direction, method), counts in sorted(self.messages.items())
            ],
            "latencies": [latency.to_json() for latency in self.latencies],
            "slower": [latency.method for latency in self.slower],
        }


def compare_conversations(
    a: Conversation, b: Conversation, *, responses: bool = True, slower: Slower | None = None
) -> Comparison:
    """Compare, with A put into B's folder. `slower` None: latencies are shown and not judged."""
    roots = RootMap(a.root, b.root)
    left, right = _fold(a, roots), _fold(b, RootMap(None, None))
    comparison = Comparison(b.name, judges_latency=slower is not None, root=b.root)
    _compare_reports(comparison, left, right)
    if responses:
        _compare_responses(comparison, a, b, roots)
    counts = _count(a), _count(b)
    comparison.messages = {key: (counts[0][key], counts[1][key]) for key in counts[0].keys() | counts[1].keys()}
    for side, other in ((0, 1), (1, 0)):
        for (direction, method), number in counts[side].items():
            if direction == "server_to_client" and not counts[other][direction, method] and method not in _CHATTER:
                comparison.only[side][method] = number
    comparison.endings = _find_ending(left.endings), _find_ending(right.endings)
    comparison.servers = _name_server(left), _name_server(right)
    comparison.latencies = compare_latencies(a, b, slower or Slower())
    return comparison


# Diagnostics


def _fold(conversation: Conversation, roots: RootMap) -> ServerTimeline:
    def map_record(record: records.Record) -> records.Record:
        if roots.is_identity or not isinstance(record, records.Frame):
            return record
        return record.model_copy(update={"message": roots.map(record.message)})

    return fold_server(_SERVER, map(map_record, conversation.recorded))


def _compare_reports(comparison: Comparison, a: ServerTimeline, b: ServerTimeline) -> None:
    said = _list_said(a), _list_said(b)
    texts = _list_texts(a), _list_texts(b)
    edits = paired = 0
    for uri in sorted(texts[0].keys() | texts[1].keys()):
        left, right = texts[0].get(uri, []), texts[1].get(uri, [])
        blocks = SequenceMatcher(
            None, [change.text for change in left], [change.text for change in right], autojunk=False
        ).get_matching_blocks()
        matched = sum(block.size for block in blocks)
        edits += len(left)
        for texts_only, changes in zip(comparison.texts_only, (left, right), strict=True):
            if len(changes) > matched:
                texts_only[uri] = len(changes) - matched
        for block in blocks:
            for at in range(block.size):
                one, other = left[block.a + at], right[block.b + at]
                report = _compare_report(
                    said[0].get(one), said[1].get(other), other.uri, other.version, block.b + at + 1
                )
                paired += one in said[0]
                comparison.reports += [report] if report is not None else []
    for uri in sorted(_unopened(a) - texts[1].keys()):
        report = _compare_report(said[0].get(uri), said[1].get(uri, ()), uri, None, 0)
        comparison.reports += [report] if report is not None else []
    comparison.compared |= {"texts": edits, "reports": paired}


def _list_texts(timeline: ServerTimeline) -> dict[str, list[Change]]:
    texts: defaultdict[str, list[Change]] = defaultdict(list)
    for change in timeline.changes:
        texts[unquote(change.uri)].append(change)
    return texts


def _list_said(timeline: ServerTimeline) -> dict[Change | str, tuple[Diagnostic, ...]]:
    """The last word on each text, and on each document that nobody opened: of all channels together."""
    last: defaultdict[Change | str, dict[str, tuple[Diagnostic, ...]]] = defaultdict(dict)
    for report in timeline.reports:
        last[report.change or unquote(report.uri)][report.channel] = report.diagnostics
    return {key: tuple(sorted(set().union(*by_channel.values()))) for key, by_channel in last.items()}


def _unopened(timeline: ServerTimeline) -> set[str]:
    opened = {unquote(change.uri) for change in timeline.changes}
    return {unquote(report.uri) for report in timeline.reports} - opened


def _compare_report(
    a: tuple[Diagnostic, ...] | None, b: tuple[Diagnostic, ...] | None, uri: str, version: int | None, edit: int
) -> ReportDifference | None:
    if a is None or a == b:
        return None
    if b is None:
        return ReportDifference(uri, version, edit, gone=a, is_silent=True)
    matching = match_diagnostics(_at(a, uri), _at(b, uri), LineMap(None, None))
    reworded = tuple((old, new) for old, new in matching.persisted if old != new)
    if not (matching.cleared or matching.introduced or reworded):
        return None
    return ReportDifference(uri, version, edit, matching.cleared, matching.introduced, reworded)


def _at(diagnostics: Iterable[Diagnostic], uri: str) -> Iterator[Diagnostic]:
    """Spelled alike: servers percent-encode URIs as they like."""
    return (replace(diagnostic, uri=uri) for diagnostic in diagnostics)


# Responses


def _compare_responses(comparison: Comparison, a: Conversation, b: Conversation, roots: RootMap) -> None:
    left, right = _list_requests(a, roots), _list_requests(b, RootMap(None, None))
    compared = pending = 0
    for key, asked in left.items():
        for one, other in zip(asked, right.get(key, ()), strict=False):
            kinds = _find_outcome(one), _find_outcome(other)
            if None in kinds or one.is_cancelled or other.is_cancelled:
                pending += 1
                continue
            compared += 1
            given = [
                roots.map(_find_answer(one)) if kinds[0] == "result" else _find_answer(one),
                _find_answer(other),
            ]
            if kinds[0] == "none":
                continue  # nobody knows what A would have said
            spelled = [spell_result(one.method, answer) for answer in given]
            if kinds[0] != kinds[1] or (kinds[0] == "result" and spelled[0] != spelled[1]) or _differ(kinds, given):
                comparison.responses.append(
                    ResponseDifference(
                        one.method, other.params, kinds[0] or "none", given[0], kinds[1] or "none", given[1]
                    )
                )
    comparison.compared |= {"responses": compared, "responses_not_comparable": pending}


def _differ(kinds: tuple[Outcome | None, Outcome | None], given: list[Any]) -> bool:
    """Two errors differ by their codes: messages are for people."""
    if kinds != ("error", "error"):
        return False
    return bool(_find_code(given[0]) != _find_code(given[1]))


def _list_requests(conversation: Conversation, roots: RootMap) -> dict[tuple[str, str], list[Step]]:
    asked: defaultdict[tuple[str, str], list[Step]] = defaultdict(list)
    for step in conversation.steps:
        if step.is_client and not step.probe and isinstance(step.message, Request) and step.method not in _PULLS:
            params = "" if step.method == "initialize" else spell_params(roots.map(step.params))
            asked[step.method, params].append(step)
    return asked


def _find_outcome(step: Step) -> Outcome | None:
    """None: an answer of another moment, which says nothing."""
    if step.answer is None or not isinstance(step.answer.message, Response):
        return "none"
    error = step.answer.message.error
    if error is None:
        return "result"
    return None if _find_code(error) in _NOT_NOW else "error"


def _find_answer(step: Step) -> Any:
    if step.answer is None or not isinstance(step.answer.message, Response):
        return None
    message = step.answer.message
    return message.result if message.error is None else message.error


def _find_code(error: Any) -> Any:
    return error.get("code") if isinstance(error, dict) else None


# The rest


def _count(conversation: Conversation) -> Counter[tuple[str, str]]:
    return Counter(
        (step.direction, step.method)
        for step in conversation.steps
        if not step.probe and not isinstance(step.message, Response)
    )


def _find_ending(endings: list[Ending]) -> str:
    """What a server's end says of it: that it crashed, or nothing."""
    return "crashed" if endings and endings[-1].crashed else "ended"


def _name_server(timeline: ServerTimeline) -> str:
    info = timeline.server_info
    return " ".join(str(info[key]) for key in ("name", "version") if info.get(key))


def _show(diagnostic: Diagnostic) -> dict[str, Any]:
    """As a session file's findings: lines and columns from 0, columns in code points."""
    return {
        "line": diagnostic.line,
        "column": diagnostic.column,
        "end_line": diagnostic.end_line,
        "end_column": diagnostic.end_column,
        "severity": diagnostic.severity.name.lower(),
        "source": diagnostic.source,
        "code": diagnostic.code,
        "message": diagnostic.message,
    }
