"""gitleaks' rule file -> `rules.json`, which is what this package reads. Run it to take over a newer release:

    python -m lsp_tap.redaction.derivation gitleaks.toml LICENSE VERSION > lsp_tap/redaction/rules.json

A scanner reports where a secret is and may say nothing when it is unsure of the end; a redactor must take the whole of
it. So what gitleaks wants behind a secret (a quote, a blank, the end of the line) is dropped, what it wants before one
is kept, and `lsp_tap.redaction.finding` sees to the borders. Rules that look at a file's name are left out: what is
redacted here has none.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

_NAME: Final = re.compile(r"\A(?:\(\?i\)|\[\\w\.-\]\{0,50\}\?\(\?i:)\[\\w\.-\]\{0,50\}\?\(\?:")
_BETWEEN: Final = re.compile(
    re.escape(r"""(?:[ \t\w.-]{0,20})[\s'"]{0,3}""")
    + r"\)?"
    + re.escape(r"""(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}(""")
)
_BEHIND: Final = (
    r"""(?:[\x60'"\s;]|\\[nr]|$|\b)""",
    r"""(?:[\x60'"\s;]|\\[nr]|$)""",
    r"(?:[^a-zA-Z0-9+/]|\z)",
    r"(?:[^\w-]|\z)",
    r"\b",
)
_REPLACED: Final = {
    "curl-auth-header": "finds one header a command; our own rules take all",
    "curl-auth-user": "takes time with the square of a line's length; our own rule does not",
    "jwt": "takes time with the square of a token's length; our own rule does not",
    "kubernetes-secret-yaml": "finds one value a manifest; our own rule takes all",
    "hashicorp-tf-password": "looks at the name of the file",
    "pkcs12-file": "looks at the name of the file",
}
_BORDER: Final = re.compile(r"\A(\(\?i:)?\\b(?!curl)")
_WHOLE: Final = {"microsoft-teams-webhook"}
"""The groups in these only repeat something."""
_PUBLIC_KEY: Final = re.compile("AIza")
"""Keys that gitleaks lets pass, spelled out. Not here: other scanners would find them in our repository."""


def derive_rules(config: dict[str, Any], licence: str, version: str) -> dict[str, Any]:
    """What `rules.json` holds. `left_out`: rules that are not in it, and why."""
    left_out: dict[str, str] = {}
    rules: list[dict[str, Any]] = []
    for rule in config["rules"]:
        name = rule["id"]
        if name in _REPLACED:
            left_out[name] = _REPLACED[name]
            continue
        try:
            rules += [_derive_rule(rule, pattern) for pattern in _split(rule)]
        except re.error as error:
            left_out[name] = f"not a regular expression in Python: {error}"
    everywhere = config["allowlist"]
    return {
        "derived_from": f"gitleaks {version}, config/gitleaks.toml (https://github.com/gitleaks/gitleaks)",
        "licence": licence.split("\n"),
        "left_out": left_out,
        "allowed": [_translate(_fix_anchors(pattern)) for pattern in everywhere["regexes"]],
        "allowed_words": everywhere["stopwords"],
        "rules": rules,
    }


def _split(rule: dict[str, Any]) -> list[str]:
    """Some are two rules in one: a name with a value, or a token that speaks for itself."""
    named, found, token = rule["regex"].partition(rf"{_BEHIND[1]}|\b(")
    return [named, rf"\b({token}"] if found else [named]


def _derive_rule(rule: dict[str, Any], pattern: str) -> dict[str, Any]:
    derived: dict[str, Any] = {"id": rule["id"], "keywords": [word.lower() for word in rule["keywords"]]}
    for behind in _BEHIND:
        pattern = pattern.removesuffix(behind)
    begin, between = _NAME.match(pattern), _BETWEEN.search(pattern)
    if begin and between:
        names, secret = pattern[begin.end() : between.start() - 1], pattern[between.end() : -1]
        derived |= {"names": _translate(names), "secret": _translate(secret), "any_case": pattern.startswith("(?i)")}
        re.compile(f"(?:{derived['names']})({derived['secret']})")
    else:
        derived["pattern"], borders = _BORDER.subn(r"\1", _translate(pattern))
        derived["border"] = bool(borders)
        if rule["id"] in _WHOLE:
            derived["pattern"] = re.sub(r"(?<!\\)\((?!\?)", "(?:", derived["pattern"])
        re.compile(derived["pattern"], re.ASCII)
    derived["entropy"] = rule.get("entropy", 0)
    for allowed in rule.get("allowlists", ()):
        if "paths" in allowed or allowed.get("regexTarget") == "line":
            continue
        field = "allowed_matches" if allowed.get("regexTarget") == "match" else "allowed"
        patterns = [_translate(each) for each in allowed.get("regexes", ()) if not _PUBLIC_KEY.match(each)]
        derived[field] = [*derived.get(field, ()), *patterns]
        derived["allowed_words"] = [*derived.get("allowed_words", ()), *allowed.get("stopwords", ())]
    return {field: value for field, value in derived.items() if value not in ([], 0, False)}


def _fix_anchors(pattern: str) -> str:
    """`^true|false|null$` would let everything pass that has `false` in it."""
    return re.sub(r"\^([\w|]+)\$", r"^(?:\1)$", pattern)


def _translate(pattern: str) -> str:
    """RE2's syntax in Python's. Groups with names are not what is secret."""
    pattern = pattern.replace("[[:alnum:]]", "[A-Za-z0-9]").replace(r"\z", r"\Z")
    return _scope_flags(re.sub(r"\(\?P<\w+>", "(?:", pattern))


def _scope_flags(pattern: str) -> str:
    """Flags in the midst of a group hold up to its end: `(a(?i)b)` is `(a(?i:b))`."""
    pieces: list[str] = []
    depth, in_class = 0, False
    to_close: dict[int, int] = {}
    at = 0
    while at < len(pattern):
        if pattern.startswith("(?i)", at) and not in_class:
            pieces.append("(?i:")
            to_close[depth] = to_close.get(depth, 0) + 1
            at += 4
            continue
        character = pattern[at]
        if character == "\\":
            pieces.append(pattern[at : at + 2])
            at += 2
            continue
        if in_class:
            in_class = character != "]"
        elif character == "[":
            in_class = True
            end = 3 if pattern.startswith("[^]", at) else 2 if pattern.startswith("[]", at) else 1
            pieces.append(pattern[at : at + end])
            at += end
            continue
        elif character == "(":
            depth += 1
        elif character == ")":
            pieces.append(")" * to_close.pop(depth, 0))
            depth -= 1
        pieces.append(character)
        at += 1
    pieces.append(")" * to_close.pop(0, 0))
    return "".join(pieces)


def main(arguments: list[str]) -> int:
    config, licence, version = arguments
    derived = derive_rules(tomllib.loads(Path(config).read_text("utf-8")), Path(licence).read_text("utf-8"), version)
    json.dump(derived, sys.stdout, ensure_ascii=True, indent=1)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
