"""What a client had heard before it sent its next message, and whether it has been heard again. Pure.

| recorded before the message | the replay waits for |
|---|---|
| an answer | the answer |
| a request of the server's (but for refreshes, and for windows) | as many of that method since the start |
| the end of a progress | one of that title, and no work in progress where there was none |
| a report on a document (a push, an answer to the tap's own question) | as many since that document last changed |

An answer must come. The others may stay away, since no two runs of a server are the same: they are waited for with
patience, then forgiven, and what was forgiven is told. A document is *settled* when as many reports are there as were
recorded and the last one says the same; with one of the two it is settled as soon as nothing more comes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

from lsp_tap.playback.conversation import Step
from lsp_tap.playback.normal import spell_diagnostics, spell_value
from lsp_tap.playback.roots import RootMap
from lsp_tap.wire.messages import Message, Notification, Request, Response

Readiness = Literal["waiting", "nearly", "ready"]

_PUBLISH = "textDocument/publishDiagnostics"
_CHANGING = frozenset({"textDocument/didOpen", "textDocument/didChange", "textDocument/didClose"})


class _Work:
    """`$/progress` of one side: what is going on, and the titles of what has ended."""

    def __init__(self) -> None:
        self.open: dict[str, str] = {}
        self.ended: set[str] = set()

    def step(self, message: Message) -> None:
        match message:
            case Notification(method="$/progress", params={"token": token, "value": {"kind": "begin"} as value}):
                self.open[spell_value(token)] = str(value.get("title"))
            case Notification(method="$/progress", params={"token": token, "value": {"kind": "end"}}):
                title = self.open.pop(spell_value(token), None)
                if title is not None:
                    self.ended.add(title)


@dataclass(slots=True)
class _Reports:
    """On one document, since it last changed."""

    version: Any = None
    recorded: int = 0
    heard: int = 0
    recorded_says: str | None = None
    heard_says: str | None = None
    probes_recorded: int = 0

    @property
    def readiness(self) -> Readiness:
        if not self.recorded:
            return "ready"
        is_enough, is_same = self.heard >= self.recorded, self.heard_says == self.recorded_says
        return "ready" if is_enough and is_same else "nearly" if is_enough or (self.heard and is_same) else "waiting"


class Causality:
    """Feed it what passed in the recording and what passes now. `answers`: requests, by the index of their step, whose
    recorded answers have passed and whose new ones have not."""

    def __init__(self, roots: RootMap) -> None:
        self._roots = roots
        self.answers: dict[int, Step] = {}
        self._answered: set[int] = set()
        self._recorded: Counter[str] = Counter()
        self._heard: Counter[str] = Counter()
        self._work_recorded, self._work = _Work(), _Work()
        self._reports: dict[str, _Reports] = {}

    # The recording

    def pass_recorded(self, step: Step) -> None:
        """A message of the server's, in the recording."""
        message, uri = step.message, step.uri
        if step.probe:
            if isinstance(message, Response) and message.error is None and step.request is not None:
                self._of(self._roots.map_uri(step.request.uri or "")).probes_recorded += 1
        elif isinstance(message, Response):
            if step.request is not None and step.request.index not in self._answered and not step.request.is_cancelled:
                self.answers[step.request.index] = step.request
        elif isinstance(message, Notification) and message.method == _PUBLISH and uri is not None:
            reports = self._of(self._roots.map_uri(uri))
            if _is_of(message.params, reports.version):
                reports.recorded += 1
                reports.recorded_says = spell_diagnostics(self._roots.map(message.params.get("diagnostics")))
        elif isinstance(message, Request) and not _is_passing(message.method):
            self._recorded[message.method] += 1
        else:
            self._work_recorded.step(message)

    # Now

    def send(self, method: str, params: Any) -> None:
        """A message of the client's, mapped as it is sent."""
        match params:
            case {"textDocument": {"uri": str(uri)} as document} if method in _CHANGING:
                self._reports[unquote(uri)] = _Reports(document.get("version"))

    def hear_answer(self, index: int) -> None:
        """The answer to the request of that step."""
        self._answered.add(index)
        self.answers.pop(index, None)

    def hear(self, message: Message) -> None:
        """A request or notification of the server's."""
        match message:
            case Notification(method="textDocument/publishDiagnostics", params={"uri": str(uri)} as params):
                reports = self._of(uri)
                if _is_of(params, reports.version):
                    reports.heard += 1
                    reports.heard_says = spell_diagnostics(params.get("diagnostics"))
            case Request(method=method):
                self._heard[method] += 1
            case _:
                self._work.step(message)

    def find_readiness(self) -> Readiness:
        """Whether all but answers and the tap's own reports are there."""
        if self._list_missing():
            return "waiting"
        found = {reports.readiness for reports in self._reports.values()}
        return "waiting" if "waiting" in found else "nearly" if "nearly" in found else "ready"

    def list_probed(self) -> dict[str, int]:
        """How many answers the tap got in the recording on each document since it changed."""
        return {uri: reports.probes_recorded for uri, reports in self._reports.items() if reports.probes_recorded}

    def forgive(self) -> list[str]:
        """Wait no longer for what is missing; says what that is."""
        told = self._list_missing()
        self._heard |= self._recorded
        self._work.ended |= self._work_recorded.ended
        self._work.open.clear()
        for uri, reports in self._reports.items():
            if reports.readiness == "waiting":
                version = "" if reports.version is None else f" version {reports.version}"
                told.append(f"no {_PUBLISH} as recorded on {uri}{version}")
            reports.recorded = 0
        return told

    def forgive_probes(self) -> None:
        """The same for what the tap asked."""
        for reports in self._reports.values():
            reports.probes_recorded = 0

    def _list_missing(self) -> list[str]:
        heard = self._heard
        told = [f"{key}: {heard[key]} instead of {n}" for key, n in self._recorded.items() if heard[key] < n]
        told += [f"no end of the work {title!r}" for title in sorted(self._work_recorded.ended - self._work.ended)]
        if self._work.open and not self._work_recorded.open:
            told.append(f"the work {next(iter(self._work.open.values()))!r} does not end")
        return told

    def _of(self, uri: str) -> _Reports:
        return self._reports.setdefault(unquote(uri), _Reports())


def _is_passing(method: str) -> bool:
    """Whether a request of the server's changes nothing of what its client does next, or may come any number of
    times."""
    return method.endswith("/refresh") or method.startswith("window/")


def _is_of(params: Any, version: Any) -> bool:
    """Whether a report is on the present text, as far as it says."""
    return params.get("version") in (None, version) or version is None
