"""Intervals over subjects for any statistic of what is known of them.

Subjects are drawn with replacement, each with all that belongs to it: windows of one subject depend on each other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

LEAST_SUBJECTS = 8
"""Percentiles over fewer subjects are far too narrow to be shown."""
RESAMPLES = 2000


def subject_bootstrap(
    statistic: Callable[[np.ndarray], float],
    subjects: int,
    seed: int,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> tuple[float, float] | None:
    """Percentile bootstrap interval over subjects (Efron and Tibshirani 1993, chapter 13).

    Args:
        statistic: From numbers of the drawn subjects, ``[subjects]`` with repetitions, to its value; NaN where a draw
            does not define it, as without a single member.
        subjects: How many there are.
        seed: The same seed gives the same interval.
        confidence: Coverage asked for, between 0 and 1.
        resamples: Draws.

    Returns:
        Lower and upper end; None with fewer than ``LEAST_SUBJECTS`` subjects, or where too few draws define it.
    """
    if subjects < LEAST_SUBJECTS:
        return None
    rng = np.random.default_rng(seed)
    values = np.array([statistic(rng.integers(subjects, size=subjects)) for _ in range(resamples)])
    values = values[np.isfinite(values)]
    if len(values) < resamples // 2:
        return None
    tail = 50 * (1 - confidence)
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
