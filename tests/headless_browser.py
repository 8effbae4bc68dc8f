"""A browser without a window, driven over W3C WebDriver: https://www.w3.org/TR/webdriver2/."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

#: Seconds that a page may take to come to rest.
_PATIENCE = 10
_ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")


def has_browser() -> bool:
    return shutil.which("chromedriver") is not None and shutil.which("chromium") is not None


class Browser:
    """Chromium by its chromedriver; a context in which it runs."""

    def __init__(self, *, width: int, height: int = 900, arguments: Sequence[str] = ()) -> None:
        self.size, self.arguments = (width, height), arguments

    def __enter__(self) -> Self:
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        try:
            assert self.driver.stdout is not None
            ports = (re.search(r"started successfully on port (\d+)", line) for line in self.driver.stdout)
            port = next(found[1] for found in ports if found)
            self.address = f"http://127.0.0.1:{port}/session"
            options = {"args": [*_ARGUMENTS, *self.arguments]}
            wanted = {"alwaysMatch": {"goog:chromeOptions": options}}
            self.address += "/" + self._ask("", {"capabilities": wanted})["sessionId"]
            self.resize(*self.size)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._ask("", None, method="DELETE")
        finally:
            self._stop()

    def open(self, page: Path | str) -> None:
        """Open a file, or an address."""
        self._ask("/url", {"url": page.absolute().as_uri() if isinstance(page, Path) else page})

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page's view a size: a window is never as narrow as a phone."""
        self.emulate("DeviceMetrics", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def emulate(self, what: str, **values: object) -> None:
        """Let pages see another machine: https://chromedevtools.github.io/devtools-protocol/tot/Emulation/."""
        self._ask("/goog/cdp/execute", {"cmd": f"Emulation.set{what}Override", "params": values})

    def run(self, script: str, *arguments: object) -> Any:
        """Return what a JavaScript function's body returns."""
        return self._ask("/execute/sync", {"script": script, "args": arguments})

    def wait(self, script: str, *arguments: object, seconds: float = 60) -> Any:
        """Return what a JavaScript function's body returns once that is true."""
        end = time.monotonic() + seconds
        while not (found := self.run(script, *arguments)):
            assert time.monotonic() < end, f"not so after {seconds} s: {script}"
            time.sleep(0.05)
        return found

    def screenshot(self) -> bytes:
        """Return what the page's view shows, as PNG."""
        return base64.b64decode(self._ask("/screenshot", None, method="GET"))

    def click(self, selector: str) -> None:
        """Click the first element of a CSS selector, and wait until the page scrolls no more."""
        center = {"behavior": "instant", "block": "center", "inline": "center"}
        self.run("document.querySelector(arguments[0]).scrollIntoView(arguments[1])", selector, center)
        element = self._ask("/element", {"using": "css selector", "value": selector})
        (name,) = element.values()
        self._ask(f"/element/{name}/click", {})
        end, places = time.monotonic() + _PATIENCE, [-1.0, -2.0, -3.0]
        while len(set(places[-3:])) > 1 and time.monotonic() < end:
            time.sleep(0.1)
            places.append(self.run("return scrollY"))

    def _ask(self, path: str, body: Any, *, method: str = "POST") -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, content, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def _stop(self) -> None:
        self.driver.terminate()
        self.driver.wait()
        if self.driver.stdout is not None:
            self.driver.stdout.close()
