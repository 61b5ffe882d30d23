"""The audit with one run of Steinke, Nasr and Jagielski 2023, "Privacy Auditing with One (1) Training Run".

Each of many canaries takes part with probability 1/2; who watches guesses of some of them whether they did, and says
nothing of the others. Too many right guesses contradict a small epsilon. One run is enough, but the bound is loose: it
sits below mechanisms with planted faults, so that it is reported and refutes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from tff_affect.errors import InputError

_LARGEST_EPSILON = 200.0
GUESSED = (1.0, 0.5, 0.25, 0.125)
"""Shares of the canaries that guesses are made of, each tried."""


def guess_probability(canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """How often so many guesses are right under (epsilon, delta)-differential privacy, at most: theorem 5.2.

    Args:
        canaries: Each included independently with probability 1/2.
        guesses: Of whom a guess was made.
        right: Guesses that were right.
        epsilon: At least 0.
        delta: From 0 to 1.
    """
    if not 0 <= right <= guesses <= canaries:
        raise InputError(f"canaries: expected right <= guesses <= canaries, found {right}, {guesses}, {canaries}")
    accuracy = 1 / (1 + math.exp(-epsilon))
    tail = float(stats.binom.sf(right - 1, guesses, accuracy))
    if not delta or not right:
        return min(1.0, tail)
    steps = np.arange(1, right + 1)
    between = np.cumsum(stats.binom.pmf(right - steps, guesses, accuracy))
    return min(1.0, tail + 2 * canaries * delta * float((between / steps).max()))


def one_run_bound(canaries: int, guesses: int, right: int, delta: float, level: float) -> float:
    """Lower confidence bound of epsilon: the largest that so many right guesses contradict; 0 where none.

    Args:
        canaries: Each included independently with probability 1/2.
        guesses: Of whom a guess was made, a number fixed before.
        right: Guesses that were right.
        delta: The delta that epsilon is asked for.
        level: Confidence.
    """

    def excess(epsilon: float) -> float:
        return guess_probability(canaries, guesses, right, epsilon, delta) - (1 - level)

    if excess(0.0) >= 0:
        return 0.0
    if excess(_LARGEST_EPSILON) < 0:
        return _LARGEST_EPSILON
    return float(brentq(excess, 0.0, _LARGEST_EPSILON, xtol=1e-6))


def right_guesses(scores: np.ndarray, included: np.ndarray, guesses: int) -> int:
    """Right guesses where as many of the highest scores are guessed in as of the lowest are guessed out.

    Args:
        scores: ``[canaries]``, higher for those who took part.
        included: ``[canaries]`` bool.
        guesses: An odd one goes to the highest.
    """
    order = np.argsort(-scores, kind="stable")
    inside = math.ceil(guesses / 2)
    return int(included[order[:inside]].sum() + (~included[order[len(order) - (guesses - inside) :]]).sum())


def best_bound(
    scores: np.ndarray, included: np.ndarray, delta: float, level: float, shares: Sequence[float] = GUESSED
) -> float:
    """The largest bound over several numbers of guesses, each at a level corrected for there being several.

    Args:
        scores: ``[canaries]``, higher for those who took part.
        included: ``[canaries]`` bool, drawn independently with probability 1/2.
        delta: The delta that epsilon is asked for.
        level: Confidence of the largest.
        shares: Of the canaries that guesses are made of.
    """
    count = len(scores)
    numbers = {max(1, round(share * count)) for share in shares}
    corrected = 1 - (1 - level) / len(numbers)
    return max(one_run_bound(count, n, right_guesses(scores, included, n), delta, corrected) for n in numbers)
