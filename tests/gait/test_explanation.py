"""Heat maps are means over people, and the network behind the scaling says what the classifier says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from sample_gait_classifier import trained, untrained, walks
from scipy.special import softmax

from data_prep.skeleton import BONES, JOINTS
from tff_affect.errors import InputError
from tff_affect.gait.explanation import HeatMaps, agreement, heat_maps, log_odds, open_network, rank_correlation
from tff_affect.gait.layers import CircularConv1D, Standardised
from tff_affect.gait_set import GaitSet

_LAYERS = tf.keras.layers


def gaits(subjects: str, emotions: str) -> GaitSet:
    return replace(walks(len(subjects), samples=8), subjects=tuple(subjects), emotions=tuple(emotions))


def one_joint(*joints: int) -> np.ndarray:
    """``[cycle, 4, 15]``: all importance of a cycle in one joint, as much more of it as the number of the cycle."""
    found = np.zeros((len(joints), 4, 15))
    for cycle, joint in enumerate(joints):
        found[cycle, 1, joint] = 10.0**cycle
    return found


def test_people_count_alike_whatever_their_cycles_and_however_sure_the_network_is() -> None:
    found = heat_maps(one_joint(0, 0, 0, 1, 2), gaits("aaabb", "xxxxy"))
    assert (found.emotions, found.cycles) == (("x", "y"), (4, 1))
    np.testing.assert_allclose(found.emotion_joint_importance[:, :4], [[0.5, 0.5, 0, 0], [0, 0, 1, 0]])
    np.testing.assert_allclose(found.joint_importance[:4], [0.25, 0.25, 0.5, 0])
    np.testing.assert_allclose(found.maps.sum(axis=(1, 2)), 1)
    np.testing.assert_allclose(found.phases, [0, 0.25, 0.5, 0.75])


def test_what_speaks_for_a_class_in_one_and_against_it_in_another_cancels() -> None:
    importance = one_joint(0, 1, 2, 2)
    importance[0, 2, 5] = -7
    importance[1] *= -1
    found = heat_maps(importance, gaits("abcd", "xxyy"))
    assert found.cycles == (2, 2)
    np.testing.assert_allclose(found.emotion_joint_importance, np.eye(15)[[0, 2]])
    # Two joints speak alike for it in one person, and one of them as much against it in the other.
    importance[2, 1, 3], importance[3, 1, 2], importance[3, 1, 3] = importance[2, 1, 2], -1, 1
    found = heat_maps(importance, gaits("abcd", "xxyy"))
    np.testing.assert_allclose(found.emotion_joint_importance[1], np.eye(15)[3])


def test_an_emotion_that_nothing_speaks_for_has_no_map() -> None:
    importance = one_joint(0, 1, 2)
    for nothing in (0 * importance[2], -importance[2]):
        importance[2] = nothing
        found = heat_maps(importance, gaits("abc", "xxy"))
        assert found.cycles == (2, 0)
        assert np.isnan(found.maps[1]).all()
        np.testing.assert_allclose(found.joint_importance[:3], [0.5, 0.5, 0])
    assert np.isnan(heat_maps(0 * importance, gaits("abc", "xxy")).joint_importance).all()


def test_coarser_maps_keep_what_joints_have() -> None:
    rng = np.random.default_rng(0)
    fine = heat_maps(rng.uniform(size=(3, 12, 15)), gaits("abc", "xxy"))
    coarse = fine.coarser(4)
    np.testing.assert_allclose(coarse.maps[:, 1], fine.maps[:, 3:6].sum(axis=1))
    np.testing.assert_allclose(coarse.joint_importance, fine.joint_importance)
    with pytest.raises(InputError, match="parts that divide 12 samples of a cycle, found 5"):
        fine.coarser(5)


def test_agreement_is_of_ranks_on_the_coarser_grid_without_joints_that_never_matter() -> None:
    rng = np.random.default_rng(1)
    cells = rng.uniform(size=(3, 4, 15))
    cells[:, :, 8] = 0
    one = heat_maps(np.repeat(cells, 3, axis=1), gaits("abc", "xyz"))
    same = heat_maps(cells, gaits("abc", "xyz"))
    assert agreement(one, same) == pytest.approx((1, 1))
    assert agreement(same, one) == agreement(one, same)
    upside_down = heat_maps(np.where(cells > 0, 1 - cells, 0), gaits("abc", "xyz"))
    found = agreement(one, upside_down)
    assert found.phases == pytest.approx(-1)
    other = heat_maps(np.where(cells > 0, rng.uniform(size=cells.shape), 0), gaits("abc", "xyz"))
    assert abs(agreement(one, other).phases) < 0.3


def test_agreement_is_of_emotions_with_both_maps() -> None:
    cells = np.random.default_rng(2).uniform(size=(3, 4, 15))
    some = cells.copy()
    some[2] = 0
    one, other = heat_maps(cells, gaits("abc", "xyz")), heat_maps(some, gaits("abc", "xyz"))
    assert agreement(one, other).phases == pytest.approx(1)
    assert other.cycles == (1, 1, 0)
    with pytest.raises(InputError, match="an emotion with a map in both, found none"):
        agreement(one, heat_maps(0 * cells, gaits("abc", "xyz")))
    with pytest.raises(InputError, match="the same emotions and joints"):
        agreement(one, heat_maps(cells, gaits("abc", "xyw")))
    even = heat_maps(np.ones_like(cells), gaits("abc", "xyz"))
    assert np.isnan(agreement(one, even)).all()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=20))
def test_rank_correlation_is_that_of_mean_ranks(pairs: list[tuple[int, int]]) -> None:
    one, other = np.array(pairs, float).T
    ranks = [np.array([(of < value).sum() + ((of == value).sum() + 1) / 2 for value in of]) for of in (one, other)]
    if np.ptp(one) and np.ptp(other):
        assert rank_correlation(one, other) == pytest.approx(np.corrcoef(*ranks)[0, 1])
    else:
        assert np.isnan(rank_correlation(one, other))


def test_the_ceiling_of_one_important_joint_is_as_said() -> None:
    assert rank_correlation(np.eye(14)[13], np.arange(14)) == pytest.approx(0.45, abs=0.005)


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=6), st.integers(0, 5), st.floats(-50, 50))
def test_log_odds_are_of_the_probability_and_do_not_see_what_logits_have_in_common(
    logits: list[float], number: int, common: float
) -> None:
    wanted = np.array([number % len(logits)])
    found = log_odds(tf.constant([logits], tf.float64), wanted).numpy()[0]
    shifted = log_odds(tf.constant([logits], tf.float64) + common, wanted).numpy()[0]
    assert shifted == pytest.approx(found, abs=1e-9)
    chances = softmax(logits)
    if 1e-6 < chances[wanted[0]] < 1 - 1e-6:
        assert found == pytest.approx(np.log(chances[wanted[0]] / (1 - chances[wanted[0]])), abs=1e-6)


def test_the_opened_network_says_what_the_classifier_says_and_leaves_it_alone() -> None:
    classifier, unseen, classes = trained()
    before = classifier(unseen.series).numpy()
    opened = open_network(classifier, unseen, classes)
    np.testing.assert_allclose(opened.network(opened.inputs).numpy(), before, atol=1e-4)
    opened.network.set_weights([0 * weight for weight in opened.network.get_weights()])
    np.testing.assert_array_equal(classifier(unseen.series).numpy(), before)
    assert len(classifier.get_layer("standardised").inbound_nodes) == 1
    assert not any(isinstance(layer, tf.keras.Model) for layer in opened.network.layers)


def test_bones_belong_to_the_joint_at_their_end_and_what_does_not_vary_to_none() -> None:
    classifier, unseen, classes = trained()
    opened = open_network(classifier, unseen, classes)
    assert opened.joints.shape == (6 * 14 + 1, 15)
    assert not opened.joints[-1].any()
    assert not opened.joints[:, JOINTS.index("Pelvis")].any()
    assert opened.joints.sum(axis=1).max() == 1
    # The forearm turns with the wrist, and the wrist alone.
    wrist = JOINTS.index("LWrist")
    raised = unseen.motions.copy()
    raised[:, :, wrist, 2] += 0.1
    moved = open_network(classifier, replace(unseen, motions=raised), classes).inputs
    changed = np.abs(moved - opened.inputs).max(axis=(0, 1)) > 1e-3
    assert changed.any()
    assert (opened.joints[changed].argmax(axis=1) == wrist).all()
    hips = opened.joints[:, JOINTS.index("LHip")].sum()
    assert 0 < hips < 6


def test_codes_of_another_kind_dropout_and_a_softmax_are_followed() -> None:
    tf.keras.utils.set_random_seed(3)
    inputs = tf.keras.Input((8, 45))
    hidden = CircularConv1D(4, 3, strides=2, activation="relu")(Standardised()(inputs))
    code = _LAYERS.Dense(6, activation="tanh")(_LAYERS.Dropout(0.5)(_LAYERS.Flatten()(hidden)))
    logits = _LAYERS.Dense(3)
    plain = tf.keras.Model(inputs, logits(_LAYERS.GaussianNoise(1.0)(code)))
    people, classes = walks(5, samples=8), np.array([0, 1, 2, 0, 1])
    flat = people.motions.reshape(5, 8, 45)
    opened = open_network(plain, people, classes)
    wanted = plain(flat).numpy()
    np.testing.assert_allclose(opened.network(opened.inputs).numpy(), wanted, atol=1e-5)
    head = _LAYERS.Dense(3, activation="softmax")
    chances = tf.keras.Model(inputs, head(code))
    head.set_weights(logits.get_weights())
    same = open_network(chances, people, classes)
    np.testing.assert_allclose(same.network(same.inputs).numpy(), wanted, atol=1e-5)
    np.testing.assert_allclose(chances(flat).numpy().sum(axis=1), 1, rtol=1e-5)


def test_layers_of_one_name_in_both_networks_do_no_harm() -> None:
    stage = tf.keras.Sequential([tf.keras.Input((8, 45)), _LAYERS.Flatten(), _LAYERS.Dense(4, name="same")])
    other = tf.keras.Sequential([tf.keras.Input((4,)), _LAYERS.Dense(2, name="same")])
    both = tf.keras.Sequential([tf.keras.Input((8, 45)), stage, other])
    people = walks(3, samples=8)
    opened = open_network(both, people, np.zeros(3, int))
    np.testing.assert_allclose(opened.network(opened.inputs), both(people.motions.reshape(3, 8, 45)), atol=1e-5)
    np.testing.assert_array_equal(opened.joints, np.repeat(np.eye(15), 3, axis=0))


def test_what_cannot_be_explained_is_refused() -> None:
    classifier, people, classes = untrained(), walks(2), np.zeros(2, int)
    with pytest.raises(InputError, match=r"inputs \[8 samples, 15 joints x 3 or one more\], found \[16, 46\]"):
        open_network(classifier, walks(2, samples=8), classes)
    with pytest.raises(InputError, match=r"inputs \[16 samples, 14 joints x 3 or one more\], found \[16, 46\]"):
        open_network(classifier, walks(2, joints=14), classes)
    with pytest.raises(InputError, match=r"a class from 0 to 3 for each of 2 cycles, found \[3\]"):
        open_network(classifier, people, np.zeros(3, int))
    with pytest.raises(InputError, match="from 0 to 3 for each of 2 cycles, found 0 to 4"):
        open_network(classifier, people, np.array([0, 4]))
    with pytest.raises(InputError, match="two classes or more, found outputs"):
        open_network(untrained(1), people, classes)
    with pytest.raises(InputError, match=r"found \[45\]"):
        open_network(tf.keras.Sequential([tf.keras.Input((45,)), _LAYERS.Dense(2)]), people, classes)
    inputs = tf.keras.Input((16, 45))
    hidden = _LAYERS.Dense(45)(inputs)
    forked = tf.keras.Model(inputs, _LAYERS.Dense(2)(_LAYERS.Flatten()(_LAYERS.Add()([hidden, inputs]))))
    with pytest.raises(InputError, match="a chain of layers, found add"):
        open_network(forked, people, classes)
    odd = tf.keras.Sequential(
        [tf.keras.Input((16, 45)), _LAYERS.Dense(50), Standardised(), _LAYERS.Flatten(), _LAYERS.Dense(2)]
    )
    with pytest.raises(InputError, match="scaled places or directions of bones, found 50 channels"):
        open_network(odd, replace(people, bones=BONES), classes)


def test_wrong_maps_are_refused() -> None:
    people = gaits("ab", "xy")
    with pytest.raises(InputError, match=r"\[2 cycles, time, 15 joints\], found \[2, 4, 14\]"):
        heat_maps(np.ones((2, 4, 14)), people)
    with pytest.raises(InputError, match="found NaN"):
        heat_maps(np.full((2, 4, 15), np.nan), people)
    maps = heat_maps(np.ones((2, 4, 15)), people)
    with pytest.raises(InputError, match=r"\[2 emotions, time, 15 joints\], found \[1, 4, 15\]"):
        replace(maps, maps=maps.maps[:1])
    with pytest.raises(InputError, match="a count of cycles for each emotion, found 1"):
        HeatMaps(("x", "y"), JOINTS, maps.maps, (1,))
