"""Recordings to learn from, made by the real fold and builder: misspelt names in Python files, and an agent that mends.

Three repositories with four sessions each, five turns a session: four mend a misspelt name, one adds an error.
"""

from __future__ import annotations

from pathlib import Path

from lsp_tap.session.writer import encode_json
from tests.session.recorded import Recorded
from tests.timeline.conversation import Conversation, lsp_diagnostic

MISSPELT = {
    "retunr": "return", "lenght": "length", "totl": "total", "quanity": "quantity", "adress": "address",
    "recieve": "receive", "seperate": "separate", "widht": "width", "heigth": "height", "calender": "calendar",
    "persistant": "persistent", "occured": "occurred",
}  # fmt: skip
REPOSITORIES = ("shop", "bank", "game")
FILES = ("cart.py", "order.py", "stock.py", "price.py", "tax.py")


def answer(wrong: str, file: str) -> str:
    """What the agent says when it has mended: the convention that is to be learned."""
    return f"Fixed `{wrong}` in {file}: it is `{MISSPELT[wrong]}` now. No error is left there."


def write_recordings(folder: Path) -> Path:
    """The session and training files of all repositories, each in the `.opencode-logs` of its own."""
    names = list(MISSPELT)
    for number, repository in enumerate(REPOSITORIES):
        logs = folder / repository / ".opencode-logs"
        logs.mkdir(parents=True)
        for session in range(4):
            wrong = [names[(number * 4 + session + 5 * turn) % len(names)] for turn in range(4)]
            write_session(logs, f"ses_{repository}_{session}", f"/srv/{repository}", wrong)
    return folder


def follow(recorded: Recorded, reply: str, number: int, session_id: str) -> str:
    """The model speaks again, now that it has its tools' answers."""
    first = reply.partition(".")[0]
    recorded.message(f"{first}.{number}", "assistant", session=session_id, parent=first.replace("-a", "-u"))
    return f"{first}.{number}"


def write_session(logs: Path, session_id: str, directory: str, wrong: list[str], *, breaks: bool = True) -> None:
    """A session that mends one name a turn, and in a last turn may break something."""
    talk = Conversation(cwd=directory)
    recorded = Recorded(talk, directory=directory)
    recorded.session(session_id)
    for turn, name in enumerate([*wrong, *([None] if breaks else [])]):
        file = FILES[turn]
        uri, old = f"file://{directory}/{file}", f"x = {name}\n" if name else "x = 1\n"
        new = f"x = {MISSPELT[name]}\n" if name else "x = nowhere\n"
        reply = recorded.ask(f'"Fix `{name}` in {file}"' if name else f'"Change x in {file}"', session_id)
        recorded.start_call(reply, f"r{turn}", "read", {"filePath": f"{directory}/{file}"}, session=session_id)
        talk.open(uri, old)
        talk.push(uri, *([lsp_diagnostic(0, f'"{name}" is not defined', code="undefined")] if name else []))
        recorded.end_call(reply, f"r{turn}", "read", session=session_id)
        recorded.finish(reply, session=session_id, finish="tool-calls", text=f"I look at {file} first.")
        reply = follow(recorded, reply, 2, session_id)
        args = {"filePath": f"{directory}/{file}", "oldString": old, "newString": new}
        recorded.start_call(reply, f"e{turn}", "edit", args, session=session_id, before={file: old})
        talk.change(uri, new)
        talk.push(uri, *([] if name else [lsp_diagnostic(0, '"nowhere" is not defined', code="undefined")]))
        recorded.end_call(reply, f"e{turn}", "edit", session=session_id, after={file: new})
        recorded.finish(reply, session=session_id, finish="tool-calls", text=f"Now I change {file}.")
        reply = follow(recorded, reply, 3, session_id)
        said = answer(name, file) if name else "Changed."
        recorded.finish(reply, session=session_id, text=said, agent="build", model="scripted/m")
    session, training = recorded.build(session_id)
    assert training is not None
    (logs / f"session-{session_id}.json").write_bytes(encode_json(session))
    (logs / f"dspy-{session_id}.json").write_bytes(encode_json(training))
