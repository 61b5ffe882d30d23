"""Clipping that holds whatever a client sends.

A guarantee of differential privacy rests on the sensitivity of a sum: the most that one client can move it. The usual
``min(1, C / norm)`` in float32 does not bound it: the squares of large values overflow, and one infinite or NaN element
makes the whole sum NaN. Here norms and clipped records are float64, and a record that is not finite counts as zeros.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

# What rounding may add to norms and to sums of a billion clients stays far below this share of the clipping norm.
MARGIN = 1e-6


def clip_record(record: Sequence[tf.Tensor], norm: tf.Tensor | float) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Scales a client's record to an L2 norm of at most ``norm * (1 - MARGIN)`` over all its tensors.

    Sums of the results stay in float64, so that one client more moves a sum of any cohort by at most ``norm``.

    Args:
        record: Float32 tensors of any shape.
        norm: Clipping norm, above 0; infinity does not clip.

    Returns:
        The clipped tensors in float64, and the norm of the record before. Of a record with an element that is not
        finite both are zero: such a client is as good as absent.
    """
    finite = tf.reduce_all(tf.stack([tf.reduce_all(tf.math.is_finite(part)) for part in record]))
    parts = [tf.where(finite, tf.cast(part, tf.float64), tf.zeros([], tf.float64)) for part in record]
    # A Python number goes straight to float64: tf.cast would take it through float32.
    limit = tf.constant(norm, tf.float64) if isinstance(norm, float) else tf.cast(norm, tf.float64)
    length = tf.linalg.global_norm(parts)
    scale = tf.minimum(limit * (1 - MARGIN) / length, 1.0)
    return [scale * part for part in parts], length
