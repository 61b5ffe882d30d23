"""Can a transformed face be turned back? An attacker with pairs of both learns to undo what was done.

Whoever has the transformation makes such pairs from any faces. A convolutional network learns from pairs of train
people, is stopped on development people, and is let loose on the transformed images of people whom it never saw.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from tff_affect.anonymizer.small_network import Scale, Training, halved, outputs, weights
from tff_affect.face_set import FaceSet
from tff_affect.privacy.audit.reidentification import ClosedSet

EPOCHS, PATIENCE = 7, 2


@dataclass(frozen=True)
class Reconstruction:
    """How near an attacker came to the originals of test people.

    Attributes:
        error: Mean squared error of grey values from 0 to 1, over all pixels and images.
        floor: That of the mean face of the train people, shown for everybody.
        similarity: Structural similarity (Wang et al. 2004), 1 for the same image, averaged over images.
        similarity_floor: That of the mean face.
        identity: Whom attackers see in the reconstructions who know the originals; None where it was not asked.
        images: ``[image, row, column]`` reconstructions, in the order of the test people's images; None where they were
            not kept.
    """

    error: float
    floor: float
    similarity: float
    similarity_floor: float
    identity: ClosedSet | None = None
    images: np.ndarray | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Pairs:
    """Faces of some people as they are, and the same transformed."""

    original: FaceSet
    transformed: FaceSet


def reconstruct(
    train: Pairs, development: Pairs, test: Pairs, seed: int, epochs: int = EPOCHS, patience: int = PATIENCE
) -> Reconstruction:
    """Trains a network on pairs and rebuilds the originals of test people.

    Args:
        train: Of those from whom it learns.
        development: Of those by whom it is stopped.
        test: Of those whose originals it never sees; they serve to measure what it rebuilt.
        seed: Of the network and of the order of images; the same seed gives the same images.
        epochs: At most.
        patience: Epochs without progress on development people after which it stops.
    """
    inverse = _Inverse(train, seed)

    def judge() -> float:
        return -_error(inverse.rebuilt(development.transformed.images), development.original.images)

    inverse.training.best_epoch(judge, epochs, patience)
    truth = test.original.images
    rebuilt = inverse.rebuilt(test.transformed.images)
    mean = np.broadcast_to(train.original.images.mean(axis=0), truth.shape)
    return Reconstruction(
        error=_error(rebuilt, truth),
        floor=_error(mean, truth),
        similarity=_similarity(rebuilt, truth),
        similarity_floor=_similarity(mean, truth),
        images=rebuilt,
    )


class _Inverse:
    """Rebuilds how an original differs from the mean face; untrained, it gives that face."""

    def __init__(self, pairs: Pairs, seed: int) -> None:
        self._seen, self._original = Scale.of(pairs.transformed.images), Scale.of(pairs.original.images)
        self.training = Training(
            _decoder(pairs.original.images.shape[1:], seed),
            tf.keras.losses.MeanSquaredError(),
            self._seen(pairs.transformed.images),
            self._original(pairs.original.images),
            seed,
            vary=False,
        )

    def rebuilt(self, transformed: np.ndarray) -> np.ndarray:
        """``[image, row, column]`` float32 from 0 to 1."""
        deviations = outputs(self.training.network, self._seen(transformed))[..., 0]
        return np.clip(self._original.mean + self._original.deviation * deviations, 0, 1).astype(np.float32)


def _decoder(shape: tuple[int, ...], seed: int) -> tf.keras.Model:
    """``[batch, row, column, 1]`` to the same shape: down to an eighth of the side and up again, with what was seen."""
    images = tf.keras.Input((*shape, 1))
    # A side that eight does not divide is padded on the way down and cut on the way up.
    levels = [images]
    for number in range(3):
        levels.append(halved(levels[-1], number, seed))
    hidden = _mixed(levels.pop(), 64, seed, 10)
    for number, level in enumerate(reversed(levels)):
        width = level.shape[-1] if level is not images else 4
        hidden = tf.nn.depth_to_space(_convolved(hidden, 4 * width, 1, seed, 20 + number), 2)
        hidden = hidden[:, : level.shape[1], : level.shape[2]]
        hidden = _mixed(tf.concat([hidden, level], axis=-1), width, seed, 30 + number)
    return tf.keras.Model(images, tf.keras.layers.Conv2D(1, 3, padding="same", kernel_initializer="zeros")(hidden))


def _mixed(hidden: tf.Tensor, width: int, seed: int, number: int) -> tf.Tensor:
    return tf.nn.relu(_convolved(hidden, width, 3, seed, number))


def _convolved(hidden: tf.Tensor, width: int, side: int, seed: int, number: int) -> tf.Tensor:
    layer = tf.keras.layers.Conv2D(width, side, padding="same", kernel_initializer=weights(seed, number))
    return layer(hidden)


def _error(images: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean((np.asarray(images, np.float64) - truth) ** 2))


def _similarity(images: np.ndarray, truth: np.ndarray) -> float:
    both = (tf.constant(np.asarray(each, np.float32)[..., np.newaxis]) for each in (images, truth))
    return float(tf.reduce_mean(tf.image.ssim(*both, max_val=1.0)))
