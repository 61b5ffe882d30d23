"""Differentially private stochastic gradient descent over windows (Abadi et al. 2016), in graphs.

The gradient of each window is clipped to a norm, the clipped ones are summed, Gaussian noise is added to the sum, and
it is divided by the expected batch size, a constant: the number of windows that joined is as private as they are. The
protected unit is one window, added or removed; how many windows there are in all is taken to be public.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from tff_affect.privacy.clipping import MARGIN
from tff_affect.privacy.noise import add_gaussian


class PoissonBatch(NamedTuple):
    """A batch that each window joined by itself.

    Attributes:
        index: Places of the windows, ascending; where none joined, that of the first window stands in.
        present: ``[batch]`` bool: False for the stand-in, which must not count.
    """

    index: tf.Tensor
    present: tf.Tensor


def sampling_rate(windows: tf.Tensor, batch_size: int) -> tf.Tensor:
    """Probability, float64, with which each of so many windows joins a batch; 1 where they are no more than a batch."""
    return tf.minimum(tf.constant(1, tf.float64), batch_size / tf.cast(tf.maximum(windows, 1), tf.float64))


def poisson_batch(windows: tf.Tensor, rate: tf.Tensor, seed: tf.Tensor) -> PoissonBatch:
    """Draws a batch of any size, from none to all of the windows; nothing is cut off.

    Args:
        windows: How many there are, at least one.
        rate: Probability of each, float64; in float32 small ones would be off.
        seed: Two int64 numbers.
    """
    joined = tf.random.stateless_uniform(windows[tf.newaxis], seed, dtype=tf.float64) < rate
    index = tf.where(joined)[:, 0]
    size = tf.size(index)
    index = tf.pad(index, [[0, tf.maximum(0, 1 - size)]])
    return PoissonBatch(index, tf.range(tf.size(index)) < size)


def clip_windows(gradients: Sequence[tf.Tensor], present: tf.Tensor, clipping_norm: float) -> list[tf.Tensor]:
    """Clips the gradient of each window, over all tensors, to an L2 norm that no gradient can exceed.

    As `clip_record`, for a batch of records: in float64, where squares of float32 numbers do not overflow; a gradient
    that is not finite becomes zero.

    Args:
        gradients: ``[batch, ...]`` each, float32.
        present: ``[batch]`` bool; the gradient of a window that is not present becomes zero.
        clipping_norm: ``inf`` does not clip.

    Returns:
        The clipped gradients, ``[batch, ...]`` each, float64.
    """
    wide = [tf.cast(g, tf.float64) for g in gradients]
    squares = tf.add_n([tf.reduce_sum(tf.square(w), axis=range(1, w.shape.rank)) for w in wide])
    scale = tf.minimum(tf.constant(1, tf.float64), clipping_norm * (1 - MARGIN) / tf.sqrt(squares))
    scale = tf.where(present & tf.math.is_finite(squares), scale, tf.zeros_like(scale))
    # Zero times anything, also times what is not finite, is zero.
    return [tf.math.multiply_no_nan(w, tf.reshape(scale, [-1] + [1] * (w.shape.rank - 1))) for w in wide]


def private_gradient(
    window_gradients: Sequence[tf.Tensor],
    present: tf.Tensor,
    clipping_norm: float,
    noise_multiplier: float,
    expected_batch: tf.Tensor | float,
    seed: tf.Tensor,
) -> list[tf.Tensor]:
    """What a step may know of a batch.

    With noise 0 and an infinite norm it is the sum of the gradients over the expected batch size: the mean, where
    every window joins.

    Args:
        window_gradients: ``[batch, ...]`` each, float32.
        present: ``[batch]`` bool, False for a window that does not count.
        clipping_norm: Largest norm of a window's gradient over all tensors.
        noise_multiplier: Standard deviation of the noise of the sum, as a multiple of the norm.
        expected_batch: Sampling rate times windows; not the size of this batch.
        seed: Of the noise: `fresh_seed`, or `seed_of` in simulations.

    Returns:
        Gradients ``[...]``, float32, in the order of ``window_gradients``.
    """
    total = [tf.reduce_sum(c, axis=0) for c in clip_windows(window_gradients, present, clipping_norm)]
    if noise_multiplier:
        total = add_gaussian(total, tf.constant(noise_multiplier * clipping_norm, tf.float64), seed)
    return [tf.cast(t / tf.cast(expected_batch, tf.float64), tf.float32) for t in total]
