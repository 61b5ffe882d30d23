"""The network with which images are read, attacked and rebuilt, and its training.

All start from nothing, whatever made the images: what a transformation left is judged by who never saw it trained.
Nothing is normalised by batches, whose statistics of few and alike images would differ between training and use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tff_affect.errors import InputError
from tff_affect.models.classifying import batches_of, training_step
from tff_affect.streams import stream

LEAST_SIDE = 16
_TRUNK = ((16, 5), (32, 3), (64, 3))
_PREDICTED = 256
_LEARNING_RATE = 2e-3
_SHIFT, _GAIN, _LIGHT = 2, 0.1, 0.1


@dataclass(frozen=True)
class Scale:
    """Makes deviations from the mean image of unit size, however faint a transformation leaves them.

    Attributes:
        mean: ``[row, column]`` mean of the images learned from.
        deviation: Of all their pixels around it.
    """

    mean: np.ndarray
    deviation: float

    @classmethod
    def of(cls, images: np.ndarray) -> Scale:
        """From the images that are learned from, ``[image, row, column]``."""
        mean = images.mean(axis=0, dtype=np.float64)
        deviation = float(np.sqrt(np.mean((images - mean) ** 2)))
        return cls(mean, deviation if deviation > 1e-6 else 1.0)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """``[image, row, column, 1]`` float32."""
        return ((images - self.mean) / self.deviation).astype(np.float32)[..., np.newaxis]


def weights(seed: int, number: int) -> tf.keras.initializers.Initializer:
    """First weights of a layer, by its number (He et al. 2015)."""
    return tf.keras.initializers.HeUniform(seed=1000 * seed + number)


def halved(hidden: tf.Tensor, number: int, seed: int) -> tf.Tensor:
    """A convolution in steps of two pixels, the first, second or third (number 0, 1 or 2) of a trunk."""
    width, side = _TRUNK[number]
    layer = tf.keras.layers.Conv2D(
        width, side, strides=2, padding="same", activation="relu", kernel_initializer=weights(seed, number)
    )
    return layer(hidden)


def classifier(shape: tuple[int, ...], classes: int, seed: int) -> tf.keras.Model:
    """``[batch, row, column, 1]`` to ``[batch, class]`` logits.

    Args:
        shape: Rows and columns of an image.
        classes: How many.
        seed: Of the first weights.

    Raises:
        InputError: For images of fewer than 16 pixels a side.
    """
    if min(shape) < LEAST_SIDE:
        raise InputError(f"faces: expected images of {LEAST_SIDE} pixels a side or more, found {min(shape)}")
    hidden = images = tf.keras.Input((*shape, 1))
    for number in range(len(_TRUNK)):
        hidden = halved(hidden, number, seed)
    last = tf.keras.layers.Dense(classes, kernel_initializer=weights(seed, len(_TRUNK)))
    return tf.keras.Model(images, last(tf.keras.layers.Flatten()(hidden)))


def varied(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Scaled images ``[image, row, column, 1]``, moved by up to two pixels, and a little lighter or harder."""
    count, rows, columns = images.shape[:3]
    padded = np.pad(images[..., 0], ((0, 0), (_SHIFT, _SHIFT), (_SHIFT, _SHIFT)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (1, rows, columns))[:, :, :, 0]
    moved = windows[(np.arange(count), *rng.integers(2 * _SHIFT + 1, size=(2, count)))]
    gain = 1 + _GAIN * rng.normal(size=(count, 1, 1))
    light = _LIGHT * rng.normal(size=(count, 1, 1))
    return (gain * moved + light).astype(np.float32)[..., np.newaxis]


class Training:
    """A network, what it learns from and how far it has got; equal seeds give equal networks.

    Args:
        network: Not trained yet.
        loss: Of targets and outputs, averaged over a batch.
        x: ``[image, row, column, 1]``, scaled.
        y: ``[image, ...]`` targets.
        seed: Of the order of images and of how they are varied.
        vary: Whether images are `varied` each time that they are seen.
    """

    def __init__(
        self, network: tf.keras.Model, loss: tf.keras.losses.Loss, x: np.ndarray, y: np.ndarray, seed: int, vary: bool
    ) -> None:
        self.network = network
        self._x, self._y, self._vary = x, y, vary
        self._rng = stream(seed, "order and variation of images")
        self._step = training_step(network, loss, _LEARNING_RATE)

    def epochs(self, count: int = 1) -> None:
        """Trains on every image once for each epoch, and on few images more often."""
        for _ in range(count):
            for rows in batches_of(len(self._x), self._rng):
                x = varied(self._x[rows], self._rng) if self._vary else self._x[rows]
                self._step(tf.constant(x), tf.constant(self._y[rows]))

    def best_epoch(self, judge: Callable[[], float], most: int, patience: int) -> int:
        """Trains as long as a figure rises, goes back to the epoch where it was highest, and returns its number.

        Args:
            judge: The figure of the network as it is; the larger the better.
            most: Epochs.
            patience: Epochs without a higher figure after which training ends.
        """
        best, epoch, kept = -np.inf, 0, self.network.get_weights()
        for number in range(1, most + 1):
            self.epochs()
            figure = judge()
            if figure > best:
                best, epoch, kept = figure, number, self.network.get_weights()
            if number - epoch >= patience:
                break
        self.network.set_weights(kept)
        return epoch


def outputs(network: tf.keras.Model, x: np.ndarray) -> np.ndarray:
    """What a network says of scaled images, as float64."""
    parts = [network(x[first : first + _PREDICTED], training=False) for first in range(0, len(x), _PREDICTED)]
    return np.concatenate(parts).astype(np.float64)
