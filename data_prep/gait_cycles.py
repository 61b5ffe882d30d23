"""Gait cycles, found from the height of the right ankle.

The ankle is highest once in each cycle, as the foot swings, and low while it stands. A cycle is cut midway between two
maxima, in the middle of the stance between them. The minimum itself is no good mark: it is flat, so that noise moves
it, and where in the stance it lies depends on how a foot rolls, which would shift whole emotions against each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_prep.gait_normalise import facing
from data_prep.skeleton import JOINTS
from tff_affect.errors import InputError

DURATIONS = (0.5, 2.5)
"""Seconds that a cycle may take."""
MOST_TURN = np.radians(30)
_ANKLE = JOINTS.index("RAnkle")
_APART = 0.5
_LEAST_LIFT = 0.03
_SMOOTH = 0.03
# How far a maximum stands out, as a part of the range of heights.
_PROMINENCE = 0.4
_UNLIKE = 1.5


@dataclass(frozen=True)
class FoundCycles:
    """The gait cycles of a recording.

    Attributes:
        spans: ``[cycle, 2]`` where each begins and ends, in frames, fractions included.
        left_out: Why others were not taken -> how many.
    """

    spans: np.ndarray
    left_out: dict[str, int]


def find_cycles(joints: np.ndarray, frame_rate: float) -> FoundCycles:
    """Finds the gait cycles of a recording.

    Left out are cycles that are shorter or longer than `DURATIONS`, that take 1.5 times or two thirds of the
    recording's median, or in which the body turns by more than `MOST_TURN`.

    Args:
        joints: ``[time, joint, 3]`` metres, z up, no NaN.
        frame_rate: Frames per second.

    Raises:
        InputError: If there is no complete cycle, or none is left.
    """
    cuts = _stances(joints[:, _ANKLE, 2], frame_rate)
    spans = np.stack([cuts[:-1], cuts[1:]], axis=1)
    seconds = np.diff(spans, axis=1)[:, 0] / frame_rate
    middle = np.median(seconds) if len(seconds) else 0.0
    left_out: dict[str, int] = {}
    kept = []
    for span, duration in zip(spans, seconds, strict=True):
        why = _why_not(joints, span, duration, middle)
        if why:
            left_out[why] = left_out.get(why, 0) + 1
        else:
            kept.append(span)
    if not kept:
        found = ", ".join(f"{count} {why}" for why, count in left_out.items()) or "none"
        length = len(joints) / frame_rate
        raise InputError(f"expected a complete gait cycle within {length:.1f} s of walking, found {found}")
    return FoundCycles(np.array(kept), left_out)


def resample(joints: np.ndarray, spans: np.ndarray, samples: int) -> np.ndarray:
    """Cycles with the same number of samples, by cubic splines: sample k is k / samples of the way.

    Args:
        joints: ``[time, joint, 3]``, no NaN.
        spans: ``[cycle, 2]`` of `find_cycles`.
        samples: How many samples a cycle gets; its end, which is the next one's beginning, is not among them.

    Returns:
        ``[cycle, samples, joint, 3]``.
    """
    from scipy.interpolate import CubicSpline

    phases = np.arange(samples) / samples
    times = spans[:, :1] + (spans[:, 1:] - spans[:, :1]) * phases
    return CubicSpline(np.arange(len(joints)), joints)(times)


def _stances(height: np.ndarray, frame_rate: float) -> np.ndarray:
    """Midway between the ankle's maxima, in frames."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    height = gaussian_filter1d(height, _SMOOTH * frame_rate)
    reach = np.ptp(height)
    if reach < _LEAST_LIFT:
        return np.empty(0)
    peaks, _ = find_peaks(height, distance=max(1.0, _APART * frame_rate), prominence=_PROMINENCE * reach)
    if not len(peaks):
        return np.empty(0)
    # The top of the parabola through a maximum and its neighbours, which a plateau has not.
    before, top, after = (height[peaks + step] for step in (-1, 0, 1))
    curve = before - 2 * top + after
    tops = peaks + np.divide(0.5 * (before - after), curve, out=np.zeros_like(curve), where=curve < 0)
    return (tops[:-1] + tops[1:]) / 2


def _why_not(joints: np.ndarray, span: np.ndarray, seconds: float, middle: float) -> str:
    if not DURATIONS[0] <= seconds <= DURATIONS[1]:
        return f"not of {DURATIONS[0]} to {DURATIONS[1]} s"
    if not middle / _UNLIKE <= seconds <= middle * _UNLIKE:
        return "much shorter or longer than the others"
    # At the same phase the hips stand alike, so that the angle between them is of the way.
    ends = [facing(joints[round(frame) : round(frame) + 1]) for frame in span]
    turn = np.angle(np.exp(1j * (ends[1] - ends[0])))
    return "in which the body turns" if abs(turn) > MOST_TURN else ""
