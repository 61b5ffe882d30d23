"""Rater fusion: from several annotators' traces to one gold standard, and its smoothing.

``fuse_mean`` is the plain mean used by Mase et al. (2021, arXiv 2111.07344). ``fuse_ewe`` is the evaluator weighted
estimator of Grimm and Kroschel (2005). ``fuse_ccc_centred`` is the rule of the AVEC 2018 gold-standard sub-challenge
(Ringeval et al., 2018): raters who agree with the others weigh more in the mean level to which every trace is centred.
``fuse_dba`` is the barycentre average of Petitjean et al. (2011), which lets raters lag differently.

Every rule sees one recording and one dimension: nothing is fitted across subjects.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from data_prep.labels.rater_agreement import checked_ratings, rater_concordance, rounding_of
from tff_affect.errors import InputError

__all__ = [
    "DBA_SECONDS",
    "FUSIONS",
    "SMOOTHINGS",
    "check_fusion",
    "check_smoothing",
    "fuse_ccc_centred",
    "fuse_dba",
    "fuse_ewe",
    "fuse_mean",
    "fusion_named",
    "smooth",
]

DBA_SECONDS = 4.0
SMOOTHINGS = ("median", "mean")
_DBA_ITERATIONS = 10
_DBA_CHANGE = 1e-4
_SHAPE_DIGITS = 9
_HIGHEST_RATE = 1000.0


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
        return np.asarray(np.nanmean(checked_ratings(ratings), axis=1))


def _everybody_rated(ratings: np.ndarray) -> np.ndarray:
    ratings = checked_ratings(ratings)
    silent = np.flatnonzero(~np.isfinite(ratings).any(axis=0))
    if len(silent):
        raise InputError(f"rater {int(silent[0]) + 1} of {ratings.shape[1]} has no rating; leave that rater out")
    return ratings


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation over the frames that both have; 0 where one is constant."""
    both = np.isfinite(first) & np.isfinite(second)
    x, y = first[both], second[both]
    if len(x) < 2 or any(v.std() <= rounding_of(v) for v in (x, y)):
        return 0.0
    return float(((x - x.mean()) * (y - y.mean())).mean() / (x.std() * y.std()))


def ewe_weights(ratings: np.ndarray) -> np.ndarray:
    """Each rater's correlation with the mean over all raters, that rater among them; 0 where it is negative.

    Args:
        ratings: ``[frames, raters]``, NaN where a rater is silent.

    Returns:
        ``[raters]`` float64, 0 to 1; a constant trace has weight 0.
    """
    ratings = checked_ratings(ratings)
    mean = fuse_mean(ratings)
    return np.clip([_correlation(trace, mean) for trace in ratings.T], 0.0, None)


def fuse_ewe(ratings: np.ndarray) -> np.ndarray:
    """Evaluator weighted estimator: the mean, weighted by each rater's correlation with the plain mean.

    With ``w_r = max(0, corr(x_r, mean of all x))`` as Grimm and Kroschel (2005) have it, the gold standard is
    ``sum(w_r x_r) / sum(w_r)`` over the raters who rated a frame. If all weights are 0, it is the plain mean.

    Args:
        ratings: ``[frames, raters]``, NaN where a rater is silent.

    Returns:
        ``[frames]`` float64, NaN where no rater with a weight rated.

    Raises:
        InputError: If a rater never rated.
    """
    ratings = _everybody_rated(ratings)
    weights = ewe_weights(ratings)
    if weights.sum() <= 0:
        return fuse_mean(ratings)
    present = np.isfinite(ratings) @ weights
    total = np.nan_to_num(ratings) @ weights
    return np.divide(total, present, out=np.full(len(ratings), np.nan), where=present > 0)


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
    ratings = _everybody_rated(ratings)
    weights = np.clip(rater_concordance(ratings), 0.0, None)
    means = np.nanmean(ratings, axis=0)
    level = float(np.average(means, weights=weights if weights.sum() > 0 else None))
    return fuse_mean(ratings - means + level)


def fuse_dba(ratings: np.ndarray, window: int = 100) -> np.ndarray:
    """Barycentre average under dynamic time warping (Petitjean et al., 2011): raters may lag differently.

    Raters differ in level and in gain as well as in time, and raw traces would have the one warped into the other. So
    the warping sees shapes: traces without their mean, divided by their deviation. Starting from the mean shape, each
    is warped onto the average and the average is taken anew, until it stands still (at most ten times). What is then
    averaged at each frame are the ratings themselves, each rater's once. Raters who differ in level and gain alone have
    the plain mean as their barycentre. A peak that raters mark at different moments keeps its height, as long as the
    marks are closer together than the peak is wide: farther apart, they may stay two. Warping leaves small steps; see
    `smooth`.

    Args:
        ratings: ``[frames, raters]``. A silence inside a trace is interpolated for the warping.
        window: Largest shift of a trace, in frames; the default is four seconds at 25 frames per second.

    Returns:
        ``[frames]`` float64; NaN where no rater rated, and before the last rater began or after the first ended.

    Raises:
        InputError: If a rater never rated, no frame lies within all raters' traces, or the window is negative.
    """
    ratings = _everybody_rated(ratings)
    if window < 0:
        raise InputError(f"expected a warping window of 0 frames or more, found {window}")
    span = _common_span(ratings)
    filled = pd.DataFrame(ratings[span]).interpolate(limit_area="inside").to_numpy()
    fused = np.full(len(ratings), np.nan)
    # The library counts the diagonal into its window (1 is no shift at all), and overflows on windows far too wide.
    fused[span] = _barycentre(filled, min(window, len(filled)) + 1)
    fused[~np.isfinite(ratings).any(axis=1)] = np.nan
    return fused


def _barycentre(traces: np.ndarray, window: int) -> np.ndarray:
    """``[frames]``: the mean of ``[frames, raters]`` traces, each warped as its shape fits the average shape."""
    from dtaidistance.dtw import warping_path_fast
    from dtaidistance.dtw_barycenter import dba_loop

    shapes = [_shape(trace) for trace in traces.T]
    options = {"use_c": True, "max_it": _DBA_ITERATIONS, "thr": _DBA_CHANGE}
    average = np.ascontiguousarray(dba_loop(shapes, c=np.mean(shapes, axis=0), window=window, **options))
    warped = np.empty_like(traces)
    for rater, shape in enumerate(shapes):
        there, own = np.array(warping_path_fast(average, shape, window=window)).T
        matched = np.bincount(there, minlength=len(traces))
        warped[:, rater] = np.bincount(there, traces[own, rater], len(traces)) / matched
    return np.asarray(warped.mean(axis=1))


def _shape(trace: np.ndarray) -> np.ndarray:
    """The trace without level and gain. What rounding leaves of equal shapes is taken away, lest it decides ties."""
    deviation = trace.std()
    if deviation <= rounding_of(trace):
        return np.zeros(len(trace))
    return np.round((trace - trace.mean()) / deviation, _SHAPE_DIGITS)


def _common_span(ratings: np.ndarray) -> slice:
    """From the frame where the last rater begins to the one where the first ends."""
    there = np.isfinite(ratings)
    start = int(there.argmax(axis=0).max())
    stop = len(ratings) - int(there[::-1].argmax(axis=0).max())
    if stop - start < 2:
        raise InputError("no stretch that all raters rated; fuse by another rule, or leave a rater out")
    return slice(start, stop)


FUSIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": fuse_mean,
    "ewe": fuse_ewe,
    "ccc_centred": fuse_ccc_centred,
    "dba": fuse_dba,
}


def check_fusion(name: str) -> None:
    """Raises `InputError` unless there is a fusion rule of that name."""
    if name not in FUSIONS:
        raise InputError(f"expected a fusion among {', '.join(FUSIONS)}, found {name!r}")


def fusion_named(name: str, frame_rate: float) -> Callable[[np.ndarray], np.ndarray]:
    """The fusion rule of that name, for ratings of that many frames per second.

    Raises:
        InputError: If there is none, or the rate is not above 0 and up to 1000.
    """
    check_fusion(name)
    if not 0 < frame_rate <= _HIGHEST_RATE:
        raise InputError(f"expected ratings at above 0 and up to {_HIGHEST_RATE:g} per second, found {frame_rate:g}")
    if name == "dba":
        return partial(fuse_dba, window=round(DBA_SECONDS * frame_rate))
    return FUSIONS[name]


def check_smoothing(seconds: float, kind: str = "median") -> None:
    """Raises `InputError` if the smoothing is unknown, or its width is negative or not a finite number."""
    if kind not in SMOOTHINGS:
        raise InputError(f"expected a smoothing among {', '.join(SMOOTHINGS)}, found {kind!r}")
    if not 0 <= seconds < np.inf:
        raise InputError(f"expected to smooth over 0 seconds or more, found {seconds:g}")


def smooth(values: np.ndarray, frame_rate: float, seconds: float, kind: str = "median") -> np.ndarray:
    """Median or moving-average smoothing of a gold standard, centred, so that nothing is delayed.

    Args:
        values: ``[frames]`` or ``[frames, dimensions]``, NaN where missing.
        frame_rate: Frames per second.
        seconds: Width of the window; the nearest odd number of frames is taken, of two the larger. It is cut off at the
            ends.
        kind: ``median`` or ``mean``, over the frames of the window that are there.

    Returns:
        Float64 of the same shape; NaN where ``values`` are: a missing label is never made up.

    Raises:
        InputError: If the kind is unknown, the width is negative or not a number, or longer than the recording.
    """
    check_smoothing(seconds, kind)
    frame = pd.DataFrame(np.asarray(values, np.float64))
    if seconds * frame_rate > len(frame):
        length = f"{len(frame) / frame_rate:g} s"
        raise InputError(f"expected to smooth over no more than the recording of {length}, found {seconds:g} s")
    # Half a width that rounding puts just below a whole number is that number.
    width = 2 * int(seconds * frame_rate / 2 + 1e-9) + 1
    rolling = frame.rolling(width, center=True, min_periods=1)
    smoothed = rolling.median() if kind == "median" else rolling.mean()
    return smoothed.where(frame.notna()).to_numpy().reshape(np.shape(values))
