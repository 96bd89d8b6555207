"""What makes two messages say the same: a form of them to compare by. Pure.

Left aside is what a process makes up for itself: tokens of progress, ids of results, process ids, and the `data` that a
server gives to be given back. Where the protocol says nothing of the order of an answer's items, they have none.
"""

from __future__ import annotations

import json
from typing import Any, Final

_VOLATILE: Final = frozenset(
    {
        *("workDoneToken", "partialResultToken", "previousResultId", "previousResultIds", "resultId", "processId"),
        *("serverInfo", "clientInfo"),
    }
)
_UNORDERED: Final = frozenset(
    {
        *("textDocument/completion", "textDocument/references", "textDocument/documentHighlight"),
        *("textDocument/definition", "textDocument/declaration", "textDocument/typeDefinition"),
        *("textDocument/implementation", "textDocument/documentSymbol", "workspace/symbol", "textDocument/codeAction"),
        *("textDocument/codeLens", "textDocument/documentLink", "textDocument/documentColor"),
        *("textDocument/foldingRange", "textDocument/inlayHint", "textDocument/inlineValue"),
        *("textDocument/prepareCallHierarchy", "callHierarchy/incomingCalls", "callHierarchy/outgoingCalls"),
        *("textDocument/prepareTypeHierarchy", "typeHierarchy/supertypes", "typeHierarchy/subtypes"),
        *("textDocument/moniker", "textDocument/diagnostic"),
    }
)
"""Methods whose answer, or its `items`, is a set. Order has a meaning in all others: edits, signatures, selections."""


def spell_params(params: Any) -> str:
    """What tells one message of a method from another. Parameters that are absent, null or empty are the same."""
    return _spell(_strip(params)) if params else "null"


def spell_result(method: str, result: Any) -> str:
    """What an answer says."""
    return _spell(normalise_result(method, result))


def normalise_result(method: str, result: Any) -> Any:
    """An answer without what is left aside, and with its items in an order that depends on them alone."""
    stripped = _strip(result)
    if method in _UNORDERED:
        if isinstance(stripped, dict) and isinstance(stripped.get("items"), list):
            stripped["items"] = sorted(stripped["items"], key=_spell)
        elif isinstance(stripped, list):
            stripped.sort(key=_spell)
    return stripped


def spell_diagnostics(diagnostics: Any) -> str:
    """What a report says: a set."""
    stripped = _strip(diagnostics)
    return _spell(sorted(stripped, key=_spell) if isinstance(stripped, list) else stripped)


def spell_value(value: Any) -> str:
    """A JSON value, whatever the order of its keys."""
    return _spell(value)


def _strip(value: Any) -> Any:
    match value:
        case dict():
            return {
                key: _strip(item) for key, item in value.items() if key not in _VOLATILE and not _is_opaque(key, item)
            }
        case list():
            return [_strip(item) for item in value]
        case float() if value.is_integer():
            return int(value)
    return value


def _is_opaque(key: str, value: Any) -> bool:
    """Semantic tokens are `data` as well, and say something."""
    return key == "data" and not (isinstance(value, list) and all(isinstance(number, int) for number in value))


def _spell(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
