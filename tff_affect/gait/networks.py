"""Two encoders, one decoder, and who reads codes (after Malek-Podjaski and Deligianni 2021, arXiv 2105.03958).

Of the paper's networks only the kind is known; sizes are this project's. All convolutions go around the cycle.
"""

from __future__ import annotations

import tensorflow as tf

from tff_affect.errors import InputError
from tff_affect.gait.bone_tree import BoneTree
from tff_affect.gait.config import FACTOR, GaitConfig
from tff_affect.gait.layers import Body, CircularConv1D, Directions, Standardised
from tff_affect.gait_set import GaitSet

_LAYERS = tf.keras.layers
_READ = ((32, 5, 2), (64, 5, 2), (64, 3, 1))
_DRAWN = (64, 48)
LEAST_SAMPLES = 8


def check_samples(samples: int) -> None:
    """Checks that cycles of so many samples can be halved twice.

    Raises:
        InputError: If not.
    """
    if samples % FACTOR or samples < LEAST_SAMPLES:
        raise InputError(
            f"gait: expected cycles of {LEAST_SAMPLES} samples or more, a multiple of {FACTOR}, found {samples}; "
            "read the walks with another number"
        )


def check_training(gaits: GaitSet) -> None:
    """Checks that there is something to tell apart.

    Raises:
        InputError: If there are fewer than two people or emotions.
    """
    if len(gaits.people) < 2 or len(gaits.classes) < 2:
        raise InputError(
            f"gait: expected at least two people and two emotions to train on, found {len(gaits.people)} and "
            f"{len(gaits.classes)}"
        )


def build_emotion_encoder(tree: BoneTree, samples: int, config: GaitConfig) -> tf.keras.Model:
    """``[batch, time, joint x 3 + 1]`` as `GaitSet.series` to ``[batch, emotion code]``, each number within -1 and 1.

    It sees directions of bones and pace, not the body's proportions. `layers.adapt` shows it the training people.

    Args:
        tree: Joints and bones.
        samples: Of a cycle.
        config: Of the code.

    Raises:
        InputError: As of `check_samples`.
    """
    cycles = _cycles(tree, samples)
    scaled = Standardised(name="standardised")(Directions(tree)(cycles))
    codes = _LAYERS.Dense(config.emotion_code, activation="tanh")(_convolved(scaled))
    return tf.keras.Model(cycles, codes, name="emotion")


def build_biometric_encoder(tree: BoneTree, samples: int, config: GaitConfig) -> tf.keras.Model:
    """``[batch, time, joint x 3 + 1]`` as `GaitSet.series` to ``[batch, biometric code]``.

    `layers.adapt` shows it the training people. Beside the convolutions there is a linear way, as in the decoder: it is
    what still fits people of whom few were seen in training.

    Args:
        tree: Joints and bones.
        samples: Of a cycle.
        config: Of the code.

    Raises:
        InputError: As of `check_samples`.
    """
    cycles = _cycles(tree, samples)
    scaled = Standardised(name="standardised")(cycles)
    codes = [_LAYERS.Dense(config.biometric_code)(seen) for seen in (_convolved(scaled), _LAYERS.Flatten()(scaled))]
    return tf.keras.Model(cycles, _LAYERS.Add()(codes), name="biometric")


def build_plain_encoder(tree: BoneTree, samples: int, code: int) -> tf.keras.Model:
    """``[batch, time, joint x 3 + 1]`` as `GaitSet.series` to ``[batch, code]``, convolutions over places alone.

    `layers.adapt` shows it the training people.

    Args:
        tree: Joints and bones.
        samples: Of a cycle.
        code: Numbers of the code.

    Raises:
        InputError: As of `check_samples`.
    """
    cycles = _cycles(tree, samples)
    hidden = _convolved(Standardised(name="standardised")(cycles))
    return tf.keras.Model(cycles, _LAYERS.Dense(code, activation="relu")(hidden), name="plain")


def _cycles(tree: BoneTree, samples: int) -> tf.Tensor:
    check_samples(samples)
    return tf.keras.Input((samples, 3 * len(tree.joints) + 1), name="series")


def _convolved(scaled: tf.Tensor) -> tf.Tensor:
    hidden = scaled
    for width, reach, stride in _READ:
        hidden = CircularConv1D(width, reach, strides=stride, activation="relu")(hidden)
    return _LAYERS.Flatten()(hidden)


def build_decoder(tree: BoneTree, samples: int, config: GaitConfig) -> tf.keras.Model:
    """``([batch, emotion code], [batch, biometric code])`` to ``[batch, time, joint x 3 + 1]`` as `GaitSet.series`.

    Bones keep their lengths throughout a cycle, and only the biometric code says what these are: nobody's bones grow
    with an emotion. `layers.adapt` shows it the training people, from whose mean gait others are made.

    Args:
        tree: Joints and bones.
        samples: Of a cycle.
        config: Of the codes.

    Raises:
        InputError: As of `check_samples`.
    """
    check_samples(samples)
    emotion = tf.keras.Input((config.emotion_code,), name="emotion_code")
    biometric = tf.keras.Input((config.biometric_code,), name="biometric_code")
    both = _LAYERS.Concatenate()([emotion, biometric])
    hidden = _LAYERS.Dense(samples // FACTOR * _DRAWN[0], activation="relu")(both)
    hidden = _LAYERS.Reshape((samples // FACTOR, _DRAWN[0]))(hidden)
    for width in _DRAWN:
        hidden = CircularConv1D(width, 5, activation="relu")(_LAYERS.UpSampling1D(2)(hidden))
    channels = 3 * len(tree.bones)
    linear = _LAYERS.Reshape((samples, channels))(_LAYERS.Dense(samples * channels)(both))
    turned = _LAYERS.Add()([CircularConv1D(channels, 3)(hidden), linear])
    stretched, slowed = _LAYERS.Dense(len(tree.bones))(biometric), _LAYERS.Dense(1)(both)
    return tf.keras.Model([emotion, biometric], Body(tree, samples)((turned, stretched, slowed)), name="decoder")


def build_head(code: int, classes: int, name: str) -> tf.keras.Model:
    """``[batch, code]`` to ``[batch, class]`` logits, linear: what a code shall say, it says plainly."""
    codes = tf.keras.Input((code,))
    return tf.keras.Model(codes, _LAYERS.Dense(classes)(codes), name=name)


def build_adversary(code: int, classes: int, name: str) -> tf.keras.Model:
    """``[batch, code]`` to ``[batch, class]`` logits.

    Each number is standardised over the batch, and there is a linear way beside the layers: otherwise what it looks for
    hides in differences so faint that it overlooks them, and any fresh linear attacker does not.
    """
    codes = tf.keras.Input((code,))
    each_number = _LAYERS.BatchNormalization(momentum=0.9, epsilon=1e-6, center=False, scale=False)
    hidden = scaled = each_number(codes)
    for width in (64, 64):
        hidden = _LAYERS.Dense(width, activation="elu")(hidden)
    both = _LAYERS.Concatenate()([hidden, _LAYERS.Dense(32)(scaled)])
    return tf.keras.Model(codes, _LAYERS.Dense(classes)(both), name=name)
