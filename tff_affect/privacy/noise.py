"""Gaussian noise with seeds of its own, for graphs.

TensorFlow's stateful generators take seeds from the graph that they stand in, and a graph may have been given one by
``tf.random.set_seed``; noise that is the same in every run protects nothing. Here each draw has a seed of 128 bits from
two sources: the operating system, when the graph is built, and TensorFlow's own generator, when the graph is computed.
The second alone would not do: a process seeds it once, with 32 bits, and these can be searched. The first alone would
not do either: it is a constant of the graph, and a draw must differ from the last. So a graph that adds noise is a
secret as the noise is; do not store it.

The generator behind is TensorFlow's Philox, which is not cryptographic, and results are floating-point numbers: what is
accounted is the idealised Gaussian.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def fresh_seed() -> tf.Tensor:
    """Two int64 numbers, others at each evaluation and in each process, whatever seeds the graph was given."""
    built = np.frombuffer(secrets.token_bytes(16), np.int64).tolist()
    drawn = tf.raw_ops.NonDeterministicInts(shape=tf.constant([2], tf.int64), dtype=tf.int64)
    return seed_of(*built, drawn[0], drawn[1])


def seed_of(*parts: tf.Tensor | int) -> tf.Tensor:
    """Two int64 numbers that follow from some others, for noise that is to be reproducible."""
    seed = tf.zeros([2], tf.int64)
    for part in parts:
        part = tf.cast(part, tf.int64)
        seed = tf.random.stateless_uniform([2], seed + part, minval=None, maxval=None, dtype=tf.int64)
    return seed


def add_gaussian(values: Sequence[tf.Tensor], deviation: tf.Tensor, seed: tf.Tensor) -> list[tf.Tensor]:
    """Adds independent Gaussian noise to every element.

    Args:
        values: Floating-point tensors of any shape.
        deviation: Standard deviation, a scalar.
        seed: `fresh_seed` or `seed_of`; each tensor gets a stream of its own.
    """
    noised = []
    for place, value in enumerate(values):
        normal = tf.random.stateless_normal(tf.shape(value), seed_of(seed[0], seed[1], place), dtype=value.dtype)
        noised.append(value + tf.cast(deviation, value.dtype) * normal)
    return noised
