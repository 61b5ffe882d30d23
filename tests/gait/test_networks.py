"""Encoders, decoder and readers of codes."""

from collections.abc import Callable
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
from tff_affect.gait.networks import (
    build_adversary,
    build_biometric_encoder,
    build_decoder,
    build_emotion_encoder,
    build_head,
    build_plain_encoder,
)
from tff_affect.gait_set import GaitSet

CONFIG = GaitConfig(emotion_code=3, biometric_code=5)
TREE = BoneTree.of(JOINTS, BONES)


@cache
def walkers() -> GaitSet:
    return draw_walkers(SyntheticWalkersConfig(people=4, takes=1, cycles=2), CycleOptions(samples=16, size=False))


def adapted(build: Callable[[BoneTree, int, GaitConfig], tf.keras.Model]) -> tf.keras.Model:
    network = build(TREE, 16, CONFIG)
    adapt(network, walkers().series)
    return network


def plain(tree: BoneTree, samples: int, config: GaitConfig) -> tf.keras.Model:
    return build_plain_encoder(tree, samples, config.emotion_code)


def test_networks_have_the_shapes_they_say_and_no_trained_constants() -> None:
    series = walkers().series
    emotion, biometric, decoder = map(adapted, (build_emotion_encoder, build_biometric_encoder, build_decoder))
    codes = emotion(series).numpy(), biometric(series).numpy()
    assert [code.shape for code in codes] == [(len(series), 3), (len(series), 5)]
    assert np.abs(emotion(50 * series)).max() <= 1
    assert np.abs(biometric(50 * series)).max() > 1
    made = decoder([tf.zeros((2, 3)), tf.zeros((2, 5))]).numpy()
    assert made.shape == (2, 16, 46)
    assert [len(network.non_trainable_weights) for network in (emotion, biometric, decoder)] == [2, 2, 6]
    seen = adapted(plain)(series).numpy()
    assert (seen.shape, seen.min() >= 0) == ((len(series), 3), True)
    assert build_head(5, 4, "head")(codes[1]).shape == (len(series), 4)


def test_what_convolutions_see_is_standardised_wherever_it_is_made() -> None:
    series = walkers().series
    builders = (build_emotion_encoder, 60), (build_biometric_encoder, 30), (plain, 30)
    for build, moving in builders:
        network = adapted(build)
        seen = tf.keras.Model(network.inputs, network.get_layer("standardised").output)(series).numpy()
        np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-3)
        deviations = np.sqrt((seen**2).mean(axis=(0, 1)))
        assert deviations.max() < 1.001
        assert (deviations > 0.999).sum() > moving


def test_an_emotion_code_tells_pace_but_no_lengths_of_bones() -> None:
    gaits = walkers()
    factors = np.random.default_rng(0).uniform(0.7, 1.4, (len(gaits), 1, 14, 1))
    stretched = np.einsum("jb,ntbc->ntjc", TREE.paths, factors * TREE.vectors(gaits.motions))
    other_body, slow = gaits.series.copy(), gaits.series.copy()
    other_body[:, :, :-1] = stretched.reshape(len(gaits), 16, 45)
    slow[:, :, -1] *= 1.3
    emotion, biometric = adapted(build_emotion_encoder), adapted(build_biometric_encoder)
    np.testing.assert_allclose(emotion(other_body), emotion(gaits.series), atol=1e-3)
    assert np.abs(emotion(slow) - emotion(gaits.series)).max() > 0.05
    assert np.abs(biometric(other_body) - biometric(gaits.series)).max() > 0.5


def test_only_the_biometric_code_tells_the_lengths_of_bones() -> None:
    decoder = adapted(build_decoder)
    rng = np.random.default_rng(0)
    emotion, biometric = (rng.normal(size=(2, width)).astype(np.float32) for width in (3, 5))

    def drawn(emotion: np.ndarray, biometric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        made = decoder([emotion, biometric]).numpy()
        places = made[:, :, :-1].reshape(2, 16, 15, 3)
        return np.linalg.norm(TREE.vectors(places), axis=3)[:, 0], made[:, 0, -1]

    lengths, durations = drawn(emotion, biometric)
    np.testing.assert_allclose(lengths, drawn(emotion[::-1], biometric)[0], rtol=1e-4)
    assert np.abs(lengths - drawn(emotion, biometric[::-1])[0]).max() > 1e-3
    # Both tell how long the cycle takes.
    assert (durations > 0).all()
    assert np.abs(durations - drawn(emotion[::-1], biometric)[1]).min() > 1e-4
    assert np.abs(durations - drawn(emotion, biometric[::-1])[1]).min() > 1e-4


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
@pytest.mark.parametrize("build", [build_emotion_encoder, build_biometric_encoder, build_decoder, plain])
def test_cycles_that_cannot_be_halved_twice_are_refused(
    build: Callable[[BoneTree, int, GaitConfig], tf.keras.Model], samples: int
) -> None:
    with pytest.raises(InputError, match=rf"8 samples or more, a multiple of 4, found {samples}"):
        build(TREE, samples, CONFIG)
