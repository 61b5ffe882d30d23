"""Dropout whose masks follow from a seed (Srivastava et al. 2014).

Keras's own dropout draws from a generator that lives in the layer: its masks depend on what ran before, so that a run
that was cut off and resumed would differ from one that was not. Here the caller of the model gives the seed:

    with dropout_seed(seed):
        predicted = model(features, training=True)

The seed may be a tensor of a graph that is being traced, for instance one derived from run, client, round and step.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from tff_affect.errors import InputError

_ambient = threading.local()


@contextmanager
def dropout_seed(seed: tf.Tensor | int) -> Iterator[None]:
    """Gives every `SeededDropout` called in the block, in this thread, its seed.

    Args:
        seed: An integer scalar. Two calls of one model under one seed drop the same activations.
    """
    before = getattr(_ambient, "seed", None)
    _ambient.seed = tf.cast(seed, tf.int64)
    try:
        yield
    finally:
        _ambient.seed = before


@tf.keras.utils.register_keras_serializable("tff_affect")
class SeededDropout(tf.keras.layers.Layer):
    """Sets a share of activations to zero in training and scales the others, so that their expectation stays.

    Stateless: the mask is a function of the ambient `dropout_seed` and of the layer's name. The name is therefore
    required: one that Keras makes up depends on which layers the process built before.

    Args:
        rate: Share of activations dropped, 0 to below 1.
        name: Unique in the model; layers of other names drop other activations.
        **arguments: Of ``tf.keras.layers.Layer``.

    Raises:
        InputError: For a rate out of range.
    """

    def __init__(self, rate: float, name: str, **arguments: Any) -> None:
        if not 0 <= rate < 1:
            raise InputError(f"dropout: expected a rate of at least 0 and below 1, found {rate:g}")
        super().__init__(name=name, **arguments)
        self.rate = float(rate)
        self.supports_masking = True
        self._stream = zlib.crc32(name.encode())

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Drops activations where ``training`` is true, else returns ``inputs``; any shape.

        Raises:
            ValueError: In training outside of a `dropout_seed` block.
        """
        if not training or not self.rate:
            return inputs
        seed = getattr(_ambient, "seed", None)
        if seed is None:
            raise ValueError(
                f"dropout layer '{self.name}' was called with training=True and no seed: "
                "call the model inside 'with dropout_seed(seed):'"
            )
        uniform = tf.random.stateless_uniform(
            tf.shape(inputs), tf.stack([seed, tf.constant(self._stream, tf.int64)]), dtype=inputs.dtype, alg="philox"
        )
        return tf.where(uniform >= self.rate, inputs / (1 - self.rate), tf.zeros_like(inputs))

    def get_config(self) -> dict[str, Any]:
        """The layer's arguments, for saving."""
        return {**super().get_config(), "rate": self.rate}
