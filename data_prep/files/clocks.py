"""Clocks of recordings: which timestamps can be believed, and what the others should have been."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

# Of the timestamps of a recording, at most this share is repaired.
REPAIRABLE = 0.05
_WILD = 100.0


def increasing(clock: np.ndarray) -> np.ndarray:
    """``[frames]`` bool: the most timestamps that, the others left out, increase strictly."""
    finite = np.isfinite(clock)
    if finite.all() and (np.diff(clock) > 0).all():
        return finite
    ends: list[float] = []
    length = np.zeros(len(clock), dtype=int)
    for position in np.flatnonzero(finite):
        rank = bisect_left(ends, clock[position])
        ends[rank : rank + 1] = [float(clock[position])]
        length[position] = rank + 1
    good, wanted, bound = np.zeros(len(clock), dtype=bool), len(ends), np.inf
    for position in range(len(clock) - 1, -1, -1):
        if wanted and length[position] == wanted and clock[position] < bound:
            good[position], wanted, bound = True, wanted - 1, clock[position]
    return good


def typical_step(frame: np.ndarray, clock: np.ndarray) -> float:
    """Time from one frame number to the next: over the whole recording, unless the median contradicts it.

    Args:
        frame: ``[frames]`` frame numbers, increasing.
        clock: ``[frames]`` their times, increasing.
    """
    median = float(np.median(np.diff(clock) / np.diff(frame)))
    # Timestamps rounded to milliseconds say 30.3 Hz, or 29.4, from step to step, and 29.97 over all.
    overall = float((clock[-1] - clock[0]) / (frame[-1] - frame[0]))
    return overall if abs(overall / median - 1) < REPAIRABLE else median


def wild_jump(frame: np.ndarray, clock: np.ndarray, step: float) -> int | None:
    """Where a clock leaps: the first frame that is a hundred times later than its number says; None if there is none.

    A single wild time at an end increases like any other, and would make hours of a recording of seconds.
    """
    wild = np.flatnonzero(np.diff(clock) > _WILD * step * np.diff(frame))
    return int(wild[0]) + 1 if len(wild) else None


def repaired(frame: np.ndarray, clock: np.ndarray, good: np.ndarray, step: float) -> np.ndarray:
    """The timestamps ``[frames]``, the bad ones in line with their frame numbers.

    Args:
        frame: ``[frames]`` frame numbers, increasing.
        clock: ``[frames]`` timestamps.
        good: ``[frames]`` bool, from `increasing`.
        step: Time between frame numbers, for bad ones at the ends.
    """
    known, known_time = frame[good], clock[good]
    guess = np.interp(frame, known, known_time)
    guess = np.where(frame < known[0], known_time[0] - (known[0] - frame) * step, guess)
    guess = np.where(frame > known[-1], known_time[-1] + (frame - known[-1]) * step, guess)
    return np.where(good, clock, guess)
