"""Secrets of many kinds that are nobody's, put together from parts, so that no scanner trips over them here."""

from __future__ import annotations

import string
from base64 import b64encode
from collections.abc import Callable
from random import Random
from typing import Final

LOWER: Final = string.ascii_lowercase + string.digits
ALNUM: Final = string.ascii_letters + string.digits
HEX: Final = "0123456789abcdef"
BASE32: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
URL_SAFE: Final = ALNUM + "-_"

Build = Callable[[Random], str]


def draw(alphabet: str, length: int) -> Build:
    """Random characters, with all kinds of the alphabet's among them, and no stroke at an end."""

    def build(random: Random) -> str:
        while True:
            drawn = "".join(random.choices(alphabet, k=length))
            varied = all(
                any(c in group for c in drawn)
                for group in (string.digits, string.ascii_letters)
                if set(group) & set(alphabet)
            )
            if varied and drawn[0] not in "-_=+/." and drawn[-1] not in "-_=+/.":
                return drawn

    return build


def token(prefix: str, alphabet: str, length: int, suffix: str = "") -> Build:
    drawn = draw(alphabet, length)
    return lambda random: prefix + drawn(random) + suffix


def _jwt(random: Random) -> str:
    def part(text: str) -> str:
        return b64encode(text.encode()).decode().rstrip("=")

    body = f'{{"sub":"{draw(ALNUM, 20)(random)}","iat":1764000000}}'
    return ".".join([part('{"alg":"HS256","typ":"JWT"}'), part(body), draw(URL_SAFE, 43)(random)])


def _uuid(random: Random) -> str:
    return "-".join(draw(HEX, length)(random) for length in (8, 4, 4, 4, 12))


TOKENS: Final[dict[str, Build]] = {
    "1password": lambda r: (
        "A3-" + "-".join(draw(string.ascii_uppercase + string.digits, n)(r) for n in (6, 11, 5, 5, 5))
    ),
    "adobe": token("p8" + "e-", LOWER, 32),
    "age": token("AGE-" + "SECRET-KEY-1", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
    "alibaba": token("LT" + "AI", LOWER, 20),
    "anthropic": token("sk-" + "ant-api03-", URL_SAFE, 93, "AA"),
    "anthropic, another length": token("sk-" + "ant-oat01-", URL_SAFE, 70),
    "artifactory": token("AK" + "Cp", ALNUM, 69),
    "aws": token("AK" + "IA", BASE32, 16),
    "clojars": token("CLO" + "JARS_", LOWER, 60),
    "databricks": token("da" + "pi", HEX, 32),
    "digitalocean": token("dop" + "_v1_", HEX, 64),
    "doppler": token("dp." + "pt.", LOWER, 43),
    "easypost": token("EZ" + "AK", LOWER, 54),
    "flutterwave": token("FLW" + "SECK_TEST-", "abcdefgh0123456789", 32, "-X"),
    "frameio": token("fio" + "-u-", LOWER, 64),
    "gcp": token("AI" + "za", ALNUM, 35),
    "github": token("gh" + "p_", ALNUM, 36),
    "github app": token("gh" + "s_", ALNUM, 36),
    "github fine-grained": token("github" + "_pat_", ALNUM + "_", 82),
    "gitlab": token("gl" + "pat-", URL_SAFE, 20),
    "gitlab, longer": token("gl" + "pat-", URL_SAFE, 27),
    "grafana": token("gl" + "c_", ALNUM, 40),
    "groq": token("gs" + "k_", ALNUM, 52),
    "heroku": token("HRKU" + "-AA", URL_SAFE, 58),
    "hugging face": token("h" + "f_", string.ascii_letters, 34),
    "infracost": token("ic" + "o-", ALNUM, 32),
    "jwt": _jwt,
    "linear": token("lin_" + "api_", LOWER, 40),
    "notion": lambda r: "nt" + "n_" + draw(string.digits, 11)(r) + draw(ALNUM, 35)(r),
    "npm": token("np" + "m_", LOWER, 36),
    "openai": lambda r: f"{'s'}k-{draw(ALNUM, 20)(r)}{'T3Blbk'}{'FJ'}{draw(ALNUM, 20)(r)}",
    "openai project": token("sk-" + "proj-", URL_SAFE, 120),
    "openrouter": token("sk-" + "or-v1-", HEX, 64),
    "perplexity": token("pp" + "lx-", ALNUM, 48),
    "postman": lambda r: f"{'PMA'}K-{draw(HEX, 24)(r)}-{draw(HEX, 34)(r)}",
    "pulumi": token("pu" + "l-", HEX, 40),
    "pypi": token("py" + "pi-AgEIcHlwaS5vcmc", URL_SAFE, 90),
    "rubygems": token("ruby" + "gems_", HEX, 48),
    "sendgrid": token("S" + "G.", ALNUM + "-_", 66),
    "shopify": token("shp" + "at_", HEX, 32),
    "slack bot": lambda r: f"{'xo'}xb-{draw(string.digits, 12)(r)}-{draw(string.digits, 12)(r)}-{draw(ALNUM, 24)(r)}",
    "slack user": lambda r: f"{'xo'}xp-" + "-".join(draw(string.digits, 12)(r) for _ in "123") + "-" + draw(HEX, 32)(r),
    "stripe": token("sk" + "_live_", ALNUM, 24),
    "twilio": token("S" + "K", HEX, 32),
    "vault": token("hv" + "s.", ALNUM, 95),
}
"""They speak for themselves, wherever they stand."""

ASSIGNED: Final[dict[str, tuple[str, Build]]] = {
    "airtable": ("AIRTABLE_API_KEY", draw(LOWER, 17)),
    "asana": ("asana_client_secret", draw(LOWER, 32)),
    "aws secret": ("AWS_SECRET_ACCESS_KEY", draw(ALNUM + "+/", 40)),
    "bitbucket": ("bitbucket-client-id", draw(LOWER, 32)),
    "cloudflare": ("CLOUDFLARE_API_KEY", draw(LOWER, 40)),
    "codecov": ("codecov_token", draw(LOWER, 32)),
    "cohere": ("CO_API_KEY", draw(ALNUM, 40)),
    "datadog": ("DATADOG_API_KEY", draw(LOWER, 40)),
    "discord": ("discord_client_secret", draw(LOWER, 32)),
    "dropbox": ("dropbox_api_token", draw(LOWER, 15)),
    "fastly": ("fastly_key", draw(LOWER, 32)),
    "generic key": ("service_api_key", draw(ALNUM, 40)),
    "generic secret": ("client_secret", draw(HEX, 48)),
    "heroku": ("heroku_key", _uuid),
    "mailgun": ("mailgun_signing_key", lambda r: "-".join(draw(HEX, n)(r) for n in (32, 8, 8))),
    "okta": ("OKTA_TOKEN", token("00", ALNUM, 40)),
    "password": ("DB_PASSWORD", lambda r: draw(ALNUM, 9)(r) + "!" + draw(ALNUM, 6)(r)),
    "twitter": ("twitter_bearer_token", token("A" * 22, ALNUM, 85)),
}
"""They are secrets for the name that they have."""


def private_key(random: Random) -> str:
    lines = [draw(ALNUM + "+/", 64)(random) for _ in range(12)]
    kind = "PRIVATE" + " KEY"
    return "\n".join([f"-----BEGIN RSA {kind}-----", *lines, f"-----END RSA {kind}-----"])
