"""The machine while something is timed: who is busy, how much memory a process and its children took, and their end.

Linux only: everything is read from ``/proc``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE_FIELDS = (3, 4)  # idle and waiting for a disk, in the first line of /proc/stat
IDLE_SHARE = 0.08


def busy_seconds() -> float:
    """CPU seconds that everybody used since the machine started."""
    with open("/proc/stat", encoding="ascii") as stream:
        ticks = [int(field) for field in stream.readline().split()[1:9]]
    return (sum(ticks) - sum(ticks[field] for field in _IDLE_FIELDS)) / _TICKS


def busy_share(seconds: float = 2.0) -> float:
    """Share of the machine in use over the next ``seconds``, 0-1."""
    start, before = time.perf_counter(), busy_seconds()
    time.sleep(seconds)
    return (busy_seconds() - before) / (time.perf_counter() - start) / (os.cpu_count() or 1)


def wait_until_idle(
    patience: float, pause: float = 3.0, measure: Callable[[], float] = busy_share, limit: float = IDLE_SHARE
) -> float:
    """Waits at most ``patience`` seconds until less than ``limit`` of the machine is in use; returns the last share."""
    deadline = time.monotonic() + patience
    while (share := measure()) > limit and time.monotonic() < deadline:
        time.sleep(pause)
    return share


def _stat(pid: int) -> list[str] | None:
    """Fields of ``/proc/PID/stat`` from the state on; None for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def descendants(pid: int) -> list[int]:
    """Process ids of all children of ``pid``, of their children, and so on."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _stat(int(name))) is not None:
            children.setdefault(int(fields[1]), []).append(int(name))
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def stop_descendants(pid: int, name: str | None = None) -> None:
    """Kills the descendants of ``pid``, or those of them that run a program of the given name."""
    for child in descendants(pid):
        try:
            program = Path(os.readlink(f"/proc/{child}/exe")).name
            if name is None or program == name:
                os.kill(child, signal.SIGKILL)
        except OSError:
            continue


def peak_megabytes(pids: Iterable[int]) -> float:
    """Sum of the peaks of the resident memory of living processes: an upper bound, pages shared count for each."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return total / 1024


class Watch:
    """What the machine does from now on."""

    def __init__(self) -> None:
        self._start, self._busy, self._own = time.perf_counter(), busy_seconds(), self._own_seconds()

    @staticmethod
    def _own_seconds() -> float:
        used = sum(os.times()[:4])
        for child in descendants(os.getpid()):
            fields = _stat(child)
            used += 0.0 if fields is None else (int(fields[11]) + int(fields[12])) / _TICKS
        return used

    def foreign(self) -> float:
        """Share of the machine that others used meanwhile, 0-1; to be asked while this process' children live."""
        wall = (time.perf_counter() - self._start) * (os.cpu_count() or 1)
        return max(0.0, (busy_seconds() - self._busy - (self._own_seconds() - self._own)) / wall)


def run_for_json(command: list[str], folder: Path, errors: Path, limit: float) -> dict[str, Any]:
    """Runs a command that prints a result as one line of JSON.

    Args:
        command: The command.
        folder: Where it runs.
        errors: Takes its error output; removed again if it succeeds.
        limit: Seconds before it is killed with all its children.

    Returns:
        The last line that is a JSON object with a name, or ``{"failed": exit code}``; 124 stands for the time limit.
    """
    settings = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore", "TF_CPP_MIN_LOG_LEVEL": "3"}
    # A file, not a pipe: a child left behind would keep a pipe open, and the reader waiting.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output, open(errors, "w", encoding="utf-8") as complaints:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | settings, stdin=subprocess.DEVNULL, stdout=output, stderr=complaints
        )
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = 124
        finally:
            stop_descendants(process.pid)
            process.kill()
            process.wait()
        output.seek(0)
        lines = [line for line in output if line.startswith('{"name"')]
    if code or not lines:
        return {"failed": code or 1}
    errors.unlink()
    return dict(json.loads(lines[-1]))
