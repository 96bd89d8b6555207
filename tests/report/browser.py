"""A headless Chromium, driven through its DevTools pipe: what a page asks of the network, says, and shows."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update",
    "--disable-background-networking", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--force-device-scale-factor=1", "--font-render-hinting=none", "--remote-debugging-pipe",
)  # fmt: skip
_LIMIT_S: Final = 60.0


class Page:
    """One open page. `requests` are the URLs it asked for, `console` what it logged or the browser said against it."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self._browser, self._session, self._target = browser, session, target
        self.requests: list[str] = []
        self.console: list[str] = []
        self.is_loaded = False

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.call(method, session=self._session, **params)

    def heard(self, event: dict[str, Any]) -> None:
        params = event["params"]
        match event["method"]:
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Runtime.consoleAPICalled":
                self.console.append(" ".join(str(one.get("value", one)) for one in params["args"]))
            case "Runtime.exceptionThrown":
                self.console.append(str(params["exceptionDetails"]))
            case "Log.entryAdded":
                self.console.append(params["entry"]["text"])
            case "Page.javascriptDialogOpening":
                self.console.append(f"dialog: {params['message']}")
            case "Page.loadEventFired":
                self.is_loaded = True

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page; promises are waited for."""
        done = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def count(self, selector: str) -> int:
        found = self.evaluate(f"document.querySelectorAll({json.dumps(selector)}).length")
        assert isinstance(found, int)
        return found

    def draw_all(self) -> None:
        """Have all charts drawn, as printing does, and two frames painted."""
        self.evaluate("dispatchEvent(new Event('beforeprint'))")
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def screenshot(self, path: Path, *, clip: tuple[int, int, int, int] | None = None) -> None:
        """A PNG of the window, or of x, y, width and height of the page."""
        area = dict(zip(("x", "y", "width", "height"), clip, strict=True)) if clip else None
        params = {"clip": {**area, "scale": 1}, "captureBeyondViewport": True} if area else {}
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png", **params)["data"]))

    def close(self) -> None:
        self._browser.call("Target.closeTarget", targetId=self._target)


class Browser:
    """See https://chromedevtools.github.io/devtools-protocol/; messages end with a zero byte."""

    def __init__(self, profile: Path) -> None:
        program = shutil.which("chromium")
        assert program, "the report's tests need Debian's package chromium (make setup)"
        to_child, self._out = os.pipe()
        self._in, from_child = os.pipe()
        # The browser reads from 3 and writes to 4; bash puts them there whatever their numbers are here.
        script = f'exec "$@" 3<&{to_child} 4>&{from_child}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(to_child, from_child),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_child)
        os.close(from_child)
        self._rest = b""
        self._number = 0
        self._pages: dict[str, Page] = {}

    def call(self, method: str, *, session: str | None = None, **params: Any) -> dict[str, Any]:
        """The result of a command; events that come meanwhile go to their pages."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, path: Path, *, dark: bool = False, width: int = 1280, height: int = 900) -> Page:
        """The page of a file, loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session, target)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.call("Emulation.setEmulatedMedia", features=[scheme])
        page.call("Page.navigate", url=path.as_uri())
        while not page.is_loaded:
            self._read()
        return page

    def _read(self) -> dict[str, Any]:
        deadline = time.monotonic() + _LIMIT_S
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            chunk = os.read(self._in, 1 << 20)
            assert chunk, "the browser has ended"
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        page = self._pages.get(message.get("sessionId", ""))
        if page is not None and "method" in message:
            page.heard(message)
        return message

    def close(self) -> None:
        try:
            self.call("Browser.close")
            self._process.wait(_LIMIT_S)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._in)
            os.close(self._out)


@contextmanager
def start_browser(profile: Path) -> Iterator[Browser]:
    """A browser with a profile of its own."""
    browser = Browser(profile)
    try:
        yield browser
    finally:
        browser.close()
