"""Tables with a clock: labels and features of corpora, delimited or ARFF, brought together by time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_prep.files.arff_tables import Table
from data_prep.files.resample import to_times
from tff_affect.errors import InputError

_IN_SECONDS = "time in seconds"
CLOCKS = ("frametime", "timestamp", "time", _IN_SECONDS)
# What corpora and tools write beside the numbers; none of it is a feature or a rating.
_METADATA = frozenset({*CLOCKS, "name", "instance_name", "class", "segment_id", "subject", "frame"})
_SECONDS_UP_TO, _MILLISECONDS_FROM = 1.0, 10.0
_LEAST_OVERLAP = 0.5
_TIME_TOLERANCE = 1e-3


def value_columns(table: Table) -> tuple[str, ...]:
    """The columns that hold numbers: all but names, classes, segments, frame numbers and times.

    Raises:
        InputError: If there is none.
    """
    names = tuple(name for name in table.columns if name and name.lower() not in _METADATA)
    if not names:
        found = ", ".join(table.columns[:8])
        reason = f"expected columns of values beside names and times, found {found}"
        raise InputError(reason, file=table.file, line=1)
    return names


def stacked(table: Table, names: Sequence[str], subject: str) -> np.ndarray:
    """``[rows, names]`` float64.

    Raises:
        InputError: If a column is missing or holds anything but numbers.
    """
    missing = [name for name in names if name not in table.columns]
    if missing:
        reason = f"the column {missing[0]!r}, which the first subject has, is missing"
        raise InputError(reason, file=table.file, subject=subject)
    return np.stack([table.numbers(name) for name in names], axis=1)


def seconds(table: Table, subject: str) -> np.ndarray:
    """The table's clock, ``[rows]`` float64 seconds; whole recordings in milliseconds are known by their median step.

    Raises:
        InputError: If there is no clock, it does not increase, or its unit is in doubt.
    """
    clocks = [name for name in table.columns if name.lower() in CLOCKS]
    if len(clocks) != 1:
        found = f"found {len(clocks)} among {', '.join(table.columns[:8])}"
        reason = f"expected one column of times ({', '.join(CLOCKS)}), {found}"
        raise InputError(reason, file=table.file, line=1, subject=subject)
    column = clocks[0]
    time = table.numbers(column)
    if len(time) < 2:
        raise InputError("expected at least two rows", file=table.file, subject=subject)
    wrong = np.flatnonzero(~np.isfinite(time) | np.concatenate([[False], np.diff(time) <= 0]))
    if len(wrong):
        row = int(wrong[0])
        reason = f"column {column!r}: expected times that increase, found {time[row]:g}"
        raise InputError(reason, file=table.file, line=table.lines[row], subject=subject)
    step = float(np.median(np.diff(time)))
    if column.lower() == _IN_SECONDS:
        return time
    if _SECONDS_UP_TO < step < _MILLISECONDS_FROM:
        reason = f"column {column!r} steps by {step:g}: too slow for seconds and too fast for milliseconds"
        raise InputError(f"{reason}; call the column {_IN_SECONDS!r} if it is", file=table.file, subject=subject)
    return time / 1000.0 if step >= _MILLISECONDS_FROM else time


def joined_labels(
    columns: Mapping[str, tuple[np.ndarray, np.ndarray]], files: Mapping[str, Path], subject: str
) -> tuple[np.ndarray, np.ndarray]:
    """Puts the dimensions of one subject side by side.

    Args:
        columns: Dimension -> (``[frames]`` seconds, ``[frames]`` values).
        files: Dimension -> file, for messages.
        subject: The subject.

    Returns:
        ``[frames]`` float64 seconds and ``[frames, dimensions]`` float32.

    Raises:
        InputError: If the dimensions have different times.
    """
    first = next(iter(columns))
    time = columns[first][0]
    for dimension, (other, _) in columns.items():
        if len(other) != len(time) or not np.allclose(other, time, rtol=0, atol=_TIME_TOLERANCE):
            reason = f"{first} ({len(time)} rows) and {dimension} ({len(other)} rows) have different times"
            raise InputError(reason, file=files[dimension], subject=subject)
    return time, np.stack([values for _, values in columns.values()], axis=1).astype(np.float32)


def features_at(table: Table, names: Sequence[str], times: np.ndarray, subject: str) -> np.ndarray:
    """A table's features at the labels' times, by time and never by row.

    Args:
        table: The subject's feature file.
        names: Its columns to take.
        times: ``[targets]`` seconds.
        subject: The subject.

    Returns:
        ``[targets, names]`` float32, NaN where there is no feature row.

    Raises:
        InputError: If a column is missing, the clock is wrong, or most targets lie outside the recording.
    """
    own, values = seconds(table, subject), stacked(table, names, subject)
    step = float(np.median(np.diff(own)))
    share = float(((times >= own[0] - step) & (times <= own[-1] + step)).mean())
    if share < _LEAST_OVERLAP:
        reason = (
            f"only {100 * share:.0f} % of the label times ({times[0]:g} to {times[-1]:g} s) lie inside the recording "
            f"({own[0]:g} to {own[-1]:g} s); correct the times, in seconds"
        )
        raise InputError(reason, file=table.file, subject=subject)
    with np.errstate(over="ignore"):
        return np.asarray(to_times(values, own, times)).astype(np.float32)
