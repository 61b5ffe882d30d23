"""Runs of studies side by side in child processes.

The runs are independent: each has its own folder, and what is random in it is its own. The parent
keeps the studies' locks and the staged sequences, hands runs out one by one, and shows what the children do. A child
has its own worker of TensorFlow Federated and its share of the cores, so that the children together use each core once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from types import TracebackType
from typing import Any

from tff_affect.client_data import StagedCohort
from tff_affect.config import StudyConfig
from tff_affect.errors import RunError
from tff_affect.processes import available_cores
from tff_affect.progress import Progress, Task
from tff_affect.runs.child import DOING, DONE, FAILED, READY, SAY
from tff_affect.runs.planned import Ceiling, PlannedRun, Row

_SECONDS_TO_STOP = 10.0
_STARTING = "starting"
_LIMITS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Setup:
    """What a child is told first.

    Attributes:
        cohort: The cohort's folder.
        scratch: Its temporary folder, which the parent removes.
        threads: Threads of its TensorFlow, and clients that its worker computes at the same time.
    """

    cohort: Path
    scratch: Path
    threads: int


@dataclass(frozen=True)
class Assignment:
    """A run to carry out.

    Attributes:
        config: The configuration of its study.
        study: The folder of its study.
        run: The run.
        staged: Its clients' sequences.
        ceiling: Rows of what is attainable, of which it keeps those of its methods; None where that is not known.
    """

    config: StudyConfig
    study: Path
    run: PlannedRun
    staged: StagedCohort
    ceiling: list[Row] | None

    @property
    def ceiling_of(self) -> Ceiling | None:
        """The rows as a function of the split."""
        rows = self.ceiling
        return None if rows is None else lambda _: list(rows)


Assign = Callable[[], Assignment]
"""Makes an assignment, in this process, when a child is free for it."""


def run_in_parallel(
    assignments: Sequence[Assign], cohort: Path, scratch: Path, processes: int, progress: Progress
) -> None:
    """Carries out runs, as many at a time as there are processes.

    Must be called in the main thread: the children are tied to the thread that starts them.

    Args:
        assignments: What to do, in order.
        cohort: The cohort's folder.
        scratch: The children's temporary folder.
        processes: Child processes at most.
        progress: Shows how many runs are done, and what each child does.

    Raises:
        AffectError: What a child raised; `RunError` if one ended without a word.
    """
    count, runs = min(processes, len(assignments)), len(assignments)
    threads = max(1, available_cores() // count)
    with _Children(Setup(cohort, scratch, threads), count) as children, progress.task("runs", runs) as task:
        _serve(children, deque(assignments), progress, task)


class _Child:
    """One process, what it works on, and the line to it."""

    def __init__(self, setup: Setup) -> None:
        self.connection, theirs = Pipe()
        # The environment limits its worker too.
        environment = dict.fromkeys(_LIMITS, str(setup.threads))
        environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TMPDIR": str(setup.scratch)}
        # Its own session: Ctrl-C reaches the parent alone, which stops the others.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tff_affect.runs.child", str(theirs.fileno()), str(os.getpid())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        theirs.close()
        self.run: PlannedRun | None = None
        self.dismissed = False
        self.doing = _STARTING

    def hand(self, assignment: Assignment | None) -> None:
        """Gives it a run, or nothing more."""
        self.run, self.doing = (assignment.run, _STARTING) if assignment else (None, "")
        self.dismissed = assignment is None
        self.tell(assignment)

    def tell(self, what: Setup | Assignment | None) -> None:
        """Sends it something.

        Raises:
            RunError: If it ended.
        """
        try:
            self.connection.send(what)
        except ConnectionError as error:
            raise RunError(self._last_words()) from error

    def receive(self) -> tuple[str, Any]:
        """What it says next.

        Raises:
            RunError: If it ended.
        """
        try:
            return self.connection.recv()
        except (EOFError, ConnectionError) as error:
            raise RunError(self._last_words()) from error

    def _last_words(self) -> str:
        code = self.process.wait()
        what = f"the process of run {self.run.name or 'run'}" if self.run else "a process of the study"
        if code < 0:
            return f"{what} was killed by signal {-code}; it may lack memory: resume with fewer processes"
        return f"{what} ended with exit code {code}; mend what it said and resume"


class _Children:
    """Starts processes, and stops those that are left."""

    def __init__(self, setup: Setup, count: int) -> None:
        self._setup, self._count = setup, count
        self.all: list[_Child] = []

    def __enter__(self) -> _Children:
        try:
            for _ in range(self._count):
                self.all.append(_Child(self._setup))
                self.all[-1].tell(self._setup)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stop()

    def _stop(self) -> None:
        """Ends those at work, whose runs can be resumed, and waits for all."""
        for child in self.all:
            if not child.dismissed:
                child.process.terminate()
        for child in self.all:
            try:
                child.process.wait(_SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
            child.connection.close()

    def heard(self) -> list[_Child]:
        """Those that have something to say; waits for the first."""
        lines: dict[Connection, _Child] = {child.connection: child for child in self.all if not child.dismissed}
        return [lines[line] for line in wait(list(lines))]  # type: ignore[index]


def _serve(children: _Children, waiting: deque[Assign], progress: Progress, task: Task) -> None:
    unfinished = len(waiting)
    while unfinished:
        for child in children.heard():
            kind, content = child.receive()
            if kind == FAILED:
                raise content
            if kind == SAY:
                progress.say(content)
            elif kind == DOING:
                child.doing = content
            unfinished -= kind == DONE
            if kind in (READY, DONE):
                child.hand(waiting.popleft()() if waiting else None)
            task.advance(_doings(children), int(kind == DONE))


def _doings(children: _Children) -> str:
    return "; ".join(child.doing for child in children.all if child.doing)
