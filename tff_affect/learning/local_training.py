"""Passes of gradient descent over the windows of one client, or of several pooled, as one graph.

The same graph serves a client's part of a round inside TensorFlow Federated's worker and the baselines outside it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.losses import build_loss
from tff_affect.models.dropout import dropout_seed
from tff_affect.models.registry import build_model

Tensors = list[tf.Tensor]


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


class Network:
    """A network without variables: it is given its weights, in Keras order, with every use.

    For graphs only, those of computations and of ``tf.function``: each use adds the network to the graph anew. What a
    worker computes then has no variables to make, to fill and to read.

    Args:
        model: The network.
        shape: Of one window.
    """

    def __init__(self, model: ModelConfig, shape: WindowShape) -> None:
        self._model, self._shape = model, shape
        self._specs, self._creation = _weights_of(model, shape)

    @property
    def weight_specs(self) -> list[tf.TensorSpec]:
        """Types of the trainable weights, in Keras order."""
        return list(self._specs)

    def predict(self, weights: Tensors, features: tf.Tensor) -> tf.Tensor:
        """``[batch, targets, dimension]`` from ``[batch, time, feature]``."""
        return self._with(weights)(features, training=False)

    def gradients(
        self, loss: tf.keras.losses.Loss, weights: Tensors, features: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, Tensors]:
        """The loss of a batch and its gradients; ``seed`` is that of dropout."""
        with tf.GradientTape(watch_accessed_variables=False) as tape, dropout_seed(seed):
            tape.watch(weights)
            value = loss(labels, self._with(weights)(features, training=True))
        return value, tape.gradient(value, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    def _with(self, weights: Tensors) -> tf.keras.Model:
        """The Keras model whose layers find the weights where they would make variables."""
        left = iter(self._creation)
        with tf.variable_creator_scope(lambda _, **__: weights[next(left)]):
            return build_model(self._model, self._shape)


@cache
def _weights_of(model: ModelConfig, shape: WindowShape) -> tuple[tuple[tf.TensorSpec, ...], tuple[int, ...]]:
    """Types of the trainable weights in Keras order, and the place there of each weight that layers make, one by one.

    Layers make their weights when they are built; Keras lists them in the order of layers.
    """
    created: list[tf.Variable] = []

    def record(create: Callable[..., tf.Variable], **arguments: Any) -> tf.Variable:
        created.append(create(**arguments))
        return created[-1]

    with tf.Graph().as_default(), tf.variable_creator_scope(record):
        ordered = build_model(model, shape).trainable_variables
    places = {id(variable): place for place, variable in enumerate(ordered)}
    return tuple(tf.TensorSpec(v.shape, v.dtype) for v in ordered), tuple(places[id(variable)] for variable in created)


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
