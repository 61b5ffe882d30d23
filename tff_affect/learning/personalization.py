"""Personalisation: a client adapts a model to itself with the beginning of its recording, and is scored on the rest.

Fine-tuning and evaluation at the client (Wang et al. 2019, Federated Evaluation of On-device Personalization, arXiv
1910.10252), for all weights or for the head alone over a shared body (Arivazhagan et al. 2019, Federated Learning with
Personalization Layers, arXiv 1912.00818), and the cheapest thing that could help: adding the mean residual.

TFF's own `tff.learning.algorithms.build_personalization_eval_computation` does the first for scores that are means over
examples. A concordance is none, the server has to be told whose score is whose, and overlapping windows are averaged
back to frames first; so the computations here return each client's sufficient statistics, and a test holds them against
TFF's. What a client learns of itself stays with it and costs no privacy budget; a personalised model that is released
is protected by nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.client_data import parts_of_key, training_batches, training_key
from tff_affect.config import ModelConfig, TrainingConfig
from tff_affect.learning.algorithms import build_optimizer, model_type
from tff_affect.learning.local_training import LocalTraining
from tff_affect.learning.personalization_parts import Parts
from tff_affect.learning.sampling import derived_seed
from tff_affect.metrics import statistics_in_graph
from tff_affect.models.network import Network, Tensors
from tff_affect.models.registry import Weights

HEAD_WEIGHTS = 2
"""Kernel and bias of the layer on top, the last weights of every network that is trained."""
AtClient = Callable[[Tensors, tf.Tensor, tf.Tensor], tf.Tensor]
"""From weights, a learning rate and a `training_key` to numbers; in a graph."""


class PartOnly(tff.learning.optimizers.Optimizer):
    """Steps with the gradients of the head, or of the body; all other weights stay exactly as they are.

    Args:
        optimizer: Takes the steps; a zero gradient must be no step.
        head: Whether it is the head that learns.
    """

    def __init__(self, optimizer: tff.learning.optimizers.Optimizer, head: bool) -> None:
        self._optimizer, self._head = optimizer, head

    def initialize(self, specs: Any) -> Any:
        """State of the optimizer below."""
        return self._optimizer.initialize(specs)

    def next(self, state: Any, weights: Any, gradients: Any) -> tuple[Any, Any]:
        """One step; returns the new state and weights."""
        body = len(gradients) - HEAD_WEIGHTS
        kept = [g if (place >= body) == self._head else tf.zeros_like(g) for place, g in enumerate(gradients)]
        return self._optimizer.next(state, weights, kept)


class Adaptation:
    """Training on the support part, scored on the later part after each candidate number of passes.

    Args:
        parts: Of the clients' recordings.
        model: The network.
        training: Loss, batches and kind of optimizer.
        passes: Rising numbers of passes over the support part's windows.
        head_only: Whether the body stays as it is.
    """

    def __init__(
        self, parts: Parts, model: ModelConfig, training: TrainingConfig, passes: Sequence[int], head_only: bool = False
    ) -> None:
        self._parts, self._training, self._passes = parts, training, tuple(passes)
        self._network = Network(model, parts.later.shape)
        optimizer = build_optimizer(training.client_optimizer)
        self._local = LocalTraining(
            self._network, training.loss, PartOnly(optimizer, head=True) if head_only else optimizer
        )

    def in_graph(self, start: Tensors, rate: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """Scores after each number of passes, ``[passes, dimension, 6]`` float64, and the weights after the last.

        Passes go on from one candidate to the next, with the optimizer's state: those of a larger candidate begin with
        those of a smaller one.

        Args:
            start: What the server sent.
            rate: Learning rate.
            key: A `training_key`.
        """
        client, number = parts_of_key(key)
        seed, size = tf.strings.to_number(number, tf.int64), self._training.batch_size
        windows = self._parts.support.training_windows(client)
        order = training_batches(windows, max(1, self._passes[-1]), self._training.shuffle, seed).order
        steps_of_a_pass = tf.cast(-(-tf.shape(order)[1] // size), tf.int64)
        features, gold, starts = self._later(client)
        bounds = tf.constant((0, *self._passes))
        state = self._local.initial_optimizer()
        state["learning_rate"] = rate

        def body(place: tf.Tensor, current: tuple[Tensors, Any], found: tf.TensorArray) -> tuple:
            first, last = bounds[place], bounds[place + 1]
            dropout = seed + tf.cast(first, tf.int64) * steps_of_a_pass
            done = self._local.passes(*current, windows, order[first:last], size, dropout)
            predicted = self._network.predict(done.weights, features)
            frames = self._parts.later.to_frames(predicted, starts, tf.shape(gold)[0])
            scored = statistics_in_graph(gold, frames)
            return place + 1, (done.weights, done.optimizer), found.write(place, scored)

        count = len(self._passes)
        found = tf.TensorArray(tf.float64, count, element_shape=[len(self._parts.later.labels), 6])
        _, (weights, _), found = tf.while_loop(
            lambda place, *_: place < count, body, (0, (list(start), state), found), parallel_iterations=1
        )
        return found.stack(), weights

    def _later(self, client: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        features, _, starts = self._parts.later.windows(client)
        return features, self._parts.later.gold_in_graph(client), starts


def shifted_scores(parts: Parts, model: ModelConfig) -> AtClient:
    """Predictions plus the mean residual of the support part, scored on the later part: ``[1, dimension, 6]``."""
    network = Network(model, parts.later.shape)

    def at_client(weights: Tensors, _: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        client = parts_of_key(key)[0]
        (gold, predicted), (later, later_predicted) = (_predicted(network, weights, p, client) for p in parts)
        residual = tf.cast(gold - predicted, tf.float64)
        there = tf.math.is_finite(residual)
        total = tf.reduce_sum(tf.where(there, residual, tf.zeros_like(residual)), axis=0)
        mean = tf.math.divide_no_nan(total, tf.reduce_sum(tf.cast(there, tf.float64), axis=0))
        return statistics_in_graph(later, tf.cast(later_predicted, tf.float64) + mean)[tf.newaxis]

    return at_client


def _predicted(network: Network, weights: Tensors, part: Any, client: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Gold standard and prediction of a part."""
    features, _, starts = part.windows(client)
    gold = part.gold_in_graph(client)
    return gold, part.to_frames(network.predict(weights, features), starts, tf.shape(gold)[0])


class PersonalScores:
    """Adapts weights at clients and scores them there, by one federated computation.

    Type: ``(<weights@SERVER, float32@SERVER, {str}@CLIENTS> -> {float64[candidate, dimension, 6]}@CLIENTS)``. What a
    client sends are the sufficient statistics of its later part, neither weights nor predictions; even these leave it
    only because this is a simulation.

    Args:
        parts: Of the clients' recordings.
        model: The network.
        at_client: What each client does.
    """

    def __init__(self, parts: Parts, model: ModelConfig, at_client: AtClient) -> None:
        weights_type = model_type(parts.later, model)

        @tff.tensorflow.computation(weights_type, np.float32, np.str_)
        @tf.function(autograph=False)
        def adapted(sent: Any, rate: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
            return at_client(list(sent.trainable), rate, key)

        server = tff.FederatedType(weights_type, tff.SERVER), tff.FederatedType(np.float32, tff.SERVER)

        @tff.federated_computation(*server, tff.FederatedType(np.str_, tff.CLIENTS))
        def scores(weights: Any, rate: Any, keys: Any) -> Any:
            sent = tff.federated_broadcast(weights), tff.federated_broadcast(rate), keys
            return tff.federated_map(adapted, sent)

        self._scores = scores

    def of(self, weights: Weights, rate: float, clients: Sequence[str], seed: int) -> np.ndarray:
        """``[client, candidate, dimension, 6]`` float64, as of `SufficientStatistics.to_array`.

        Args:
            weights: What the server sends, in Keras order.
            rate: Learning rate.
            clients: Who adapts them.
            seed: Of the order of windows and of dropout.
        """
        sent = tff.learning.models.ModelWeights([np.asarray(w, np.float32) for w in weights], [])
        keys = [training_key(client, derived_seed(seed, "personalisation", client)) for client in clients]
        return np.stack([np.asarray(found) for found in self._scores(sent, np.float32(rate), keys)])
