"""A network as a function of its weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import tensorflow as tf

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.losses import WindowLoss
from tff_affect.models.dropout import dropout_seed
from tff_affect.models.heads import HEAD
from tff_affect.models.registry import build_model

Tensors = list[tf.Tensor]


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

    def states(self, weights: Tensors, features: tf.Tensor) -> tf.Tensor:
        """Hidden states ``[batch, time, units]`` from ``[batch, time, feature]``: what the head reads of each frame."""
        model = self._with(weights)
        head = next(layer for layer in model.layers if layer.name in HEAD)
        return tf.keras.Model(model.inputs, head.input)(features, training=False)

    def gradients(
        self, loss: WindowLoss, weights: Tensors, features: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, Tensors]:
        """The loss of a batch and its gradients; ``seed`` is that of dropout."""
        with tf.GradientTape(watch_accessed_variables=False) as tape, dropout_seed(seed):
            tape.watch(weights)
            value = loss(labels, self._with(weights)(features, training=True))
        return value, tape.gradient(value, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    def window_gradients(
        self, loss: WindowLoss, weights: Tensors, features: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, Tensors]:
        """The loss of each window by itself, and its gradients.

        The layers get a copy of the weights for each window; what the sum of the losses does to a copy is what that
        window does to the weights. For the models of `check_window_gradients` alone.

        Args:
            loss: Taken over each window.
            weights: In Keras order.
            features: ``[batch, time, feature]``, at least one window.
            labels: ``[batch, targets, dimension]``.
            seed: Of dropout.

        Returns:
            Losses ``[batch]``, and gradients, each ``[batch, *shape of the weight]``.
        """
        batch = tf.shape(features)[:1]
        copies = [tf.broadcast_to(w, tf.concat([batch, w.shape], axis=0)) for w in weights]
        with tf.GradientTape(watch_accessed_variables=False) as tape, dropout_seed(seed):
            tape.watch(copies)
            values = loss.windows(labels, self._with(copies)(features, training=True))
        return values, tape.gradient(values, copies, unconnected_gradients=tf.UnconnectedGradients.ZERO)

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
