"""Adaptation at the client: what it may know, what it leaves alone, and TFF's own computations beside it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff
from sample_personal import CLIENTS, FEATURES, LABELS, MODEL, TRAINING, parts_in, sequence, staged_in

from tff_affect.client_data import training_key
from tff_affect.learning.algorithms import build_optimizer
from tff_affect.learning.federated_evaluation import FederatedEvaluation
from tff_affect.learning.local_training import LocalTraining
from tff_affect.learning.personalization import HEAD_WEIGHTS, Adaptation, PartOnly, PersonalScores, shifted_scores
from tff_affect.learning.personalization_parts import Parts
from tff_affect.learning.sampling import derived_seed
from tff_affect.losses import build_loss
from tff_affect.metrics import SufficientStatistics, merge
from tff_affect.models.network import Network
from tff_affect.models.registry import MODELS, ModelConfig, Weights, build_model, initial_weights

PASSES, RATE, SEED = (0, 1, 4), 0.05, 3
SETTINGS = replace(TRAINING, shuffle=False)
Adapt = Callable[[str], tuple[np.ndarray, list[np.ndarray]]]


def changed(first: int, last: int, columns: slice) -> np.ndarray:
    """Client a's sequence with other numbers in some frames and columns."""
    other = sequence("a")
    other[first:last, columns] += np.random.default_rng(1).normal(size=other[first:last, columns].shape)
    return other


TWINS = {
    "other-later-labels": changed(20, 40, slice(FEATURES, None)),
    "other-later-features": changed(20, 40, slice(FEATURES)),
    "other-support-labels": changed(0, 20, slice(FEATURES, None)),
}
"""Client a, but for something."""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    parts = parts_in(tmp_path_factory.mktemp("clients"))
    for name, twin in TWINS.items():
        twin.astype("<f4").tofile(parts.later.folder / f"{name}.f32")
    return parts


@pytest.fixture(scope="module")
def weights(parts: Parts) -> Weights:
    return initial_weights(MODEL, parts.later.shape, 5)


@pytest.fixture(scope="module")
def adapt(parts: Parts, weights: Weights) -> Adapt:
    """Scores and adapted weights, without TFF; all clients see their windows in the same order."""
    adaptation = Adaptation(parts, MODEL, SETTINGS, PASSES)
    text = tf.TensorSpec([], tf.string)
    run = tf.function(
        lambda key: adaptation.in_graph([tf.constant(w) for w in weights], tf.constant(RATE), key), [text], False
    )

    def adapt(client: str) -> tuple[np.ndarray, list[np.ndarray]]:
        found, learned = run(tf.constant(training_key(client, derived_seed(SEED, "personalisation", "a"))))
        return found.numpy(), [w.numpy() for w in learned]

    return adapt


@pytest.mark.parametrize("twin", ["other-later-labels", "other-later-features"])
def test_nothing_of_the_later_part_changes_what_is_learned(twin: str, adapt: Adapt) -> None:
    (scores, learned), (own, mine) = adapt(twin), adapt("a")
    for theirs, other in zip(mine, learned, strict=True):
        np.testing.assert_array_equal(theirs, other)
    assert not np.allclose(scores, own)


def test_labels_of_the_support_part_do(adapt: Adapt) -> None:
    (scores, learned), (own, mine) = adapt("other-support-labels"), adapt("a")
    assert all(not np.array_equal(theirs, other) for theirs, other in zip(mine, learned, strict=True))
    np.testing.assert_array_equal(scores[0], own[0])


def test_candidates_are_stops_of_one_training(parts: Parts, weights: Weights, adapt: Adapt) -> None:
    """The weights after the last are those of as many passes in one go."""
    optimizer = tff.learning.optimizers.build_sgdm(RATE)
    local = LocalTraining(Network(MODEL, parts.later.shape), SETTINGS.loss, optimizer)
    key = training_key("a", derived_seed(SEED, "personalisation", "a"))

    @tf.function(autograph=False)
    def passes() -> Any:
        batches = parts.support.training_batches(tf.constant(key), PASSES[-1], False)
        begin = local.initial_optimizer()
        start = [tf.constant(w) for w in weights]
        return local.passes(start, begin, batches.windows, batches.order, SETTINGS.batch_size, batches.seed).weights

    for mine, theirs in zip(adapt("a")[1], passes(), strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), atol=1e-6)


@pytest.mark.parametrize("head", [True, False])
def test_adam_leaves_what_does_not_learn_exactly_as_it_is(head: bool) -> None:
    optimizer = PartOnly(tff.learning.optimizers.build_adam(0.1), head)
    current = [tf.constant([float(place)]) for place in range(4)]
    state = optimizer.initialize([tf.TensorSpec([1], tf.float32)] * 4)
    for _ in range(3):
        state, current = optimizer.next(state, current, [tf.constant([2.0])] * 4)
    moved = [float(w[0]) != place for place, w in enumerate(current)]
    assert moved == [not head, not head, head, head]


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"ridge"}))
def test_the_last_weights_of_every_network_are_its_head(name: str, parts: Parts) -> None:
    with tf.Graph().as_default():
        model = build_model(ModelConfig(name, units=2), parts.later.shape)
        head = model.get_layer("affect")
        last = model.trainable_variables[-HEAD_WEIGHTS:]
    assert [id(v) for v in last] == [id(v) for v in (head.kernel, head.bias)]


@pytest.fixture(scope="module")
def scores(runtime: object, parts: Parts, weights: Weights) -> np.ndarray:
    """``[client, candidate, dimension, 6]`` by the federated computation."""
    adaptation = Adaptation(parts, MODEL, SETTINGS, PASSES)
    return PersonalScores(parts, MODEL, lambda *given: adaptation.in_graph(*given)[0]).of(weights, RATE, CLIENTS, SEED)


def test_the_federated_computation_does_what_a_client_does_alone(scores: np.ndarray, adapt: Adapt) -> None:
    np.testing.assert_allclose(scores[0], adapt("a")[0], rtol=1e-5, atol=1e-6)
    assert scores.shape == (len(CLIENTS), len(PASSES), len(LABELS), 6)
    assert not np.allclose(scores[0], scores[1])


@pytest.fixture(scope="module")
def predictions(runtime: object, parts: Parts, weights: Weights) -> list[np.ndarray]:
    """Of each client's whole recording, as a study evaluates it."""
    return FederatedEvaluation(staged_in(parts.later.folder), MODEL).predictions(weights, CLIENTS)


def test_no_pass_is_no_change(scores: np.ndarray, predictions: list[np.ndarray]) -> None:
    """Both parts of a recording make up the evaluation of the whole."""
    for client, found, predicted in zip(CLIENTS, scores[:, 0], predictions, strict=True):
        gold = sequence(client)[:, FEATURES:]
        early = SufficientStatistics.from_series(gold[:20], predicted[:20])
        whole = SufficientStatistics.from_series(gold, predicted).to_array()
        np.testing.assert_allclose(merge(early, SufficientStatistics.from_array(found)).to_array(), whole, atol=1e-5)


def test_the_shift_is_the_mean_residual_of_the_support_part(
    parts: Parts, weights: Weights, predictions: list[np.ndarray]
) -> None:
    found = PersonalScores(parts, MODEL, shifted_scores(parts, MODEL)).of(weights, 1.0, CLIENTS, SEED)
    for client, mine, predicted in zip(CLIENTS, found[:, 0], predictions, strict=True):
        gold = sequence(client)[:, FEATURES:].astype(np.float64)
        # The cut lies inside a window, which a forward network reads alike with and without what follows.
        shifted = predicted[20:] + (gold[:20] - predicted[:20]).mean(axis=0)
        expected = SufficientStatistics.from_series(gold[20:], shifted)
        np.testing.assert_allclose(mine, expected.to_array(), rtol=1e-5, atol=1e-6)


def test_agrees_with_tffs_own_personalization(scores: np.ndarray, parts: Parts, weights: Weights) -> None:
    """TFF fine-tunes a Keras model in its own loops."""
    theirs = tff_personalization(parts, weights)
    for place, name in ((0, "baseline_metrics"), (-1, "fine-tune")):
        found = [SufficientStatistics.from_array(client[place]).ccc.mean() for client in scores]
        # TFF samples clients and forgets who is who.
        np.testing.assert_allclose(sorted(theirs[name]["ccc"]), sorted(found), atol=1e-5)
    assert not np.allclose(theirs["baseline_metrics"]["ccc"], theirs["fine-tune"]["ccc"])


def tff_personalization(parts: Parts, weights: Weights) -> Any:
    shape, spec = parts.later.shape, parts.later.window_spec

    def model_fn() -> tff.learning.models.VariableModel:
        keras = build_model(MODEL, shape)
        return tff.learning.models.from_keras_model(keras, loss=build_loss("ccc"), input_spec=spec)

    def ccc_of(model: Any, later: tf.data.Dataset) -> OrderedDict:
        features, labels = later.batch(8).get_single_element()
        predicted = model.forward_pass((features, labels), training=False).predictions
        gold, said = (tf.cast(tf.reshape(v, [-1, len(LABELS)]), tf.float64) for v in (labels, predicted))
        there = tf.math.is_finite(gold[:, 0])
        gold, said = tf.boolean_mask(gold, there), tf.boolean_mask(said, there)
        (mean_g, var_g), (mean_p, var_p) = tf.nn.moments(gold, 0), tf.nn.moments(said, 0)
        covariance = tf.reduce_mean((gold - mean_g) * (said - mean_p), 0)
        return OrderedDict(ccc=tf.reduce_mean(2 * covariance / (var_g + var_p + (mean_g - mean_p) ** 2)))

    def fine_tune() -> Any:
        @tf.function
        def tuned(model: Any, own: tf.data.Dataset, later: tf.data.Dataset, context: Any = None) -> OrderedDict:
            variables = model.trainable_variables
            for batch in own.batch(SETTINGS.batch_size).repeat(PASSES[-1]):
                with tf.GradientTape() as tape:
                    loss = model.forward_pass(batch, training=True).loss
                for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
                    variable.assign_sub(RATE * gradient)
            return ccc_of(model, later)

        return tuned

    computation = tff.learning.algorithms.build_personalization_eval_computation(
        model_fn, OrderedDict({"fine-tune": fine_tune}), tf.function(ccc_of)
    )
    clients = [
        OrderedDict(
            train_data=tf.data.Dataset.from_tensor_slices(parts.support.training_windows(client)),
            test_data=tf.data.Dataset.from_tensor_slices(parts.later.windows(client)[:2]),
        )
        for client in CLIENTS
    ]
    return computation(tff.learning.models.ModelWeights(list(weights), []), clients)


def test_optimizers_take_the_rate_that_they_are_told() -> None:
    """Every optimizer of a client keeps its rate in its state, under one name."""
    for name in ("sgd", "adam"):
        config = replace(TRAINING.client_optimizer, name=name, learning_rate=0.5)
        state = build_optimizer(config).initialize([tf.TensorSpec([1], tf.float32)])
        assert float(state["learning_rate"]) == 0.5
