"""What the tap of a replay has asked and was told: nobody but its journal knows."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from lsp_tap.journal.reader import JournalReader
from lsp_tap.journal.records import Frame
from lsp_tap.wire.messages import Notification, Request, Response, key_of_id, parse_message


class ProbeWatch:
    """Counts answers to the tap's own requests, by document, since the document's last change. `changes`: how often a
    document was opened or changed as the tap saw it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reader: JournalReader | None = None
        self.changes: dict[str, int] = {}
        self._open: dict[tuple[str, object], tuple[str, int]] = {}
        self._answered: dict[tuple[str, int], int] = {}

    def read_new(self) -> None:
        """Take in what the tap has written."""
        if self._reader is None:
            found = next(iter((self._folder / "tap").glob("*.jsonl")), None)
            if found is None:
                return
            self._reader = JournalReader(found)
        for entry in self._reader.read_new():
            if isinstance(entry, Frame):
                self._step(entry)

    def _step(self, frame: Frame) -> None:
        match parse_message(frame.message):
            case Notification(
                method="textDocument/didOpen" | "textDocument/didChange", params={"textDocument": {"uri": str(uri)}}
            ):
                self.changes[unquote(uri)] = self.changes.get(unquote(uri), 0) + 1
            case Request(id=id, params={"textDocument": {"uri": str(uri)}}) if frame.probe:
                self._open[key_of_id(id)] = unquote(uri), self.changes.get(unquote(uri), 0)
            case Response(id=id, error=None) if frame.probe:
                asked = self._open.pop(key_of_id(id), None)
                if asked is not None:
                    self._answered[asked] = self._answered.get(asked, 0) + 1

    def count_answers(self, uri: str, changes: int) -> int:
        """How many answers came on a document since it was sent for that many times."""
        return self._answered.get((uri, changes), 0)
