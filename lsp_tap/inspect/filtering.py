"""Filters at work: a `Filter` -> a function that says whether an item is meant."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from fnmatch import translate
from typing import TYPE_CHECKING, Final, TypeAlias

from lsp_tap.inspect import filter_language as language
from lsp_tap.inspect.filter_language import Filter
from lsp_tap.inspect.flows import Item, decode_uri

if TYPE_CHECKING:
    from lsp_tap.inspect.calls import CallIndex

Test: TypeAlias = Callable[[Item], bool]

_COMPARE: Final[dict[str, Callable[[int, int], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_DIRECTIONS: Final = {"c2s": "client_to_server", "s2c": "server_to_client"}


def needs_calls(wanted: Filter) -> bool:
    """Whether a filter asks for tool calls or sessions, which are in other journals."""
    match wanted:
        case language.OfCall() | language.OfSession():
            return True
        case language.Not(inner):
            return needs_calls(inner)
        case language.And(parts) | language.Or(parts):
            return any(map(needs_calls, parts))
    return False


def compile_filter(wanted: Filter, calls: CallIndex) -> Test:
    """The test. `calls` may be empty where `needs_calls` is false."""
    match wanted:
        case language.All():
            return lambda item: True
        case language.Probe():
            return lambda item: item.probe
        case language.Method(glob):
            return _test_method(glob)
        case language.Going(direction):
            going = _DIRECTIONS[direction]
            return lambda item: item.direction == going
        case language.Kind("response"):
            return lambda item: item.kind in ("response", "error")
        case language.Kind(kind):
            return lambda item: item.kind == kind
        case language.OfServer(glob):
            return _test_server(glob)
        case language.Document(glob):
            return _test_document(glob)
        case language.Id(identifier):
            return lambda item: item.kind in ("request", "response", "error") and str(item.id) == identifier
        case language.Latency(compare, limit_us):
            return _test_latency(compare, limit_us)
        case language.OfCall(glob):
            matches = _glob(glob)
            return lambda item: any(matches(call.call_id) or matches(call.tool) for call in calls.find_calls(item))
        case language.OfSession(glob):
            begins = _glob(f"{glob}*")
            return lambda item: any(map(begins, calls.find_sessions(item)))
        case language.Body(pattern):
            return _test_body(pattern)
        case language.Containing(text):
            return _test_text(text)
        case language.Not(inner):
            test = compile_filter(inner, calls)
            return lambda item: not test(item)
        case language.And(parts):
            tests = [compile_filter(part, calls) for part in _cheapest_first(parts)]
            return lambda item: all(test(item) for test in tests)
        case language.Or(parts):
            tests = [compile_filter(part, calls) for part in _cheapest_first(parts)]
            return lambda item: any(test(item) for test in tests)


def _cheapest_first(parts: tuple[Filter, ...]) -> list[Filter]:
    """The parts that look into bodies last: the order of tests changes nothing but the time they take."""
    dear = (language.Body, language.Containing, language.Document, language.OfCall, language.OfSession)
    return sorted(parts, key=lambda part: isinstance(part, (*dear, language.Not, language.And, language.Or)))


def _glob(glob: str) -> Callable[[str], bool]:
    match = re.compile(translate(glob)).match
    return lambda text: match(text) is not None


def _test_method(glob: str) -> Test:
    matches = _glob(glob)
    known: dict[str | None, bool] = {None: False}

    def test(item: Item) -> bool:
        found = known.get(item.method)
        if found is None and item.method is not None:
            last = item.method.rpartition("/")[2]
            found = known[item.method] = matches(item.method) or ("/" not in glob and matches(last))
        return bool(found)

    return test


def _test_server(glob: str) -> Test:
    matches = _glob(glob)
    return lambda item: matches(item.server.name)


def _test_document(glob: str) -> Test:
    whole, end = _glob(glob), _glob(f"*/{glob}")
    known: dict[str, bool] = {}

    def test(item: Item) -> bool:
        uri = item.uri
        if uri is None:
            return False
        found = known.get(uri)
        if found is None:
            plain = decode_uri(uri)
            found = known[uri] = whole(uri) or whole(plain) or end(plain)
        return found

    return test


def _test_latency(compare: str, limit_us: int) -> Test:
    meets = _COMPARE[compare]

    def test(item: Item) -> bool:
        latency_us = item.latency_us
        return latency_us is not None and meets(latency_us, limit_us)

    return test


def _test_body(pattern: str) -> Test:
    if re.escape(pattern) == pattern:  # no regular expression after all, and text is found ten times as fast
        lower = pattern.lower()
        return lambda item: lower in item.body.lower()
    search = re.compile(pattern, re.IGNORECASE | re.DOTALL).search
    return lambda item: search(item.body) is not None


def _test_text(text: str) -> Test:
    lower = text.lower()

    def test(item: Item) -> bool:
        if lower in item.body.lower() or (item.method is not None and lower in item.method.lower()):
            return True
        uri = item.uri
        return uri is not None and lower in decode_uri(uri).lower()

    return test
