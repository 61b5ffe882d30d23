"""Passes of gradient descent over the windows of one client, or of several pooled, as one graph.

The same graph serves a client's part of a round inside TensorFlow Federated's worker and the baselines outside it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.losses import build_loss
from tff_affect.models.network import Network, Tensors


class Trained(NamedTuple):
    """What some passes gave.

    Attributes:
        weights: Trainable weights, in Keras order.
        optimizer: State of the optimizer.
        loss: Mean loss over the batches, each weighted by its windows.
    """

    weights: Tensors
    optimizer: Any
    loss: tf.Tensor


class LocalTraining:
    """Trains a network on windows that are given as tensors.

    Args:
        network: The network.
        loss: Name of the loss.
        optimizer: Takes the steps.
    """

    def __init__(self, network: Network, loss: str, optimizer: tff.learning.optimizers.Optimizer) -> None:
        self._network, self._loss, self._optimizer = network, build_loss(loss), optimizer

    def initial_optimizer(self) -> Any:
        """The optimizer's state before the first step."""
        return tf.nest.map_structure(tf.convert_to_tensor, self._optimizer.initialize(self._network.weight_specs))

    def step(
        self, weights: Tensors, optimizer: Any, features: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> Trained:
        """One step on one batch; ``seed`` is that of its dropout."""
        loss, gradients = self._network.gradients(self._loss, weights, features, labels, seed)
        optimizer, new_weights = self._optimizer.next(optimizer, weights, gradients)
        return Trained(list(new_weights), optimizer, loss)

    def passes(
        self,
        weights: Tensors,
        optimizer: Any,
        windows: tuple[tf.Tensor, tf.Tensor],
        order: tf.Tensor,
        batch_size: int,
        seed: tf.Tensor,
    ) -> Trained:
        """Steps over all windows, once for each row of ``order``.

        Args:
            weights: To start from.
            optimizer: Its state.
            windows: Features ``[windows, time, feature]`` and labels ``[windows, targets, dimension]``.
            order: ``[passes, windows]`` indices.
            batch_size: Windows per step; the last step of a pass has what is left.
            seed: Of dropout, int64.
        """
        count = tf.shape(order)[1]
        batches = -(-count // batch_size)

        def body(number: tf.Tensor, state: tuple[Tensors, Any], total: tf.Tensor) -> tuple:
            first = number % batches * batch_size
            index = order[number // batches, first : first + batch_size]
            features, labels = (tf.gather(part, index) for part in windows)
            done = self.step(*state, features, labels, seed + tf.cast(number, tf.int64))
            return number + 1, (done.weights, done.optimizer), total + done.loss * tf.cast(tf.size(index), tf.float32)

        steps = tf.shape(order)[0] * batches
        _, (weights, optimizer), total = tf.while_loop(
            lambda number, *_: number < steps, body, (0, (list(weights), optimizer), 0.0), parallel_iterations=1
        )
        return Trained(weights, optimizer, tf.math.divide_no_nan(total, tf.cast(tf.size(order), tf.float32)))
