"""FedProx as a client optimizer (Li et al., Federated Optimization in Heterogeneous Networks, MLSys 2020, eq. 2).

Each client minimises its loss plus ``mu / 2 * |w - w_server|^2``. TFF 0.87's own ``build_weighted_fed_prox`` adds the
term's gradient with its sign reversed, and so drives clients away from the server's model; hence this one.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff


class ProximalOptimizer(tff.learning.optimizers.Optimizer):
    """Adds ``mu * (weights - anchor)`` to the gradients given to another optimizer.

    The anchor is the weights of the first step after `initialize`: at a client, the server's model of the round.

    Args:
        optimizer: What takes the step.
        strength: FedProx's mu, at least 0; with 0 the steps are those of ``optimizer``.
    """

    def __init__(self, optimizer: tff.learning.optimizers.Optimizer, strength: float) -> None:
        self._optimizer = optimizer
        self._strength = strength

    def initialize(self, specs: Any) -> Any:
        """State of the optimizer below, and a place for the anchor."""
        return OrderedDict(
            optimizer=self._optimizer.initialize(specs),
            anchor=tf.nest.map_structure(lambda s: tf.zeros(s.shape, s.dtype), specs),
            started=tf.constant(False),
        )

    def next(self, state: Any, weights: Any, gradients: Any) -> tuple[Any, Any]:
        """One step; returns the new state and weights."""
        started = state["started"]
        anchor = tf.nest.map_structure(lambda a, w: tf.where(started, a, w), state["anchor"], weights)
        pulled = tf.nest.map_structure(lambda g, w, a: g + self._strength * (w - a), gradients, weights, anchor)
        below, weights = self._optimizer.next(state["optimizer"], weights, pulled)
        return OrderedDict(optimizer=below, anchor=anchor, started=tf.constant(True)), weights
