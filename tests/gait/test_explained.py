"""Explanations with their checks: a trained network is told from one with random weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from sample_gait_classifier import SAMPLES, TREE, WALKERS, trained, untrained
from scipy.stats import spearmanr

from data_prep.skeleton import JOINTS
from data_prep.synthetic_walkers import expressiveness
from data_prep.walk_file import CycleOptions
from tff_affect.errors import InputError
from tff_affect.gait.config import GaitConfig
from tff_affect.gait.disentangler import Disentangler
from tff_affect.gait.explained import Explained, classifier_of, explain


@pytest.fixture(scope="module")
def networks() -> Disentangler:
    """The shared classifier as if it were part of a disentangler; what is not explained is not needed."""
    classifier, unseen, _ = trained()
    # A copy: building networks of the shared one's layers would change it.
    copy = untrained()
    copy.set_weights(classifier.get_weights())
    codes, head = tf.keras.Model(copy.input, copy.layers[-2].output), copy.layers[-1]
    return Disentangler(GaitConfig(emotion_code=8), unseen.classes, TREE, codes, copy, copy, head)


@pytest.fixture(scope="module")
def found(networks: Disentangler) -> Explained:
    return explain(networks, trained().unseen, 0)


def test_the_classifier_is_encoder_and_head(networks: Disentangler) -> None:
    series = trained().unseen.series[:5]
    np.testing.assert_allclose(classifier_of(networks)(series), trained().classifier(series), atol=1e-5)


def test_occlusion_agrees_more_than_random_weights_do(found: Explained) -> None:
    assert found.occlusion.joints > 0.4
    assert found.occlusion.joints > found.random.joints
    assert 0.5 < found.mapped <= 1
    assert found.random_importance.shape == (3, len(JOINTS))
    planted = np.array([expressiveness(joint, WALKERS, CycleOptions(samples=SAMPLES)) for joint in JOINTS])
    row = found.row({"metres": planted})
    moves = planted > 0
    assert row["planted_metres"] == pytest.approx(spearmanr(found.maps.joint_importance[moves], planted[moves])[0])
    of_random = [spearmanr(each[moves], planted[moves])[0] for each in found.random_importance]
    assert row["random_planted"] == pytest.approx(np.mean(of_random))
    assert set(found.row({})) == set(row) - {"planted_metres"}
    assert np.isnan(found.row({})["random_planted"])


def test_emotions_of_others_are_refused(networks: Disentangler) -> None:
    gaits = trained().unseen
    with pytest.raises(InputError, match="found bored"):
        explain(networks, replace(gaits, emotions=("bored",) * len(gaits)), 0)
