"""Independent parts of a study carried out in several processes, each of which reports when a part is done.

A part keeps what came of it in a file of its own; a study that is cut off, or in which a process dies, carries out what
is not there when it is run again.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, TypeVar

from tff_affect.errors import RunError
from tff_affect.processes import available_cores, die_with, resolved_processes
from tff_affect.progress import Task

_LIMITS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class StudyPart(Protocol):
    """What a study consists of."""

    @property
    def name(self) -> str:
        """Of its files, and for progress."""

    @property
    def cost(self) -> float:
        """Rough, next to that of other parts."""


Part = TypeVar("Part", bound=StudyPart)


def carry_out(parts: Sequence[Part], do: Callable[[Any, Part], None], given: Any, processes: int, task: Task) -> None:
    """Carries out parts, several at a time.

    Args:
        parts: That are not done yet.
        do: Does one, from what is given and the part; a function of a module, so that other processes find it.
        given: What all parts share.
        processes: At most; 0 for one a core.
        task: Is told of each part that is done.

    Raises:
        RunError: If a process died, as for want of memory.
        InputError: Or whatever else a part raises.
    """
    processes = min(resolved_processes(processes), len(parts))
    if processes < 2:
        for part in parts:
            do(given, part)
            task.advance(part.name)
        return
    context = multiprocessing.get_context("spawn")
    with _limited(max(1, available_cores() // processes)), ExitStack() as stack:
        pool = ProcessPoolExecutor(processes, context, _prepare, (do, given, os.getpid()))
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        # Taken back last in, first out: what runs is ended, not waited for.
        stack.push(lambda kind, error, trace: _end(pool) if kind is not None else None)
        # What takes longest first, so that no process is left with it alone.
        futures = {pool.submit(_do, part): part for part in sorted(parts, key=lambda part: -part.cost)}
        for future in as_completed(futures):
            try:
                future.result()
            except BrokenProcessPool as error:
                raise RunError(
                    "a process died, perhaps for want of memory; run the same command again with fewer --processes"
                ) from error
            task.advance(futures[future].name)


_given: Any = None


def _prepare(do: Callable[[Any, Any], None], given: Any, parent: int) -> None:
    """Readies a process: no Ctrl-C of its own, and no life beyond the main process."""
    global _given
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(parent)
    _given = do, given


def _do(part: Any) -> None:
    do, given = _given
    do(given, part)


def _end(pool: ProcessPoolExecutor) -> None:
    """Ends the pool's processes: what they had not finished is done again another time."""
    for process in list(pool._processes.values()):
        process.terminate()


@contextmanager
def _limited(threads: int) -> Iterator[None]:
    """Processes started here use so many threads each, and are as quiet as this one."""
    set_to = dict.fromkeys(_LIMITS, str(threads)) | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    before = {name: os.environ.get(name) for name in set_to}
    os.environ.update(set_to)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
