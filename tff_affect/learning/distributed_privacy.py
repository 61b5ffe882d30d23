"""Federated averaging under distributed differential privacy, as two computations a round.

A secure sum with discrete noise cannot be part of a learning process of TensorFlow Federated 0.87. So the clients'
updates come out of one computation and enter another one, which is why the whole is labelled as simulated: whoever
drives it sees every update.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow_federated as tff

from tff_affect.config import TrainingConfig
from tff_affect.learning.algorithms import build_optimizer
from tff_affect.privacy.distributed import DistributedMean


class DistributedState(NamedTuple):
    """What goes from round to round.

    Attributes:
        weights: The model's.
        aggregation: State of the distributed mean.
        optimizer: State of the server's optimizer.
    """

    weights: Any
    aggregation: Any
    optimizer: Any


class RoundOutput(NamedTuple):
    """As of a learning process of TensorFlow Federated."""

    state: DistributedState
    metrics: Any


class DistributedAveraging:
    """What a training program asks of a learning process.

    Args:
        update: What a client does, from the server's weights and its key to its update.
        mean: The distributed mean of updates.
        training: Gives the server's optimizer.
    """

    def __init__(self, update: tff.Computation, mean: DistributedMean, training: TrainingConfig) -> None:
        self._mean = mean
        weights = update.type_signature.parameter[0]
        finalizer = tff.learning.templates.build_apply_optimizer_finalizer(
            build_optimizer(training.server_optimizer), weights
        )

        @tff.federated_computation(tff.FederatedType(weights, tff.SERVER), tff.FederatedType(np.str_, tff.CLIENTS))
        def at_clients(model: Any, keys: Any) -> Any:
            return tff.federated_map(update, (tff.federated_broadcast(model), keys))

        self._at_clients, self._finalizer = at_clients, finalizer
        self._zeros = tff.learning.models.ModelWeights([np.zeros(w.shape, np.float32) for w in weights.trainable], [])

    def initialize(self) -> DistributedState:
        """The state before the first round; its weights are zero."""
        return DistributedState(self._zeros, self._mean.initialize(), self._finalizer.initialize())

    def next(self, state: DistributedState, keys: Sequence[str]) -> RoundOutput:
        """One round; ``keys`` as of `build_learning_process`."""
        updates = self._at_clients(state.weights, list(keys))
        aggregation, mean = self._mean.next(state.aggregation, updates)
        stepped = self._finalizer.next(state.optimizer, state.weights, mean)
        metrics: OrderedDict[str, Any] = OrderedDict(client_work=OrderedDict())
        return RoundOutput(DistributedState(stepped.result, aggregation, stepped.state), metrics)

    def get_model_weights(self, state: DistributedState) -> tff.learning.models.ModelWeights:
        """The model's weights."""
        return state.weights

    def set_model_weights(self, state: DistributedState, weights: tff.learning.models.ModelWeights) -> DistributedState:
        """The state with other weights."""
        return state._replace(weights=weights)
