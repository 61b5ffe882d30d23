"""A classifier of emotions that show in the arms alone, trained on a few SYNTHETIC walkers, for tests to explain."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from data_prep.skeleton import BONES, JOINTS
from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers
from data_prep.walk_file import CycleOptions
from tff_affect.gait.bone_tree import BoneTree
from tff_affect.gait.config import GaitConfig
from tff_affect.gait.layers import Standardised, adapt
from tff_affect.gait.networks import build_emotion_encoder, build_head
from tff_affect.gait_set import GaitSet

SAMPLES = 16
ARMS = ("LElbow", "LWrist", "RElbow", "RWrist")
TREE = BoneTree.of(JOINTS, BONES)
WALKERS = SyntheticWalkersConfig(
    people=14, takes=2, cycles=3, strength=(1.4, 1.6), parts=("arms",), mood=0.1, wandering=0.3
)


class Trained(NamedTuple):
    """A classifier and people whom it never saw."""

    classifier: tf.keras.Model
    unseen: GaitSet
    classes: np.ndarray


def untrained(classes: int = 4, samples: int = SAMPLES) -> tf.keras.Model:
    """``[batch, time, 46]`` as `GaitSet.series` to ``[batch, class]`` logits, with first weights."""
    encoder = build_emotion_encoder(TREE, samples, GaitConfig(emotion_code=8))
    return tf.keras.Model(encoder.input, build_head(8, classes, "emotion_head")(encoder.output))


@cache
def trained() -> Trained:
    """Shared by all tests: do not change it."""
    gaits = draw_walkers(WALKERS, CycleOptions(samples=SAMPLES))
    known, unseen = gaits.of(gaits.people[:10]), gaits.of(gaits.people[10:])
    tf.keras.utils.set_random_seed(0)
    classifier = untrained()
    adapt(classifier, known.series)
    classifier.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    classifier.fit(known.series, known.emotion(gaits.classes), batch_size=16, epochs=12, verbose=0)
    return Trained(classifier, unseen, unseen.emotion(gaits.classes))


def walks(count: int, seed: int = 0, samples: int = SAMPLES, joints: int = 15) -> GaitSet:
    """Numbers that are no walks, with a second for each cycle."""
    motions = np.random.default_rng(seed).normal(size=(count, samples, joints, 3)).astype(np.float32)
    names = JOINTS if joints == len(JOINTS) else tuple(map(str, range(joints)))
    numbers = tuple(map(str, range(count)))
    return GaitSet("SYNTHETIC", motions, names, BONES[:0], numbers, numbers, numbers, np.tile([0.0, 1.0], (count, 1)))


def standardised(samples: int, joints: int, seed: int = 0) -> tuple[tf.keras.Input, tf.Tensor]:
    """An input and its deviations from a mean and by deviations that are drawn."""
    rng = np.random.default_rng(seed)
    inputs = tf.keras.Input((samples, 3 * joints))
    layer = Standardised()
    outputs = layer(inputs)
    layer.set_weights([rng.normal(size=(samples, 3 * joints)), rng.uniform(0.5, 2, 3 * joints)])
    return inputs, outputs
