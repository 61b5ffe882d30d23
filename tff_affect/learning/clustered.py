"""Several models among which each client chooses: the iterative federated clustering algorithm.

IFCA (Ghosh et al. 2020, An Efficient Framework for Clustered Federated Learning, arXiv 2006.04088), known too as
hypothesis-based clustering, HypCluster (Mansour et al. 2020, Three Approaches for Personalization, arXiv 2002.10619).
In each round the server sends all models; a client takes the one whose loss on its own windows is least, trains it, and
tells which it took. Each model becomes the average of what those made of it who took it; one that nobody takes stays as
it is. With one model it is federated averaging. Somebody new chooses by the loss on the own support part.

The choice tells the server something of a client that an average does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.client_data import StagedCohort
from tff_affect.config import ModelConfig
from tff_affect.learning.algorithms import model_type
from tff_affect.learning.sampling import ClientSampling
from tff_affect.losses import build_loss
from tff_affect.models.network import Network
from tff_affect.models.registry import Weights

Models = Sequence[Weights]


class Choice:
    """Which of several models fits a client's windows best; computed at the client.

    Type: ``(<weights@SERVER, {str}@CLIENTS> -> {float32}@CLIENTS)`` for each model.

    Args:
        staged: What clients choose by.
        model: The network.
        loss: Name of the loss, taken over all windows of a client at once.
    """

    def __init__(self, staged: StagedCohort, model: ModelConfig, loss: str) -> None:
        network, weights_type, value = Network(model, staged.shape), model_type(staged, model), build_loss(loss)

        @tff.tensorflow.computation(weights_type, np.str_)
        @tf.function(autograph=False)
        def at_client(sent: Any, client: tf.Tensor) -> tf.Tensor:
            features, labels = staged.training_windows(client)
            return value(labels, network.predict(list(sent.trainable), features))

        @tff.federated_computation(tff.FederatedType(weights_type, tff.SERVER), tff.FederatedType(np.str_, tff.CLIENTS))
        def losses(weights: Any, clients: Any) -> Any:
            return tff.federated_map(at_client, (tff.federated_broadcast(weights), clients))

        self._losses = losses

    def of(self, models: Models, clients: Sequence[str]) -> np.ndarray:
        """``[client]``: number of the model with the least loss; of equals, the first. NaN is the greatest."""
        if len(models) == 1 or not clients:
            return np.zeros(len(clients), int)
        found = np.array([self._losses(_sent(weights), list(clients)) for weights in models], np.float64)
        return np.where(np.isnan(found), np.inf, found).argmin(axis=0)


class ClusteredTraining:
    """Rounds of federated averaging of several models.

    Args:
        process: Federated averaging over `training_key` strings, as of `build_federated_averaging`.
        choice: By which clients choose in training.
        first: Weights that each model begins with; equal ones would stay equal.
    """

    def __init__(self, process: tff.learning.templates.LearningProcess, choice: Choice, first: Models) -> None:
        self._process, self._choice = process, choice
        self._states = [process.set_model_weights(process.initialize(), _sent(weights)) for weights in first]

    def next(self, sampling: ClientSampling, number: int) -> list[list[np.ndarray]]:
        """Carries out a round, and returns the models after it."""
        clients = sampling.cohort(number)
        keys, chosen = sampling.keys(number, clients), self._choice.of(self.models, clients)
        for place, state in enumerate(self._states):
            own = [key for key, choice in zip(keys, chosen, strict=True) if choice == place]
            if own:
                self._states[place] = self._process.next(state, own).state
        return self.models

    @property
    def models(self) -> list[list[np.ndarray]]:
        """Weights of the models, in Keras order."""
        return [[np.asarray(w) for w in self._process.get_model_weights(s).trainable] for s in self._states]


def _sent(weights: Weights) -> tff.learning.models.ModelWeights:
    return tff.learning.models.ModelWeights([np.asarray(w, np.float32) for w in weights], [])
