"""Which worker computes which clients of a round: a pure function of the round's clients and of who holds whom.

It does not depend on which workers live at the moment. So a round that had to move to other workers sums up the same
clients in the same order, and gives the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tff_affect.client_data import ABSENT


def client_of(key: str) -> str:
    """The client of a `training_key`, or of a client id itself; `ABSENT` for one that takes no part."""
    return key.partition("#")[0]


@dataclass(frozen=True)
class Part:
    """What one worker computes of a round.

    Attributes:
        home: Number of the worker.
        positions: Where its clients stand among those of the round.
        keys: Their strings, in that order.
    """

    home: int
    positions: tuple[int, ...]
    keys: tuple[str, ...]

    @property
    def clients(self) -> frozenset[str]:
        """Its clients."""
        return frozenset(map(client_of, self.keys)) - {ABSENT}

    def without(self, places: Container[int]) -> Part:
        """The part with nobody at some places."""
        keys = tuple(ABSENT if place in places else key for place, key in enumerate(self.keys))
        return replace(self, keys=keys)


@dataclass(frozen=True)
class Placement:
    """Who holds whom.

    Attributes:
        workers: How many workers there are.
        holders: Client -> numbers of the workers that hold it; a client that is not named is held by all.
        load: Client -> its share of the work, such as its frames; 1 where it is not named.
    """

    workers: int
    holders: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    load: Mapping[str, float] = field(default_factory=dict)

    def holds(self, worker: int, client: str) -> bool:
        """Whether a worker holds a client."""
        return worker in self.holders_of(client)

    def holders_of(self, client: str) -> tuple[int, ...]:
        """Numbers of the workers that hold a client."""
        return self.holders.get(client, tuple(range(self.workers)))

    def parts(self, keys: Sequence[str]) -> list[Part]:
        """Gives each client to one that holds it, to the least loaded where there are several.

        Args:
            keys: Client ids or `training_key` strings; those of absent clients are left out.

        Returns:
            A part for each worker that has something to do, in the order of the workers; one without clients if none
            has.
        """
        loads = [0.0] * self.workers
        homes: dict[int, int] = {}
        present = [position for position, key in enumerate(keys) if client_of(key) != ABSENT]
        # Those that have no choice first: the others even out.
        for position in sorted(present, key=lambda at: len(self.holders_of(client_of(keys[at])))):
            client = client_of(keys[position])
            home = min(self.holders_of(client), key=lambda worker: (loads[worker], worker))
            loads[home] += self.load.get(client, 1.0)
            homes[position] = home
        found = []
        for worker in range(self.workers):
            positions = tuple(position for position in present if homes[position] == worker)
            if positions:
                found.append(Part(worker, positions, tuple(keys[position] for position in positions)))
        return found or [Part(0, (), ())]


class Slots:
    """How many clients a worker is told that a round has: absent ones fill a round up.

    A worker keeps an executor for every number of clients that it has seen, and never lets go of one.
    """

    def __init__(self) -> None:
        self._most: dict[tuple[int, int], int] = {}

    def filled(self, kind: int, worker: int, keys: Sequence[str]) -> list[str]:
        """The keys, filled up to as many as there were before.

        Args:
            kind: Of the computation: each has numbers of its own.
            worker: Number of the worker.
            keys: Of its clients.
        """
        before, count = self._most.get((kind, worker), 0), max(1, len(keys))
        if count > before:
            # Where numbers vary, a little more than the largest so far, so that they soon vary no more.
            count += math.isqrt(count) if before else 0
            self._most[kind, worker] = count
        return [*keys, *[ABSENT] * (self._most[kind, worker] - len(keys))]
