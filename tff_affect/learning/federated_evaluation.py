"""Evaluation at the clients: each predicts its own sequence and returns sufficient statistics of CCC, PCC and RMSE.

Where frames have targets, overlapping windows are averaged back to frames first. The statistics of several clients
merge into pooled measures that equal those of the concatenated predictions (`tff_affect.metrics`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.client_data import ABSENT, StagedCohort
from tff_affect.config import ModelConfig
from tff_affect.learning.algorithms import model_type
from tff_affect.metrics import SufficientStatistics, statistics_in_graph
from tff_affect.models.network import Network
from tff_affect.models.registry import Weights
from tff_affect.served_data import require_read


class FederatedEvaluation:
    """Evaluates given weights at clients, by client id.

    Args:
        staged: The clients' sequences.
        model: The network.
    """

    def __init__(self, staged: StagedCohort, model: ModelConfig) -> None:
        self._statistics = _at_clients(staged, model, _statistics_or_none)
        self._predictions = _at_clients(staged, model, lambda client, gold, predicted: predicted)
        self._dimensions = len(staged.labels)
        self._beside = ThreadPoolExecutor(1)

    def statistics(self, weights: Weights, clients: Sequence[str]) -> list[SufficientStatistics]:
        """Each client's statistics, in the order of ``clients``; ``[dimension]`` each.

        Raises:
            RunError: If the sequence of a client could not be read.
        """
        found = self._found(weights, clients)
        require_read([client for client, statistics in zip(clients, found, strict=True) if statistics is None])
        return [statistics for statistics in found if statistics is not None]

    def begin(self, weights: Weights, clients: Sequence[str]) -> Callable[[], list[SufficientStatistics]]:
        """Begins `statistics` beside whatever else the worker does, and returns what waits for them.

        A round is scored on the clients that are there: the statistics of one that could not be read are those of no
        frame. There are none if nobody could be read.
        """
        context = tff.framework.get_context_stack().current

        def run() -> list[SufficientStatistics]:
            # Contexts belong to threads.
            with tff.framework.get_context_stack().install(context):
                found = self._found(weights, clients)
            if all(statistics is None for statistics in found):
                return []
            return [statistics or SufficientStatistics.empty(self._dimensions) for statistics in found]

        return self._beside.submit(run).result

    def _found(self, weights: Weights, clients: Sequence[str]) -> list[SufficientStatistics | None]:
        """Each client's statistics, in the order of ``clients``; None where its sequence could not be read."""
        arrays = self._statistics(_as_arguments(weights), list(clients)) if clients else []
        return [None if np.isnan(array).any() else SufficientStatistics.from_array(array) for array in arrays]

    def predictions(self, weights: Weights, clients: Sequence[str]) -> list[np.ndarray]:
        """Each client's predictions, in the order of `StagedCohort.gold`. Leaves the client: for simulations only.

        Raises:
            RunError: If the sequence of a client could not be read.
        """
        found = [np.asarray(p) for p in self._predictions(_as_arguments(weights), list(clients))] if clients else []
        require_read([client for client, predicted in zip(clients, found, strict=True) if not len(predicted)])
        return found


def _statistics_or_none(client: tf.Tensor, gold: tf.Tensor, predicted: tf.Tensor) -> tf.Tensor:
    """`statistics_in_graph`; NaN for an absent client, whose statistics are not those of a client without a label."""
    found = statistics_in_graph(gold, predicted)
    return tf.where(tf.equal(client, ABSENT), tf.constant(float("nan"), tf.float64), found)


def _as_arguments(weights: Weights) -> tff.learning.models.ModelWeights:
    return tff.learning.models.ModelWeights([np.asarray(w, np.float32) for w in weights], [])


def _at_clients(
    staged: StagedCohort, model: ModelConfig, result: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Any]
) -> tff.Computation:
    """``(<weights@SERVER, {str}@CLIENTS> -> {result(client, gold, predicted)}@CLIENTS)``."""
    network, weights_type = Network(model, staged.shape), model_type(staged, model)

    @tff.tensorflow.computation(weights_type, np.str_)
    @tf.function(autograph=False)
    def at_client(sent: Any, client: tf.Tensor) -> Any:
        features, _, starts = staged.windows(client)
        gold = staged.gold_in_graph(client)
        predicted = staged.to_frames(network.predict(list(sent.trainable), features), starts, tf.shape(gold)[0])
        return result(client, gold, predicted)

    @tff.federated_computation(tff.FederatedType(weights_type, tff.SERVER), tff.FederatedType(np.str_, tff.CLIENTS))
    def evaluate(weights: Any, clients: Any) -> Any:
        return tff.federated_map(at_client, (tff.federated_broadcast(weights), clients))

    return evaluate
