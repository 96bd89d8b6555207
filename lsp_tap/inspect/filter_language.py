"""The filter language of `log`, after mitmproxy's: text -> a `Filter`, and back.

~m GLOB        method (of an answer: its request's); without a slash also the last part: ~m hover
~d DIRECTION   c2s (client to server) or s2c
~k KIND        request, notification, response (an answer of either sort), error, stderr, invalid, event
~s GLOB        server
~u GLOB        document: the uri, or its end after a slash: ~u cart.py, ~u 'src/*.py'
~i ID          request id
~l >200ms      latency of an answer: < <= > >=, in us, ms or s
~t GLOB        tool call: its id or the tool's name
~session GLOB  session: its id, or the beginning of it
~b REGEX       body (also of stderr and invalid bytes), upper and lower case alike
~p             the tap's own requests and their answers
~all           everything
word, "words"  text in method, document or body, upper and lower case alike
!x   x y   x & y   x | y   (x)      not, and, and, or, in that order of binding
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from lsp_tap.errors import UsageError
from lsp_tap.inspect.flows import KINDS


class BadFilter(UsageError):
    """`text` is no filter; `position` is the character, from 0, at which that shows."""

    def __init__(self, text: str, position: int, reason: str) -> None:
        super().__init__(text, position, reason)
        self.text, self.position, self.reason = text, position, reason

    def __str__(self) -> str:
        marked = f"{self.text[: self.position]}^{self.text[self.position :]}"
        return f"filter: {self.reason} (at character {self.position + 1}: {marked})"


@dataclass(frozen=True, slots=True)
class All:
    pass


@dataclass(frozen=True, slots=True)
class Probe:
    pass


@dataclass(frozen=True, slots=True)
class Method:
    glob: str


@dataclass(frozen=True, slots=True)
class Going:
    """`direction` is `c2s` or `s2c`."""

    direction: str


@dataclass(frozen=True, slots=True)
class Kind:
    kind: str


@dataclass(frozen=True, slots=True)
class OfServer:
    glob: str


@dataclass(frozen=True, slots=True)
class Document:
    glob: str


@dataclass(frozen=True, slots=True)
class Id:
    id: str


@dataclass(frozen=True, slots=True)
class Latency:
    operator: str
    limit_us: int


@dataclass(frozen=True, slots=True)
class OfCall:
    glob: str


@dataclass(frozen=True, slots=True)
class OfSession:
    glob: str


@dataclass(frozen=True, slots=True)
class Body:
    pattern: str


@dataclass(frozen=True, slots=True)
class Containing:
    text: str


@dataclass(frozen=True, slots=True)
class Not:
    inner: Filter


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Filter, ...]


Filter: TypeAlias = (
    All | Probe | Method | Going | Kind | OfServer | Document | Id | Latency | OfCall | OfSession | Body | Containing
    | Not | And | Or
)  # fmt: skip

ALL: Final = All()
_COMPARISONS: Final = ("<", "<=", ">", ">=")
_LATENCY: Final = re.compile(r"(<=|>=|<|>)(\d+(?:\.\d+)?)(us|ms|s)?")
_UNITS: Final = {"us": 1, "ms": 1000, None: 1000, "s": 1_000_000}
_DIRECTIONS: Final = {"c2s": "c2s", "s2c": "s2c", "client_to_server": "c2s", "server_to_client": "s2c"}
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)|(?P<mark>[()&|!])|(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|(?P<operator>~[^\s()&|]*)|(?P<word>[^\s()&|!~"'][^\s()&|]*)""",
    re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    value: str
    position: int


def _read_kind(value: str) -> Kind:
    if value not in KINDS:
        raise ValueError(f"~k is one of {', '.join(KINDS)}")
    return Kind(value)


def _read_direction(value: str) -> Going:
    if value not in _DIRECTIONS:
        raise ValueError("~d is c2s or s2c")
    return Going(_DIRECTIONS[value])


def _read_latency(value: str) -> Latency:
    found = _LATENCY.fullmatch(value)
    if found is None:
        raise ValueError("~l is a comparison such as >200ms or <=1.5s")
    return Latency(found[1], round(float(found[2]) * _UNITS[found[3]]))


def _read_body(value: str) -> Body:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"~b is not a regular expression: {error}") from error
    return Body(value)


_WITH_VALUE: Final[dict[str, Callable[[str], Filter]]] = {
    "~m": Method, "~d": _read_direction, "~k": _read_kind, "~s": OfServer, "~u": Document, "~i": Id,
    "~l": _read_latency, "~t": OfCall, "~session": OfSession, "~b": _read_body,
}  # fmt: skip
_ALONE: Final[dict[str, Filter]] = {"~p": Probe(), "~all": ALL}
OPERATORS: Final = (*_WITH_VALUE, *_ALONE)


def parse_filter(text: str) -> Filter:
    """The filter that `text` is; everything, where it is empty. Raises BadFilter."""
    tokens = _split_tokens(text)
    if not tokens:
        return ALL
    parser = _Parser(text, tokens)
    parsed = parser.parse_or()
    rest = parser.peek()
    if rest is not None:
        raise BadFilter(
            text, rest.position, "no parenthesis is open here" if rest.value == ")" else "not expected here"
        )
    return parsed


def join_arguments(arguments: Iterable[str]) -> str:
    """A filter given as several arguments of a command, as one text: a shell took the quotes off values."""
    joined: list[str] = []
    for argument in arguments:
        is_value = bool(joined) and joined[-1] in _WITH_VALUE
        joined.append(_quote(argument) if is_value else argument)
    return " ".join(joined)


def format_filter(wanted: Filter) -> str:
    """The text that `parse_filter` reads as `wanted`."""
    match wanted:
        case All():
            return "~all"
        case Probe():
            return "~p"
        case Method(glob):
            return f"~m {_quote(glob)}"
        case Going(direction):
            return f"~d {direction}"
        case Kind(kind):
            return f"~k {kind}"
        case OfServer(glob):
            return f"~s {_quote(glob)}"
        case Document(glob):
            return f"~u {_quote(glob)}"
        case Id(identifier):
            return f"~i {_quote(identifier)}"
        case Latency(operator, limit_us):
            return f"~l {operator}{limit_us // 1000}ms" if limit_us % 1000 == 0 else f"~l {operator}{limit_us}us"
        case OfCall(glob):
            return f"~t {_quote(glob)}"
        case OfSession(glob):
            return f"~session {_quote(glob)}"
        case Body(pattern):
            return f"~b {_quote(pattern)}"
        case Containing(text):
            return _quote(text)
        case Not(inner):
            return f"!{_format_inner(inner, And, Or)}"
        case And(parts):
            return " & ".join(_format_inner(part, And, Or) for part in parts)
        case Or(parts):
            return " | ".join(_format_inner(part, Or) for part in parts)


def _format_inner(part: Filter, *looser: type) -> str:
    text = format_filter(part)
    return f"({text})" if isinstance(part, looser) else text


def _quote(value: str) -> str:
    found = _TOKEN.fullmatch(value)
    if found is not None and found.lastgroup == "word":
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquote(quoted: str) -> str:
    """Only a quote and a backslash are escaped, so that a regular expression's `\\d` needs no second backslash."""
    return re.sub(rf"\\([\\{quoted[0]}])", r"\1", quoted[1:-1])


def _split_tokens(text: str) -> list[_Token]:
    tokens = []
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise BadFilter(text, position, "a quote that is never closed")
        if found.lastgroup == "string":
            tokens.append(_Token("word", _unquote(found[0]), position))
        elif found.lastgroup != "space":
            tokens.append(_Token(found.lastgroup or "", found[0], position))
        position = found.end()
    return tokens


class _Parser:
    """Or of ands of nots: one method a level."""

    def __init__(self, text: str, tokens: list[_Token]) -> None:
        self._text, self._tokens, self._at = text, tokens, 0

    def peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self, mark: str) -> bool:
        token = self.peek()
        taken = token is not None and token.kind == "mark" and token.value == mark
        self._at += taken
        return taken

    def parse_or(self) -> Filter:
        parts = [self._parse_and()]
        while self._take("|"):
            parts.append(self._parse_and())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _parse_and(self) -> Filter:
        parts = [self._parse_not()]
        while True:
            token = self.peek()
            if token is None or (token.kind == "mark" and token.value in "|)"):
                return parts[0] if len(parts) == 1 else And(tuple(parts))
            self._take("&")
            parts.append(self._parse_not())

    def _parse_not(self) -> Filter:
        negations = 0
        while self._take("!"):
            negations += 1
        found = self._parse_one()
        for _ in range(negations):
            found = Not(found)
        return found

    def _parse_one(self) -> Filter:
        token = self.peek()
        if token is None:
            raise BadFilter(self._text, len(self._text), "something is missing at the end")
        if self._take("("):
            inner = self.parse_or()
            if not self._take(")"):
                raise BadFilter(self._text, token.position, "a parenthesis that is never closed")
            return inner
        if token.kind == "mark":
            raise BadFilter(self._text, token.position, f"something is missing before {token.value}")
        self._at += 1
        if token.kind == "word":
            return Containing(token.value)
        if token.value in _ALONE:
            return _ALONE[token.value]
        read = _WITH_VALUE.get(token.value)
        if read is None:
            raise BadFilter(self._text, token.position, f"no operator {token.value}: there are {' '.join(OPERATORS)}")
        value = self.peek()
        if value is None or value.kind != "word":
            position = len(self._text) if value is None else value.position
            raise BadFilter(self._text, position, f"{token.value} needs a value")
        self._at += 1
        limit = self.peek()
        if token.value == "~l" and value.value in _COMPARISONS and limit is not None and limit.kind == "word":
            self._at += 1
            value = value._replace(value=value.value + limit.value)
        try:
            return read(value.value)
        except ValueError as error:
            raise BadFilter(self._text, value.position, str(error)) from error
