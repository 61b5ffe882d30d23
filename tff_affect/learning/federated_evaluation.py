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

from tff_affect.client_data import StagedCohort
from tff_affect.config import ModelConfig
from tff_affect.learning.algorithms import model_type
from tff_affect.metrics import SufficientStatistics, statistics_in_graph
from tff_affect.models.network import Network
from tff_affect.models.registry import Weights


class FederatedEvaluation:
    """Evaluates given weights at clients, by client id.

    Args:
        staged: The clients' sequences.
        model: The network.
    """

    def __init__(self, staged: StagedCohort, model: ModelConfig) -> None:
        self._statistics = _at_clients(staged, model, statistics_in_graph)
        self._predictions = _at_clients(staged, model, lambda gold, predicted: predicted)
        self._beside = ThreadPoolExecutor(1)

    def statistics(self, weights: Weights, clients: Sequence[str]) -> list[SufficientStatistics]:
        """Each client's statistics, in the order of ``clients``; ``[dimension]`` each."""
        arrays = self._statistics(_as_arguments(weights), list(clients)) if clients else []
        return [SufficientStatistics.from_array(array) for array in arrays]

    def begin(self, weights: Weights, clients: Sequence[str]) -> Callable[[], list[SufficientStatistics]]:
        """Begins `statistics` beside whatever else the worker does, and returns what waits for them."""
        context = tff.framework.get_context_stack().current

        def run() -> list[SufficientStatistics]:
            # Contexts belong to threads.
            with tff.framework.get_context_stack().install(context):
                return self.statistics(weights, clients)

        return self._beside.submit(run).result

    def predictions(self, weights: Weights, clients: Sequence[str]) -> list[np.ndarray]:
        """Each client's predictions, in the order of `StagedCohort.gold`. Leaves the client: for simulations only."""
        return [np.asarray(p) for p in self._predictions(_as_arguments(weights), list(clients))] if clients else []


def _as_arguments(weights: Weights) -> tff.learning.models.ModelWeights:
    return tff.learning.models.ModelWeights([np.asarray(w, np.float32) for w in weights], [])


def _at_clients(
    staged: StagedCohort, model: ModelConfig, result: Callable[[tf.Tensor, tf.Tensor], Any]
) -> tff.Computation:
    """``(<weights@SERVER, {str}@CLIENTS> -> {result(gold, predicted)}@CLIENTS)``."""
    network, weights_type = Network(model, staged.shape), model_type(staged, model)

    @tff.tensorflow.computation(weights_type, np.str_)
    @tf.function(autograph=False)
    def at_client(sent: Any, client: tf.Tensor) -> Any:
        features, _, starts = staged.windows(client)
        gold = staged.gold_in_graph(client)
        predicted = staged.to_frames(network.predict(list(sent.trainable), features), starts, tf.shape(gold)[0])
        return result(gold, predicted)

    @tff.federated_computation(tff.FederatedType(weights_type, tff.SERVER), tff.FederatedType(np.str_, tff.CLIENTS))
    def evaluate(weights: Any, clients: Any) -> Any:
        return tff.federated_map(at_client, (tff.federated_broadcast(weights), clients))

    return evaluate
