"""No secret leaves by any format, and what has none is exported byte for byte as it was."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from lsp_tap.cli import main
from lsp_tap.export.formats import EXPORT_FORMATS
from lsp_tap.journal.lines import PART_BYTES
from lsp_tap.redaction.environment import mark_environment, read_key
from lsp_tap.session import observing
from lsp_tap.wire.framing import Frame, FrameSplitter, encode_frame
from tests.export.recording import C2S, S2C, Client, Connection, export, hostile
from tests.redaction.planted import TOKENS
from tests.redaction.test_secrets import find_survivors

SECRETS = [TOKENS["github"](Random(n)) for n in range(9)]


def plant(folder: Path) -> Connection:
    """A connection with a secret in each kind of record."""
    connection = Connection(folder)
    connection.initialize()
    opened = {
        "uri": "file:///home/ada/shop/a.py",
        "text": f'T = "{SECRETS[0]}"\nx = "{SECRETS[1][:20]}" + "{SECRETS[1][20:]}"\n',
    }
    connection.say(C2S, method="textDocument/didOpen", params={"textDocument": opened})
    connection.ask(1, "workspace/executeCommand", {"arguments": [{"password": "zq9Xw3Rt7Yp2Lk8M"}]})
    connection.answer(1, {SECRETS[2]: SECRETS[2], "path": "/home/ada/shop"})
    connection.put(S2C, encode_frame(f"not JSON: {SECRETS[3]}".encode()))
    connection.put(S2C, encode_frame(b"\xff\xfe " + SECRETS[4].encode()))
    connection.put(S2C, f"a print of {SECRETS[5]}\n".encode())
    text = "é" * (PART_BYTES // 2 - 60) + f" {SECRETS[6]} " + "é" * 9
    connection.say(C2S, method="big", params={"text": text})
    connection.record("stderr", text=f"token {SECRETS[7]}\n")
    connection.end()
    client = Client(folder)
    client.record(
        "tool_starting", session_id="ses_one", call_id="c", tool="bash", args={"command": f"A={SECRETS[8]} x"}, files=[]
    )
    client.record("tool_finished", session_id="ses_one", call_id="c", tool="bash", files=[])
    return connection


def read_all(folder: Path, stdout: bytes) -> str:
    """All that was written, with JSON's escapes and without, as text."""
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    if folder.is_file():
        files = [folder.read_bytes()]
    return b"\n".join([*files, stdout]).decode("utf-8", "replace")


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_no_secret_leaves(tmp_path: Path, name: str) -> None:
    plant(tmp_path / "logs")
    output = tmp_path / "out"
    where = ["-o", str(output)] if EXPORT_FORMATS[name].target != "stream" else []
    result = export(tmp_path / "logs", "--to", name, *where)
    text = read_all(output, result.stdout_bytes)
    for secret in (*SECRETS, "zq9Xw3Rt7Yp2Lk8M", "/home/ada"):
        assert find_survivors(secret, text) == []
    assert "replaced: " in result.stderr
    plain = export(
        tmp_path / "logs", "--to", name, "--no-redact", *([*where[:1], str(tmp_path / "plain")] if where else [])
    )
    recorded = read_all(tmp_path / "plain", plain.stdout_bytes)
    assert ("[REDACTED:github-pat:" in text) == any(secret in recorded for secret in SECRETS)
    assert "/home/ada" in recorded or name == "otlp"
    assert "--no-redact: secrets, user names and home paths are exported as recorded" in plain.stderr


def test_frames_are_whole_after_it(tmp_path: Path) -> None:
    connection = plant(tmp_path / "logs")
    export(tmp_path / "logs", "--to", "raw", "-o", str(tmp_path / "raw"))
    for direction in (C2S, S2C):
        (path,) = (tmp_path / "raw").glob(f"*.{direction}.lsp")
        before, after = FrameSplitter(), FrameSplitter()
        was = [*before.feed(connection.wire[direction]), *before.close()]
        now = [*after.feed(path.read_bytes()), *after.close()]
        assert [type(item) for item in now] == [type(item) for item in was]
        assert len(path.read_bytes()) != len(connection.wire[direction])
        for item in now:
            if isinstance(item, Frame) and item.body.startswith(b"{"):
                json.loads(item.body)


def test_what_has_no_secret_stays_as_it_was(tmp_path: Path) -> None:
    hostile(tmp_path / "logs")
    for name, chosen in EXPORT_FORMATS.items():
        if chosen.target == "stream" and name not in ("lsp-recorder", "inspector"):
            redacted = export(tmp_path / "logs", "--to", name)
            plain = export(tmp_path / "logs", "--to", name, "--no-redact")
            assert redacted.stdout_bytes == plain.stdout_bytes
            said = [line for line in plain.stderr.splitlines() if "--no-redact" not in line]
            assert redacted.stderr.splitlines() == said


def test_values_of_the_recorded_environment_do_not_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    value = "correct-horse-battery"
    monkeypatch.setattr(observing, "KEY_FOLDER", tmp_path / "state")
    key = read_key(tmp_path / "state", create=True)
    assert key is not None
    logs = tmp_path / "logs"
    Connection(logs).ask(1, "m", [f"x {value}"])
    observed = {"kind": "project_observed", "seq": 0, "time_us": 1, "monotonic_us": 1, "format": 1, "session_id": "s"}
    observed |= {"directory": "/p", "environment_secrets": mark_environment({"A_TOKEN": value}, key)}
    (logs / "tap" / "observed.jsonl").write_text(json.dumps(observed) + "\n")
    assert main(["export", "--to", "lsp-recorder", "--dir", str(logs)]) == 0
    out, err = capsys.readouterr()
    assert value not in out
    assert "environment A_TOKEN (1)" in err
