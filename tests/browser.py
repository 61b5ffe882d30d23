"""Headless Chromium over its debugging pipe: what a page asks for, what it says, and what it looks like."""

from __future__ import annotations

import base64
import fcntl
import io
import json
import os
import select
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

# Where the command of the debugging protocol is read and its answers are written, as Chromium expects it.
_SHELL = 'r=$1; w=$2; shift 2; eval "exec \\"\\$@\\" 3<&$r 4>&$w"'
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
)  # fmt: skip


def chromium() -> str | None:
    """Where Chromium is; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@dataclass
class Seen:
    """What a page did while it was open.

    Attributes:
        requests: Addresses that it asked for, its own among them.
        said: Errors, warnings and other messages of its console, and exceptions.
    """

    requests: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


class Browser:
    """One headless Chromium in a fresh profile, without a way to any other machine.

    Args:
        profile: An empty folder.
    """

    def __init__(self, profile: Path) -> None:
        program = chromium()
        assert program is not None
        # Above the numbers that the shell gives away.
        (read, ours_out), (ours_in, write) = _pipe(), _pipe()
        self._out, self._in = ours_out, ours_in
        self._process = subprocess.Popen(
            ["bash", "-c", _SHELL, "bash", str(read), str(write), program, *_OPTIONS, f"--user-data-dir={profile}"],
            pass_fds=(read, write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(read)
        os.close(write)
        self._number, self._rest, self.seen = 0, b"", Seen()
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session: str | None = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def close(self) -> None:
        """Ends it, with its children."""
        for handle in (self._out, self._in):
            os.close(handle)
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def look(self, width: int, height: int = 900, dark: bool = False) -> None:
        """Sets the size of the page's window in CSS pixels, and light or dark."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", {"media": "", "features": [scheme]})

    def open(self, page: Path, settle: float = 0.3) -> Seen:
        """Opens a file; returns what it did until it had settled for so many seconds."""
        self.seen = Seen()
        self._loaded = False
        self._call("Page.navigate", {"url": page.as_uri()})
        deadline = time.monotonic() + 30
        while not self._loaded and time.monotonic() < deadline:
            self._receive(0.05)
        end = time.monotonic() + settle
        while time.monotonic() < end:
            self._receive(0.05)
        return self.seen

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self._call("Runtime.evaluate", {"expression": expression, "returnByValue": True})
        return answer["result"].get("value")

    def screenshot(self, whole: bool = False) -> bytes:
        """What it looks like, as PNG: the window, or the whole page."""
        options: dict[str, Any] = {"format": "png"}
        if whole:
            size = self._call("Page.getLayoutMetrics")["cssContentSize"]
            options |= {"captureBeyondViewport": True}
            options |= {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}
        return base64.b64decode(self._call("Page.captureScreenshot", options)["data"])

    def pixels(self) -> np.ndarray:
        """``[height, width, channel]`` of the window, red, green and blue."""
        return np.asarray(Image.open(io.BytesIO(self.screenshot())).convert("RGB"))

    def press(self, key: str) -> None:
        """Presses and releases a key."""
        codes = {"Tab": 9, "Enter": 13}
        pressed = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self._call("Input.dispatchKeyEvent", {"type": "keyDown", **pressed, **text})
        self._call("Input.dispatchKeyEvent", {"type": "keyUp", **pressed})

    def _call(self, method: str, parameters: dict[str, Any] | None = None) -> Any:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters or {}}
        if getattr(self, "_session", None) is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for answer in self._receive(1.0):
                if answer.get("id") == self._number:
                    assert "error" not in answer, answer
                    return answer["result"]
        raise AssertionError(f"no answer to {method}")

    def _receive(self, seconds: float) -> list[dict[str, Any]]:
        """Messages that came within so many seconds; events are noted."""
        if not select.select([self._in], [], [], seconds)[0]:
            return []
        self._rest += os.read(self._in, 1 << 20)
        *whole, self._rest = self._rest.split(b"\0")
        messages = [json.loads(part) for part in whole]
        for message in messages:
            self._note(message.get("method", ""), message.get("params", {}))
        return messages

    def _note(self, method: str, told: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.seen.requests.append(told["request"]["url"])
        elif method == "Runtime.consoleAPICalled":
            self.seen.said.append(" ".join(str(each.get("value", "")) for each in told["args"]))
        elif method == "Runtime.exceptionThrown":
            self.seen.said.append(told["exceptionDetails"]["text"])
        elif method == "Log.entryAdded":
            self.seen.said.append(told["entry"]["text"])
        elif method == "Page.loadEventFired":
            self._loaded = True


def _pipe() -> tuple[int, int]:
    """A pipe whose ends have numbers above those that Chromium wants for itself."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20))
        os.close(end)
    return ends[0], ends[1]
