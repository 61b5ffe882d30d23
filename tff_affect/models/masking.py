"""The input layer that turns missing frames into a Keras mask."""

from __future__ import annotations

import tensorflow as tf


@tf.keras.utils.register_keras_serializable("tff_affect")
class MissingFrames(tf.keras.layers.Layer):
    """Masks frames in which any feature is NaN, for every layer above.

    Recurrent layers carry their state over a masked frame. The zeros put in place of NaN are never seen by them; they
    only keep arithmetic finite.

    Input and output: ``[batch, time, feature]``; mask: ``[batch, time]``, True where the frame is there.
    """

    def compute_mask(self, inputs: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """True where every feature of a frame is there."""
        return tf.reduce_all(tf.math.is_finite(inputs), axis=-1)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The inputs with zeros for NaN."""
        # Not a selection: that takes several times as long.
        return tf.math.multiply_no_nan(inputs, tf.cast(tf.math.is_finite(inputs), inputs.dtype))
