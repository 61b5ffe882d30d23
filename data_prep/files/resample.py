"""Features at the times of the labels: by time, never by row."""

from __future__ import annotations

import numpy as np

SAME_TIME = 1e-6
_GAP = 1.5
_MUCH_FASTER = 1.5
_JITTER = 0.1


def to_times(values: np.ndarray, own: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Values at other times than their own.

    A time that coincides with one of the values' own gets that value, exactly. Any other gets the linear interpolation
    of its two neighbours; or, where the values come more than 1.5 times as fast as they are asked for, the mean of the
    finite values within half a step. It is NaN outside the recording, next to a missing value, in a gap of more than
    1.5 of the values' median steps, and where fewer than half of the values within half a step are finite.

    Args:
        values: ``[frames, features]``.
        own: ``[frames]`` seconds, increasing.
        times: ``[targets]`` seconds, increasing.

    Returns:
        ``[targets, features]`` float64.

    Example:
        >>> to_times(np.array([[0.0], [1.0]]), np.array([0.0, 1.0]), np.array([0.0, 0.25, 2.0])).ravel()
        array([0.  , 0.25,  nan])
    """
    values = np.asarray(values, dtype=np.float64)
    step = float(np.median(np.diff(own))) if len(own) > 1 else 0.0
    target_step = float(np.median(np.diff(times))) if len(times) > 1 else step
    if step and target_step > _MUCH_FASTER * step:
        result = _means(values, own, times, target_step, step)
    else:
        result = _interpolated(values, own, times, step)
    nearest = _nearest(own, times)
    same = np.abs(own[nearest] - times) <= SAME_TIME
    result[same] = values[nearest[same]]
    return result


def _nearest(own: np.ndarray, times: np.ndarray) -> np.ndarray:
    after = np.clip(np.searchsorted(own, times), min(1, len(own) - 1), len(own) - 1)
    before = np.maximum(after - 1, 0)
    return np.where(np.abs(own[after] - times) < np.abs(own[before] - times), after, before)


def _interpolated(values: np.ndarray, own: np.ndarray, times: np.ndarray, step: float) -> np.ndarray:
    if len(own) < 2:
        return np.full((len(times), values.shape[1]), np.nan)
    after = np.clip(np.searchsorted(own, times), 1, len(own) - 1)
    width = own[after] - own[after - 1]
    weight = ((times - own[after - 1]) / width)[:, None]
    result = values[after - 1] * (1 - weight) + values[after] * weight
    apart = width > _GAP * step * (1 + SAME_TIME)
    result[apart | (times < own[0]) | (times > own[-1])] = np.nan
    return result


def _means(values: np.ndarray, own: np.ndarray, times: np.ndarray, target_step: float, step: float) -> np.ndarray:
    # Both ends belong to the window, so that it is symmetric and a ramp keeps its place in time.
    half = target_step / 2
    first = np.searchsorted(own, times - half - SAME_TIME)
    last = np.searchsorted(own, times + half + SAME_TIME)
    finite = np.isfinite(values)
    count = _sums(finite.astype(np.float64), first, last)
    # Rows that are not there are missing too, except beyond the ends of the recording.
    low, high = np.maximum(times - half, own[0] - step / 2), np.minimum(times + half, own[-1] + step / 2)
    expected = np.maximum(last - first, np.floor((high - low) / step + SAME_TIME))[:, None]
    total = _sums(np.where(finite, values, 0.0), first, last)
    inside = ((times >= own[0] - SAME_TIME) & (times <= own[-1] + SAME_TIME))[:, None]
    enough = (count > 0) & (2 * count >= expected) & inside
    return np.divide(total, count, out=np.full_like(total, np.nan), where=enough)


def _sums(values: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Sums of ``values[first:last]`` for each pair, by cumulative sums: ``[targets, features]``."""
    running = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    return running[last] - running[first]


def regular_times(own: np.ndarray, frame_rate: float) -> np.ndarray:
    """``[frames]`` seconds ``k / frame_rate`` from the first to the last of the recording's ``[rows]`` own times."""
    first, last = np.ceil(own[0] * frame_rate - _JITTER), np.floor(own[-1] * frame_rate + _JITTER)
    return np.arange(first, last + 1) / frame_rate


def without_jitter(own: np.ndarray, frame_rate: float) -> np.ndarray:
    """The own times, those within a tenth of a frame of ``k / frame_rate`` moved there.

    Timestamps rounded to milliseconds stay one frame each, instead of a blend of two.
    """
    grid = np.round(own * frame_rate)
    moved = np.where(np.abs(own * frame_rate - grid) <= _JITTER, grid / frame_rate, own)
    return moved if (np.diff(moved) > 0).all() else own
