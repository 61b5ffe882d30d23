"""Who takes part in a round, and in which order windows are seen: pure functions of (seed, purpose, round, client)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np


def derived_seed(seed: int, purpose: str, *parts: object) -> int:
    """A 62-bit seed for one purpose; independent of everything but its arguments."""
    text = "\0".join([str(seed), purpose, *map(str, parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 2


def round_cohort(clients: Sequence[str], size: int, seed: int, round_number: int) -> tuple[str, ...]:
    """Clients of a round, sorted; uniform without replacement.

    Args:
        clients: All training clients, in any order.
        size: Clients to draw; 0, or as many as there are, takes all.
        seed: The run's seed.
        round_number: One-based.
    """
    ordered = sorted(clients)
    if not 0 < size < len(ordered):
        return tuple(ordered)
    chosen = np.random.default_rng(derived_seed(seed, "cohort", round_number)).choice(len(ordered), size, replace=False)
    return tuple(ordered[i] for i in sorted(chosen))
