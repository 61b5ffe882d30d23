"""How long work shows itself: a bar with an ETA on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol, TextIO

STARTING = "starting TensorFlow Federated"
"""Said before it is imported, which takes seconds."""
_SECONDS_BETWEEN_LINES = 10.0


class Task(Protocol):
    """One piece of work under way."""

    def advance(self, note: str = "", steps: int = 1) -> None:
        """So many steps are done; ``note`` is shown beside the count."""


class StepDone(Protocol):
    """A callback for work that knows nothing of progress bars."""

    def __call__(self, note: str, total: int, steps: int = 1) -> None:
        """So many steps of ``total`` are done since the last call; ``note`` says what."""


class Progress:
    """Shows nothing; the base of those that do."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        """Opens a task of ``total`` steps."""
        yield _Silent()

    def say(self, line: str) -> None:
        """A line that stays."""


class _Silent:
    def advance(self, note: str = "", steps: int = 1) -> None:
        pass


class PlainProgress(Progress):
    """Lines for logs: every ten seconds of a task, and at its end."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        """Opens a task of ``total`` steps."""
        task = _PlainTask(self, description, total)
        yield task
        self.say(f"{description}: done in {time.monotonic() - task.started:.0f} s")

    def say(self, line: str) -> None:
        """A line that stays."""
        print(line, file=self._stream, flush=True)


class _PlainTask:
    def __init__(self, progress: PlainProgress, description: str, total: int) -> None:
        self.started = self._said = time.monotonic()
        self._progress, self._description, self._total, self._done = progress, description, total, 0

    def advance(self, note: str = "", steps: int = 1) -> None:
        self._done += steps
        now = time.monotonic()
        if now - self._said < _SECONDS_BETWEEN_LINES:
            return
        self._said = now
        left = (now - self.started) / self._done * max(0, self._total - self._done) if self._done else 0.0
        about = f", about {left:.0f} s left" if self._done else ""
        self._progress.say(f"{self._description}: {self._done}/{self._total}{about} {note}".rstrip())


class TerminalProgress(Progress):
    """Rich bars with an ETA."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        """Opens a task of ``total`` steps."""
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
        )  # fmt: skip
        with Bars(*columns, console=self._console) as bars:
            yield _TerminalTask(bars, bars.add_task(description, total=total, note=""))

    def say(self, line: str) -> None:
        """A line that stays."""
        self._console.print(line)


class _TerminalTask:
    def __init__(self, bars: object, identifier: object) -> None:
        self._bars, self._identifier = bars, identifier

    def advance(self, note: str = "", steps: int = 1) -> None:
        self._bars.update(self._identifier, advance=steps, note=note)  # type: ignore[attr-defined]


@contextmanager
def counted(progress: Progress, description: str) -> Iterator[StepDone]:
    """A callback that shows itself once the first step is done."""
    with ExitStack() as stack:
        tasks: list[Task] = []

        def step(note: str, total: int, steps: int = 1) -> None:
            if not tasks:
                tasks.append(stack.enter_context(progress.task(description, total)))
            tasks[0].advance(note, steps)

        yield step


def make_progress(quiet: bool) -> Progress:
    """The progress that suits where the program's errors go."""
    if quiet:
        return Progress()
    return TerminalProgress() if sys.stderr.isatty() else PlainProgress()
