"""Intervals over clients and paired tests.

The unit is the client (one subject), never the frame: frames of one subject depend on each other, so an interval over
frames would be far too narrow.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

RESAMPLES = 9999


def bootstrap_interval(
    values: ArrayLike, confidence: float = 0.95, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Bootstrap interval of the mean over clients.

    Bias-corrected and accelerated (Efron, Journal of the American Statistical Association 82, 1987); the percentile
    interval where that is not defined, as when all clients but one agree.

    Args:
        values: ``[clients]``, one number a client; NaN values are left out.
        confidence: Coverage asked for, between 0 and 1.
        seed: Seed of the resampling; the same values and seed give the same interval.
        resamples: Bootstrap samples to draw.

    Returns:
        Lower and upper end; both NaN with fewer than three clients, the value itself where all clients agree.

    Raises:
        ValueError: If ``confidence`` is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence between 0 and 1, found {confidence}")
    found = np.asarray(values, np.float64)
    found = found[np.isfinite(found)]
    if len(found) < 3:
        return float("nan"), float("nan")
    if np.ptp(found) == 0:
        return float(found[0]), float(found[0])
    for method in ("BCa", "percentile"):
        low, high = _bootstrap(found, confidence, seed, resamples, method)
        if np.isfinite(low) and np.isfinite(high):
            break
    return low, high


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
    """

    statistic: float
    p_value: float
    median_difference: float
    n: int


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
        return PairedComparison(float("nan"), float("nan"), float("nan"), 0)
    median = float(np.median(difference))
    if not difference.any():
        return PairedComparison(0.0, 1.0, median, len(difference))
    with warnings.catch_warnings():
        # The normal approximation that ties ask for warns of small samples; the count is reported beside p.
        warnings.simplefilter("ignore", UserWarning)
        result = stats.wilcoxon(difference)
    return PairedComparison(float(result.statistic), float(result.pvalue), median, len(difference))
