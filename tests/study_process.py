"""Drives ``tff-affect train`` as a process of its own, to be cut off at chosen instants."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

_ROOT = Path(__file__).resolve().parents[1]
_TOKEN = "TFF_AFFECT_TEST_TOKEN"


class Driver:
    """One ``tff-affect`` process. Its children are told from others' by a token in their environment.

    Args:
        arguments: Of the command line.
        temporary: Its ``TMPDIR``; what it said goes there too.
    """

    def __init__(self, arguments: Sequence[str], temporary: Path) -> None:
        self._token = uuid.uuid4().hex
        self._said = temporary / f"said-{self._token}"
        environment = {**os.environ, "TMPDIR": str(temporary), _TOKEN: self._token}
        with open(self._said, "wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tff_affect.cli", *arguments],
                cwd=_ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """What it wrote to stderr so far."""
        return self._said.read_text(encoding="utf-8", errors="replace")

    def stop_when(self, condition: Callable[[], bool], seconds: float = 240) -> None:
        """Freezes the driver as soon as ``condition`` holds; fails if it ends before."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"the instant never came; the driver said: {self.said}")
            time.sleep(0.001)
        self.send(signal.SIGSTOP)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the driver alone."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """``kill -9`` of the driver alone."""
        self._process.kill()
        self._process.wait()

    def end(self, number: signal.Signals | None = None, seconds: float = 240) -> int:
        """Lets a frozen driver go on, with a signal if given, and waits for its exit code."""
        if number is not None:
            self.send(number)
        self.send(signal.SIGCONT)
        try:
            return self._process.wait(seconds)
        finally:
            self.kill()

    def alive(self, name: str = "", seconds: float = 0) -> list[psutil.Process]:
        """Its processes that still run after at most ``seconds``, itself included; those named ``name``, if given."""
        deadline = time.monotonic() + seconds
        while (found := [p for p in psutil.process_iter() if self._owns(p, name)]) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def _owns(self, process: psutil.Process, name: str) -> bool:
        try:
            return (
                process.environ().get(_TOKEN) == self._token
                and process.status() != psutil.STATUS_ZOMBIE
                and name in process.name()
            )
        except psutil.Error:
            return False
