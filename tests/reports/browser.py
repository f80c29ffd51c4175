"""A headless Chromium, spoken to over its DevTools protocol: what a page asks for and becomes.

The browser can resolve no name and keeps its profile in a folder of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from websocket import WebSocket, WebSocketTimeoutException, create_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here: pages were not looked at in a browser"
)
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)
_PATIENCE = 30  # seconds


@dataclass
class Page:
    """One loaded page. `requests` are the addresses it asked for, `complaints` what was logged."""

    socket: WebSocket
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    _number: int = 0

    @property
    def remote(self) -> list[str]:
        """Return the requests that left the file, whether or not they were let through."""
        local = ("file:", "data:", "blob:", "about:")
        return [one for one in self.requests if not one.startswith(local)]

    def run(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def settle(self, seconds: float = 0.5) -> None:
        """Take in what the page does until it has been quiet for `seconds`."""
        self.socket.settimeout(seconds)
        end = time.monotonic() + _PATIENCE
        try:
            while time.monotonic() < end:
                self._take(json.loads(self.socket.recv()))
        except WebSocketTimeoutException:
            return
        finally:
            self.socket.settimeout(_PATIENCE)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; return its result."""
        self._number += 1
        self.socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._take(message)

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def _take(self, message: dict[str, Any]) -> None:
        parameters = message.get("params", {})
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif message.get("method") == "Log.entryAdded":
            self.complaints.append(parameters["entry"]["text"])
        elif message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(parameters["exceptionDetails"])[:500])


@contextmanager
def opened(file: Path, width: int = 1280, height: int = 900) -> Iterator[Page]:
    """Open a file in a new browser, and end the browser afterwards."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with closing(_loaded(_address(Path(profile)), file, width, height)) as page:
                yield page
        finally:
            browser.terminate()
            browser.wait(_PATIENCE)


def _address(profile: Path) -> str:
    """Return where the browser listens; it says so in a file once it does."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        try:
            port, path = (profile / "DevToolsActivePort").read_text().split()
        except (FileNotFoundError, ValueError):
            time.sleep(0.05)
        else:
            return f"ws://127.0.0.1:{port}{path}"
    raise TimeoutError("chromium did not come up")


def _loaded(address: str, file: Path, width: int, height: int) -> Page:
    with closing(Page(create_connection(address, timeout=_PATIENCE))) as browser:
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    there = address.partition("/devtools/")[0] + f"/devtools/page/{target}"
    page = Page(create_connection(there, timeout=_PATIENCE))
    for domain in ("Network", "Page", "Log", "Runtime"):
        page.call(f"{domain}.enable")
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=height,
        deviceScaleFactor=1,
        mobile=width < 600,
    )
    page.call("Page.navigate", url=file.resolve().as_uri())
    page.settle()
    return page
