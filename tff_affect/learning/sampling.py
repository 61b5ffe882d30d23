"""Who takes part in a round, and in which order windows are seen: pure functions of (seed, purpose, round, client).

Where a privacy guarantee is amplified by sampling, nobody may know who took part: the draw then comes from the system's
entropy, is written nowhere, and differs when a round is computed again.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tff_affect.client_data import ABSENT, training_key


def derived_seed(seed: int, purpose: str, *parts: object) -> int:
    """A 62-bit seed for one purpose; independent of everything but its arguments."""
    text = "\0".join([str(seed), purpose, *map(str, parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 2


@dataclass(frozen=True)
class ClientSampling:
    """How the clients of each round are drawn.

    Attributes:
        clients: All training clients, in any order.
        size: Clients of a round, with ``poisson`` on average; 0, or as many as there are, takes all.
        seed: The run's seed.
        scheme: ``fixed-size`` (uniform without replacement), ``poisson`` (each client by itself) or ``passes`` (a new
            order in each pass over the clients; what is left of a pass that ``size`` does not divide is passed over).
        secret: Whether the draw is hidden, and so not reproducible.
    """

    clients: tuple[str, ...]
    size: int
    seed: int
    scheme: str = "fixed-size"
    secret: bool = False

    @property
    def takes_all(self) -> bool:
        """Whether every client takes part in every round."""
        return not 0 < self.size < len(self.clients)

    @property
    def expected(self) -> int:
        """Clients of a round, on average where their number varies."""
        return len(self.clients) if self.takes_all else self.size

    @property
    def rounds_of_a_pass(self) -> int:
        """Rounds in which ``passes`` sees each client once."""
        return len(self.clients) // self.expected

    def cohort(self, round_number: int) -> tuple[str, ...]:
        """Clients of a round, one-based; sorted."""
        ordered = sorted(self.clients)
        if self.takes_all:
            return tuple(ordered)
        return tuple(ordered[i] for i in sorted(self._drawn(round_number)))

    def _drawn(self, number: int) -> Sequence[int]:
        count = len(self.clients)
        if self.scheme == "passes":
            turn, place = divmod(number - 1, self.rounds_of_a_pass)
            order = np.random.default_rng(derived_seed(self.seed, "pass", turn)).permutation(count)
            return list(order[place * self.size : (place + 1) * self.size])
        rng = np.random.default_rng(secrets.randbits(128) if self.secret else derived_seed(self.seed, "cohort", number))
        if self.scheme == "poisson":
            return list(np.flatnonzero(rng.random(count) < self.size / count))
        return list(rng.choice(count, self.size, replace=False))

    def keys(self, round_number: int, cohort: Sequence[str]) -> list[str]:
        """What enters the round for each of its clients.

        Where their number varies, absent clients fill it up: TensorFlow Federated keeps an executor for every number
        of clients that it has seen.
        """
        keys = [training_key(c, derived_seed(self.seed, "window order", round_number, c)) for c in cohort]
        if self.scheme == "poisson" and not self.takes_all:
            usual = self.size + math.ceil(3 * math.sqrt(self.size))
            keys += [training_key(ABSENT, 0)] * (usual - len(keys))
        return keys
