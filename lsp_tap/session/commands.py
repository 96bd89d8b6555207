r"""What the test and build commands an agent ran came to, by parsed command and exit code; never by their output.

The client reports one exit code for a whole command line. What it says of a test or build command in it:

| line | exit 0 | another |
|---|---|---|
| `pytest` | passed | failed |
| `cd app && pytest`, `X=1; pytest` | passed | failed (commands like `cd` are taken to succeed) |
| `npm ci && pytest`, `pytest && ./deploy` | passed | unknown: which of them failed? |
| `pytest; ls`, `pytest \| tail`, `pytest \|\| true`, `pytest &`, `! pytest` | unknown | unknown |
| `set -o pipefail; pytest \| tail` | passed | failed |
| loops, conditions, subshells, `$(...)`, here-documents | unknown | unknown |

Unknown is also what was cut off (exit code null, 124, 128 and above), not found (126, 127), or ran no test (pytest's 4
and 5). The last run decides, even if it is unknown; where there is none, neither field is written. `cargo test`, `go
test` and their like build first: passed, they also count as a build.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, Literal

Kind = Literal["tests", "build", "built-tests"]

LINE_LIMIT: Final = 20_000
"""Characters. A longer command carries a file with it, and shlex takes time with the square of its length."""

_RULES: Final[tuple[tuple[str, Kind], ...]] = (
    (r"(pytest|py\.test|tox|nox|nose2|trial|stestr)\b", "tests"),
    (r"python -m (pytest|unittest|nose2|tox|nox|doctest)\b|python \S*manage\.py test\b", "tests"),
    (r"coverage run\b.*\b(pytest|unittest)\b", "tests"),
    (r"(jest|vitest|mocha|ava|tap|karma|rspec|phpunit|pest|bats|ctest|cypress run|playwright test)\b", "tests"),
    (r"(npm|pnpm|yarn|bun) (run )?(test|t)(:\S+)?( |$)|(deno|vitest) (test|run)\b|node --test\b", "tests"),
    (r"(rake|mix|swift|zig build|bazel|flutter|dart|composer|sbt|lein) test\b|rails test\b", "tests"),
    (r"cargo (test|nextest run)\b.* --no-run\b", "build"),
    (r"cargo (test|nextest run|t)\b|go test\b|dotnet test\b|stack test\b|cabal test\b", "built-tests"),
    (r"(mvn|mvnw)( \S+)* (test|verify|package|install|deploy)\b", "built-tests"),
    (r"(gradle|gradlew)( \S+)* (\S*:)?(\w*[tT]est|check|build)\b", "built-tests"),
    (r"g?make( \S+)* (\w+-)?(test|tests|check)(-\w+)?( |$)|ninja( \S+)* (test|check)\b|meson test\b", "tests"),
    (r"(tsc|vue-tsc|svelte-check|mypy|dmypy run|pyright|basedpyright|pyre check|ty check|pytype)( |$)", "build"),
    (r"python -m (mypy|pyright|basedpyright|py_compile|compileall|build)\b", "build"),
    (r"cargo (build|check|b|c|clippy)\b|go (build|vet|install)\b|rustc\b|javac\b|kotlinc\b|scalac\b|ghc\b", "build"),
    (
        r"(mvn|mvnw)( \S+)* (compile|test-compile)\b|(gradle|gradlew)( \S+)* (\S*:)?(assemble|classes|compile\w+)\b",
        "build",
    ),
    (r"(npm|pnpm|yarn|bun) (run )?(build|compile|tsc|type-?check|check-?types)(:\S+)?( |$)", "build"),
    (r"(next|vite|nuxt|astro|ng|dotnet|swift|stack|cabal|zig|bazel|flutter|docker|meson) (build|compile)\b", "build"),
    (r"(webpack|rollup|esbuild|tsup|parcel build|mix compile|cmake --build|ninja|g?make)( |$)", "build"),
    (r"(gcc|g\+\+|clang|clang\+\+|cc|c\+\+)(-\d+)? .*\S", "build"),
)
_COMPILED: Final = tuple((re.compile(pattern), kind) for pattern, kind in _RULES)
_ONLY_ASKING: Final = frozenset(
    {"--version", "--help", "-h", "-V", "--collect-only", "--co", "--listTests", "--list-tests", "--fixtures",
     "--dry-run", "--just-print", "--showConfig", "--markers"}
)  # fmt: skip
_HARMLESS: Final = frozenset(
    {"cd", "pushd", "popd", "export", "unset", "echo", "printf", "true", ":", "set", "source", ".", "sleep", "mkdir",
     "clear", "pwd", "date", "umask", "ulimit", "shopt", "alias"}
)  # fmt: skip
"""Taken to succeed. In a pipe behind a check so are these:"""
_PASSING_ON: Final = frozenset({"tail", "head", "tee", "cat", "less", "more", "sed", "cut", "tr", "sort", "uniq", "wc"})
_COMPOUND: Final = frozenset(
    {"if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "function", "select",
     "{", "}", "!", "[[", "eval", "exec", "trap", "coproc"}
)  # fmt: skip
_WRAPPERS: Final = {
    "time": 0, "nice": 0, "nohup": 0, "sudo": 0, "env": 0, "command": 0, "timeout": 1, "stdbuf": 0, "xvfb-run": 0,
    "npx": 0, "bunx": 0, "pnpx": 0, "uvx": 0, "ionice": 0, "chronic": 0, "setsid": 0, "gtimeout": 1,
}  # fmt: skip
"""Programs that run another one, with how many words of their own come before it."""
_RUNNERS: Final = {
    ("uv", "run"), ("poetry", "run"), ("pipenv", "run"), ("pdm", "run"), ("hatch", "run"), ("rye", "run"),
    ("pixi", "run"), ("conda", "run"), ("bundle", "exec"), ("pnpm", "exec"), ("npm", "exec"), ("yarn", "exec"),
    ("yarn", "dlx"), ("pnpm", "dlx"), ("mise", "exec"), ("direnv", "exec"),
}  # fmt: skip
_TAKING_A_WORD: Final = frozenset(
    {"-n", "-u", "-k", "-s", "-C", "-p", "--python", "--with", "--extra", "--group", "-e"}
)
_CUT_OFF: Final = frozenset({124, 126, 127})
_NO_TESTS_RAN: Final = frozenset({4, 5})


@dataclass(frozen=True, slots=True)
class Check:
    """A test or build command. `passed` is None where the exit code does not tell."""

    command: str
    kind: Kind
    passed: bool | None


@dataclass(frozen=True, slots=True)
class Checks:
    """What the last test run and the last build came to. `has_tests`, `has_build`: whether there was one at all."""

    tests_pass: bool | None
    compilation_success: bool | None
    has_tests: bool
    has_build: bool


def sum_up_checks(runs: Iterable[tuple[str, int | None]]) -> Checks:
    """`runs`: command lines in order, each with its exit code (None: it was cut off)."""
    tests: list[bool | None] = []
    builds: list[bool | None] = []
    for line, exit_code in runs:
        for check in parse_checks(line, exit_code):
            if check.kind != "build":
                tests.append(check.passed)
            if check.kind == "build" or (check.kind == "built-tests" and check.passed):
                builds.append(check.passed)
    return Checks(tests[-1] if tests else None, builds[-1] if builds else None, bool(tests), bool(builds))


def find_command(args: Any) -> str | None:
    """The command line in a call's arguments, if it ran one."""
    command = args.get("command") if isinstance(args, dict) else None
    return command if isinstance(command, str) and command.strip() else None


@dataclass(frozen=True, slots=True)
class _Simple:
    """A simple command, and the operators around it ("" at the line's ends)."""

    words: tuple[str, ...]
    before: str
    after: str

    @property
    def program(self) -> str:
        return PurePosixPath(self.words[0]).name if self.words else ":"


def parse_checks(line: str, exit_code: int | None) -> list[Check]:
    """The test and build commands in a command line, in order."""
    commands, is_plain = _split(line)
    found = [(number, kind) for number, command in enumerate(commands) if (kind := find_kind(command.words))]
    checks = []
    for number, kind in found:
        passed = _judge(commands, number, exit_code) if is_plain else None
        text = " ".join(commands[number].words)
        if passed is False and exit_code in _NO_TESTS_RAN and "pytest" in text:
            passed = None
        checks.append(Check(text, kind, passed))
    return checks


def find_kind(words: Sequence[str]) -> Kind | None:
    """Whether a simple command tests or builds."""
    words = list(_unwrap(words))
    if not words or _ONLY_ASKING.intersection(words[1:]) or (words[0] in ("make", "gmake") and "-n" in words):
        return None
    program = PurePosixPath(words[0]).name
    if program in ("bash", "sh", "zsh", "dash") and "-c" in words[1:-1]:
        inner, _ = _split(words[words.index("-c") + 1])
        return find_kind(inner[0].words) if len(inner) == 1 else None
    if re.fullmatch(r"python(\d(\.\d+)?)?|pypy3?", program):
        program = "python"
    if program == "make" and any(re.fullmatch(r"(clean|install|format|fmt|lint|help|docs?)", word) for word in words):
        return None
    text = " ".join([program.removesuffix(".cmd").removesuffix(".exe"), *words[1:]])
    return next((kind for pattern, kind in _COMPILED if pattern.match(text)), None)


def _unwrap(words: Sequence[str]) -> list[str]:
    """Without variables set in front, and without the programs that only run another one."""
    left = list(words)
    while left:
        program = PurePosixPath(left[0]).name
        if re.match(r"[A-Za-z_]\w*\+?=", left[0]):
            left = left[1:]
        elif program in _WRAPPERS:
            left = _drop_options(left[1:])[_WRAPPERS[program] :]
        elif len(left) > 1 and (program, left[1]) in _RUNNERS:
            left = _drop_options(left[2:])
        else:
            break
    return left


def _drop_options(words: list[str]) -> list[str]:
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] in _TAKING_A_WORD else words[1:]
    return words


def _judge(commands: Sequence[_Simple], number: int, exit_code: int | None) -> bool | None:
    """What the exit code of the line says about one of its commands."""
    if exit_code is None or exit_code < 0 or exit_code >= 128 or exit_code in _CUT_OFF:
        return None
    if any("&" in (command.before, command.after) for command in commands):
        return None
    settings = [word for c in commands[:number] if c.program == "set" for word in c.words[1:]]
    sequence = () if any(re.match(r"-\w*e", word) for word in settings) else (";",)
    lists = _group(commands, sequence)
    if number not in lists[-1]:  # the code is another one's
        return None
    numbers = [at for at in lists[-1] if commands[at].program != "set"]
    pipes = [[at for at in pipe if at in numbers] for pipe in _group(commands, (";", "&&", "||"))]
    mine = next(pipe for pipe in pipes if number in pipe)
    others = [pipe for pipe in pipes if pipe and pipe is not mine]
    if any(commands[at].before == "||" for at in numbers):
        first_or = min(at for at in numbers if commands[at].before == "||")
        before_or = [pipe for pipe in others if pipe[-1] < first_or]
        if exit_code == 0 or mine[-1] + 1 != first_or or not _cannot_fail(commands, before_or):
            return None
    elif exit_code and not _cannot_fail(commands, others):
        return None
    if mine[-1] == number and (exit_code == 0 or "pipefail" not in settings):
        return exit_code == 0
    if "pipefail" not in settings:
        return None
    around = [commands[at].program for at in mine if at != number]
    return True if exit_code == 0 else (False if _PASSING_ON.union(_HARMLESS).issuperset(around) else None)


def _group(commands: Sequence[_Simple], separators: Sequence[str]) -> list[list[int]]:
    """The numbers of the commands, in runs that no separator parts."""
    runs: list[list[int]] = []
    for number, command in enumerate(commands):
        if number == 0 or command.before in separators:
            runs.append([])
        runs[-1].append(number)
    return runs


def _cannot_fail(commands: Sequence[_Simple], pipes: Iterable[Sequence[int]]) -> bool:
    return all(commands[at].program in _HARMLESS for pipe in pipes for at in pipe)


def _split(line: str) -> tuple[list[_Simple], bool]:
    """The simple commands of a line, and whether that is all there is to it (no loops, subshells, substitutions)."""
    if len(line) > LINE_LIMIT:
        return [], False
    text = line.replace("\\\n", " ").strip()
    is_plain = not re.search(r"\$\(|`|<<|<\(|>\(", text)
    text = re.sub(r"(^|\s)#[^\n'\"]*(?=\n|$)", r"\1", text)
    try:
        lexer = shlex.shlex(text.replace("\n", " ; "), posix=True, punctuation_chars="();|&<>")
        lexer.whitespace_split = True
        lexer.commenters = ""
        tokens = list(lexer)
    except ValueError:  # an open quote: a text of several lines, or not for a shell
        return [], False
    commands: list[_Simple] = []
    words: list[str] = []
    before = ""
    for token in [*_drop_redirections(tokens), ""]:
        if token and not re.fullmatch(r"[;|&()]+", token):
            words.append(token)
            continue
        if words:
            operator = ";" if token in (";", ";;") else token
            commands.append(_Simple(tuple(words), before, operator))
            before, words = operator, []
        if "(" in token or ")" in token:
            is_plain = False
    if commands and commands[-1].after == ";":
        last = commands[-1]
        commands[-1] = _Simple(last.words, last.before, "")
    is_plain = is_plain and not any(_COMPOUND.intersection(command.words[:1]) for command in commands)
    return commands, is_plain


def _drop_redirections(tokens: Sequence[str]) -> Iterator[str]:
    skip = False
    for number, token in enumerate(tokens):
        if skip:
            skip = False
        elif re.fullmatch(r"&?[<>]+[&|]?", token):
            skip = True
        elif token.isdigit() and number + 1 < len(tokens) and re.match(r"[<>]", tokens[number + 1]):
            continue
        else:
            yield token
