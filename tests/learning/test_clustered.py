"""Who chooses which model, and that one model is federated averaging."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff
from sample_personal import CLIENTS, MODEL, TRAINING, staged_in

from tff_affect.client_data import StagedCohort
from tff_affect.learning.algorithms import build_federated_averaging
from tff_affect.learning.clustered import Choice, ClusteredTraining
from tff_affect.learning.sampling import ClientSampling
from tff_affect.losses import build_loss
from tff_affect.models.network import Network
from tff_affect.models.registry import initial_weights

SAMPLING = ClientSampling(CLIENTS, 0, 0)


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> StagedCohort:
    return staged_in(tmp_path_factory.mktemp("clients"))


@pytest.fixture(scope="module")
def process(runtime: object, staged: StagedCohort) -> tff.learning.templates.LearningProcess:
    return build_federated_averaging(staged, MODEL, TRAINING)


@pytest.fixture(scope="module")
def choice(runtime: object, staged: StagedCohort) -> Choice:
    return Choice(staged, MODEL, "mse")


@pytest.fixture(scope="module")
def models(staged: StagedCohort) -> list[list[np.ndarray]]:
    """Drawn at random, but for the bias: each says a constant that suits some client's level."""
    found = [initial_weights(MODEL, staged.shape, seed) for seed in (0, 1, 2)]
    for level, weights in zip((-2.0, 0.3, 0.6), found, strict=True):
        weights[-1][:] = level
    return found


def federated_averaging(process: Any, first: Any, clients: tuple[str, ...], rounds: int) -> list[np.ndarray]:
    state = process.set_model_weights(process.initialize(), tff.learning.models.ModelWeights(list(first), []))
    for number in range(1, rounds + 1):
        state = process.next(state, SAMPLING.keys(number, clients)).state
    return [np.asarray(w) for w in process.get_model_weights(state).trainable]


def test_one_model_is_federated_averaging(process: Any, choice: Choice, models: list) -> None:
    training = ClusteredTraining(process, choice, models[:1])
    for number in (1, 2):
        (found,) = training.next(SAMPLING, number)
    for mine, theirs in zip(found, federated_averaging(process, models[0], CLIENTS, 2), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_clients_take_the_model_with_the_least_loss(staged: StagedCohort, choice: Choice, models: list) -> None:
    predict, loss = tf.function(Network(MODEL, staged.shape).predict, autograph=False), build_loss("mse")
    losses = np.empty((len(CLIENTS), len(models)))
    for place, client in enumerate(CLIENTS):
        features, labels = staged.training_windows(client)
        for other, weights in enumerate(models):
            losses[place, other] = loss(labels, predict([tf.constant(w) for w in weights], features))
    np.testing.assert_array_equal(choice.of(models, CLIENTS), losses.argmin(axis=1))
    assert len(set(losses.argmin(axis=1))) > 1


def test_each_model_is_the_average_of_its_own_clients(process: Any, choice: Choice, models: list) -> None:
    chosen = choice.of(models, CLIENTS)
    found = ClusteredTraining(process, choice, models).next(SAMPLING, 1)
    for place, first in enumerate(models):
        own = tuple(client for client, taken in zip(CLIENTS, chosen, strict=True) if taken == place)
        expected = federated_averaging(process, first, own, 1) if own else first
        for mine, theirs in zip(found[place], expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert 0 not in chosen


def test_of_equals_the_first_is_taken_and_a_broken_model_by_nobody(choice: Choice, models: list) -> None:
    broken = [np.full_like(w, np.nan) for w in models[1]]
    assert list(choice.of([models[1], models[1]], CLIENTS)) == [0, 0, 0]
    assert list(choice.of([broken, models[1]], CLIENTS)) == [1, 1, 1]
