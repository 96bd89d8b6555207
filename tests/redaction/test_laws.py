"""Whatever the text, and however fast."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from random import Random

import hypothesis.strategies as st
from hypothesis import given, settings

from lsp_tap.redaction import Redactor
from tests.redaction.planted import ASSIGNED, TOKENS

HITS_A_MEGABYTE = 2
"""On code that has no secrets. Measured: 0.1 on the standard library."""

PARTS = (
    *(
        "key",
        "token=",
        'api_key: "',
        "password",
        "secret ",
        "://a:",
        "@",
        "Bearer ",
        "curl ",
        " -u ",
        "  a: ",
        "data:\n",
    ),
    *("kind: Secret\n", "/home/", "C:\\Users\\", "%2Fhome%2F", "sk-", "ey", "\\n", '"', "'", " + ", "\\\n", "[", "]"),
    *("[REDACTED:github-pat:1]", "-----BEGIN " + "PRIVATE KEY-----", "\u0130", "\ud800", "\x00"),
)
fragments = st.one_of(
    st.sampled_from(PARTS),
    st.text(max_size=12),
    st.builds(lambda kind, seed: TOKENS[kind](Random(seed)), st.sampled_from(sorted(TOKENS)), st.integers(0, 9)),
    st.builds(lambda kind, seed: ASSIGNED[kind][1](Random(seed)), st.sampled_from(sorted(ASSIGNED)), st.integers(0, 9)),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(fragments, max_size=14).map("".join))
def test_once_is_enough(text: str) -> None:
    redacted = Redactor().text(text)
    assert Redactor().text(redacted) == redacted


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | fragments,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fragments, inner, max_size=3),
        max_leaves=8,
    )
)
def test_once_is_enough_for_json(value: object) -> None:
    redacted = Redactor().value(value)
    assert Redactor().value(redacted) == redacted


def read_code(limit: int) -> str:
    """Python that came with Python, about as many characters."""
    texts: list[str] = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        texts.append(path.read_text("utf-8"))
        if sum(map(len, texts)) > limit:
            break
    return "\n".join(texts)


def test_code_without_secrets_stays_as_it_is() -> None:
    code = read_code(3_000_000)
    redactor = Redactor()
    redactor.text(code)
    assert sum(redactor.report.values()) <= HITS_A_MEGABYTE * len(code) / 1e6, redactor.report


def test_texts_made_to_be_slow_take_time_with_their_length() -> None:
    """Each would take minutes with a rule that tries everything again from every place."""
    for text in (
        "ey" + "a" * 300_000,
        '"' + " " * 200_000 + '"""',
        "curl -X " * 12_000,
        "key=" * 50_000,
        "\\" * 200_000,
        "/home/" * 30_000,
        "C:\\Users\\" * 20_000,
        "kind: Secret\ndata:\n" + "  a: bbbb\n" * 20_000,
        "-----BEGIN PRIVATE KEY-----\n" * 5_000,
        "a_b." * 50_000,
        TOKENS["github"](Random(1)) * 5_000,
        "x" * 200_000 + f" key={'x1' * 30}" * 2_000,
        "secret=" + "ab_" * 60_000,
    ):
        Redactor().text(text)
