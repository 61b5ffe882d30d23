"""Training of small Keras networks in one place, as attackers and readers of images or series are trained."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

_BATCH, _LEAST_BATCHES = 32, 16


def cross_entropy() -> tf.keras.losses.Loss:
    """Of class numbers and logits."""
    return tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def batches_of(count: int, rng: np.random.Generator) -> np.ndarray:
    """``[batch, row]`` numbers of samples in a random order, each at least once.

    Wrapped around: all batches are of one size, so that a step is compiled once, and few samples are seen often enough
    to tell from one epoch to the next whether a network still learns.

    Args:
        count: Of the samples.
        rng: Draws the order.
    """
    order = rng.permutation(count)
    return np.resize(order, max(_LEAST_BATCHES, -(-count // _BATCH)) * _BATCH).reshape(-1, _BATCH)


def training_step(
    network: tf.keras.Model, loss: tf.keras.losses.Loss, learning_rate: float
) -> tf.types.experimental.GenericFunction:
    """A step of Adam on a batch: ``(x, y)``, with the gradient clipped to norm 1.

    Args:
        network: What learns.
        loss: Of targets and outputs, averaged over a batch.
        learning_rate: Of Adam.
    """
    optimizer = tf.keras.optimizers.Adam(learning_rate, global_clipnorm=1.0)

    @tf.function
    def step(x: tf.Tensor, y: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            value = loss(y, network(x, training=True))
        gradients = tape.gradient(value, network.trainable_variables)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))

    return step
