"""Guided Grad-CAM: as written out by hand, where the network looks, and where emotion was planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from sample_gait_classifier import ARMS, standardised, trained, untrained, walks
from scipy.special import softmax

from data_prep.skeleton import JOINTS
from tff_affect.errors import InputError
from tff_affect.gait import explanation
from tff_affect.gait.explanation import agreement, heat_maps
from tff_affect.gait.grad_cam import gradient_times_deviation, guided_grad_cam
from tff_affect.gait.layers import CircularConv1D
from tff_affect.gait.occlusion import randomised

_LAYERS = tf.keras.layers
SAMPLES, N_JOINTS, FILTERS = 8, 4, 5


def tiny(stride: int) -> tf.keras.Model:
    tf.keras.utils.set_random_seed(stride)
    inputs, scaled = standardised(SAMPLES, N_JOINTS)
    hidden = CircularConv1D(FILTERS, 3, strides=stride, activation="relu", bias_initializer="normal")(scaled)
    return tf.keras.Model(inputs, _LAYERS.Dense(3)(_LAYERS.Flatten()(hidden)))


def by_hand(motion: np.ndarray, wanted: int, weights: list[np.ndarray], stride: int) -> np.ndarray:
    """``[time, joint]`` for a network of one convolution, in loops."""
    mean, deviation, kernel, bias, dense, shift = (weight.astype(np.float64) for weight in weights)
    scaled = (motion.reshape(SAMPLES, -1) - mean) / deviation
    places = range(0, SAMPLES, stride)
    before = np.array([sum(scaled[(at + tap - 1) % SAMPLES] @ kernel[tap] for tap in range(3)) + bias for at in places])
    rectified = np.maximum(before, 0)
    logits = rectified.ravel() @ dense + shift
    others = [number for number in range(3) if number != wanted]
    slope = np.zeros(3)
    slope[wanted], slope[others] = 1, -softmax(logits[others])
    gradient = (dense @ slope).reshape(before.shape)
    cam = np.maximum((rectified * gradient.mean(axis=0)).sum(axis=1), 0)
    guided = np.zeros_like(scaled)
    for row, at in enumerate(places):
        passed = np.where((before[row] > 0) & (gradient[row] > 0), gradient[row], 0)
        for tap in range(3):
            guided[(at + tap - 1) % SAMPLES] += kernel[tap] @ passed
    drawn = np.interp(np.arange(SAMPLES), list(places), cam, period=SAMPLES)
    return drawn[:, np.newaxis] * (scaled * guided).reshape(SAMPLES, N_JOINTS, 3).sum(axis=2)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_it_is_what_is_written_out_by_hand(stride: int) -> None:
    classifier, gaits, wanted = tiny(stride), walks(9, samples=SAMPLES, joints=N_JOINTS), np.arange(9) % 3
    kernel, bias, dense, shift = classifier.trainable_weights
    weights = [weight.numpy() for weight in (*classifier.non_trainable_weights, kernel, bias, dense, shift)]
    expected = np.array([by_hand(*each, weights, stride) for each in zip(gaits.motions, wanted, strict=True)])
    found = guided_grad_cam(classifier, gaits, wanted)
    assert found.dtype == np.float64
    assert expected.any(axis=(1, 2)).sum() > 2
    assert expected.min() < 0 < expected.max()
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.max())


def test_a_linear_network_that_looks_at_one_joint_has_a_map_of_that_joint_alone() -> None:
    inputs, scaled = standardised(SAMPLES, N_JOINTS)
    layer = CircularConv1D(2, 3, activation="relu", use_bias=False)
    classifier = tf.keras.Model(inputs, _LAYERS.Dense(2)(_LAYERS.Flatten()(layer(scaled))))
    kernel = np.zeros(layer.kernel.shape)
    kernel[:, 6:9] = np.random.default_rng(0).normal(size=(3, 3, 2))
    layer.set_weights([kernel])
    gaits = walks(6, samples=SAMPLES, joints=N_JOINTS)
    for explain in (guided_grad_cam, gradient_times_deviation):
        found = np.abs(explain(classifier, gaits, np.arange(6) % 2)).sum(axis=(0, 1))
        assert found[2] > 0
        np.testing.assert_allclose(np.delete(found, 2), 0, atol=1e-12)


def test_a_network_without_a_place_in_the_cycle_turns_with_it() -> None:
    tf.keras.utils.set_random_seed(0)
    classifier = tf.keras.Sequential(
        [
            tf.keras.Input((16, 45)),
            CircularConv1D(6, 5, strides=2, activation="relu"),
            CircularConv1D(6, 3, strides=2, activation="relu"),
            _LAYERS.GlobalAveragePooling1D(),
            _LAYERS.Dense(2),
        ]
    )
    gaits, wanted = walks(4), np.array([0, 1, 0, 1])
    found = guided_grad_cam(classifier, gaits, wanted)
    assert found.max() > 0
    turned = guided_grad_cam(classifier, replace(gaits, motions=np.roll(gaits.motions, 4, axis=1)), wanted)
    np.testing.assert_allclose(turned, np.roll(found, 4, axis=1), atol=1e-5 * found.max())


def test_joints_that_did_not_move_have_none_and_the_unit_is_deviations_not_metres() -> None:
    classifier, gaits, wanted = tiny(1), walks(6, samples=SAMPLES, joints=N_JOINTS), np.arange(6) % 3
    layer = classifier.layers[1]
    mean, deviation = layer.get_weights()
    before = guided_grad_cam(classifier, gaits, wanted)
    # The same walks in other units, scaled by as much.
    layer.set_weights([100 * mean, 100 * deviation])
    np.testing.assert_allclose(
        guided_grad_cam(classifier, replace(gaits, motions=100 * gaits.motions), wanted),
        before,
        atol=1e-4 * before.max(),
    )
    deviation[:3] = 1e-3
    layer.set_weights([mean, deviation])
    found = guided_grad_cam(classifier, gaits, wanted)
    assert not found[:, :, 0].any()
    assert found[:, :, 1:].any()


def test_many_cycles_are_as_few_and_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, unseen, classes = trained()
    found = guided_grad_cam(classifier, unseen, classes)
    assert found.shape == (len(unseen), 16, 15)
    assert len(unseen) < explanation.AT_ONCE
    np.testing.assert_array_equal(guided_grad_cam(classifier, unseen, classes), found)
    monkeypatch.setattr(explanation, "AT_ONCE", 17)
    np.testing.assert_allclose(guided_grad_cam(classifier, unseen, classes), found, atol=1e-5 * found.max())


@pytest.mark.parametrize("explain", [guided_grad_cam, gradient_times_deviation])
def test_emotion_is_found_in_the_arms_where_it_was_planted_and_not_by_random_weights(explain) -> None:
    classifier, unseen, classes = trained()
    assert (classifier.predict(unseen.series, verbose=0).argmax(axis=1) == classes).mean() > 0.6
    found = heat_maps(explain(classifier, unseen, classes), unseen)
    arms = [JOINTS.index(joint) for joint in ARMS]
    assert set(np.argsort(-found.joint_importance)[:3]) <= set(arms)
    share = found.joint_importance[arms].sum()
    random = [heat_maps(explain(randomised(classifier, seed), unseen, classes), unseen) for seed in range(3)]
    # Joints but for the pelvis; the maps are diffuse, and how far above an even share they are differs with the method.
    assert share > max(len(ARMS) / 14, *(one.joint_importance[arms].sum() for one in random))
    assert np.mean([agreement(found, one).phases for one in random]) < 0.3


def test_networks_that_it_does_not_fit_are_refused() -> None:
    gaits, wanted = walks(2), np.zeros(2, int)
    dense = tf.keras.Sequential([tf.keras.Input((16, 45)), _LAYERS.Flatten(), _LAYERS.Dense(2)])
    with pytest.raises(InputError, match="a convolution over time, found none"):
        guided_grad_cam(dense, gaits, wanted)
    apart = tf.keras.Sequential(
        [tf.keras.Input((16, 45)), CircularConv1D(2, 3), _LAYERS.ReLU(), _LAYERS.Flatten(), _LAYERS.Dense(2)]
    )
    with pytest.raises(InputError, match="rectifiers as activations of layers"):
        guided_grad_cam(apart, gaits, wanted)
    with pytest.raises(InputError, match="found 0 to 9"):
        guided_grad_cam(untrained(), gaits, np.array([0, 9]))
