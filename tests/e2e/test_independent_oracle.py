"""Before and after of each edit, from a second witness: OpenCode's snapshots, checked on the command line.

Nothing of ours is in it: OpenCode took the trees, and the servers' makers' own checkers read them, without a server,
without versions, without time. What an edit cleared or introduced is then a difference of two multisets of findings;
the edits are made such that no two findings of a file have the same rule and words, so that needs no matching.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.wiring.scripted_model import Reply, ToolCall, say
from tests.e2e.checkers import Found, check_cpp, check_python, check_typescript, parse_finding
from tests.e2e.measured import read_session
from tests.e2e.opencode import OpenCode, tapped
from tests.e2e.servers import list_servers
from tests.e2e.snapshots import export_trees, list_pairs
from tests.e2e.waiting import once_reported

pytestmark = pytest.mark.live

Json = dict[str, Any]
Check = Callable[[Path], dict[str, list[Found]]]
SERVERS = {server.id: server for server in list_servers()}


def edit(file: str, old: str, new: str) -> ToolCall:
    return ToolCall("edit", {"filePath": file, "oldString": old, "newString": new})


def write(file: str, content: str) -> ToolCall:
    return ToolCall("write", {"filePath": file, "content": content})


PYTHON = {
    "prices.py": "def find(name: str) -> int:\n    return len(name)\n",
    "cart.py": (
        "from prices import find\n\n\ndef total(names: list[str]) -> int:\n    return sum(find(n) for n in nmaes)\n\n\n"
        "first: int = find('x')\nother: int = 'x'\n"
    ),
}
PYTHON_EDITS = (
    edit("cart.py", "nmaes", "names"),
    edit("cart.py", "from prices", "# One.\n# Two.\n# Three.\nfrom prices"),
    edit("cart.py", "first: int", "worse: int = None\nfirst: int"),
    edit("prices.py", "-> int:\n    return len(name)", "-> str:\n    return name"),
    edit("cart.py", "first: int = find('x')", "first: str = find('x')"),
    edit("cart.py", "worse: int = None\n", ""),
    write("new.py", "import prices\n\nprices.lose()\nlost: int = prices.find(3)\n"),
    edit("prices.py", "def find(name", "def lose() -> None: ...\n\n\ndef find(name"),
)

TYPESCRIPT = {
    "cart.ts": (
        "export function total(prices: number[]): number {\n  return prizes.length\n}\n\n"
        "export const other: number = 'x'\nexport const all: string = total([1])\n"
    )
}
TYPESCRIPT_EDITS = (
    edit("cart.ts", "prizes", "prices"),
    edit("cart.ts", "export function", "// One.\n// Two.\nexport function"),
    edit("cart.ts", "number[]): number {\n  return prices.length", "number[]): string {\n  return prices.join()"),
    edit("cart.ts", "export const other: number = 'x'\n", "total(1, 2)\n"),
    write("new.ts", "import { total, none } from './cart'\n\nexport const count: boolean = total([])\n"),
    edit("new.ts", "total, none", "total"),
)

CPP = {
    "cart.cpp": "int total(int price) {\n  return prize;\n}\n\nint other = total();\nint *place = 5;\n",
}
CPP_EDITS = (
    edit("cart.cpp", "prize;", "price;"),
    edit("cart.cpp", "int total", "// One.\n// Two.\nint total"),
    edit("cart.cpp", "int other = total();", "int other = total(1);\nint worse = missing;"),
    edit("cart.cpp", "int *place = 5;\n", ""),
    write("new.cpp", "struct Cart {\n  int size;\n};\nint size(Cart cart) { return cart.length; }\nint none = no;\n"),
    edit("new.cpp", "cart.length", "cart.size"),
)


@pytest.mark.parametrize(
    ("server_id", "check", "files", "edits", "severities"),
    [
        ("basedpyright", check_python, PYTHON, PYTHON_EDITS, {"error", "warning"}),
        ("typescript", check_typescript, TYPESCRIPT, TYPESCRIPT_EDITS, {"error"}),
        ("clangd", check_cpp, CPP, CPP_EDITS, {"error"}),
    ],
    ids=["basedpyright", "tsc", "clangd-check"],
)
def test_each_edit_did_what_the_checker_says_of_the_trees_around_it(
    tmp_path: Path,
    opencode: OpenCode,
    server_id: str,
    check: Check,
    files: dict[str, str],
    edits: tuple[ToolCall, ...],
    severities: set[str],
) -> None:
    session = play(opencode, server_id, files, edits)
    pairs = {pair.call_id: pair for pair in list_pairs(opencode)}
    trees = tmp_path / "trees"
    export_trees(opencode, {tree for pair in pairs.values() for tree in (pair.before, pair.after)}, trees)
    said = check(trees)

    edited = [action for action in session["toolCalls"] if action["tool"] != "read"]
    assert [action["tool"] for action in edited] == [made.name for made in edits]
    changed = 0
    for action in edited:
        pair = pairs[action["callID"]]
        before, after = ([f for f in said[tree] if f.severity in severities] for tree in (pair.before, pair.after))
        assert pair.before != pair.after
        delta = action["lspDelta"]
        assert (delta["baseline"], delta["freshness"]) == ("observed", "fresh"), action
        cleared, introduced = _words(before) - _words(after), _words(after) - _words(before)
        assert _words(map(parse_finding, delta["cleared"])) == _errors(cleared), action
        assert _words(map(parse_finding, delta["introduced"])) == _errors(introduced), action
        if "warning" in severities:
            counts = [sum(gone.values()) - sum(_errors(gone).values()) for gone in (cleared, introduced)]
            assert [delta["warnings"]["cleared"], delta["warnings"]["introduced"]] == counts, action
        touched = {*action["files"], *(item.file for item in (*cleared, *introduced))}
        for end, found in (("Before", before), ("After", after)):
            ours = [parse_finding(item) for of in action[f"lspDiagnostics{end}"].values() for item in of]
            ours = [item for item in ours if item.severity in severities]
            assert sorted(ours) == sorted(item for item in found if item.file in touched), (end, action)
        changed += bool(cleared or introduced)
    assert changed >= len(edits) - 1  # all but the one that only moves lines


def play(opencode: OpenCode, server_id: str, files: dict[str, str], edits: Iterable[ToolCall]) -> Json:
    """A session that reads all files and then makes the edits, each when the server has said all about the last."""
    server = SERVERS[server_id]
    for name, text in {**server.files, **files}.items():
        opencode.write_file(name, text)
    opencode.write_config(lsp=server.lsp(tapped(server.command, name=server.id)))
    opencode.install_plugin()
    opencode.commit()
    opencode.model.add(Reply(calls=[ToolCall("read", {"filePath": name}) for name in files]))
    opencode.model.add(*(once_reported(opencode, Reply(calls=[made])) for made in edits))
    opencode.model.add(once_reported(opencode, say("Done.")))
    run = opencode.run("Mend it")
    assert (run.exit_code, opencode.model.remaining) == (0, 0), run.stderr
    return read_session(opencode, run.session_id)


def _words(found: Iterable[Found]) -> Counter[Found]:
    """Where a finding stands is no part of it: edits move lines."""
    return Counter(item._replace(line=0) for item in found)


def _errors(found: Counter[Found]) -> Counter[Found]:
    return Counter({item: count for item, count in found.items() if item.severity == "error"})
