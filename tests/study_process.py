"""Drives ``tff-affect train`` as a process of its own, to be cut off at chosen instants."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

_ROOT = Path(__file__).resolve().parents[1]
_TOKEN = "TFF_AFFECT_TEST_TOKEN"
# Has a frozen driver killed too when the tests are. Not Popen's preexec_fn: it forks, and a process with gRPC's threads
# does not survive that.
_SET_PARENT_DEATH_SIGNAL = 1
_LAUNCHER = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl({_SET_PARENT_DEATH_SIGNAL}, {int(signal.SIGKILL)})
os.close(int(sys.argv[1]))
os.execv(sys.executable, [sys.executable, "-m", "tff_affect.cli", *sys.argv[2:]])
"""


class Driver:
    """One ``tff-affect`` process. Its children are told from others' by a token in their environment.

    However a test ends, no driver outlives the tests: a frozen one would stay for ever, and its children with it.

    Args:
        arguments: Of the command line.
        temporary: Its ``TMPDIR``; what it said goes there too.
    """

    def __init__(self, arguments: Sequence[str], temporary: Path) -> None:
        self._token = uuid.uuid4().hex
        self._said = temporary / f"said-{self._token}"
        environment = {**os.environ, "TMPDIR": str(temporary), _TOKEN: self._token}
        with open(self._said, "wb") as said:
            launching, launched = os.pipe()
            self._process = subprocess.Popen(
                [sys.executable, "-ISc", _LAUNCHER, str(launched), *arguments],
                cwd=_ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
                pass_fds=[launched],
            )
            os.close(launched)
        with open(launching, "rb") as ends:
            ends.read()
        weakref.finalize(self, _kill, self._process)

    @property
    def pid(self) -> int:
        """Of the driver itself."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the driver itself has ended."""
        return self._process.poll() is not None

    @property
    def said(self) -> str:
        """What it wrote to stderr so far."""
        return self._said.read_text(encoding="utf-8", errors="replace")

    def stop_when(self, condition: Callable[[], bool], seconds: float = 240, every: float = 0.001) -> None:
        """Freezes the driver as soon as ``condition``, looked at ``every`` so many seconds, holds; fails if it ends."""
        deadline = time.monotonic() + seconds
        try:
            while not condition():
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"the instant never came; the driver said: {self.said}")
                time.sleep(every)
        except BaseException:
            self.kill()
            raise
        self.send(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the driver alone."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """``kill -9`` of the driver alone."""
        _kill(self._process)

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
                name in process.name()
                and process.environ().get(_TOKEN) == self._token
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.Error:
            return False


def _kill(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
