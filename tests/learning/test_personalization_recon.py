"""A round with heads made anew: against TFF's own Federated Reconstruction."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff
from sample_personal import CLIENTS, MODEL, TRAINING, parts_in

from tff_affect.client_data import training_key
from tff_affect.config import OptimizerConfig
from tff_affect.learning.algorithms import build_optimizer
from tff_affect.learning.personalization import HEAD_WEIGHTS
from tff_affect.learning.personalization_parts import Parts
from tff_affect.learning.personalization_recon import Reconstruction
from tff_affect.learning.sampling import ClientSampling
from tff_affect.losses import build_loss
from tff_affect.models.registry import Weights, build_model, initial_weights

PASSES = 3
SETTINGS = replace(
    TRAINING,
    weighting="windows",
    batch_size=1,
    client_optimizer=OptimizerConfig("adam", 0.02),
    server_optimizer=OptimizerConfig("sgd", 0.7),
)
SAMPLING = ClientSampling(CLIENTS, 0, 4)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    # Support and later parts of unequal length, so that weighting by windows is seen.
    return parts_in(tmp_path_factory.mktemp("clients"), share=0.4, a=np.tile(parts_rows(), (2, 1)))


def parts_rows() -> np.ndarray:
    rng = np.random.default_rng(11)
    return np.cumsum(rng.normal(scale=0.3, size=(40, 4)), axis=0).astype(np.float32)


@pytest.fixture(scope="module")
def first(parts: Parts) -> Weights:
    return initial_weights(MODEL, parts.later.shape, 2)


@pytest.fixture(scope="module")
def reconstruction(runtime: object, parts: Parts, first: Weights) -> Reconstruction:
    return Reconstruction(parts, MODEL, SETTINGS, PASSES, first)


@pytest.fixture(scope="module")
def rounds(reconstruction: Reconstruction) -> list[list[np.ndarray]]:
    return [reconstruction.next(SAMPLING, number) for number in (1, 2)]


def test_the_server_never_sees_a_head(rounds: list[list[np.ndarray]], first: Weights) -> None:
    for found in rounds:
        for mine, theirs in zip(found[-HEAD_WEIGHTS:], first[-HEAD_WEIGHTS:], strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_rounds_are_those_of_tffs_own_algorithm(rounds: list[list[np.ndarray]], parts: Parts, first: Weights) -> None:
    for mine, theirs in zip(rounds, tff_rounds(parts, first), strict=True):
        for own, body in zip(mine[:-HEAD_WEIGHTS], theirs, strict=True):
            np.testing.assert_allclose(own, body, atol=2e-6)
    moved = [np.abs(w - f).max() for w, f in zip(rounds[0], first, strict=True)]
    assert min(moved[:-HEAD_WEIGHTS]) > 1e-3


class Output(NamedTuple):
    predictions: tf.Tensor
    labels: tf.Tensor
    num_examples: tf.Tensor


class Client(tff.learning.models.ReconstructionModel):
    """The same network as TFF wants it: a Keras body, and a head of two variables."""

    def __init__(self, parts: Parts, head: Weights, spec: Any) -> None:
        whole = build_model(MODEL, parts.later.shape)
        self._body = tf.keras.Model(whole.inputs, whole.get_layer("affect").input)
        self._head, self._spec = [tf.Variable(w) for w in head], spec

    global_trainable_variables = property(lambda self: list(self._body.trainable_variables))
    global_non_trainable_variables = property(lambda self: [])
    local_trainable_variables = property(lambda self: self._head)
    local_non_trainable_variables = property(lambda self: [])
    input_spec = property(lambda self: self._spec)

    @tf.autograph.experimental.do_not_convert
    def forward_pass(self, batch_input: Mapping[str, tf.Tensor], training: bool = True) -> Output:
        predicted = tf.matmul(self._body(batch_input["features"], training=False), self._head[0]) + self._head[1]
        return Output(predicted, batch_input["labels"], tf.shape(predicted)[0])


def tff_rounds(parts: Parts, first: Weights) -> list[list[np.ndarray]]:
    """The body after each of two rounds, from batches that are cut here."""
    features, labels = parts.later.window_spec
    spec = OrderedDict(features=features, labels=labels, support=tf.TensorSpec([], tf.bool))
    process = tff.learning.algorithms.build_fed_recon(
        tf.autograph.experimental.do_not_convert(lambda: Client(parts, first[-HEAD_WEIGHTS:], spec)),
        loss_fn=lambda: build_loss(SETTINGS.loss),
        server_optimizer_fn=build_optimizer(SETTINGS.server_optimizer),
        client_optimizer_fn=build_optimizer(SETTINGS.client_optimizer),
        reconstruction_optimizer_fn=build_optimizer(SETTINGS.client_optimizer),
        dataset_split_fn=lambda b: (b.filter(lambda x: x["support"]), b.filter(lambda x: tf.logical_not(x["support"]))),
        client_weighting=tff.learning.ClientWeighting.NUM_EXAMPLES,
    )
    body = tff.learning.models.ModelWeights(list(first[:-HEAD_WEIGHTS]), [])
    state, found = process.set_model_weights(process.initialize(), body), []
    for number in (1, 2):
        keys = SAMPLING.keys(number, SAMPLING.cohort(number))
        state = process.next(state, [batches(parts, key) for key in keys]).state
        found.append([np.asarray(w) for w in process.get_model_weights(state).trainable])
    return found


def batches(parts: Parts, key: str) -> tf.data.Dataset:
    """Of one window each."""
    made = []
    for part, passes, support in ((parts.support, PASSES, True), (parts.later, SETTINGS.local_epochs, False)):
        (features, labels), order, _ = part.training_batches(tf.constant(key), passes, True)
        rows = order.numpy().ravel()
        made.append((features.numpy()[rows], labels.numpy()[rows], np.full(len(rows), support)))
    features, labels, support = (np.concatenate(column) for column in zip(*made, strict=True))
    return tf.data.Dataset.from_tensor_slices(
        OrderedDict(features=features[:, None], labels=labels[:, None], support=support)
    )


def test_an_absent_client_changes_nothing(rounds: list[list[np.ndarray]], reconstruction: Reconstruction) -> None:
    class Nobody(ClientSampling):
        def keys(self, round_number: int, cohort: Any) -> list[str]:
            return [training_key("", 0)]

    for mine, theirs in zip(reconstruction.next(Nobody(CLIENTS, 0, 0), 3), rounds[-1], strict=True):
        np.testing.assert_array_equal(mine, theirs)
