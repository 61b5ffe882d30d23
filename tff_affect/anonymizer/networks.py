"""The transformation of a face into another image, and the two heads that look at it.

The transformation is convolutional from end to end: an image is reduced to a small map of bounded numbers, the code, to
which noise is added, and drawn again from that. Heads see the image that it gives, as whoever is given it would.
"""

from __future__ import annotations

import tensorflow as tf

from tff_affect.anonymizer.config import FACTOR, AnonymizerConfig
from tff_affect.errors import InputError

_LAYERS = tf.keras.layers
_DRAWN = (32, 16, 8)


def code_shape(shape: tuple[int, int], config: AnonymizerConfig) -> tuple[int, int, int]:
    """Shape of an image's code, and of the noise that is added to it.

    Raises:
        InputError: If the sides are no multiples of 8, or below 16.
    """
    if any(side % FACTOR or side < 2 * FACTOR for side in shape):
        raise InputError(
            f"faces: expected images with sides of 16 or more that are multiples of {FACTOR}, found {shape[0]} x "
            f"{shape[1]}; choose another size"
        )
    return shape[0] // FACTOR, shape[1] // FACTOR, config.code_channels


def build_transformation(shape: tuple[int, int], config: AnonymizerConfig) -> tf.keras.Model:
    """``([batch, row, column, 1], [batch, *code]) -> [batch, row, column, 1]``.

    The first are grey values from 0 to 1, the second standard normal noise, drawn afresh for each image; what comes is
    an image, 0 to 1.

    Args:
        shape: Rows and columns.
        config: Of the code.

    Raises:
        InputError: For a shape as in `code_shape`.
    """
    images = tf.keras.Input((*shape, 1), name="image")
    noise = tf.keras.Input(code_shape(shape, config), name="noise")
    hidden = _centred(images)
    for width, side in ((16, 5), (32, 3)):
        hidden = _LAYERS.Conv2D(width, side, 2, "same", activation="elu")(hidden)
    hidden = _LAYERS.Conv2D(32, 3, 1, "same", activation="elu")(hidden)
    code = _LAYERS.Conv2D(config.code_channels, 3, 2, "same", activation="tanh")(hidden)
    hidden = _LAYERS.Add()([code, _LAYERS.Rescaling(config.code_noise)(noise)])
    for width in _DRAWN:
        hidden = _LAYERS.Conv2D(width, 3, 1, "same", activation="elu")(hidden)
        hidden = _LAYERS.UpSampling2D(2, interpolation="bilinear")(hidden)
    drawn = _LAYERS.Conv2D(1, 3, 1, "same", activation="sigmoid")(hidden)
    return tf.keras.Model([images, noise], drawn, name="transformation")


def build_emotion_head(shape: tuple[int, int], classes: int) -> tf.keras.Model:
    """``[batch, row, column, 1] -> [batch, class]`` logits."""
    images = tf.keras.Input((*shape, 1))
    hidden = _centred(images)
    for width, side in ((16, 5), (32, 3), (32, 3)):
        hidden = _LAYERS.Conv2D(width, side, 2, "same", activation="elu")(hidden)
    hidden = _LAYERS.Flatten()(hidden)
    hidden = _LAYERS.Dense(64, activation="elu")(hidden)
    return tf.keras.Model(images, _LAYERS.Dense(classes)(hidden), name="emotion")


def build_identity_head(shape: tuple[int, int], people: int) -> tf.keras.Model:
    """``[batch, row, column, 1] -> [batch, person]`` logits.

    Each pixel is standardised over the batch, and there is a linear way beside the convolutions: otherwise identity
    hides in differences so faint that this head overlooks them, and any fresh linear attacker does not.
    """
    images = tf.keras.Input((*shape, 1))
    each_pixel = _LAYERS.BatchNormalization([1, 2, 3], momentum=0.9, epsilon=1e-6, center=False, scale=False)
    hidden = scaled = each_pixel(images)
    for width in (16, 32, 64):
        hidden = _LAYERS.Conv2D(width, 3, 2, "same", activation="elu")(hidden)
    hidden = _LAYERS.Dense(128, activation="elu")(_LAYERS.Flatten()(hidden))
    linear = _LAYERS.Dense(64)(_LAYERS.Flatten()(scaled))
    logits = _LAYERS.Dense(people)(_LAYERS.Concatenate()([hidden, linear]))
    return tf.keras.Model(images, logits, name="identity")


def _centred(images: tf.Tensor) -> tf.Tensor:
    """-2 to 2: a freshly drawn image is grey, and differences around grey have to be heard."""
    return _LAYERS.Rescaling(4.0, -2.0)(images)
