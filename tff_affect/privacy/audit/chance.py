"""What guessing gives when the best of several attackers is told of.

Whoever tries six attackers and tells of the strongest has tried six times. The test of the maximum (Westfall and Young,
"Resampling-Based Multiple Testing", 1993) compares each attacker with the strongest one of all under a permutation, the
same permutation for every attacker, and so corrects for the choice without losing what a correction by their number
does where attackers agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

RESAMPLES = 9999
_CONFIDENCE = 99.0


@dataclass(frozen=True)
class MaxTest:
    """What guessing gives.

    Attributes:
        p: Of each attacker: how often the strongest of all does as well if nobody can be told apart.
        interval: Where the strongest lies in 99 % of such cases.
    """

    p: tuple[float, ...]
    interval: tuple[float, float]


def max_test(
    table: np.ndarray, seed: int, groups: Sequence[np.ndarray] | None = None, resamples: int | None = None
) -> MaxTest:
    """Permutes the second of two roles of each person against the first, for all attackers alike.

    Args:
        table: ``[attackers, people, people]``; an attacker's figure is the mean over people of what stands at (person,
            person), and under a permutation of what stands at (person, another person).
        seed: Of the permutations.
        groups: Numbers of the people who may take each other's place, everybody in one group; all people by default.
        resamples: All permutations are tried where these are no more; otherwise as many are drawn, and the true one
            counts among them; ``RESAMPLES`` by default.
    """
    resamples = RESAMPLES if resamples is None else resamples
    people = table.shape[1]
    groups = [np.arange(people)] if groups is None else groups
    exact = math.prod(math.factorial(len(group)) for group in groups) <= resamples
    owner = _all(groups, people) if exact else _drawn(groups, people, seed, resamples)
    rows = np.arange(people)
    figures = [float(one[rows, rows].mean()) for one in table]
    strongest = np.max([one[rows, owner].mean(axis=1) for one in table], axis=0)
    # Sums in another order differ by rounding, and a tie counts.
    reached = [np.count_nonzero(strongest >= figure - 1e-9 * max(1.0, abs(figure))) for figure in figures]
    true_one = 0 if exact else 1
    tail = (100 - _CONFIDENCE) / 2
    low = np.percentile(strongest, tail, method="lower")
    high = np.percentile(strongest, 100 - tail, method="higher")
    return MaxTest(tuple((count + true_one) / (len(owner) + true_one) for count in reached), (float(low), float(high)))


def _all(groups: Sequence[np.ndarray], people: int) -> np.ndarray:
    """``[permutations, people]``."""
    choices = list(product(*(permutations(group.tolist()) for group in groups)))
    owner = np.empty((len(choices), people), int)
    owner[:, np.concatenate(groups)] = [[person for part in choice for person in part] for choice in choices]
    return owner


def _drawn(groups: Sequence[np.ndarray], people: int, seed: int, resamples: int) -> np.ndarray:
    """``[resamples, people]``."""
    rng = np.random.default_rng(seed)
    owner = np.empty((resamples, people), int)
    for group in groups:
        owner[:, group] = rng.permuted(np.tile(group, (resamples, 1)), axis=1)
    return owner
