"""What a recorded turn did to the errors, error by error: for the feedback that optimisers read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Errors in words (`a.py:3: message (code)`), each list sorted. `known`: whether anybody saw the errors at all.

    `fixed`, `suppressed`, `deleted`, `left`: of those at the start. `introduced`: by the turn, and still there.
    """

    known: bool
    at_start: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    suppressed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    introduced: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def describe(self) -> str:
        """One line a kind, the errors left first."""
        if not self.known:
            return "Nobody knows what it did to the LSP errors."
        kinds = (
            ("Left", self.left),
            ("Introduced", self.introduced),
            ("Only suppressed, not fixed", self.suppressed),
            ("Gone because their code was deleted, not fixed", self.deleted),
            ("Fixed", self.fixed),
        )
        said = [f"{name}: {'; '.join(errors)}." for name, errors in kinds if errors]
        return "\n".join(said) or "There were no LSP errors, before or after."


def find_evidence(at_start: Sequence[Json], actions: Iterable[Json], outcome: Json) -> Evidence:
    """From the LSP errors as a turn began, its actions' `lspDelta`s and its outcome, in the files' shapes.

    Lines move, so an error is known again by server, code and message.
    """
    if get_object(get_object(outcome, "metrics"), "lsp").get("errorsBefore") is None:
        return Evidence(False)
    words: dict[Key, str] = {}
    start: Counter[Key] = Counter(_note(error, words) for error in at_start)
    left, new = Counter(start), Counter[Key]()
    gone: dict[str, Counter[Key]] = {"fix": Counter(), "suppression": Counter(), "deletion": Counter()}
    for action in actions:
        delta = get_object(action, "lspDelta")
        for error in get_objects(delta, "cleared"):
            key = _note(error, words)
            if new[key]:
                new[key] -= 1
            elif left[key]:
                left[key] -= 1
                how = str(error.get("clearedBy"))
                gone[how if how in gone else "fix"][key] += 1
        for error in get_objects(delta, "introduced"):
            key = _note(error, words)
            back = next((kind for kind in gone.values() if kind[key]), None)
            if back is None:
                new[key] += 1
            else:
                back[key] -= 1
                left[key] += 1

    def tell(found: Counter[Key]) -> tuple[str, ...]:
        return tuple(sorted(words[key] for key in found.elements()))

    return Evidence(
        True, tell(start), tell(gone["fix"]), tell(gone["suppression"]), tell(gone["deletion"]), tell(new), tell(left)
    )


def get_object(holder: Any, name: str) -> dict[str, Any]:
    """A field that is an object; {} where there is none."""
    value = holder.get(name) if isinstance(holder, Mapping) else None
    return value if isinstance(value, dict) else {}


def get_objects(holder: Any, name: str) -> list[dict[str, Any]]:
    """The objects in a field that is a list; [] where there is none."""
    value = holder.get(name) if isinstance(holder, Mapping) else None
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def describe_error(error: Json) -> str:
    """`a.py:3: message (code)`."""
    code = f" ({error['code']})" if error.get("code") else ""
    message = " ".join(str(error.get("message", "")).split())
    return f"{error.get('file', '?')}:{error.get('line', '?')}: {message[:200]}{code}"


def _note(error: Json, words: dict[Key, str]) -> Key:
    key = (str(error.get("server", "")), str(error.get("code", "")), str(error.get("message", "")))
    words.setdefault(key, describe_error(error))
    return key
