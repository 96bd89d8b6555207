"""A session as they are: two servers, a mistake and its repair, a suppression, somebody else at work, a crash."""

from __future__ import annotations

from typing import Any

from lsp_tap.journal import records
from tests.session.recorded import PROJECT, Recorded
from tests.timeline.conversation import Conversation, lsp_diagnostic

CART = f"file://{PROJECT}/shop/cart.py"
PRICES = f"file://{PROJECT}/shop/prices.py"

CART_TEXTS = (
    '''"""The shopping cart."""

from shop.prices import Price, find_price


class Cart:
    def __init__(self) -> None:
        self.items: dict[str, int] = {}

    def add(self, name: str, count: int = 1) -> None:
        self.items[name] = self.items.get(name, 0) + count

    def total(self) -> str:
        """What it costs, in cents."""
        return sum(find_price(nmae) * count for name, count in self.items.items())

    def receipt(self) -> str:
        lines = [f"{count} x {name}" for name, count in self.items]
        return "\\n".join(lines)
''',
)


def tell_picture_story() -> Recorded:
    """Two turns. The first mends what basedpyright found, with a detour; in the second ruff's server crashes."""
    pyright, ruff = Conversation("basedpyright"), Conversation("ruff")
    recorded = Recorded(pyright, ruff)

    tokens = records.Tokens(input=5210, output=1844, cache=records.CacheTokens(read=48900, write=5100))

    def wait(ms: int) -> None:
        recorded.wait(ms)
        ruff.time_us = max(ruff.time_us, pyright.time_us)

    def error(line: int, message: str, code: str, **more: Any) -> dict[str, Any]:
        return lsp_diagnostic(line, message, code=code, columns=(15, 40), **more)

    returns = error(14, 'Type "int" is not assignable to return type "str"', "reportReturnType")
    name = error(14, '"nmae" is not defined', "reportUndefinedVariable")
    pairs = error(17, '"str" is not iterable into "count, name"', "reportGeneralTypeIssues")
    missing = error(14, 'Argument missing for parameter "currency"', "reportCallIssue")
    unused = error(2, "`shop.prices.Price` imported but unused", "F401", severity=2)

    recorded.add(
        records.SessionUpdated, "session_updated", title="Make the cart type-check", directory=PROJECT,
        client_version="1.18.33", created_ms=recorded.now / 1000,
    )  # fmt: skip
    reply = recorded.ask("Make shop/cart.py pass the type checker, and keep the total in cents")
    wait(1400)

    def tell(text: str, *found: dict[str, Any], takes_ms: int = 180, opens: bool = False) -> None:
        (pyright.open if opens else pyright.change)(CART, text)
        ruff.time_us = pyright.time_us
        (ruff.open if opens else ruff.change)(CART, text)
        pyright.time_us = ruff.time_us
        wait(25)
        ruff.push(CART, *([unused] if "Price," in text else []))
        asked = pyright.ask(CART)
        wait(takes_ms)
        pyright.answer(asked, *found)

    def edit(call: str, before: str, after: str, *found: dict[str, Any], takes_ms: int = 180) -> str:
        args = {"filePath": f"{PROJECT}/shop/cart.py"}
        recorded.start_call(reply, call, "edit", args, before={"shop/cart.py": before})
        tell(after, *found, takes_ms=takes_ms)
        recorded.end_call(reply, call, "edit", after={"shop/cart.py": after})
        wait(900)
        return after

    text = CART_TEXTS[0]
    recorded.start_call(reply, "grep1", "grep", {"pattern": "find_price"})
    wait(60)
    recorded.end_call(reply, "grep1", "grep")
    wait(700)
    recorded.start_call(reply, "read1", "read", {"filePath": f"{PROJECT}/shop/cart.py"})
    tell(text, returns, name, pairs, takes_ms=620, opens=True)
    recorded.end_call(reply, "read1", "read")
    wait(1600)
    text = edit("edit1", text, text.replace("nmae", "name"), returns, missing, pairs, takes_ms=240)
    recorded.start_call(reply, "edit2", "edit", {"filePath": f"{PROJECT}/shop/cart.py", "oldString": "def totals"})
    wait(30)
    recorded.fail_call(reply, "edit2", "edit", "Could not find oldString in the file. It must match exactly.")
    wait(800)
    text = edit(
        "edit3",
        text,
        text.replace("def total(self) -> str", "def total(self) -> int").replace(
            "find_price(name)", 'find_price(name, currency="EUR")'
        ),
        pairs,
        takes_ms=900,
    )
    recorded.start_call(reply, "bash1", "bash", {"command": "python -m pytest -q tests/test_cart.py"})
    wait(1300)
    recorded.end_call(reply, "bash1", "bash", exit_code=0)
    wait(600)
    pragma = "in self.items]  # type: ignore"
    text = edit("edit4", text, text.replace("in self.items]", pragma), takes_ms=150)
    text = edit("edit5", text, text.replace(pragma, "in self.items.items()]"), takes_ms=160)
    recorded.finish(
        reply,
        text="The cart passes the type checker; `total` is an `int` of cents.",
        agent="build",
        model="anthropic/claude-sonnet-4-5",
        tokens=tokens,
    )
    wait(4000)

    reply = recorded.ask("Remove the unused import, and round prices up")
    wait(900)
    text = edit("edit6", text, text.replace("import Price, find_price", "import find_price"), takes_ms=130)
    ruff._add(records.StderrWritten, "stderr", text="thread 'main' panicked at crates/ruff_server/src/server.rs:41\n")
    ruff._add(records.ServerExited, "server_exited", code=101)
    ruff.stop("server exited")
    wait(700)
    mended = text.replace("return sum(", "return ceil(sum(").replace(
        "self.items.items())\n\n", "self.items.items()))\n\n"
    )
    args = {"filePath": f"{PROJECT}/shop/cart.py"}
    recorded.start_call(reply, "edit7", "edit", args, before={"shop/cart.py": text})
    pyright.change(CART, mended)
    wait(2500)
    recorded.end_call(reply, "edit7", "edit", after={"shop/cart.py": mended})
    wait(500)
    recorded.finish(
        reply,
        text="The import is gone, and prices are rounded up.",
        agent="build",
        model="anthropic/claude-sonnet-4-5",
        tokens=tokens,
    )
    return recorded
