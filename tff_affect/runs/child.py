"""A child process of a study: takes runs from its parent, one after another, and carries them out.

Started by `tff_affect.runs.parallel` as ``python -m tff_affect.runs.child <descriptor> <parent>``. It is killed with
its parent, however that ends, and its own worker is killed with it. A signal ends it at once: what it had not finished
is resumed from its checkpoints, and what it kept in its temporary folder, the parent's, goes with that.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from tff_affect.errors import AffectError
from tff_affect.processes import die_with
from tff_affect.progress import Progress, Task

READY, DOING, SAY, DONE, FAILED = "ready", "doing", "say", "done", "failed"


class RelayedProgress(Progress):
    """Tells the parent what this process does."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        """Opens a task of ``total`` steps."""
        yield _RelayedTask(self._connection, description, total)

    def say(self, line: str) -> None:
        """A line that stays."""
        self._connection.send((SAY, line))


class _RelayedTask:
    def __init__(self, connection: Connection, description: str, total: int) -> None:
        self._connection, self._description, self._total, self._done = connection, description, total, 0
        self.advance(steps=0)

    def advance(self, note: str = "", steps: int = 1) -> None:
        self._done += steps
        self._connection.send((DOING, f"{self._description} {self._done}/{self._total}"))


def _work(connection: Connection, setup: Any) -> None:
    """Runs until the parent has no more; heavy imports happen once, here."""
    import tensorflow as tf

    from tff_affect.cohort import Cohort
    from tff_affect.learning.runtime import RuntimeConfig, local_runtime
    from tff_affect.runs.execution import Executors

    tf.config.threading.set_intra_op_parallelism_threads(setup.threads)
    tf.config.threading.set_inter_op_parallelism_threads(setup.threads)
    # The parent has verified the cohort's hashes.
    executors = Executors(Cohort.open(setup.cohort, verify=False), RelayedProgress(connection))
    with local_runtime(RuntimeConfig(concurrent_clients=setup.threads)):
        connection.send((READY, None))
        while (assignment := connection.recv()) is not None:
            executor = executors.of(assignment.config, assignment.study)
            executor.finish(assignment.run, assignment.staged, assignment.ceiling_of)
            connection.send((DONE, None))


def main(arguments: list[str]) -> int:
    """Entry of the child: ``<descriptor> <parent>``; returns the exit code."""
    die_with(int(arguments[1]))
    with Connection(int(arguments[0])) as connection:
        try:
            _work(connection, connection.recv())
        except (AffectError, OSError) as error:
            # The parent says it: without a chain of causes, which may not travel.
            error.__cause__ = error.__context__ = None
            connection.send((FAILED, error))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
