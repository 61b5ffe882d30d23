"""Occlusion: what the network itself says of walks with the mean gait in one place; and networks that forgot all."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from sample_gait_classifier import ARMS, TREE, standardised, trained, untrained, walks
from scipy.special import softmax

from data_prep.skeleton import JOINTS
from tff_affect.errors import InputError
from tff_affect.gait.explanation import agreement, heat_maps, open_network
from tff_affect.gait.grad_cam import gradient_times_deviation, guided_grad_cam
from tff_affect.gait.layers import CircularConv1D
from tff_affect.gait.occlusion import occlusion, randomised

_LAYERS = tf.keras.layers
ARM_NUMBERS = [JOINTS.index(joint) for joint in ARMS]


def odds_of(network: tf.keras.Model, inputs: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    chances = softmax(network(inputs).numpy().astype(np.float64), axis=1)
    own = chances[np.arange(len(wanted)), wanted]
    return np.log(own / (1 - own))


def test_it_is_the_classifiers_own_answer_with_the_mean_gait_in_one_place() -> None:
    tf.keras.utils.set_random_seed(1)
    inputs, scaled = standardised(8, 4)
    hidden = CircularConv1D(6, 3, strides=2, activation="relu")(scaled)
    classifier = tf.keras.Model(inputs, _LAYERS.Dense(3)(_LAYERS.Flatten()(hidden)))
    gaits, wanted = walks(7, samples=8, joints=4), np.arange(7) % 3
    mean = classifier.layers[1].get_weights()[0].reshape(8, 4, 3)
    found = occlusion(classifier, gaits, wanted, 2)
    assert (found.shape, found.dtype) == ((7, 2, 4), np.float64)
    whole = odds_of(classifier, gaits.motions.reshape(7, 8, 12), wanted)
    for window, joint in ((0, 1), (1, 3)):
        hidden = gaits.motions.copy()
        hidden[:, 4 * window : 4 * window + 4, joint] = mean[4 * window : 4 * window + 4, joint]
        expected = whole - odds_of(classifier, hidden.reshape(7, 8, 12), wanted)
        np.testing.assert_allclose(found[:, window, joint], expected, atol=1e-4)
    hidden = gaits.motions.copy()
    hidden[:, :, 2] = mean[:, 2]
    expected = whole - odds_of(classifier, hidden.reshape(7, 8, 12), wanted)
    np.testing.assert_allclose(occlusion(classifier, gaits, wanted, 1)[:, 0, 2], expected, atol=1e-4)


def test_of_directions_it_is_that_of_the_bone_that_ends_at_the_joint() -> None:
    classifier, unseen, classes = trained()
    some, wanted = unseen.part(np.arange(0, len(unseen), 12)), classes[::12]
    scaled = tf.keras.Model(classifier.input, classifier.get_layer("standardised").output)(some.series).numpy()
    rest = open_network(classifier, some, wanted).network
    bone = TREE.bones.index((JOINTS.index("LElbow"), JOINTS.index("LWrist")))
    hidden = scaled.copy()
    for first in (3 * bone, 3 * len(TREE.bones) + 3 * bone):
        hidden[:, 4:8, first : first + 3] = 0
    expected = odds_of(rest, scaled, wanted) - odds_of(rest, hidden, wanted)
    found = occlusion(classifier, some, wanted, 4)
    np.testing.assert_allclose(found[:, 1, JOINTS.index("LWrist")], expected, atol=2e-3)
    assert np.abs(expected).max() > 0.01
    assert not found[:, :, JOINTS.index("Pelvis")].any()


def test_for_a_linear_network_it_is_the_gradient_times_the_deviation() -> None:
    inputs, scaled = standardised(8, 4)
    hidden = CircularConv1D(3, 3, bias_initializer="normal")(scaled)
    classifier = tf.keras.Model(inputs, _LAYERS.Dense(2, bias_initializer="normal")(_LAYERS.Flatten()(hidden)))
    gaits, wanted = walks(5, samples=8, joints=4), np.array([0, 1, 0, 1, 1])
    found = occlusion(classifier, gaits, wanted, 2)
    added = gradient_times_deviation(classifier, gaits, wanted)
    np.testing.assert_allclose(found, added.reshape(5, 2, 4, 4).sum(axis=2), atol=1e-4)
    logits = classifier(gaits.motions.reshape(5, 8, 12)).numpy()
    mean = classifier.layers[1].get_weights()[0]
    at_mean = classifier(mean[np.newaxis]).numpy()[0]
    sides = np.where(wanted == 0, 1, -1)
    expected = sides * ((logits - at_mean)[:, 0] - (logits - at_mean)[:, 1])
    np.testing.assert_allclose(found.sum(axis=(1, 2)), expected, atol=1e-4)


def test_emotion_is_found_in_the_arms_and_grad_cam_agrees() -> None:
    classifier, unseen, classes = trained()
    hidden = heat_maps(occlusion(classifier, unseen, classes), unseen)
    assert set(np.argsort(-hidden.joint_importance)[:3]) <= set(ARM_NUMBERS)
    assert hidden.joint_importance[ARM_NUMBERS].sum() > 0.4
    whole = heat_maps(occlusion(classifier, unseen, classes, 1), unseen)
    assert whole.joint_importance[ARM_NUMBERS].sum() > 0.5
    guided = heat_maps(guided_grad_cam(classifier, unseen, classes), unseen)
    assert agreement(guided, hidden).joints > 0.6
    added = heat_maps(gradient_times_deviation(classifier, unseen, classes), unseen)
    assert agreement(added, hidden).phases > 0.8


def test_a_window_that_does_not_divide_the_cycle_is_refused() -> None:
    for windows in (0, 3):
        with pytest.raises(InputError, match=f"windows that divide 16 samples of a cycle, found {windows}"):
            occlusion(untrained(), trained().unseen.part(np.arange(1)), np.zeros(1, int), windows)


def test_random_weights_are_new_and_the_scaling_is_kept() -> None:
    classifier = trained().classifier
    before = classifier.get_weights()
    first, again, other = (randomised(classifier, seed) for seed in (0, 0, 1))
    for kept, new in zip(classifier.non_trainable_weights, first.non_trainable_weights, strict=True):
        np.testing.assert_array_equal(kept.numpy(), new.numpy())
    for old, new, same, another in zip(
        *(network.trainable_weights for network in (classifier, first, again, other)), strict=True
    ):
        np.testing.assert_array_equal(new.numpy(), same.numpy())
        assert (old.numpy() != new.numpy()).any()
        if len(new.shape) > 1:
            assert (new.numpy() != another.numpy()).any()
            fans = np.prod(new.shape[:-2], dtype=int) * np.array(new.shape[-2:])
            assert np.abs(new.numpy()).max() <= np.sqrt(6 / fans.sum())
            assert new.numpy().std() == pytest.approx(np.sqrt(2 / fans.sum()), rel=0.3)
        else:
            assert not new.numpy().any()
    for weight, now in zip(before, classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, now)


def test_layers_of_one_shape_get_different_random_weights() -> None:
    stages = [tf.keras.Input((4,)), _LAYERS.Dense(4), _LAYERS.Dense(4)]
    one, other = randomised(tf.keras.Sequential(stages), 0).layers
    assert (one.kernel.numpy() != other.kernel.numpy()).all()
