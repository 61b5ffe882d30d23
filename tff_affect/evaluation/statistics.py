"""Intervals over clients, paired tests, and their correction for many of them.

The unit is the client (one subject), never the frame: frames of one subject depend on each other, so an interval over
frames would be far too narrow.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

RESAMPLES = 9999
ROUNDING = 1e-9
"""Differences of CCC below it are those of sums in another order."""
WORST_SHARE = 0.1
"""Share of the clients, rounded up, that `worst_clients_mean` is of."""


def bootstrap_interval(
    values: ArrayLike,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
    expanded: bool = True,
) -> tuple[float, float]:
    """Bootstrap interval of the mean over clients.

    Bias-corrected and accelerated (Efron, Journal of the American Statistical Association 82, 1987); the percentile
    interval where that is not defined, as when all clients but one agree. Resampling n clients understates the spread
    of their mean as a normal quantile with divisor n does, so that plain intervals of few clients are too narrow; they
    are taken at the level that makes up for it (Hesterberg, The American Statistician 69, 2015).

    Args:
        values: ``[clients]``, one number a client, in any order; NaN values are left out.
        confidence: Coverage asked for, between 0 and 1.
        seed: Seed of the resampling; the same values and seed give the same interval.
        resamples: Bootstrap samples to draw.
        expanded: Whether the level is raised for small numbers of clients; False gives the plain interval.

    Returns:
        Lower and upper end; both NaN with fewer than three clients, the value itself where all clients agree.

    Raises:
        ValueError: If ``confidence`` is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence between 0 and 1, found {confidence}")
    # Resampling follows the order of the values, and an interval must not tell in which order clients stood.
    found = np.sort(np.asarray(values, np.float64))
    found = found[np.isfinite(found)]
    if len(found) < 3:
        return float("nan"), float("nan")
    if np.ptp(found) == 0:
        return float(found[0]), float(found[0])
    level = expanded_confidence(confidence, len(found)) if expanded else confidence
    for method in ("BCa", "percentile"):
        low, high = _bootstrap(found, level, seed, resamples, method)
        if np.isfinite(low) and np.isfinite(high):
            break
    return low, high


@cache
def expanded_confidence(confidence: float, clients: int) -> float:
    """The level at which a percentile interval of the mean is as wide as that of Student's t (Hesterberg 2015).

    Args:
        confidence: Coverage asked for, between 0 and 1.
        clients: Values that are resampled, at least two.

    Returns:
        ``1 - 2 Phi(-sqrt(n / (n - 1)) t)``, where t is the quantile of n - 1 degrees of freedom; above ``confidence``.
    """
    quantile = stats.t.ppf((1 + confidence) / 2, clients - 1)
    return float(1 - 2 * stats.norm.sf(math.sqrt(clients / (clients - 1)) * quantile))


def worst_clients_mean(values: ArrayLike, share: float = WORST_SHARE) -> float:
    """Mean of the clients that do worst: the lowest ``ceil(share x clients)`` values.

    Args:
        values: ``[clients]``, higher is better; NaN values are left out.
        share: Of the clients, above 0 and up to 1.

    Returns:
        The mean; NaN without clients.

    Raises:
        ValueError: If ``share`` is not in its range.
    """
    if not 0 < share <= 1:
        raise ValueError(f"expected a share above 0 and up to 1, found {share}")
    found = np.asarray(values, np.float64)
    found = np.sort(found[np.isfinite(found)])
    # Rounded first: a tenth of 30 clients is a little more than three in binary.
    count = math.ceil(round(share * len(found), 9))
    return float(found[:count].mean()) if count else float("nan")


def _bootstrap(values: np.ndarray, confidence: float, seed: int, resamples: int, method: str) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = stats.bootstrap(
            (values,),
            np.mean,
            confidence_level=confidence,
            n_resamples=resamples,
            method=method,
            random_state=np.random.default_rng(seed),
        )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


@dataclass(frozen=True)
class PairedComparison:
    """Wilcoxon signed-rank test of two methods on the same clients.

    Attributes:
        statistic: The smaller of the sums of positive and negative ranks.
        p_value: Two-sided.
        median_difference: Median over clients of first minus second.
        n: Clients compared, ties included.
        rank_biserial: Effect size, -1 to 1: matched-pairs rank-biserial correlation (Kerby, Comprehensive Psychology 3,
            2014). The share of the sum of ranks that favours the first method, less the share that favours the second:
            1 where the first is higher for every client, 0 where none differs or both have as much.
    """

    statistic: float
    p_value: float
    median_difference: float
    n: int
    rank_biserial: float


def paired_wilcoxon(first: ArrayLike, second: ArrayLike) -> PairedComparison:
    """Compares two methods client by client (Wilcoxon, Biometrics Bulletin 1, 1945).

    Args:
        first: ``[clients]``, one value a client.
        second: ``[clients]``, the other method's values in the same order.

    Returns:
        The comparison; p is 1 where no client differs, and NaN where there is no pair.

    Raises:
        ValueError: If the shapes differ.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"expected two arrays [clients] of one length, found {a.shape} and {b.shape}")
    difference = (a - b)[np.isfinite(a) & np.isfinite(b)]
    if not len(difference):
        return PairedComparison(float("nan"), float("nan"), float("nan"), 0, float("nan"))
    median = float(np.median(difference))
    if not difference.any():
        return PairedComparison(0.0, 1.0, median, len(difference), 0.0)
    with warnings.catch_warnings():
        # The normal approximation that ties ask for warns of small samples; the count is reported beside p.
        warnings.simplefilter("ignore", UserWarning)
        # Clients without a difference are left out, as Wilcoxon did: with them scipy would not be exact.
        result = stats.wilcoxon(difference[difference != 0])
    effect = rank_biserial(difference)
    return PairedComparison(float(result.statistic), float(result.pvalue), median, len(difference), effect)


def rank_biserial(difference: ArrayLike) -> float:
    """Matched-pairs rank-biserial correlation of differences: the effect size of the signed-rank test.

    Args:
        difference: ``[clients]``, finite; those that are zero are left out, as Wilcoxon's test does.

    Returns:
        (sum of the ranks of positive differences - that of negative ones) / sum of all ranks, positive where
        differences are (Kerby 2014); 0 where none differs from zero.
    """
    found = np.asarray(difference, np.float64)
    found = found[found != 0]
    if not len(found):
        return 0.0
    ranks = stats.rankdata(np.abs(found))
    return float(np.sum(np.sign(found) * ranks) / ranks.sum())


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for testing all of them: the chance of any false finding stays below the level.

    The step-down procedure of Holm (Scandinavian Journal of Statistics 6, 1979): the k-th smallest of m is multiplied
    by m - k + 1, is no smaller than those before it, and at most 1. It asks nothing of how the tests depend.

    Args:
        p_values: Of one family of tests; NaN where there was no test, which does not count and stays NaN.

    Returns:
        The corrected values, in the order given.
    """
    corrected = [float("nan")] * len(p_values)
    tested = sorted((p, place) for place, p in enumerate(p_values) if math.isfinite(p))
    smallest = 0.0
    for done, (p, place) in enumerate(tested):
        smallest = min(1.0, max(smallest, (len(tested) - done) * p))
        corrected[place] = smallest
    return corrected


@dataclass(frozen=True)
class Gain:
    """What a step, such as training on a client's own data, gave the clients.

    Attributes:
        mean: Mean over clients of after minus before.
        low: Lower end of its 95 % interval over clients; NaN with fewer than three.
        high: Upper end.
        clients: Clients that were measured before and after.
        losers: Those who did worse after than before.
        test: Wilcoxon's test of after against before.
    """

    mean: float
    low: float
    high: float
    clients: int
    losers: int
    test: PairedComparison


def gain(before: ArrayLike, after: ArrayLike, seed: int = 0) -> Gain:
    """What a step gave, client by client: metrics before and after it, with who loses.

    Args:
        before: ``[clients]``, higher is better.
        after: ``[clients]``, in the same order.
        seed: Seed of the interval's resampling.

    Raises:
        ValueError: If the shapes differ.
    """
    test = paired_wilcoxon(after, before)
    difference = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    difference = difference[np.isfinite(difference)]
    mean = float(difference.mean()) if len(difference) else float("nan")
    low, high = bootstrap_interval(difference, seed=seed)
    return Gain(mean, low, high, len(difference), int((difference < -ROUNDING).sum()), test)
