"""Sessions to make pages of: written into journals, read back, built."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lsp_tap.journal import records
from lsp_tap.report import build_report
from lsp_tap.report.build import Report
from lsp_tap.session.build import Builder
from lsp_tap.session.recording import Recording, read_recording
from tests.session.recorded import PROJECT, SESSION, Recorded
from tests.timeline.conversation import Conversation, lsp_diagnostic

HOSTILE: Final = (
    "<script>document.title='owned'</script>",
    "</script><script>document.title='owned'</script>",
    "<img src=http://evil.invalid/x onerror=\"document.title='owned'\">",
    "\"><svg onload=document.title='owned'>",
    "'><iframe src=http://evil.invalid/></iframe>",
    "</style><link rel=stylesheet href=http://evil.invalid/x.css>",
    "</pre></code></textarea></title><base href=http://evil.invalid/>",
    "<!-- <a href=javascript:document.title='owned' autofocus onfocus=document.title='owned'>x</a> -->",
    "{{ 7 * 7 }}{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "\x1b]0;owned\x07\x1b[31mred\x1b[0m\x9b2J\x00",
    "user\u202e\u2066 // check\u2069\u2066 \u2028\u2029\u200f",
)


def write_folder(recorded: Recorded, folder: Path) -> Path:
    """The journals of a recording, as recorders would have written them; returns the logs folder."""
    tap = folder / "tap"
    tap.mkdir(parents=True)

    def write(name: str, entries: list[records.Record]) -> None:
        lines = (entry.model_dump_json(exclude_unset=True, by_alias=True) + "\n" for entry in entries)
        (tap / name).write_text("".join(lines), "utf-8")

    for number, server in enumerate(recorded.servers):
        write(f"server-s{number}-20260101T000000Z-{number + 1}.jsonl", server.records)
    write("client-20260101T000000Z-1-1.jsonl", [recorded.client, *recorded.records])
    return folder


def open_folder(folder: Path) -> tuple[Recording, Builder]:
    recording = read_recording(folder)
    assert recording.problems == []
    return recording, Builder(recording.history, recording.timelines, recording.verifications)


def report_folder(folder: Path, session_id: str | None = None) -> Report:
    """The page of a folder's session (of the first, if it is not named)."""
    recording, builder = open_folder(folder)
    wanted = session_id or sorted(recording.history.sessions)[0]
    return build_report(recording, builder, builder.build_session(wanted))


def tell_hostile_story(texts: tuple[str, ...] = HOSTILE) -> Recorded:
    """A session in which every text that a repository, a model or a server can choose is one of `texts`, in turn."""
    talk = Conversation("".join(text for text in texts[:2])[:80])
    recorded = Recorded(talk)
    reply = recorded.ask("\n".join(texts))
    for number, text in enumerate(texts):
        name = f"{number}{text.replace('/', '_')[:60]}.py"
        uri = f"file://{PROJECT}/{number}.py"
        read, edit, failed = (f"{kind}{number}{text}" for kind in ("r", "e", "f"))
        recorded.start_call(reply, read, "grep", {"pattern": text, text: [text, {text: text}]})
        recorded.end_call(reply, read, "grep", metadata={"output": text})
        recorded.start_call(reply, edit, "edit", {"filePath": f"{PROJECT}/{number}.py"}, before={name: text})
        if number % 2:
            talk.open(uri, text)
            talk.push(uri, lsp_diagnostic(0, text, code=text))
            talk.change(uri, f"x = 1\n{text}")
            talk.push(uri, lsp_diagnostic(1, f"other {text}", code=text))
        recorded.end_call(reply, edit, "edit", after={name: f"# {text}\nx = 1\n"})
        recorded.start_call(reply, failed, text[:40], {"command": text})
        recorded.fail_call(reply, failed, text[:40], text)
        asked = talk.ask(text)
        talk.fail(asked, -32603)
        talk.frame("client_to_server", {"id": text, "method": text, "params": {"textDocument": {"uri": text}}})
        talk._add(records.StderrWritten, "stderr", text=text)
    recorded.finish(reply, text="\n".join(texts))
    return recorded


def tell_long_story(turns: int, edits_a_turn: int, files: int = 40) -> Recorded:
    """Thousands of actions: every edit of a file of 60 lines mends one error and makes another."""
    talk = Conversation("long")
    recorded = Recorded(talk)
    texts: dict[str, str] = {}
    count = 0
    for _ in range(turns):
        reply = recorded.ask("Mend everything that is broken, and go on until nothing is left to be mended")
        for _ in range(edits_a_turn):
            name = f"package/module_{count % files}.py"
            uri = f"file://{PROJECT}/{name}"
            before = texts.get(name, "".join(f"value_{n} = compute({n})  # of many\n" for n in range(60)))
            lines = before.splitlines(keepends=True)
            lines[count % 60] = f"value_{count} = compute('{count}') + {count}\n"
            after = texts[name] = "".join(lines)
            if count < files:
                talk.open(uri, before)
                talk.push(uri, lsp_diagnostic(3, "first"))
            recorded.start_call(reply, f"c{count}", "edit", {"filePath": f"{PROJECT}/{name}"}, before={name: before})
            talk.change(uri, after)
            talk.push(uri, *(lsp_diagnostic((count + n) % 60, f"error {count % 7}") for n in range(count % 4)))
            recorded.end_call(reply, f"c{count}", "edit", after={name: after})
            recorded.wait(400)
            count += 1
        recorded.finish(reply)
        recorded.wait(5000)
    return recorded


__all__ = [
    "HOSTILE",
    "SESSION",
    "open_folder",
    "report_folder",
    "tell_hostile_story",
    "tell_long_story",
    "write_folder",
]
