"""How wrong a drawn gait is, in parts of what drawing the mean gait would cost."""

from __future__ import annotations

import numpy as np

from tff_affect.gait.layers import LEAST_DEVIATION

DURATION = 0.1
"""What the duration of a cycle counts, beside all places together."""


def error_weights(variance: np.ndarray) -> np.ndarray:
    """By which squared errors of series are multiplied, so that their mean is in parts of the mean gait's.

    Args:
        variance: ``[joint x 3 + 1]`` of training people's series about their mean gait, as `GaitSet.series`.

    Returns:
        ``[joint x 3 + 1]`` float32.
    """
    channels = len(variance)
    weights = np.full(channels, channels / (channels - 1) / variance[:-1].mean())
    weights[-1] = DURATION * channels / max(variance[-1], LEAST_DEVIATION**2)
    return weights.astype(np.float32)
