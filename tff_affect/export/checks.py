"""What is measured of an exported model before it is handed over: that it is the trained network, and its speed."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from tff_affect.client_data import WindowShape
from tff_affect.cohort_types import FEATURE_SCALES
from tff_affect.errors import RunError
from tff_affect.export.formats import Apply

TOLERANCE = 1e-5
"""Largest difference of a prediction; relative to the largest prediction where that is above 1."""
_PURPOSE = 0x70617269
_WINDOWS = 8
_WARM_UP, _REPEATS = 3, 25


def probe_windows(shape: WindowShape, scale: str, standardised: bool) -> np.ndarray:
    """Windows to compare on, ``[8, window, feature]``, with gaps, ends and single numbers missing as in recordings.

    Args:
        shape: Of one window.
        scale: Key of ``FEATURE_SCALES``.
        standardised: Whether the model reads standardised features.
    """
    rng = np.random.default_rng([0, _PURPOSE])
    size = (_WINDOWS, shape.window, shape.features)
    low, high = FEATURE_SCALES[scale]
    plain = standardised or high > FEATURE_SCALES["0-5"][1]
    windows = (rng.standard_normal(size) if plain else rng.uniform(max(low, 0.0), high, size)).astype(np.float32)
    third = max(1, shape.window // 3)
    windows[1, third : 2 * third] = np.nan
    windows[2, :third] = np.nan
    windows[3, -third:] = np.nan
    windows[4, rng.random(shape.window) < 0.3, 0] = np.nan
    windows[5, 1:] = np.nan
    windows[6] = np.nan
    return windows


def largest_difference(apply: Apply, trained: Any, windows: np.ndarray, what: str) -> dict[str, Any]:
    """Compares an exported model with the trained Keras network.

    Args:
        apply: The exported model.
        trained: The network.
        windows: ``[n, window, feature]``.
        what: Format, for a message.

    Raises:
        RunError: If they differ by more than ``TOLERANCE``.
    """
    expected, found = np.asarray(trained(windows, training=False)), apply(windows)
    same = found.shape == expected.shape
    difference = float(np.abs(found - expected).max()) if same else np.inf
    allowed = TOLERANCE * max(1.0, float(np.abs(expected).max()))
    if not difference <= allowed:
        raise RunError(
            f"export: expected the {what} model to predict what the trained network does to {allowed:.1g}, found a "
            f"difference of {difference:g}; nothing was exported"
        )
    frames = int(np.isnan(windows).any(axis=2).sum())
    return {
        "largest_difference": difference, "allowed": allowed, "windows": len(windows), "frames_with_missing": frames,
    }  # fmt: skip


def measured_latency(apply: Apply, windows: np.ndarray, frame_rate: float, time_unit: str) -> dict[str, Any]:
    """Median time of one window, and of a second (or step) of signal, on the machine that exports.

    Args:
        apply: The exported model.
        windows: ``[n, window, feature]``; the first is used.
        frame_rate: Frames per time unit.
        time_unit: ``second`` or ``step``.
    """
    window = windows[:1]
    taken = []
    for number in range(_WARM_UP + _REPEATS):
        begin = time.perf_counter()
        apply(window)
        if number >= _WARM_UP:
            taken.append(time.perf_counter() - begin)
    median = float(np.median(taken))
    return {
        "milliseconds_per_window": round(1e3 * median, 4),
        f"milliseconds_per_{time_unit}_of_signal": round(1e3 * median * frame_rate / window.shape[1], 5),
        "repeats": _REPEATS,
        "cores": os.cpu_count(),
        "where": "one window at a time, on the machine that exported",
    }
