"""Tables with a clock: labels and features of corpora, delimited or ARFF, brought together by time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.files.arff_tables import Table
from data_prep.files.resample import to_times
from tff_affect.errors import InputError

_IN_SECONDS, _IN_MILLISECONDS = "time in seconds", "time in milliseconds"
CLOCKS = ("frametime", "timestamp", "time", _IN_SECONDS, _IN_MILLISECONDS)
# What corpora and tools write beside the numbers; none of it is a feature or a rating.
_METADATA = frozenset({*CLOCKS, "name", "instance_name", "class", "segment_id", "subject", "frame"})
_SECONDS_UP_TO, _MILLISECONDS_FROM = 1.0, 10.0
_DAY = 86_400.0
_SHORTEST_STEP = 1e-6
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


@dataclass(frozen=True)
class Clock:
    """A table's clock.

    Attributes:
        column: What the column is called.
        seconds: ``[rows]`` float64.
        in_milliseconds: Whether the column was taken for milliseconds.
    """

    column: str
    seconds: np.ndarray
    in_milliseconds: bool

    @property
    def rate(self) -> float:
        """Rows per second, from the median step, rounded to six digits."""
        return round(1.0 / float(np.median(np.diff(self.seconds))), 6)


def seconds(table: Table, subject: str) -> np.ndarray:
    """The seconds of the table's `clock`, ``[rows]`` float64; raises as that does."""
    return clock(table, subject).seconds


def clock(table: Table, subject: str) -> Clock:
    """The table's clock.

    ``time in seconds`` and ``time in milliseconds`` say their unit. Any other clock is in seconds where its median step
    is up to 1. It is in milliseconds where its times are whole numbers, its median step is 10 or more, and either the
    recording, read as seconds, would last longer than a day, or it is MuSe's clock (``timestamp`` beside
    ``segment_id``). The rest is in doubt.

    Raises:
        InputError: If there is no clock, it does not increase, its unit is in doubt, or its median step is not between
            a microsecond and a day.
    """
    column, time = _increasing(table, subject)
    in_milliseconds = _in_milliseconds(column, time, table, subject)
    found = time / 1000.0 if in_milliseconds else time
    step = float(np.median(np.diff(found)))
    if not _SHORTEST_STEP <= step <= _DAY:
        reason = f"column {column!r}: expected times between a microsecond and a day apart, found {step:g} s"
        raise InputError(reason, file=table.file, subject=subject)
    return Clock(column, found, in_milliseconds)


def _increasing(table: Table, subject: str) -> tuple[str, np.ndarray]:
    """Name and ``[rows]`` numbers of the only clock."""
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
    return column, time


def _in_milliseconds(column: str, time: np.ndarray, table: Table, subject: str) -> bool:
    step, name = float(np.median(np.diff(time))), column.lower()
    if name in (_IN_SECONDS, _IN_MILLISECONDS) or step <= _SECONDS_UP_TO:
        return name == _IN_MILLISECONDS
    of_muse = name == "timestamp" and "segment_id" in (other.lower() for other in table.columns)
    too_long = float(time[-1] - time[0]) > _DAY
    if step >= _MILLISECONDS_FROM and (of_muse or too_long) and bool((time == np.round(time)).all()):
        return True
    doubt = "seconds or milliseconds?"
    if step < _MILLISECONDS_FROM:
        doubt = "too slow for seconds and too fast for milliseconds"
    reason = f"column {column!r} steps by {step:g}: {doubt}; call it {_IN_SECONDS!r} or {_IN_MILLISECONDS!r}"
    raise InputError(reason, file=table.file, subject=subject)


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


def tracking_columns(columns: Iterable[str]) -> dict[str, str]:
    """``success`` and ``confidence``, where there are such columns -> their spelling."""
    return {name.lower(): name for name in columns if name.lower() in ("success", "confidence")}


def failed_rows(table: Table, features: Sequence[str]) -> tuple[np.ndarray, dict[str, int]]:
    """Where a tracker failed: ``success`` is not 1, or ``confidence`` not within 0-1.

    Returns:
        ``[rows]`` bool, and counts for the subject's quality: of those, or, where the table does not say, of rows in
        which all features are exactly 0.
    """
    tracking = tracking_columns(table.columns)
    if not tracking:
        zeros = (stacked(table, features, "") == 0).all(axis=1)
        return np.zeros(len(zeros), dtype=bool), {"frames_of_zeros": int(zeros.sum())}
    confidence = table.numbers(tracking["confidence"]) if "confidence" in tracking else np.ones(len(table.lines))
    with np.errstate(invalid="ignore"):
        out_of_range = (confidence < 0) | (confidence > 1)
    failed = out_of_range | ~np.isfinite(confidence)
    if "success" in tracking:
        failed |= table.numbers(tracking["success"]) != 1
    return failed, {"failed_frames": int(failed.sum()), "confidence_out_of_range": int(out_of_range.sum())}


def features_at(
    table: Table, names: Sequence[str], times: np.ndarray, subject: str, failed: np.ndarray | None = None
) -> np.ndarray:
    """A table's features at the labels' times, by time and never by row.

    Args:
        table: The subject's feature file.
        names: Its columns to take.
        times: ``[targets]`` seconds.
        subject: The subject.
        failed: ``[rows]`` bool: rows that are missing, whatever stands in them; None: none.

    Returns:
        ``[targets, names]`` float32, NaN where there is no feature row.

    Raises:
        InputError: If a column is missing, the clock is wrong, or most targets lie outside the recording.
    """
    own, values = seconds(table, subject), stacked(table, names, subject)
    if failed is not None:
        values[failed] = np.nan
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
