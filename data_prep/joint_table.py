"""Points over time as a CSV: a column ``time`` in seconds, and ``<point>_x``, ``<point>_y``, ``<point>_z`` of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data_prep.files.delimited import DelimitedTable, read_delimited
from data_prep.point_motion import MOST_FRAMES, PointMotion, check_frame_rate
from tff_affect.errors import InputError

TIME = "time"
_AXES = ("x", "y", "z")
# How far a time may be off its place in the grid of frames, as a part of a frame; how many frames may be missing; and
# which part of the steps at least is of one frame.
_OFF, _MISSING, _SHORT = 0.3, 0.9, 0.2


def read_joint_table(file: Path) -> PointMotion:
    """Reads a table of points.

    Times are evenly spaced; where rows are missing, their frames are NaN. An empty cell is NaN. The unit is not said.

    Raises:
        InputError: If the file is no table, a point lacks an axis, a cell is no number, or the times are missing, not
            rising or not evenly spaced.
    """
    table = read_delimited(file)
    names = _points(table)
    frames, rate = _grid(table)
    positions = np.full((frames[-1] + 1, len(names), 3), np.nan)
    for point, name in enumerate(names):
        for axis, letter in enumerate(_AXES):
            positions[frames, point, axis] = table.numbers(f"{name}_{letter}")
    return PointMotion(names, positions, rate)


def _points(table: DelimitedTable) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name[:-2] for name in table.columns if name[-2:] in ("_x", "_y", "_z")))
    columns = {f"{name}_{letter}" for name in names for letter in _AXES}
    lacking = sorted(columns.difference(table.columns))
    unknown = sorted(set(table.columns) - columns - {TIME})
    if not names or lacking or unknown:
        wrong = f"{lacking[0]!r} is missing" if lacking else f"found {unknown[0]!r} too" if unknown else "found none"
        reason = f"expected the columns {TIME} and <point>_x, <point>_y, <point>_z of each point; {wrong}"
        raise InputError(reason, file=table.file, line=1)
    return names


def _grid(table: DelimitedTable) -> tuple[np.ndarray, float]:
    """Number of each row's frame, and frames per second."""
    times = table.numbers(TIME)
    if len(times) < 2:
        raise InputError(f"expected at least two rows, found {len(times)}", file=table.file)
    steps = np.diff(times)
    wrong = np.flatnonzero(~(steps > 0))
    if len(wrong):
        row = int(wrong[0]) + 1
        raise InputError("expected a time later than the row before", file=table.file, line=table.lines[row])
    # Rows may be missing, and times are rounded: the mean of the steps of about one frame.
    step = float(steps[steps <= 1.5 * np.quantile(steps, _SHORT)].mean())
    # Each step apart, so that a rounded rate does not add up over a long recording.
    frames = np.concatenate([[0], np.cumsum(np.maximum(np.rint(steps / step), 1))])
    off = np.abs(steps / step - np.diff(frames))
    if (off > _OFF).any():
        row = int(np.argmax(off > _OFF)) + 1
        reason = f"expected times {step:.4g} s apart, found a step of {steps[row - 1]:.4g} s; resample the table"
        raise InputError(reason, file=table.file, line=table.lines[row])
    if frames[-1] >= MOST_FRAMES or len(times) < (1 - _MISSING) * frames[-1]:
        reason = f"expected rows for most frames, found {len(times)} for {frames[-1] + 1:.0f} frames"
        raise InputError(f"{reason} of {step:.4g} s", file=table.file, line=table.lines[int(np.argmax(steps)) + 1])
    return frames.astype(int), check_frame_rate(float(frames[-1] / (times[-1] - times[0])), table.file)
