"""Clients whose computation fails at a worker: which they are, and when they are tried again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds until a client that failed is tried again; each time twice as many."""


@dataclass(frozen=True)
class Failure:
    """A client's failure at a worker.

    Attributes:
        reason: What the worker said.
        pause: Seconds until it is tried again.
        again: When that is, by the monotonic clock.
    """

    reason: str
    pause: float
    again: float

    @property
    def due(self) -> bool:
        """Whether it is time to try again."""
        return time.monotonic() >= self.again


class FailingClients:
    """Failures by worker and client; read and written by several threads."""

    def __init__(self) -> None:
        self._failures: dict[tuple[str, str], Failure] = {}
        self._lock = threading.Lock()

    def get(self, worker: str, client: str) -> Failure | None:
        """The failure of a client at a worker."""
        return self._failures.get((worker, client))

    def add(self, worker: str, client: str, reason: str) -> None:
        """A client failed, once more or for the first time; said once for each reason."""
        with self._lock:
            before = self._failures.get((worker, client))
            pause = _FIRST_PAUSE if before is None else min(2 * before.pause, _LONGEST_PAUSE)
            self._failures[worker, client] = Failure(reason, pause, time.monotonic() + pause)
        if before is None or before.reason != reason:
            _LOG.warning("client %s is left out at worker %s: %s", client, worker, reason)

    def clear(self, worker: str, client: str) -> None:
        """A client succeeded."""
        with self._lock:
            gone = self._failures.pop((worker, client), None)
        if gone is not None:
            _LOG.warning("client %s takes part again at worker %s", client, worker)


def find_failing(reason_of: Callable[[Sequence[int]], str | None], places: Sequence[int]) -> dict[int, str]:
    """Which of some clients fail, and why: halves are tried, as long as they fail.

    Args:
        reason_of: Why a computation with the clients at some places, and nobody else, fails; None if it does not.
        places: Where the clients stand.
    """
    reason = reason_of(places) if places else None
    if reason is None:
        return {}
    if len(places) == 1:
        return {places[0]: reason}
    middle = len(places) // 2
    return find_failing(reason_of, places[:middle]) | find_failing(reason_of, places[middle:])
