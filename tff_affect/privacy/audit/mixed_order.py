"""An order of a person's samples by which they are divided into known ones and ones to be named."""

from __future__ import annotations

import numpy as np


def mixed_order(kinds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Row numbers in an order of which any stretch has about as much of each kind, and otherwise at random.

    Args:
        kinds: ``[row]`` what should be spread evenly, such as emotions.
        rng: Draws the order.
    """
    place = np.empty(len(kinds))
    for kind in sorted(set(kinds)):
        own = np.flatnonzero(kinds == kind)
        place[own] = (rng.permutation(len(own)) + rng.random()) / len(own)
    return np.argsort(place, kind="stable")
