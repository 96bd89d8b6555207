"""`lsp-tap share`: nothing of the original is left, and everything still means what it meant."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_tap.cli import main
from lsp_tap.export.json_strings import rewrite_strings
from lsp_tap.export.pseudonyms import Pseudonyms, find_kept_words
from lsp_tap.export.share import find_protocol_keys, share_capture
from lsp_tap.inspect.findings import find_problems
from lsp_tap.journal.capture import open_capture
from lsp_tap.journal.lines import encode_frame_head, encode_invalid, encode_part
from lsp_tap.journal.reader import Unreadable, read_head, read_journal
from lsp_tap.journal.records import Frame
from tests.golden.test_golden import GOLDEN
from tests.inspect.recorded import CLIENT, SERVER, RecordedClient, RecordedTap

URI = "file:///home/adalove/my%20grocery/w%C3%A4hrung/CartTotals.py"
TEXT = (
    'def compute_discount(basket, größe):\r\n\t"""Confidential: Zürich 東京 𠮷野家 🙂"""\n'
    "\treturn basket.nmae * 1_000 - 123456789\n"
)
REMARK = '"nmae" is not a known attribute of module "basket" (C:\\Users\\adalove\\notes)'
LEAKS = f"{URI} {TEXT} {REMARK} währung adalove grocery hunter2secret acmecorp Währungsrechner plaintext5 1234567890"


def units(text: str) -> tuple[int, int]:
    return len(text.encode("utf-8", "surrogatepass")), len(text.encode("utf-16-le", "surrogatepass"))


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedTap:
    recorded = RecordedTap(tmp_path, "acmecorp-ls", root="/home/adalove/my grocery")
    init = {
        "rootUri": URI,
        "clientInfo": {"name": "opencode", "version": "1.2"},
        "capabilities": {"workspace": {"configuration": True}, "experimental": {"acmecorpToken": "hunter2secret"}},
        "initializationOptions": {"acmecorp.settings": {"hunter2secret": ["adalove"]}},
    }
    recorded.say(CLIENT, id=0, method="initialize", params=init)
    capabilities = {"positionEncoding": "utf-16", "executeCommandProvider": {"commands": ["acmecorp.refactorBasket"]}}
    recorded.answer(0, {"capabilities": capabilities, "serverInfo": {"name": "some-server"}})
    recorded.open(URI, 1, TEXT)
    place = {"start": {"line": 2, "character": 8}, "end": {"line": 2, "character": 19}}
    finding = {"range": place, "message": REMARK, "severity": 1, "code": "reportAttributeAccess", "source": "pyright"}
    recorded.say(SERVER, method="textDocument/publishDiagnostics", params={"uri": URI, "diagnostics": [finding]})
    recorded.say(SERVER, id="s-hunter2secret", method="workspace/applyEdit", params={"edit": {"changes": {URI: []}}})
    recorded.say(CLIENT, id="s-hunter2secret", result={"applied": True})
    escaped = b'{"jsonrpc": "2.0",\n "method": "$/x", "params":'
    escaped += b' ["gr\\u00f6\\u00dfe \\ud83d\\ude42 \\ud842\\udfb7 Z\\u00fcrich", 1.50]}'
    recorded.body(SERVER, escaped)
    recorded.body(SERVER, '{"jsonrpc":"2.0","method":"window/logMessage","params":"Währungsrechner adalov'.encode())
    recorded.write("invalid", encode_invalid(SERVER, "e is großzügig to acmecorp\n".encode(), "no header"))
    recorded.body(SERVER, b'"plaintext5 \xff adalove"')
    recorded.complain("Traceback: /home/adalove/my grocery/hunter2secret.py 1234567890\n")
    recorded.say_in_parts(SERVER, method="$/big", params=["adalove größe 🙂 acmecorp " * 20_000])
    recorded.say(SERVER, method="telemetry/event", params={"größe": "größe", "hunter2secret": 5})
    recorded.stop()
    return recorded


def share(recorded: RecordedTap, output: Path) -> list[Any]:
    share_capture(open_capture([str(recorded.path)], output.parent), output)
    return list(read_journal(output))


def find_words(text: str) -> set[str]:
    found = re.findall(r"[^\W_]{4,}", text)
    return {word.lower() for word in found if word.lower() not in find_kept_words()}


def test_no_word_of_the_originals_is_left(recorded: RecordedTap, tmp_path: Path) -> None:
    share(recorded, tmp_path / "shared.jsonl")
    text = (tmp_path / "shared.jsonl").read_text()
    decoded = text + json.dumps([json.loads(line) for line in text.splitlines()], ensure_ascii=False)
    words = find_words(LEAKS)
    assert {"adalove", "carttotals", "größe", "nmae", "währung", "zürich", "123456789", "hunter2secret"} <= words
    assert [
        word for word in words if re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", decoded, re.IGNORECASE)
    ] == []
    for secret in ("adalove", "hunter2secret", "acmecorp", "grocery", "basket", "東京", "%C3%A4hrung"):
        assert secret not in decoded.lower()


def test_what_is_the_same_stays_the_same_everywhere(recorded: RecordedTap, tmp_path: Path) -> None:
    frames = [entry for entry in share(recorded, tmp_path / "shared.jsonl") if isinstance(entry, Frame)]
    said = {
        frame.message["method"]: frame.message["params"]
        for frame in frames
        if frame.has_message and "method" in frame.message
    }
    uri = said["textDocument/didOpen"]["textDocument"]["uri"]
    assert uri == said["textDocument/publishDiagnostics"]["uri"] == said["initialize"]["rootUri"]
    assert list(said["workspace/applyEdit"]["edit"]["changes"]) == [uri]
    assert re.fullmatch(r"file:///\w{4}/\w{7}/\w{2}%20\w{7}/\w(?:%[0-9A-F]{2}){2}\w{5}/\w{10}\.py", uri)
    text = said["textDocument/didOpen"]["textDocument"]["text"]
    remark = said["textDocument/publishDiagnostics"]["diagnostics"][0]["message"]
    (misspelled,) = re.findall(r'^"(\w{4})"', remark)
    assert text.splitlines()[2][8:19].rpartition(".")[2].startswith(misspelled[:1])
    assert misspelled in text.splitlines()[2]
    assert said["$/x"][0].split()[0] == re.findall(r", (\w+)\)", text)[0]


def test_positions_lengths_and_lines_are_kept(recorded: RecordedTap, tmp_path: Path) -> None:
    frames = [entry for entry in share(recorded, tmp_path / "shared.jsonl") if isinstance(entry, Frame)]
    (text,) = (
        f.message["params"]["textDocument"]["text"]
        for f in frames
        if f.has_message and f.message.get("method") == "textDocument/didOpen"
    )
    assert text != TEXT
    assert [units(line) for line in text.splitlines(keepends=True)] == [
        units(line) for line in TEXT.splitlines(keepends=True)
    ]
    assert re.sub(r"[^\W_]", "x", text) == re.sub(r"[^\W_]|🙂", "x", TEXT)
    assert text.startswith("def ")
    assert "\n\treturn " in text
    assert "1_000" in text


def test_messages_keep_their_shape(recorded: RecordedTap, tmp_path: Path) -> None:
    def outline(value: Any) -> Any:
        if isinstance(value, dict):
            return [
                (key if key in find_protocol_keys() else units(key), outline(inner)) for key, inner in value.items()
            ]
        if isinstance(value, list):
            return [outline(inner) for inner in value]
        return units(value) if isinstance(value, str) else value

    before, after = list(read_journal(recorded.path)), share(recorded, tmp_path / "shared.jsonl")
    assert [entry.kind for entry in before if not isinstance(entry, Unreadable)] == [entry.kind for entry in after]
    for old, new in zip(before, after, strict=True):
        assert not isinstance(old, Unreadable)
        assert (old.seq, old.time_us, old.monotonic_us) == (new.seq, new.time_us, new.monotonic_us)
        if isinstance(old, Frame):
            assert (old.raw_length, old.has_message, old.error) == (new.raw_length, new.has_message, new.error)
            assert outline(old.message) == outline(new.message)
    assert [f.rule.name for f in find_problems(before)] == [f.rule.name for f in find_problems(after)]


def test_no_two_bundles_have_the_same_pseudonyms(recorded: RecordedTap, tmp_path: Path) -> None:
    first, second = share(recorded, tmp_path / "a.jsonl"), share(recorded, tmp_path / "b.jsonl")
    assert first[0].cwd != second[0].cwd
    assert units(first[0].cwd) == units(second[0].cwd)


def test_several_recordings_share_their_pseudonyms_in_one_archive(
    recorded: RecordedTap, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = RecordedTap(tmp_path, "acmecorp-ls", pid=2)
    other.open(URI, 1, TEXT)
    RecordedClient(tmp_path).session("ses_secretsecret", 0, 1)
    assert main(["share", str(tmp_path), "-o", str(tmp_path / "out.jsonl")]) == 2
    assert "name a .zip" in capsys.readouterr().err
    assert main(["share", str(tmp_path), "-o", str(tmp_path / "out.zip")]) == 0
    printed = capsys.readouterr()
    assert "2 recordings" in printed.out
    assert "client's journals (1)" in printed.err
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        names = archive.namelist()
        contents = [archive.read(name).decode() for name in names]
    assert len(names) == 2
    assert not any("acmecorp" in name for name in names)
    assert all(name.startswith("server-") for name in names)
    assert len({re.findall(r'"textDocument":\{"uri":"([^"]+)"', content)[0] for content in contents}) == 1


def test_a_torn_line_is_left_out_and_counted(recorded: RecordedTap, tmp_path: Path) -> None:
    with recorded.path.open("ab") as file:
        file.write(b'{"seq":99,"secret')
    shared = share_capture(open_capture([str(recorded.path)], tmp_path), tmp_path / "shared.jsonl")
    assert shared.left_out["unreadable places of a journal"] == 1
    assert shared.strings["texts"] == 1
    assert "secret" not in (tmp_path / "shared.jsonl").read_text()


def test_a_large_message_that_is_not_all_there_is_replaced_as_far_as_it_is(tmp_path: Path) -> None:
    recorded = RecordedTap(tmp_path)
    head = encode_frame_head(SERVER, b"Content-Length: 900000\r\n\r\n", 900_000)
    seq = recorded.write("frame", head)
    recorded.write("body_part", encode_part(seq, 0, b'{"params":"secretly'))
    recorded.say(SERVER, method="$/x", params="secretly")
    recorded.write("body_part", encode_part(seq, 1, b" hidden"))
    recorded.stop()
    after = share(recorded, tmp_path / "shared.jsonl")
    text = (tmp_path / "shared.jsonl").read_text()
    assert "secretly" not in text
    assert "hidden" not in text
    assert len(after) == len(list(read_journal(recorded.path)))


def test_what_was_replaced_is_counted(
    recorded: RecordedTap, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["share", str(recorded.path), "--json", "-o", str(tmp_path / "shared.jsonl")]) == 0
    counted = json.loads(capsys.readouterr().out)
    assert counted["recordings"] == 1
    assert counted["strings"]["texts"] == 1
    assert counted["strings"]["bodies that are no JSON"] == 1
    assert counted["strings"]["stderr and stray bytes"] == 2
    assert counted["words"] > 20


def test_a_shared_recording_is_a_capture_again(recorded: RecordedTap, tmp_path: Path) -> None:
    share(recorded, tmp_path / "shared.jsonl")
    journal = read_head(tmp_path / "shared.jsonl")
    assert journal is not None
    assert journal.kind == "server"
    assert main(["stats", str(tmp_path / "shared.jsonl"), "--json"]) == 0


@pytest.mark.parametrize("name", ["astral-characters-before-an-error-are-one-column-each", "a-pragma-is-a-suppression"])
def test_recordings_of_real_servers_stay_readable(name: str, tmp_path: Path) -> None:
    (path,) = (GOLDEN / name / "tap").glob("server-*.jsonl")
    share_capture(open_capture([str(path)], tmp_path), tmp_path / "shared.jsonl")
    before, after = list(read_journal(path)), list(read_journal(tmp_path / "shared.jsonl"))
    assert not [entry for entry in after if isinstance(entry, Unreadable)]
    assert len(before) == len(after)
    assert [f.rule.name for f in find_problems(before)] == [f.rule.name for f in find_problems(after)]


@given(st.lists(st.text(max_size=30), max_size=8))
@settings(deadline=None)
def test_pseudonyms_are_one_to_one_and_of_the_same_shape(texts: list[str]) -> None:
    pseudonyms = Pseudonyms(b"key")
    for text in texts:
        pseudonyms.collect_text(text)
    replaced = [pseudonyms.replace_text(text) for text in texts]
    assert [units(text) for text in replaced] == [units(text) for text in texts]
    assert [pseudonyms.replace_text(text) for text in texts] == replaced
    assert len(set(replaced)) == len(set(texts))


JSON = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(JSON, st.booleans(), st.sampled_from([None, 1]))
@settings(deadline=None)
def test_strings_are_found_wherever_they_are(value: Any, ascii_only: bool, indent: int | None) -> None:
    def swap(path: tuple[str, ...], text: str, is_key: bool) -> str:
        found.append((path, text))
        return "".join("b" if character == "a" else character for character in text)

    def walk(inner: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
        if isinstance(inner, dict):
            return [item for key, of in inner.items() for item in ((path, key), *walk(of, (*path, key)))]
        if isinstance(inner, list):
            return [item for of in inner for item in walk(of, (*path, "*"))]
        return [(path, inner)] if isinstance(inner, str) else []

    found: list[tuple[tuple[str, ...], str]] = []
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    new = rewrite_strings(text, swap)
    assert found == walk(value, ())
    assert len(new) == len(text)
    assert rewrite_strings(text, lambda path, string, is_key: string) == text


def test_an_escaped_slash_is_not_kept_for_what_replaces_it() -> None:
    assert (
        rewrite_strings(r'["a\/b\"", "\/"]', lambda path, string, is_key: string.replace("/", "x")) == '["axb\\"", "x"]'
    )


def test_an_escaped_character_is_replaced_by_an_escaped_one() -> None:
    text = r'{"a": "x\u00e9\n\ud83d\ude42\u0041"}'
    assert rewrite_strings(
        text, lambda path, string, is_key: string.translate({0xE9: "ü", 0x1F642: "𠮷", 65: "B"})
    ) == (r'{"a": "x\u00fc\n\ud842\udfb7\u0042"}')
