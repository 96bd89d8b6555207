"""What the recorder's thread does with what it is handed: write the journal, and ask what the probe wants
to know.
"""

from __future__ import annotations

import json
import os
import time

from lsp_tap.errors import complain
from lsp_tap.journal.lines import encode_fields, encode_frame, split_character
from lsp_tap.journal.repeats import Shortener
from lsp_tap.journal.writer import JournalWriter
from lsp_tap.tap.assembler import Assembler
from lsp_tap.tap.items import CLIENT, SERVER, Chunk, ErrorOutput, Item, Lost, Noted, Told
from lsp_tap.tap.relay import WHOLE_BYTES
from lsp_tap.wire.framing import Body, Invalid, Splitter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lsp_tap.tap.gate import AnswerGate
    from lsp_tap.tap.probe import Probe
    from lsp_tap.wire.framing import Event

    Inject = Callable[[bytes, str, list[int]], bool]
    """Puts a frame into the client's stream, given the id whose answer to keep back and the numbers of the
    chunks that the probe has seen of either side; False when that is impossible just now."""

INJECT_AGAIN_S = 0.005
CLIENT_TO_SERVER = "client_to_server"


class Recording:
    """`writer` is None when there is nothing to write to: then everything is let go. `probe` needs
    `inject`.
    """

    def __init__(
        self, writer: JournalWriter | None, path: str, gate: AnswerGate, probe: Probe | None, inject: Inject
    ) -> None:
        self._writer = writer
        self._path = path
        self.folder = None if writer is None else os.path.dirname(path)
        """Where there may be more files; None when nothing is written."""
        self._probe = probe if writer is not None else None
        self._inject = inject
        self._shortener = Shortener()
        self._assemblers = (
            Assembler(CLIENT_TO_SERVER, self._write, self._shortener),
            Assembler("server_to_client", self._write),
        )
        self._splitter = Splitter()  # of what the client says
        self._gate = gate  # has the server's
        self._seen = [0, 0]
        self._stderr_tail = b""
        self._time_us = 0
        self._monotonic_us = 0
        self._lost_count = 0
        self._has_complained = False

    def step(self, item: Item) -> None:
        """Takes what happened, in order."""
        if self._writer is None:
            return
        self._time_us = item.time_ns // 1000
        self._monotonic_us = item.monotonic_ns // 1000
        if isinstance(item, Chunk):
            self._step_chunk(item)
        elif isinstance(item, Told):
            self._step_events(item, item.events, item.answer_to)
            self._seen[SERVER] = item.number
        elif isinstance(item, ErrorOutput):
            self._step_stderr(item.data)
        elif isinstance(item, Noted):
            self._write(item.kind, encode_fields(item.fields))
        elif isinstance(item, Lost):
            self._writer.note_lost(item.count, item.lost_bytes, "the recorder did not keep up")
            if item.source in (CLIENT, SERVER):
                self._step_lost(item)

    def end_batch(self) -> float | None:
        """Writes what has come together and asks what is due. Seconds until it wants to be called again."""
        if self._writer is None:
            return None
        self._stamp_now()
        wait_s = self._ask_due() if self._probe is not None else None
        self._flush(self._writer)
        return wait_s

    def close(self) -> None:
        if self._writer is None:
            return
        self._step_stderr(b"")
        self._stamp_now()
        self._writer.close(self._time_us, self._monotonic_us)
        self._complain(self._writer)

    def _stamp_now(self) -> None:
        self._time_us = time.time_ns() // 1000
        self._monotonic_us = time.monotonic_ns() // 1000

    def _write(self, kind: str, fields: bytes) -> int:
        assert self._writer is not None
        lost_count = self._writer.lost_count
        seq = self._writer.write(kind, fields, self._time_us, self._monotonic_us)
        if self._writer.lost_count != lost_count:
            self._shortener.forget()
        return seq

    def _flush(self, writer: JournalWriter) -> None:
        writer.flush(self._monotonic_us)
        if writer.lost_count != self._lost_count:
            self._lost_count = writer.lost_count
            self._shortener.forget()
            for assembler in self._assemblers:
                assembler.skip_parts()
        self._complain(writer)

    def _complain(self, writer: JournalWriter) -> None:
        if writer.lost_count and not self._has_complained:
            self._has_complained = True
            complain(f"cannot write all of {self._path}: {writer.lost_reason}; the connection goes on")

    def _step_chunk(self, chunk: Chunk) -> None:
        if chunk.source == CLIENT:
            events = self._splitter.feed(bytes(chunk.data)) if chunk.data else self._splitter.close()
        elif chunk.data:
            events = self._gate.note(bytes(chunk.data))
        else:
            events = [event for run in self._gate.close()[1] for event in run.events]
        self._step_events(chunk, events, None)
        self._seen[chunk.source] = chunk.number

    def _step_events(self, item: Item, events: list[Event], answer_to: str | None) -> None:
        assembler = self._assemblers[item.source]
        for event in events:
            message = assembler.step(event, probe=answer_to is not None, value_is_wanted=self._probe is not None)
            if self._probe is None:
                continue
            now_ms = item.monotonic_ns / 1e6
            if answer_to is not None:
                if isinstance(event, Body) and event.is_last:
                    self._probe.see_answer(answer_to, message, now_ms)
            elif item.source == SERVER:
                self._probe.see_server(message, now_ms)
            elif isinstance(event, Invalid):
                self._stop_probe("the client's stream is not framed as it should be")
            else:
                self._probe.see_client(message, now_ms)

    def _step_lost(self, lost: Lost) -> None:
        self._assemblers[lost.source].skip_lost()
        self._stop_probe("records were lost")
        if lost.has_chunks and lost.source == CLIENT:
            self._splitter.resynchronise()
        elif lost.has_chunks and self._gate.is_open:
            self._gate.note_lost()

    def _stop_probe(self, reason: str) -> None:
        if self._probe is not None and self._probe.stopped is None:
            self._probe.stop(reason)
            self._write("probe_stopped", encode_fields({"reason": reason}))

    def _ask_due(self) -> float | None:
        assert self._probe is not None
        while (ask := self._probe.next_ask(self._monotonic_us / 1000)) is not None:
            if not self._splitter.at_boundary:
                return None  # until the client says more
            body = json.dumps(ask.as_message(), separators=(",", ":")).encode()
            header = b"Content-Length: %d\r\n\r\n" % len(body)
            if len(header + body) > WHOLE_BYTES:
                self._probe.note_skipped(ask)
                continue
            if not self._inject(header + body, ask.id, self._seen):
                return INJECT_AGAIN_S
            self._probe.note_sent(ask)
            self._write("frame", encode_frame(CLIENT_TO_SERVER, header, body, probe=True)[0])
            self._stamp_now()
        due_ms = self._probe.next_due_ms(self._monotonic_us / 1000)
        return None if due_ms is None else max(0.0, due_ms / 1000 - self._monotonic_us / 1e6)

    def _step_stderr(self, data: bytes) -> None:
        """A character may be cut by the end of a piece; its bytes wait for the rest."""
        text = self._stderr_tail + data
        size = split_character(text) if data else len(text)
        self._stderr_tail = text[size:]
        if size:
            self._write("stderr", encode_fields({"text": text[:size].decode("utf-8", "replace")}))
