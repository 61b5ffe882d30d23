"""Planted people: alike, with traits of their own, or with their number written on them."""

from __future__ import annotations

import numpy as np

from tff_affect.privacy.audit.exposed import Exposed, Samples, gather


def people(
    count: int, trait: float, seed: int = 0, width: int = 12, enrolment: int = 8, probe: int = 4, shared: float = 0.0
) -> Exposed:
    """Noise of deviation 1 around a place of each person's own, which lies ``trait`` from others'.

    ``shared`` is what every second person has in all statistics.
    """
    rng = np.random.default_rng([seed, count])
    parts = {}
    for number in range(count):
        place = trait * rng.normal(size=width) + shared * (number % 2)
        first, last = (Samples(place + rng.normal(size=(samples, width))) for samples in (enrolment, probe))
        parts[f"P{number}"] = first, last
    return gather(parts)


def numbered(count: int) -> Exposed:
    """Each person's samples hold nothing but the person's number, as a code."""
    code = np.eye(count)
    return gather(
        {f"P{i}": (Samples(np.tile(code[i], (5, 1))), Samples(np.tile(code[i], (3, 1)))) for i in range(count)}
    )
