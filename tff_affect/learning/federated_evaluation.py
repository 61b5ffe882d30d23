"""Evaluation at the clients: each predicts its own sequence and returns sufficient statistics of CCC, PCC and RMSE.

Overlapping windows are averaged back to frames first. The statistics of several clients merge into pooled measures that
equal those of the concatenated predictions (`tff_affect.metrics`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.client_data import StagedCohort, average_windows
from tff_affect.config import ModelConfig
from tff_affect.metrics import SufficientStatistics, statistics_in_graph
from tff_affect.models.registry import Weights, build_model


class FederatedEvaluation:
    """Evaluates given weights at clients, by client id.

    Args:
        staged: The clients' sequences.
        model: The network.
    """

    def __init__(self, staged: StagedCohort, model: ModelConfig) -> None:
        self._statistics = _at_clients(staged, model, statistics_in_graph)
        self._predictions = _at_clients(staged, model, lambda gold, predicted: predicted)

    def statistics(self, weights: Weights, clients: Sequence[str]) -> list[SufficientStatistics]:
        """Each client's statistics, in the order of ``clients``; ``[dimension]`` each."""
        arrays = self._statistics(_as_arguments(weights), list(clients)) if clients else []
        return [SufficientStatistics.from_array(array) for array in arrays]

    def predictions(self, weights: Weights, clients: Sequence[str]) -> list[np.ndarray]:
        """Each client's predictions, ``[frames, dimension]``. Leaves the client: for simulations only."""
        return [np.asarray(p) for p in self._predictions(_as_arguments(weights), list(clients))] if clients else []


def _as_arguments(weights: Weights) -> list[np.ndarray]:
    return [np.asarray(w, np.float32) for w in weights]


def _at_clients(
    staged: StagedCohort, model: ModelConfig, result: Callable[[tf.Tensor, tf.Tensor], Any]
) -> tff.Computation:
    """``(<weights@SERVER, {str}@CLIENTS> -> {result(gold, predicted)}@CLIENTS)``."""
    shape = (model, staged.shape)
    with tf.Graph().as_default():
        weight_type = [tff.TensorType(np.float32, v.shape.as_list()) for v in build_model(*shape).trainable_variables]
    weights_type = tff.StructWithPythonType(weight_type, list)

    @tff.tensorflow.computation(weights_type, np.str_)
    @tf.function
    def at_client(weights: list[tf.Tensor], client: tf.Tensor) -> Any:
        with tf.init_scope():
            keras_model = build_model(*shape)
        tf.nest.map_structure(lambda v, w: v.assign(w), list(keras_model.trainable_variables), list(weights))
        features, _, starts = staged.windows(client)
        gold = staged.sequence(client)[:, staged.features :]
        predicted = average_windows(keras_model(features, training=False), starts, tf.shape(gold)[0])
        return result(gold, predicted)

    @tff.federated_computation(tff.FederatedType(weights_type, tff.SERVER), tff.FederatedType(np.str_, tff.CLIENTS))
    def evaluate(weights: Any, clients: Any) -> Any:
        return tff.federated_map(at_client, (tff.federated_broadcast(weights), clients))

    return evaluate
