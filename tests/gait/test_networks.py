"""Encoders, decoder and readers of codes."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from data_prep.skeleton import BONES, JOINTS
from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers
from data_prep.walk_file import CycleOptions
from tff_affect.errors import InputError
from tff_affect.gait.bone_tree import BoneTree
from tff_affect.gait.config import GaitConfig
from tff_affect.gait.layers import adapt
from tff_affect.gait.networks import build_adversary, build_decoder, build_encoder, build_head
from tff_affect.gait_set import GaitSet

CONFIG = GaitConfig(emotion_code=3, biometric_code=5)
TREE = BoneTree.of(JOINTS, BONES)


@cache
def walkers() -> GaitSet:
    return draw_walkers(SyntheticWalkersConfig(people=4, takes=1, cycles=2), CycleOptions(samples=16, size=False))


def test_networks_have_the_shapes_they_say_and_no_trained_constants() -> None:
    motions = walkers().motions
    encoder, decoder = build_encoder(TREE, 16, 5, "biometric"), build_decoder(TREE, 16, CONFIG)
    code = encoder(motions.reshape(-1, 16, 45))
    assert code.shape == (len(motions), 5)
    made = decoder([tf.zeros((2, 3)), tf.zeros((2, 5))])
    assert made.shape == (2, 16, 45)
    assert len(encoder.non_trainable_weights) == 2
    assert len(decoder.non_trainable_weights) == 4
    assert build_head(5, 4, "head")(code).shape == (len(motions), 4)


def test_only_the_biometric_code_tells_the_lengths_of_bones() -> None:
    decoder = build_decoder(TREE, 16, CONFIG)
    adapt(decoder, walkers().motions)
    rng = np.random.default_rng(0)
    emotion, biometric = (rng.normal(size=(2, width)).astype(np.float32) for width in (3, 5))

    def lengths(emotion: np.ndarray, biometric: np.ndarray) -> np.ndarray:
        made = decoder([emotion, biometric]).numpy().reshape(2, 16, 15, 3)
        return np.linalg.norm(TREE.vectors(made), axis=3)[:, 0]

    np.testing.assert_allclose(lengths(emotion, biometric), lengths(emotion[::-1], biometric), rtol=1e-4)
    assert np.abs(lengths(emotion, biometric) - lengths(emotion, biometric[::-1])).max() > 1e-3


def test_what_is_too_faint_to_see_is_heard_by_an_adversary() -> None:
    """A difference of a thousandth in one number, beside loud ones that say nothing."""
    rng = np.random.default_rng(0)
    person = rng.integers(2, size=256)
    codes = 0.5 + 3 * rng.normal(size=(1, 6)).astype(np.float32) * np.ones((256, 1), np.float32)
    codes[:, :3] += rng.normal(size=(256, 3))
    codes[:, 5] += 0.001 * person
    adversary = build_adversary(6, 2, "adversary")
    optimizer = tf.keras.optimizers.Adam(1e-2)
    optimizer.build(adversary.trainable_variables)

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = adversary(tf.constant(codes), training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.constant(person), logits))
        variables = adversary.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return logits

    for _ in range(25):
        logits = step()
    assert (np.argmax(logits, axis=1) == person).mean() > 0.99


@pytest.mark.parametrize("samples", [4, 18])
def test_cycles_that_cannot_be_halved_twice_are_refused(samples: int) -> None:
    for build in (lambda: build_encoder(TREE, samples, 3, "emotion"), lambda: build_decoder(TREE, samples, CONFIG)):
        with pytest.raises(InputError, match=rf"8 samples or more, a multiple of 4, found {samples}"):
            build()
