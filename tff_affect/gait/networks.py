"""Two encoders, one decoder, and who reads codes (after Malek-Podjaski and Deligianni 2021, arXiv 2105.03958).

Of the paper's networks only the kind is known; sizes are this project's. All convolutions go around the cycle.
"""

from __future__ import annotations

import tensorflow as tf

from tff_affect.errors import InputError
from tff_affect.gait.bone_tree import BoneTree
from tff_affect.gait.config import FACTOR, GaitConfig
from tff_affect.gait.layers import Body, CircularConv1D, Standardised

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


def build_encoder(tree: BoneTree, samples: int, code: int, name: str) -> tf.keras.Model:
    """``[batch, time, joint x 3]`` metres to ``[batch, code]``; `layers.adapt` shows it the training people.

    Args:
        tree: Joints and bones.
        samples: Of a cycle.
        code: Numbers of a code.
        name: Of the network.

    Raises:
        InputError: As of `check_samples`.
    """
    check_samples(samples)
    cycles = tf.keras.Input((samples, 3 * len(tree.joints)), name="motion")
    hidden = Standardised(name="standardised")(cycles)
    for width, reach, stride in _READ:
        hidden = CircularConv1D(width, reach, strides=stride, activation="relu")(hidden)
    return tf.keras.Model(cycles, _LAYERS.Dense(code)(_LAYERS.Flatten()(hidden)), name=name)


def build_decoder(tree: BoneTree, samples: int, config: GaitConfig) -> tf.keras.Model:
    """``([batch, emotion code], [batch, biometric code])`` to ``[batch, time, joint x 3]`` metres.

    `layers.adapt` shows it the training people, from whose mean gait others are made.

    Bones keep their lengths throughout a cycle, and only the biometric code says what these are: nobody's bones grow
    with an emotion.

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
    hidden = _LAYERS.Concatenate()([emotion, biometric])
    hidden = _LAYERS.Dense(samples // FACTOR * _DRAWN[0], activation="relu")(hidden)
    hidden = _LAYERS.Reshape((samples // FACTOR, _DRAWN[0]))(hidden)
    for width in _DRAWN:
        hidden = CircularConv1D(width, 5, activation="relu")(_LAYERS.UpSampling1D(2)(hidden))
    turned = CircularConv1D(3 * len(tree.bones), 3)(hidden)
    stretched = _LAYERS.Dense(len(tree.bones))(biometric)
    return tf.keras.Model([emotion, biometric], Body(tree, samples)((turned, stretched)), name="decoder")


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
