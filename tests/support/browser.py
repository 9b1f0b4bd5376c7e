"""A headless Chromium, driven by the DevTools protocol over a pipe: what a person would see, asked of a real browser.

Chromium is taken from PATH, else Debian's is installed. Where neither can be, the tests fail and
name what is missing: none skips.
"""

import json
import os
import select
import subprocess
import time
from base64 import b64decode
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.debian import installed

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ANSWER_TIMEOUT_S = 60
"""Longest for one answer of the browser, on cores that are busy otherwise."""
WAIT_S = 60
"""Longest for the page to show what is waited for."""


@cache
def chromium() -> str:
    """The path of the browser."""
    return installed("chromium", NAMES, "the tests of the page drive Chromium")


class Browser:
    """One browser with one page; leaving the `with` block ends it. `complaints` are the errors that the page logged."""

    def __init__(self, folder: Path) -> None:
        self.complaints: list[str] = []
        self._number = 0
        self._buffer = b""
        self._session = ""
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        # The protocol's pipe has fixed numbers: the browser reads 3 and writes 4.
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        arguments += [f"--user-data-dir={folder / 'chromium'}", "--remote-debugging-pipe", "--hide-scrollbars"]
        script = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        with (folder / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", script, "bash", chromium(), *arguments, "about:blank"],
                pass_fds=(to_browser, from_browser),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        os.close(to_browser)
        os.close(from_browser)

    def __enter__(self) -> Self:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def open(self, url: str, *, width: int = 1280, height: int = 900, scheme: str = "light", scale: float = 1) -> None:
        """Show a page in a window of this size, with this preference of colours."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=url)
        self.wait(f"document.readyState === 'complete' && location.href === {json.dumps(url)}")

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, f"{expression}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def wait(self, expression: str) -> Any:
        """Wait until an expression is true."""
        deadline = time.monotonic() + WAIT_S
        while not (found := self.value(expression)):
            assert time.monotonic() < deadline, f"{expression} did not come true; the page shows:\n{self.text()}"
            select.select([], [], [], 0.1)
        return found

    def text(self) -> str:
        """All that the page shows."""
        return str(self.value("document.body.innerText"))

    def screenshot(self, file: Path, *, whole: bool = False) -> None:
        """A PNG of the window, or of the whole page."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(b64decode(answer["data"]))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self._note(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            readable, _, _ = select.select([self._read], [], [], ANSWER_TIMEOUT_S)
            assert readable, f"the browser did not answer within {ANSWER_TIMEOUT_S} s"
            piece = os.read(self._read, 1 << 20)
            assert piece, "the browser has ended"
            self._buffer += piece
        message, self._buffer = self._buffer.split(b"\0", 1)
        return dict(json.loads(message))

    def _note(self, event: dict[str, Any]) -> None:
        """Keep what the page complains of: exceptions, refused content, failed requests."""
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(event["params"]["exceptionDetails"]))
        if event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.complaints.append(event["params"]["entry"]["text"])
