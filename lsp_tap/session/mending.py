r"""Whether a user's task is to mend errors: then a turn that mended none is no success.

A task is to mend when language servers showed errors as the turn began, and

1. its words hold a verb of mending that is not negated ("fix", "resolve", "get rid of", German "behebe", French
   "corrige", ...), and say that the errors are meant: they hold a word for errors or for the checker ("error", "type
   check", "pyright", "Fehler", ...; not "error handling"), or name a file that has one (`a.py`, `src/a.py`), or quote
   one, or name nothing at all ("fix it", "please fix this");
2. or they quote one of these errors, its message or its code, and ask for no explanation ("why", "explain", "warum").

So "fix the typo in README.md" is to mend nothing when only `a.py` has errors, and "why is `x` not defined?" asks for
words. One "problem" or "issue" may be anything; the plural "problems" is what editors call diagnostics. Words in other
languages than the six below are not understood: such a task is judged by the other rules alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lsp_tap.session.models import Finding

LEAST_QUOTED_LENGTH: Final = 8
"""A shorter message ("unused") occurs in a task by chance."""


def _compile(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{'|'.join(words.split())})(?![\w-])".replace("~", r"\s+"), re.IGNORECASE)


_VERBS: Final = _compile(
    "fix(?:es|ing)? mend(?:ing)? repair(?:ing)? resolv(?:e|ing) solv(?:e|ing) correct(?:ing)? clear(?:~up)? "
    "eliminat(?:e|ing) address(?:ing)? get~rid~of make~.{1,40}~(?:pass|happy|clean|green|compile) debug "
    "beheb(?:e|en|t) reparier(?:e|en|t) repariere korrigier(?:e|en|t) beseitig(?:e|en|t) fixe[nst]? lös(?:e|en|t) "
    "corrig(?:e|er|ez|ir) répar(?:e|er|ez) repara(?:r)? arregl(?:a|ar|e) soluciona(?:r)? "
    "correggi(?:amo)? ripara(?:re)? risolv(?:i|ere) conserta(?:r)? corrija"
)
_ERRORS: Final = _compile(
    r"errors?(?!~(?:handl\w+|messages?|pages?|codes?|boundar\w+|types?|class\w*|report\w*|log\w*)) typeerrors? "
    r"diagnostics? warnings? problems squiggles? type-?check(?:s|ing|er)? "
    r"type~check(?:s|ing|er)? typing types "
    r"lint(?:s|er|ers|ing)? compil(?:e|es|er|ation|ing) build lsp pyright basedpyright mypy tsc eslint ruff clangd "
    r"(?:\w*fehler)(?:n|s|meldung|meldungen)? diagnosen? probleme? warnung(?:en)? "
    r"erreurs? problèmes avertissements? error(?:es|i|e) avisos? problemas problemi erros?"
)
_EXPLAINING: Final = _compile(
    "why explain(?:s|ing)? what~does what~is mean(?:s|ing)? describe understand warum wieso erklär(?:e|en|t)? bedeutet "
    "pourquoi explique[rz]? qué~significa por~qué explica(?:r)? perché spiega(?:re)? porquê"
)
_NEGATED: Final = re.compile(
    r"(?:\bdon['’]?t|\bdo\s+not|\bwithout|\bnever|\bnot\s+to|\bnicht|\bohne|\bsans|\bne|\bno|\bsin|\bsenza|\bnon)"
    r"(?:\s+\w+){0,2}\s*$",
    re.IGNORECASE,
)
_NAMED: Final = re.compile(r"[\w./\\-]*[\w-]\.\w{1,8}\b|`[^`]+`|\"[^\"]+\"")
_FILLING: Final = _compile(
    "please pls of can could you would it this that these those them all everything the now here again for me us so "
    "and then just also try bitte das es dies diese alle alles mal jetzt s'il te vous plaît ça le la les tout "
    "por favor esto eso todo per favore questo tutto lo gli i isso tudo"
)


def is_mending(task: str, errors: Sequence[Finding]) -> bool:
    """Whether `task` (the user's words) asks to mend, given the errors as the turn began."""
    if not errors:
        return False
    quotes = _quotes_one(task, errors)
    if not _holds_verb(task):
        return quotes and not _EXPLAINING.search(task)
    return quotes or bool(_ERRORS.search(task)) or _names_file(task, errors) or _names_nothing(task)


def _holds_verb(task: str) -> bool:
    return any(not _NEGATED.search(task[: found.start()]) for found in _VERBS.finditer(task))


def _quotes_one(task: str, errors: Sequence[Finding]) -> bool:
    words = " ".join(task.split()).casefold()
    messages = (" ".join(message.split()).casefold().rstrip(".") for message in {error.message for error in errors})
    if any(len(message) >= LEAST_QUOTED_LENGTH and message in words for message in messages):
        return True
    return any(_quotes_code(words, *rule) for rule in {(error.code.casefold(), error.source) for error in errors})


def _quotes_code(words: str, code: str, source: str) -> bool:
    if any(character.isalpha() for character in code) and len(code) > 3:
        return bool(re.search(rf"(?<![\w-]){re.escape(code)}(?![\w-])", words))
    of_source = rf"(?<![\w-])(?:{re.escape(source.casefold())}|ts)\s?{code}\b"
    return code.isdecimal() and bool(re.search(of_source, words))


def _names_file(task: str, errors: Sequence[Finding]) -> bool:
    named = {name.strip('`"').replace("\\", "/").lstrip("./") for name in _NAMED.findall(task)}
    files = {error.file for error in errors}
    return any(name and (file == name or file.endswith(f"/{name}")) for name in named for file in files)


def _names_nothing(task: str) -> bool:
    rest = _FILLING.sub(" ", _VERBS.sub(" ", task))
    return not re.search(r"\w", rest)
