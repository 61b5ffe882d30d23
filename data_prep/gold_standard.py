"""Rater fusion: from several annotators' traces to one gold standard, and how far the annotators agree.

``fuse_mean`` is the plain mean used by Mase et al. (2021, arXiv 2111.07344). ``fuse_ccc_centred`` is the rule of the
AVEC 2018 gold-standard sub-challenge (Ringeval et al., 2018): raters who agree with the others weigh more in the mean
level to which every trace is centred.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from tff_affect.errors import InputError


def _checked(ratings: np.ndarray) -> np.ndarray:
    ratings = np.ascontiguousarray(ratings, dtype=np.float64)
    if ratings.ndim != 2 or not ratings.size:
        raise InputError(f"expected ratings of shape [frames, raters], found {ratings.shape}")
    return ratings


def concordance(first: np.ndarray, second: np.ndarray) -> float:
    """Lin's concordance correlation coefficient (1989) of two ``[frames]`` traces, population moments.

    Frames in which either is NaN are left out. Two constant traces, or fewer than two frames, give 0.
    """
    both = np.isfinite(first) & np.isfinite(second)
    x, y = first[both].astype(np.float64), second[both].astype(np.float64)
    if len(x) < 2:
        return 0.0
    spread = float(x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    return 2.0 * float(((x - x.mean()) * (y - y.mean())).mean()) / spread if spread > 0 else 0.0


def fuse_mean(ratings: np.ndarray) -> np.ndarray:
    """Mean over the raters who rated each frame.

    Args:
        ratings: ``[frames, raters]``, NaN where a rater is silent.

    Returns:
        ``[frames]`` float64, NaN where no rater rated.

    Raises:
        InputError: If ``ratings`` is not two-dimensional or empty.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an all-NaN frame is a missing label, not a fault
        return np.asarray(np.nanmean(_checked(ratings), axis=1))


def rater_concordance(ratings: np.ndarray) -> np.ndarray:
    """Mean CCC of each rater with every other rater.

    Args:
        ratings: ``[frames, raters]``, at least two raters.

    Returns:
        ``[raters]`` float64.

    Raises:
        InputError: If there are fewer than two raters.
    """
    traces = _checked(ratings).T
    if len(traces) < 2:
        raise InputError(f"expected at least two raters to compare, found {len(traces)}")
    pairs = np.array([[concordance(a, b) for b in traces] for a in traces])
    return np.asarray((pairs.sum(axis=1) - np.diag(pairs)) / (len(traces) - 1))


def rater_agreement(ratings: np.ndarray) -> float:
    """Mean pairwise CCC of the raters of one recording and dimension (``ratings`` as in `rater_concordance`)."""
    return float(rater_concordance(ratings).mean())


def fuse_ccc_centred(ratings: np.ndarray) -> np.ndarray:
    """AVEC 2018 gold standard: traces centred on an agreement-weighted level, then averaged.

    With ``a_r`` the mean CCC of rater r with the others and ``m_r`` the rater's mean, every trace becomes
    ``x_r - m_r + sum(m_r a_r) / sum(a_r)``. Raters who disagree with all others (``a_r <= 0``) have no say in the
    level; if all do, it is the plain mean of ``m_r``.

    Args:
        ratings: ``[frames, raters]``, at least two raters, NaN where a rater is silent.

    Returns:
        ``[frames]`` float64, NaN where no rater rated.

    Raises:
        InputError: If there are fewer than two raters, or a rater never rated.
    """
    ratings = _checked(ratings)
    silent = np.flatnonzero(~np.isfinite(ratings).any(axis=0))
    if len(silent):
        raise InputError(f"rater {int(silent[0]) + 1} of {ratings.shape[1]} has no rating; leave that rater out")
    weights = np.clip(rater_concordance(ratings), 0.0, None)
    means = np.nanmean(ratings, axis=0)
    level = float(np.average(means, weights=weights if weights.sum() > 0 else None))
    return fuse_mean(ratings - means + level)


FUSIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"mean": fuse_mean, "ccc_centred": fuse_ccc_centred}


def fusion_named(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """The fusion rule of that name.

    Raises:
        InputError: If there is none.
    """
    if name not in FUSIONS:
        raise InputError(f"expected a fusion among {', '.join(FUSIONS)}, found {name!r}")
    return FUSIONS[name]
