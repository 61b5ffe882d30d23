"""What linear regression reads: moments of the window's features, with no weights and nothing to learn."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.models.masking import MissingFrames

# A smaller variance is rounding: standardised features have variance 1.
_LEAST_VARIANCE = 1e-12


@tf.keras.utils.register_keras_serializable("tff_affect")
class WindowStatistics(tf.keras.layers.Layer):
    """Means and population standard deviations over valid frames; both zero where there is none yet.

    Input: ``[batch, time, feature]`` with a mask ``[batch, time]``, or without: then every frame counts.

    Output for target ``window``: mean and deviation of each feature over the window, ``[batch, 1, 2 features]``,
    without a mask. For ``frame``: each frame's own features, and mean and deviation of the frames from the window's
    start to this one, ``[batch, time, 3 features]``: causal, and with the input's mask.

    Args:
        target: ``frame`` or ``window``.
        **arguments: Of ``tf.keras.layers.Layer``.
    """

    def __init__(self, target: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.target = target
        self.supports_masking = True

    def compute_mask(self, inputs: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor | None:
        """The input's mask where frames stay frames."""
        return mask if self.target == "frame" else None

    def call(self, inputs: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """The statistics, computed in float64."""
        valid = tf.ones_like(inputs[..., :1], tf.bool) if mask is None else mask[:, :, tf.newaxis]
        values = tf.where(valid, tf.cast(inputs, tf.float64), 0)
        sums = [tf.cast(valid, tf.float64), values, tf.square(values)]
        if self.target == "frame":
            mean, deviation = _moments(*(tf.cumsum(part, axis=1) for part in sums))
            parts = [values, mean, deviation]
        else:
            parts = list(_moments(*(tf.reduce_sum(part, axis=1, keepdims=True) for part in sums)))
        return tf.cast(tf.concat(parts, axis=-1), inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """The layer's arguments, for saving."""
        return {**super().get_config(), "target": self.target}


def _moments(n: tf.Tensor, first: tf.Tensor, second: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and population deviation from sums; the deviation's gradient is finite where it is zero."""
    mean = tf.math.divide_no_nan(first, n)
    variance = tf.math.divide_no_nan(second, n) - tf.square(mean)
    varies = variance > _LEAST_VARIANCE
    return mean, tf.where(varies, tf.sqrt(tf.where(varies, variance, 1)), 0)


def design(features: tf.Tensor, target: str) -> tf.Tensor:
    """The regressors that the ``ridge`` model makes of windows.

    Args:
        features: ``[batch, time, feature]``, NaN = missing; usable in a graph.
        target: ``frame`` or ``window``.

    Returns:
        ``[batch, targets, regressors]``.
    """
    missing = MissingFrames()
    return WindowStatistics(target)(missing(features), mask=missing.compute_mask(features))


def build_ridge(hidden: tf.Tensor, config: ModelConfig, shape: WindowShape) -> tf.Tensor:
    """Linear regression on `WindowStatistics`; to ``[batch, targets, labels]``.

    The weights come from ``tff_affect.learning.ridge``, in closed form.
    """
    hidden = WindowStatistics(shape.target, name="window_statistics")(hidden)
    return tf.keras.layers.Dense(shape.labels, name="affect")(hidden)
