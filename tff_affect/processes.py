"""Child processes: how many there are, and that none outlives its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from tff_affect.errors import InputError

_SET_PARENT_DEATH_SIGNAL = 1


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def resolved_processes(processes: int) -> int:
    """The number asked for; for 0, one for each core.

    Raises:
        InputError: If it is negative.
    """
    if processes < 0:
        raise InputError(f"processes: expected at least 0, found {processes}")
    return processes or available_cores()


def die_with(parent: int) -> None:
    """Has this process killed when its parent ends."""
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL))
    if os.getppid() != parent:
        sys.exit(1)
