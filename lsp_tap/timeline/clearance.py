"""How a diagnostic was cleared: by a fix, by a suppression, or by deleting the code that bore it.

Diagnostics alone can be farmed (arXiv 2605.30478): code that is gone or silenced has no errors. So

- *suppression*: the edit brought a comment or pragma that silences this kind of server, on the diagnostic's line, on
  the line before it or for the whole file;
- *deletion*: the line that bore it is gone and nothing came in its place;
- *fix*: everything else.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from lsp_tap.timeline.diagnostics import Diagnostic
from lsp_tap.timeline.linemap import LineMap

ClearedBy = Literal["fix", "suppression", "deletion"]

SUPPRESSIONS: Final[dict[str, re.Pattern[str]]] = {
    "python": re.compile(
        r"#\s*(type:\s*ignore|pyright:\s*(ignore|basic|\w+\s*=\s*(false|none))|noqa\b|ruff:\s*noqa|"
        r"mypy:\s*(ignore|disable)|ty:\s*ignore|pylint:\s*disable|pyre-(ignore|fixme))",
        re.IGNORECASE,
    ),
    "javascript": re.compile(
        r"@ts-(ignore|expect-error|nocheck)\b|(eslint|oxlint)-disable|biome-ignore|prettier-ignore|@flow\s+strict-none"
    ),
    "c": re.compile(r"\bNOLINT|#\s*pragma\s+(GCC|clang)\s+diagnostic\s+ignored|#\s*pragma\s+warning\s*\("),
    "rust": re.compile(r"#!?\[\s*(allow|expect)\s*\("),
    "shell": re.compile(r"#\s*shellcheck\s+disable"),
    "go": re.compile(r"//\s*(nolint|lint:ignore|#nosec)"),
    "java": re.compile(r"@SuppressWarnings|@Suppress\b"),
    "php": re.compile(r"@(phpstan-ignore|psalm-suppress)|phpcs:ignore|@disregard"),
    "css": re.compile(r"stylelint-disable|biome-ignore"),
    "yaml": re.compile(r"#\s*(yamllint\s+disable|yaml-language-server:\s*\$schema\s*=\s*none)"),
}
"""What silences a server, one row a language family."""

FAMILY_BY_SUFFIX: Final[dict[str, str]] = {
    **dict.fromkeys(("py", "pyi"), "python"),
    **dict.fromkeys(("ts", "tsx", "js", "jsx", "mjs", "cjs", "mts", "cts", "vue", "svelte", "astro"), "javascript"),
    **dict.fromkeys(("c", "cc", "cpp", "cxx", "h", "hh", "hpp", "hxx", "m", "mm"), "c"),
    **dict.fromkeys(("sh", "bash", "zsh", "ksh"), "shell"),
    **dict.fromkeys(("java", "kt", "kts"), "java"),
    **dict.fromkeys(("css", "scss", "less"), "css"),
    **dict.fromkeys(("yaml", "yml"), "yaml"),
    "rs": "rust",
    "go": "go",
    "php": "php",
}


def classify_clearance(diagnostic: Diagnostic, lines: LineMap) -> ClearedBy:
    """How the edit behind `lines` cleared `diagnostic` of the older text. Without both texts it counts as a fix."""
    if lines.old_text is None or lines.new_text is None or lines.old_text == lines.new_text:
        return "fix"
    pattern = SUPPRESSIONS.get(FAMILY_BY_SUFFIX.get(diagnostic.uri.rpartition(".")[2].lower(), ""))
    moved = lines.move(diagnostic.line)
    if pattern is not None and _is_silenced(pattern, diagnostic, lines, moved):
        return "suppression"
    region = lines.old_region(diagnostic.line)
    if moved is None and region is not None:
        replacement = "".join(lines.new_lines[region.new_start : region.new_end])
        if not replacement.strip():
            return "deletion"
    return "fix"


def _is_silenced(
    pattern: re.Pattern[str], diagnostic: Diagnostic, lines: LineMap, moved: tuple[int, int] | None
) -> bool:
    old_comments = {line.strip() for line in lines.old_lines if pattern.search(line)}
    for region in lines.regions:
        for number in range(region.new_start, region.new_end):
            line = lines.new_lines[number]
            if not pattern.search(line) or line.strip() in old_comments:
                continue
            if moved is not None and -1 <= moved[0] - number <= 1 + diagnostic.end_line - diagnostic.line:
                return True
            if number < 10 and line.lstrip().startswith(("#", "//", "/*", "<!--")) and moved is not None:
                return True  # for the whole file: at its top, on a line of its own
    return False
