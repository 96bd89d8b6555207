from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from urllib.parse import quote

import pytest

from lsp_tap.redaction import Redactor
from lsp_tap.redaction.finding import PLACEHOLDER
from lsp_tap.redaction.rules import read_rules
from tests.redaction.planted import ALNUM, ASSIGNED, TOKENS, draw, private_key

SURVIVING = 8

TOKEN_PLACES: dict[str, Callable[[str], str]] = {
    "alone": lambda s: s,
    "in a sentence": lambda s: f"I used {s}, and then ({s}). Is {s} right? <{s}>",
    "at the end of a line": lambda s: f"first\n{s}\r\nthird {s}\n",
    "in a JSON string": lambda s: json.dumps({"output": f"got {s}\n", "list": [s]}),
    "in JSON in a JSON string": lambda s: json.dumps({"output": json.dumps({"k": f"a\n{s}\nb"})}),
    "in code": lambda s: f'client = Client({s!r}, retries=3)\nurl = f"https://x.test/{s}/list?k={s}&l=1#{s}"\n',
    "in a shell": lambda s: f"export A={s}; curl -H 'X: {s}' $URL | grep {s}\n",
    "behind an escape": lambda s: f"a\\n{s}\\nb\\t{s}\\r\\n",
    "in a query": lambda s: f"https://x.test/?a=%20{quote(s, safe='')}%20&b={quote(s, safe='')}",
    "in colours": lambda s: f"\x1b[31m{s}\x1b[0m and \\u001b[1;32m{s}\\u001b[0m",
    "longer than the rule knows": lambda s: f"{s}Zx9-_q8",
}
SPLIT_PLACES: dict[str, Callable[[str, str], str]] = {
    "added": lambda a, b: f'x = "{a}" + "{b}"\n',
    "side by side": lambda a, b: f"x = ('{a}'\n     '{b}')\n",
    "in a shell": lambda a, b: f"X='{a}''{b}'\n",
    "in a C string": lambda a, b: f'char *x = "{a}"\n  "{b}";',
    "over two lines": lambda a, b: f'x = "{a}\\\n{b}"\n',
    "in a JSON string": lambda a, b: json.dumps(f'x = "{a}" +\n "{b}"'),
    "by a dot": lambda a, b: f"$x = '{a}' . '{b}';",
}
ASSIGNMENTS: dict[str, Callable[[str, str], str]] = {
    "in a shell": lambda name, s: f"export {name}={s}\nnext\n",
    "in Python": lambda name, s: f'{name} = "{s}"\nnext(1)\n',
    "as an argument": lambda name, s: f"f({name}='{s}', b=1)",
    "in YAML": lambda name, s: f"a: 1\n{name}: {s}\nb: 2\n",
    "in JSON": lambda name, s: json.dumps({name: s, "b": 1}),
    "in JSON in a JSON string": lambda name, s: json.dumps(json.dumps({"a": 1, name: s})),
    "in code in a JSON string": lambda name, s: json.dumps(f'{name} = "{s}"\n'),
    "in JavaScript": lambda name, s: f"const a = {{ '{name}': `{s}` }};",
    "in Ruby": lambda name, s: f"{{ '{name}' => '{s}' }}",
    "split": lambda name, s: f'{name} = "{s[: len(s) // 2]}" + "{s[len(s) // 2 :]}"\n',
    "at the end": lambda name, s: f"{name}={s}",
}


def find_survivors(secret: str, text: str) -> list[str]:
    """Pieces of it that are still there. Also those that only JSON's escapes hide."""
    text = PLACEHOLDER.sub("", text)  # whose kinds have words
    plain = text.replace("\\", "")
    pieces = (secret[at : at + SURVIVING] for at in range(len(secret) - SURVIVING + 1))
    return [piece for piece in pieces if piece in text or piece in plain]


def assert_gone(secret: str, text: str) -> None:
    redacted = Redactor().text(text)
    assert find_survivors(secret, redacted) == [], (text, redacted)
    assert Redactor().text(redacted) == redacted


@pytest.mark.parametrize("kind", TOKENS)
def test_a_token_is_gone_wherever_it_stands(kind: str) -> None:
    random = Random(kind)
    for _ in range(3):
        secret = TOKENS[kind](random)
        for place in TOKEN_PLACES.values():
            assert_gone(secret, place(secret))


@pytest.mark.parametrize("kind", TOKENS)
def test_a_token_in_pieces_is_gone(kind: str) -> None:
    random = Random(kind)
    secret = TOKENS[kind](random)
    cuts = [at for at in range(4, len(secret) - 4) if secret[at - 1].isalnum() and secret[at].isalnum()]
    for place in SPLIT_PLACES.values():
        for at in random.sample(cuts, 5):
            assert_gone(secret, place(secret[:at], secret[at:]))


@pytest.mark.parametrize("kind", ASSIGNED)
def test_a_named_secret_is_gone_however_it_is_assigned(kind: str) -> None:
    random = Random(kind)
    for _ in range(3):
        name, build = ASSIGNED[kind]
        secret = build(random)
        for place in ASSIGNMENTS.values():
            assert_gone(secret, place(name, secret))


@pytest.mark.parametrize("kind", ASSIGNED)
def test_a_key_of_json_names_the_secret(kind: str) -> None:
    name, build = ASSIGNED[kind]
    secret = build(Random(kind))
    for value in ({name: secret}, {"a": [{name: [secret]}]}, {"env": [{"name": name, "value": secret}]}):
        redacted = Redactor().value(value)
        assert find_survivors(secret, json.dumps(redacted)) == []
        assert Redactor().value(redacted) == redacted


def test_there_are_at_least_thirty_kinds() -> None:
    assert len(TOKENS) + len(ASSIGNED) >= 30


@pytest.mark.parametrize(
    "place",
    [
        lambda key: f"before\n{key}\nafter",
        lambda key: json.dumps({"output": f"{key}\n"}),
        lambda key: "\n".join(f"{n:05}| {line}" for n, line in enumerate(key.split("\n"), 1)),
        lambda key: "KEY = (\n" + "\n".join(f'    "{line}\\n"' for line in key.split("\n")) + "\n)",
        lambda key: "\n".join(key.split("\n")[:9]),  # cut off
        lambda key: json.dumps("\n".join(key.split("\n")[:9])),
        lambda key: key.replace("\n", "\r\n"),
    ],
    ids=["plain", "JSON", "numbered", "quoted", "cut off", "cut off in JSON", "CRLF"],
)
def test_a_private_key_goes_whole(place: Callable[[str], str]) -> None:
    key = private_key(Random(1))
    redacted = Redactor().text(place(key))
    for line in key.split("\n")[1:-1]:
        assert find_survivors(line, redacted) == [], redacted
    assert Redactor().text(redacted) == redacted


def test_headers_and_addresses() -> None:
    random = Random(3)
    first, second, third, fourth = (draw(ALNUM, 24)(random) for _ in range(4))
    text = (
        f"curl -X POST -H 'Authorization: Bearer {first}' -H \"X-Api-Key: {second}\" https://x.test\n"
        f"psql postgres://shop:{third}@db.test:5432/shop\ncurl \\\n  -u shop:{fourth} https://x.test\n"
    )
    redacted = Redactor().text(text)
    for secret in (first, second, third, fourth):
        assert find_survivors(secret, redacted) == []
    assert "postgres://shop:[REDACTED:url-credentials:1]@db.test:5432/shop" in redacted


def test_every_value_of_a_kubernetes_secret() -> None:
    random = Random(4)
    values = [draw(ALNUM, 24)(random) for _ in range(3)]
    data = "".join(f"  name{n}: {value}\n" for n, value in enumerate(values))
    redacted = Redactor().text(
        f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: production\ndata:\n{data}type: Opaque\n"
    )
    assert "name: production" in redacted
    for value in values:
        assert find_survivors(value, redacted) == []


def test_the_same_secret_has_the_same_placeholder_in_one_output() -> None:
    random = Random(5)
    first, second = TOKENS["github"](random), TOKENS["github"](random)
    redactor = Redactor()
    kept = "[REDACTED:github-pat:{}]".format
    assert redactor.text(f"{first} {second} {first}") == f"{kept(1)} {kept(2)} {kept(1)}"
    assert redactor.value({"a": second, "b": [first]}) == {"a": kept(2), "b": [kept(1)]}
    assert redactor.text(f'"{second[:20]}" + "{second[20:]}"') == f'"{kept(2)}"'
    assert redactor.report == {"github-pat": 6}
    redactor.start_output()
    assert redactor.text(second) == kept(1)
    assert redactor.report == {"github-pat": 7}


@pytest.mark.parametrize(
    "text",
    [
        'password = os.environ["DB_PASSWORD"]',
        "token = get_token(session, default_value=None)",
        "api_key: ${{ secrets.API_KEY }}",
        'API_KEY="<your-api-key>"',
        "self.cache_key = other.cache_key_of_parent",
        "commit 0123456789abcdef0123456789abcdef01234567",
        "sha256:" + "0123456789abcdef" * 4,
        "https://user:${PASSWORD}@host/x",
        "import { tokenize } from 'tokenizer'",
        "-----BEGIN PUBLIC KEY-----",
        "the key: something_that_is_no_secret",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor().text(text) == text


def test_values_that_are_no_text_stay() -> None:
    value = {"a": [1, 2.5, None, True], "b": {"c": "text"}}
    assert Redactor().value(value) == value


def test_all_of_gitleaks_rules_are_there_or_named() -> None:
    rules = read_rules()
    kinds = {rule.kind for rule in rules.rules}
    assert len(kinds) > 200
    assert not kinds & set(rules.left_out) - {"jwt"}  # of that one there is our own
    assert all(reason for reason in rules.left_out.values())
    for rule in rules.rules:
        assert rule.pattern.groups >= 0
        assert rule.keywords
