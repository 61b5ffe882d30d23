"""How far the raters of a recording agree: concordance, intraclass correlation, Cronbach's alpha.

Nothing here is fitted: each recording and dimension is measured alone, over the raters that it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tff_affect.errors import InputError

__all__ = ["MeanSquares", "agreement_table", "concordance", "mean_squares", "rater_agreement", "rater_concordance"]


# Deviations below this share of the ratings' size are rounding, not disagreement.
_ROUNDING = 1e-12


def rounding_of(ratings: np.ndarray) -> float:
    """The deviation up to which a trace of ratings of this size is a constant."""
    return _ROUNDING * max(1.0, float(np.abs(ratings).max(initial=0.0)))


def checked_ratings(ratings: np.ndarray) -> np.ndarray:
    """``ratings`` as contiguous float64; raises `InputError` unless they are ``[frames, raters]`` and not empty."""
    ratings = np.ascontiguousarray(ratings, dtype=np.float64)
    if ratings.ndim != 2 or not ratings.size:
        raise InputError(f"expected ratings of shape [frames, raters], found {ratings.shape}")
    return ratings


def concordance(first: np.ndarray, second: np.ndarray) -> float:
    """Lin's concordance correlation coefficient (1989) of two ``[frames]`` traces, population moments.

    Frames in which either is NaN are left out. A constant trace, or fewer than two frames, gives 0.
    """
    both = np.isfinite(first) & np.isfinite(second)
    x, y = first[both].astype(np.float64), second[both].astype(np.float64)
    if len(x) < 2:
        return 0.0
    if x.std() <= rounding_of(x) or y.std() <= rounding_of(y):
        return 0.0
    spread = float(x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    return 2.0 * float(((x - x.mean()) * (y - y.mean())).mean()) / spread


def rater_concordance(ratings: np.ndarray) -> np.ndarray:
    """Mean CCC of each rater with every other rater.

    Args:
        ratings: ``[frames, raters]``, at least two raters.

    Returns:
        ``[raters]`` float64.

    Raises:
        InputError: If there are fewer than two raters.
    """
    traces = checked_ratings(ratings).T
    if len(traces) < 2:
        raise InputError(f"expected at least two raters to compare, found {len(traces)}")
    pairs = np.array([[concordance(a, b) for b in traces] for a in traces])
    return np.asarray((pairs.sum(axis=1) - np.diag(pairs)) / (len(traces) - 1))


def rater_agreement(ratings: np.ndarray) -> float:
    """Mean pairwise CCC of the raters of one recording and dimension (``ratings`` as in `rater_concordance`)."""
    return float(rater_concordance(ratings).mean())


@dataclass(frozen=True)
class MeanSquares:
    """The two-way analysis of variance of a recording, frames by raters, one rating in each cell.

    Attributes:
        frames: Frames that all raters rated.
        raters: Number of raters.
        between_frames: Mean square between frames.
        between_raters: Mean square between raters.
        residual: Mean square of what is left.
    """

    frames: int
    raters: int
    between_frames: float
    between_raters: float
    residual: float

    @property
    def icc_2_1(self) -> float:
        """ICC(2,1) of Shrout and Fleiss (1979): absolute agreement of one rater drawn at random; 0 if undefined."""
        n, k = max(1, self.frames), self.raters
        lack = self.between_raters - self.residual
        return _ratio(self.between_frames - self.residual, self.between_frames + (k - 1) * self.residual + k * lack / n)

    @property
    def icc_2_k(self) -> float:
        """ICC(2,k) of Shrout and Fleiss (1979): absolute agreement of the mean of the raters; 0 if undefined."""
        lack = self.between_raters - self.residual
        return _ratio(self.between_frames - self.residual, self.between_frames + lack / max(1, self.frames))

    @property
    def cronbach_alpha(self) -> float:
        """Cronbach's alpha (1951), which is ICC(3,k): consistency of the mean of the raters; 0 if undefined."""
        return _ratio(self.between_frames - self.residual, self.between_frames)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def mean_squares(ratings: np.ndarray) -> MeanSquares:
    """The analysis of variance behind the intraclass correlations.

    Args:
        ratings: ``[frames, raters]``; frames in which a rater is silent are left out. With fewer than two frames left,
            all mean squares are 0.

    Raises:
        InputError: If there are fewer than two raters.
    """
    ratings = checked_ratings(ratings)
    if ratings.shape[1] < 2:
        raise InputError(f"expected at least two raters to compare, found {ratings.shape[1]}")
    x = ratings[np.isfinite(ratings).all(axis=1)]
    n, k = x.shape
    if n < 2:
        return MeanSquares(n, k, 0.0, 0.0, 0.0)
    rows = x.mean(axis=1, keepdims=True) - x.mean()
    columns = x.mean(axis=0, keepdims=True) - x.mean()
    residual = x - x.mean() - rows - columns
    squares = [
        k * float((rows**2).sum()) / (n - 1),
        n * float((columns**2).sum()) / (k - 1),
        float((residual**2).sum()) / ((n - 1) * (k - 1)),
    ]
    return MeanSquares(n, k, *(0.0 if square <= n * k * rounding_of(x) ** 2 else square for square in squares))


def agreement_table(ratings: np.ndarray, names: Sequence[str] | None = None) -> dict[str, float]:
    """Agreement of the raters of one recording and dimension.

    Args:
        ratings: ``[frames, raters]``, at least two raters, NaN where a rater is silent.
        names: The raters' names; ``1``, ``2`` ... where left out.

    Returns:
        ``frames`` that all raters rated, ``raters``, ``ccc`` (mean over pairs), ``icc_2_1``, ``icc_2_k``,
        ``cronbach_alpha``, and ``ccc <name>`` per rater (its mean CCC with the others). The CCC of a pair uses all
        frames that the two rated; the others use the frames that all did.

    Raises:
        InputError: If there are fewer than two raters, or not one name for each.
    """
    each = rater_concordance(ratings)
    squares = mean_squares(ratings)
    names = [str(i + 1) for i in range(len(each))] if names is None else list(names)
    if len(names) != len(each):
        raise InputError(f"expected a name for each of {len(each)} raters, found {len(names)}")
    return {
        "frames": squares.frames,
        "raters": squares.raters,
        "ccc": float(each.mean()),
        "icc_2_1": squares.icc_2_1,
        "icc_2_k": squares.icc_2_k,
        "cronbach_alpha": squares.cronbach_alpha,
        **{f"ccc {name}": float(value) for name, value in zip(names, each, strict=True)},
    }
