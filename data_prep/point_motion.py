"""The movement of named points, as a motion-capture file gives it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tff_affect.errors import InputError

FRAME_RATES = (5.0, 1000.0)
MOST_FRAMES = 1_000_000


@dataclass(frozen=True, eq=False)
class PointMotion:
    """Places of several points over time, in the unit and the axes of their file.

    Attributes:
        names: Of the points.
        positions: ``[time, point, 3]`` float64; NaN where a point was not seen.
        frame_rate: Frames per second.
        metres: How many metres the file's unit is; None: the file does not say.
    """

    names: tuple[str, ...]
    positions: np.ndarray
    frame_rate: float
    metres: float | None = None


def check_frame_rate(frame_rate: float, file: object, line: int | None = None) -> float:
    """The frame rate, frames per second.

    Raises:
        InputError: If no camera has it.
    """
    low, high = FRAME_RATES
    if not low <= frame_rate <= high:
        reason = f"expected {low:g} to {high:g} frames a second, found {frame_rate:g}"
        raise InputError(reason, file=file, line=line)
    return frame_rate


def check_duplicates(names: tuple[str, ...], what: str, file: object) -> None:
    """Raises `InputError` if two points have one name."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{what} {twice[0]!r} is there twice; give each its own name", file=file)
