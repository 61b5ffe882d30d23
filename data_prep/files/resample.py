"""Features at the times of the labels: by time, never by row."""

from __future__ import annotations

import numpy as np

SAME_TIME = 1e-6
_GAP = 1.5
_MUCH_FASTER = 1.5
_JITTER = 0.1
_SLOW_SECONDS = 0.3


def to_times(values: np.ndarray, own: np.ndarray, times: np.ndarray, longest_gap: float = 0.0) -> np.ndarray:
    """Values at other times than their own.

    A time that coincides with one of the values' own gets that value, exactly; any other the linear interpolation of
    its two neighbours. Where the values come more than 1.5 times as fast as they are asked for, every time gets the
    mean of half a step on either side. It is NaN outside the recording, next to a missing value, in a gap of more
    than 1.5 of the values' median steps (or ``longest_gap``), of slow values between those that are more than 0.3 s
    and 1.5 target steps apart, and where less than half of the time averaged over has a
    value.

    Args:
        values: ``[frames, features]``.
        own: ``[frames]`` seconds, increasing.
        times: ``[targets]`` seconds, increasing.
        longest_gap: Seconds that are bridged even if they are more than 1.5 median steps: cameras of variable rate.

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
        return _means(values, own, times, target_step, step, max(_GAP * step, longest_gap))
    # Slow values say little of what lies between them.
    bridged = min(_GAP * step, max(_GAP * target_step, _SLOW_SECONDS))
    result = _interpolated(values, own, times, max(bridged, longest_gap))
    nearest = _nearest(own, times)
    same = np.abs(own[nearest] - times) <= SAME_TIME
    result[same] = values[nearest[same]]
    return result


def _nearest(own: np.ndarray, times: np.ndarray) -> np.ndarray:
    after = np.clip(np.searchsorted(own, times), min(1, len(own) - 1), len(own) - 1)
    before = np.maximum(after - 1, 0)
    return np.where(np.abs(own[after] - times) < np.abs(own[before] - times), after, before)


def _interpolated(values: np.ndarray, own: np.ndarray, times: np.ndarray, longest_gap: float) -> np.ndarray:
    if len(own) < 2:
        return np.full((len(times), values.shape[1]), np.nan)
    after = np.clip(np.searchsorted(own, times), 1, len(own) - 1)
    width = own[after] - own[after - 1]
    weight = ((times - own[after - 1]) / width)[:, None]
    result = values[after - 1] * (1 - weight) + values[after] * weight
    apart = width > longest_gap * (1 + SAME_TIME)
    result[apart | (times < own[0]) | (times > own[-1])] = np.nan
    return result


def _means(
    values: np.ndarray, own: np.ndarray, times: np.ndarray, target_step: float, step: float, longest_gap: float
) -> np.ndarray:
    """Means over windows. Each frame stands for the time up to halfway to its neighbours, and weighs as much of it."""
    before = np.minimum(np.diff(own, prepend=own[0] - step), longest_gap) / 2
    after = np.minimum(np.diff(own, append=own[-1] + step), longest_gap) / 2
    edges = np.stack([own - before, own + after], axis=1).ravel()
    # The window shrinks at the recording's ends: symmetric, a ramp keeps its place in time.
    half = np.clip(np.minimum(times - edges[0], edges[-1] - times), 0.0, target_step / 2)
    result = np.full((len(times), values.shape[1]), np.nan)
    inside = (times >= own[0] - SAME_TIME) & (times <= own[-1] + SAME_TIME)
    for column, course in enumerate(values.T):
        there = np.isfinite(course)
        weight = np.where(there, before + after, 0.0)
        time = _between(edges, weight, times - half, times + half)
        total = _between(edges, weight * np.where(there, course, 0.0), times - half, times + half)
        enough = inside & (time > 0) & (time >= half * (1 - SAME_TIME))
        np.divide(total, time, out=result[:, column], where=enough)
    return result


def _between(edges: np.ndarray, amounts: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """How much of ``amounts`` ``[frames]``, each spread evenly between its two edges, lies between two times."""
    steps = np.zeros(len(edges))
    steps[1::2] = amounts
    running = np.cumsum(steps)
    return np.asarray(np.interp(high, edges, running) - np.interp(low, edges, running))


def regular_times(own: np.ndarray, frame_rate: float) -> np.ndarray:
    """``[frames]`` seconds ``k / frame_rate`` from the first to the last of the recording's ``[rows]`` own times."""
    first, last = np.ceil(own[0] * frame_rate - _JITTER), np.floor(own[-1] * frame_rate + _JITTER)
    return np.arange(int(first), int(last) + 1) / frame_rate


def without_jitter(own: np.ndarray, frame_rate: float) -> np.ndarray:
    """The own times, those within a tenth of a frame of ``k / frame_rate`` moved there.

    Timestamps rounded to milliseconds stay one frame each, instead of a blend of two.
    """
    grid = np.round(own * frame_rate)
    moved = np.where(np.abs(own * frame_rate - grid) <= _JITTER, grid / frame_rate, own)
    return moved if (np.diff(moved) > 0).all() else own
