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
    "yaml": re.compile(r"#\s*(yamllint\s+disable|yaml-language-server(-disable\b|:\s*\$schema\s*=\s*none))"),
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


CONFIGURATION: Final = re.compile(
    r"(^|/)(pyproject\.toml|setup\.cfg|tox\.ini|mypy\.ini|\.mypy\.ini|\.flake8|\.pylintrc|pyrightconfig\.json|"
    r"basedpyrightconfig\.json|\.?ruff\.toml|ty\.toml|tsconfig[^/]*\.json|jsconfig[^/]*\.json|\.eslintrc[^/]*|"
    r"eslint\.config\.[a-z]+|biome\.jsonc?|\.oxlintrc\.json|\.clangd|\.clang-tidy|compile_flags\.txt|clippy\.toml|"
    r"\.golangci\.ya?ml|\.shellcheckrc|\.stylelintrc[^/]*|\.vscode/settings\.json|opencode\.jsonc?)$"
)
"""Files that tell a checker what to report."""

_LOOSENED: Final = re.compile(
    r"""ignore|exclude|disable|suppress|skipLibCheck|Wno-|-w\b|
        ["']?\b(strict\w*|no\w+|check\w*|report\w+|typeCheckingMode|\w*severity)["']?\s*[:=]\s*
        ["']?(false|off|none|basic|information|hint|0)\b|:\s*["']?off\b""",
    re.IGNORECASE | re.VERBOSE,
)


def is_loosened(path: str, before: str | None, after: str | None) -> bool:
    """Whether an edit made a checker's configuration report less: it brought a line that ignores or switches off."""
    if CONFIGURATION.search(path) is None or after is None:
        return False
    old = set((before or "").splitlines())
    return any(_LOOSENED.search(line) for line in after.splitlines() if line not in old)


def classify_clearance(diagnostic: Diagnostic, lines: LineMap) -> ClearedBy:
    """How the edit behind `lines` cleared `diagnostic` of the older text. Without both texts it counts as a fix."""
    if lines.old_text is None or lines.new_text is None or lines.old_text == lines.new_text:
        return "fix"
    family = FAMILY_BY_SUFFIX.get(diagnostic.uri.rpartition(".")[2].lower(), "")
    pattern, moved = SUPPRESSIONS.get(family), lines.move(diagnostic.line)
    if pattern is not None and moved is not None and _is_silenced(pattern, diagnostic, lines, moved[0]):
        return "suppression"
    bore = range(diagnostic.line, max(diagnostic.line, diagnostic.end_line - (diagnostic.end_column == 0)) + 1)
    if all(lines.is_deleted(line) or _is_emptied(lines, line) for line in bore):
        return "deletion"
    return "fix"


def _is_emptied(lines: LineMap, line: int) -> bool:
    """Whether all that came in the place of the line's region is nothing: blanks, comments, `pass`, `...`."""
    region = lines.old_region(line)
    if region is None:
        return False
    return all(_NOTHING.fullmatch(new) for new in lines.new_lines[region.new_start : region.new_end])


_NOTHING: Final = re.compile(r"\s*((#|//|--|;|/\*|\*|<!--|%).*|pass|\.\.\.|\{\}|;)?\s*", re.DOTALL)


def _is_silenced(pattern: re.Pattern[str], diagnostic: Diagnostic, lines: LineMap, line: int) -> bool:
    """Whether the edit brought a suppression that covers `line` of the new text."""
    old_comments = {old.strip() for old in lines.old_lines if pattern.search(old)}
    height = diagnostic.end_line - diagnostic.line
    for region in lines.regions:
        for number in range(region.new_start, region.new_end):
            new = lines.new_lines[number]
            if not pattern.search(new) or new.strip() in old_comments:
                continue
            on_it = -1 - height <= line - number <= 1
            for_the_file = new.lstrip().startswith(("#", "//", "/*", "<!--")) and number <= line
            if on_it or for_the_file:
                return True
    return False
