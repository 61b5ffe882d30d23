"""A recording as windows to be recognised by: a first part to learn from and a last part to name.

A window is a mean, a deviation and two percentiles of each feature, over its tracked frames; those with too few are
left out. What lies between the parts is used for neither, so that no window to name has a known one for a neighbour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tff_affect.cohort import SubjectTable

AS_THEY_ARE, STANDARDISED = "as they are", "standardised per subject"
VIEWS = (AS_THEY_ARE, STANDARDISED)
LEAST_TRACKED = 0.5
_PERCENTILES = (10.0, 90.0)


@dataclass(frozen=True)
class Recording:
    """One subject's windows: view -> ``[windows, statistics]``.

    Attributes:
        train: Of the first 60 % of the recording.
        test: Of the last 30 %.
    """

    train: Mapping[str, np.ndarray]
    test: Mapping[str, np.ndarray]


def cut_recording(table: SubjectTable, frame_rate: float, frames: int, time_unit: str = "second") -> Recording:
    """Cuts a recording into windows that do not overlap, and these into a first and a last part.

    Args:
        table: The subject.
        frame_rate: Frames per time unit.
        frames: Frames of a window; of a single frame the features are taken as they are.
        time_unit: ``second``, where windows are cut by time, or ``step``, where steps are counted.
    """
    position = _positions(table, frame_rate / frames, time_unit)
    seen, count = table.trusted, int(position[-1]) + 1
    values = table.features.astype(np.float64)
    groups = np.split(np.arange(len(values)), np.flatnonzero(np.diff(position)) + 1)
    windows = {int(position[rows[0]]): values[rows[seen[rows]]] for rows in groups}
    kept = {number: found for number, found in windows.items() if len(found) >= LEAST_TRACKED * frames}
    scale = _subject_scale(values[seen])
    summary = _statistics if frames > 1 else _mean
    views = {
        number: {AS_THEY_ARE: summary(found), STANDARDISED: summary((found - scale[0]) / scale[1])}
        for number, found in kept.items()
    }
    # Whole numbers, so that at least one window always lies between the parts.
    parts = (range(6 * count // 10), range(count - 3 * count // 10, count))
    train, test = (_stacked([views[n] for n in part if n in views]) for part in parts)
    return Recording(train, test)


def _positions(table: SubjectTable, windows_per_unit: float, time_unit: str) -> np.ndarray:
    """``[frames]`` the window of each frame, by time, so that missing rows move no window; steps are counted."""
    if time_unit == "step":
        return np.arange(table.frames)
    return np.floor((table.time - table.time[0]) * windows_per_unit + 1e-6).astype(int)


def _subject_scale(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of the whole recording, as training with scaling per subject takes them."""
    if not len(values):
        return np.zeros(values.shape[1]), np.ones(values.shape[1])
    deviation = values.std(axis=0)
    return values.mean(axis=0), np.where(deviation > 1e-8, deviation, 1.0)


def _mean(window: np.ndarray) -> np.ndarray:
    return np.asarray(window.mean(axis=0))


def _statistics(window: np.ndarray) -> np.ndarray:
    """Mean, deviation, 10th and 90th percentile of each feature of ``[frames, features]``."""
    return np.concatenate([window.mean(axis=0), window.std(axis=0), *np.percentile(window, _PERCENTILES, axis=0)])


def _stacked(windows: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {view: np.array([window[view] for window in windows]) for view in VIEWS}
