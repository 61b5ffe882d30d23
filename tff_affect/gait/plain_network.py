"""Emotion read in gaits by one convolutional network, with which taking gaits apart is compared.

It is plain, or its code is made to lose who walks by gradient reversal (Ganin et al. 2016, Domain-adversarial training
of neural networks, JMLR 17:59): one step for all, in which an identity head learns to name people and what it learns
goes to the encoder with its sign turned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tff_affect.config_checks import above_zero, at_least
from tff_affect.errors import DivergedError
from tff_affect.gait.bone_tree import bones_of
from tff_affect.gait.layers import adapt
from tff_affect.gait.mirrored import mirror_some, mirrored_joints
from tff_affect.gait.networks import build_adversary, build_head, build_plain_encoder, check_training
from tff_affect.gait_set import GaitSet
from tff_affect.game_schedule import risen
from tff_affect.models.classifying import cross_entropy
from tff_affect.streams import keras_seed, stream

_CROSS_ENTROPY = cross_entropy()
_HEAD_START, _RAMP = 0.25, 0.3


@dataclass(frozen=True)
class PlainConfig:
    """How a plain network is trained.

    Attributes:
        reversal: Weight, in the end, of the reversed gradient of the identity head; 0 for none. It rises evenly after
            a head start, as the adversaries' of `tff_affect.gait.config.GaitConfig` do.
        code: Numbers of the code.
        steps: Of training.
        batch: Cycles of a step.
        learning_rate: Adam's; falls to a tenth along a cosine.
        mirrored: As of `tff_affect.gait.config.GaitConfig`.
    """

    reversal: float = 0.0
    code: int = 32
    steps: int = 400
    batch: int = 32
    learning_rate: float = 1e-3
    mirrored: bool = True

    def __post_init__(self) -> None:
        at_least("plain.reversal", self.reversal, 0)
        for name in ("code", "steps", "batch"):
            at_least(f"plain.{name}", getattr(self, name), 1)
        above_zero("plain.learning_rate", self.learning_rate)


@dataclass(frozen=True, eq=False)
class PlainNetwork:
    """A trained network.

    Attributes:
        classes: Emotions, in the order of its outputs.
        encoder: ``[batch, time, joint x 3 + 1]`` as `GaitSet.series` to ``[batch, code]``.
        head: ``[batch, code]`` to ``[batch, class]`` logits.
    """

    classes: tuple[str, ...]
    encoder: tf.keras.Model
    head: tf.keras.Model

    def codes(self, gaits: GaitSet) -> np.ndarray:
        """``[cycle, code]`` float32."""
        return np.asarray(self.encoder(gaits.series, training=False))

    def emotion(self, gaits: GaitSet) -> np.ndarray:
        """``[cycle, class]`` as probabilities."""
        return np.asarray(tf.nn.softmax(self.head(self.codes(gaits))))


def train_plain(gaits: GaitSet, config: PlainConfig, seed: int) -> PlainNetwork:
    """Trains a network to tell emotions; equal seeds give equal weights on one machine.

    Args:
        gaits: Of the training people.
        config: How.
        seed: Of weights and batches.

    Raises:
        InputError: If there are fewer than two people or emotions, or as of `bone_tree.bones_of`.
        DivergedError: If the loss is no longer finite.
    """
    check_training(gaits)
    tree = bones_of(gaits)
    tf.keras.utils.set_random_seed(keras_seed(seed, "first weights of a plain network"))
    people = (1 + config.mirrored) * len(gaits.people)
    encoder = build_plain_encoder(tree, gaits.motions.shape[1], config.code)
    adapt(encoder, gaits.series)
    head = build_head(config.code, len(gaits.classes), "emotion_head")
    identity_head = build_adversary(config.code, people, "identity_head")
    learned = [*encoder.trainable_variables, *head.trainable_variables]
    falling = tf.keras.optimizers.schedules.CosineDecay(config.learning_rate, config.steps, alpha=0.1)
    optimizer, adversary_optimizer = (tf.keras.optimizers.Adam(falling) for _ in range(2))
    optimizer.build(learned)
    adversary_optimizer.build(identity_head.trainable_variables)

    @tf.function
    def step(series: tf.Tensor, emotion: tf.Tensor, person: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        named = identity_head.trainable_variables
        with tf.GradientTape(persistent=True) as tape:
            codes = encoder(series)
            loss = told = _CROSS_ENTROPY(emotion, head(codes))
            if config.reversal:
                identity = _CROSS_ENTROPY(person, identity_head(codes, training=True))
                loss = told - weight * tf.minimum(identity, math.log(people))
        optimizer.apply_gradients(zip(tape.gradient(loss, learned), learned, strict=True))
        if config.reversal:
            adversary_optimizer.apply_gradients(zip(tape.gradient(identity, named), named, strict=True))
        return told

    for number, (series, emotion, person) in zip(range(config.steps), _batches(gaits, config, seed), strict=False):
        weight = config.reversal * risen(number, config.steps, _HEAD_START, _RAMP)
        loss = step(series, emotion, person, tf.constant(weight, tf.float32))
    if not math.isfinite(float(loss)):
        raise DivergedError(
            f"gait: the loss of the plain network is {float(loss):g}; try a smaller plain.learning_rate"
        )
    return PlainNetwork(gaits.classes, encoder, head)


def _batches(gaits: GaitSet, config: PlainConfig, seed: int) -> Iterator[tuple[tf.Tensor, ...]]:
    """Series, emotions and people; in a mirror somebody is another person."""
    rng = stream(seed, "batches of a plain network")
    series, emotion = gaits.series, gaits.emotion(gaits.classes)
    order = mirrored_joints(gaits.joints) if config.mirrored else None
    while True:
        rows = rng.integers(len(gaits), size=config.batch)
        turned = rng.random(config.batch) < 0.5 if order else np.zeros(config.batch, bool)
        seen = mirror_some(series[rows], turned, order) if order else series[rows]
        person = gaits.person[rows] + len(gaits.people) * turned
        yield tuple(map(tf.constant, (seen, emotion[rows], person)))
