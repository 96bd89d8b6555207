"""Whatever was said, every export is written, and is what it claims to be: JSON as every reader takes it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_tap.journal.exact import WirePiece, read_wire
from lsp_tap.wire.framing import encode_frame
from tests.export.recording import C2S, S2C, Client, Connection, export
from tests.export.test_inspector_log import parse_log

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.5, 10**40])
    | st.text(st.sampled_from("a'[]\u2028\n\ud800é<&"), max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["uri", "items", "code"]), inner),
    max_leaves=4,
)
METHODS = st.sampled_from(
    ["textDocument/diagnostic", "textDocument/publishDiagnostics", "workspace/diagnostic", "é'\n"]
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": VALUES,
        "id": VALUES,
        "method": METHODS | VALUES,
        "params": VALUES,
        "result": VALUES,
        "error": VALUES,
    },
)
SAID = st.lists(st.tuples(st.sampled_from([C2S, S2C]), MESSAGES, st.booleans()), max_size=6)
WHEN = st.none() | st.sampled_from([float("nan"), 1e999, -1.0, 1e30, 1_764_000_000_000.5])


def load_strictly(text: str) -> Any:
    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@settings(max_examples=60, deadline=None)
@given(said=SAID, noise=st.binary(max_size=8), start_ms=WHEN, end_ms=WHEN)
def test_any_conversation(
    said: list[tuple[Any, dict[str, Any], bool]], noise: bytes, start_ms: float | None, end_ms: float | None
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        connection, client = Connection(folder), Client(folder)
        for direction, message, probe in said:
            connection.put(direction, encode_frame(json.dumps(message).encode()), probe=probe)
        connection.put(S2C, noise)
        connection.end()
        call = {"session_id": "s", "message_id": "m", "part_id": "p", "call_id": "c", "tool": "\ud800"}
        client.record("tool_updated", **call, status="running", start_ms=start_ms)
        client.record("tool_updated", **call, status="error", end_ms=end_ms, error="\ud800")
        for option in ("--probe-messages", "--no-probe-messages"):
            load_strictly(export(folder, "--to", "har", option).stdout)
            load_strictly(export(folder, "--to", "chrome", option).stdout)
            for stream in ("otlp", "lsp-recorder"):
                for line in export(folder, "--to", stream, option).stdout.split("\n")[:-1]:
                    load_strictly(line)
            parse_log(export(folder, "--to", "inspector", option).stdout)
            export(folder, "--to", "lsp-devtools", option, "-o", str(folder / "out.db"))
        wire = b"".join(
            piece.data
            for piece in read_wire(connection.path, probe=False)
            if isinstance(piece, WirePiece) and piece.direction == S2C
        )
        assert wire == connection.wire[S2C]
