"""What turns hidden states into predictions: one for every frame, or one for a whole window."""

from __future__ import annotations

import tensorflow as tf

from tff_affect.client_data import WindowShape

HEAD = ("window_mean", "affect")
"""Names of the layers of a head, of which the first reads hidden states."""


@tf.keras.utils.register_keras_serializable("tff_affect")
class MaskedMean(tf.keras.layers.Layer):
    """Mean over a window's valid frames; zeros for a window without any.

    Input: ``[batch, time, units]`` with a mask ``[batch, time]``, or without: then every frame counts. Output:
    ``[batch, 1, units]``, without a mask.
    """

    def call(self, inputs: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """The mean along time."""
        if mask is None:
            return tf.reduce_mean(inputs, axis=1, keepdims=True)
        valid = mask[:, :, tf.newaxis]
        total = tf.reduce_sum(tf.where(valid, inputs, tf.zeros_like(inputs)), axis=1, keepdims=True)
        return tf.math.divide_no_nan(total, tf.reduce_sum(tf.cast(valid, inputs.dtype), axis=1, keepdims=True))

    def compute_mask(self, inputs: tf.Tensor, mask: tf.Tensor | None = None) -> None:
        """None: what comes out is no longer a frame."""


@tf.keras.utils.register_keras_serializable("tff_affect")
class AffectDense(tf.keras.layers.Dense):
    """`tf.keras.layers.Dense` without activation, over ``[batch, time, units]``.

    Its weights may have the batch in front, a copy for each window: each window then has its own.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """``[batch, time, labels]``."""
        if self.kernel.shape.rank == 2:
            return super().call(inputs)
        return tf.matmul(inputs, self.kernel) + self.bias[:, tf.newaxis]


def affect_head(hidden: tf.Tensor, shape: WindowShape) -> tf.Tensor:
    """One dense layer for all label dimensions jointly, as in Mase et al. 2021.

    Args:
        hidden: Hidden states, ``[batch, window, units]``.
        shape: Of one window. Target ``frame`` reads each frame's state; ``window`` reads their mean over the window's
            valid frames.

    Returns:
        Predictions, ``[batch, window, labels]`` or ``[batch, 1, labels]``.
    """
    if shape.target == "window":
        hidden = MaskedMean(name=HEAD[0])(hidden)
    return AffectDense(shape.labels, name=HEAD[1])(hidden)
