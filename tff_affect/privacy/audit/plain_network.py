"""The zoo's recurrent networks in plain TensorFlow, which can be differentiated as often as one likes.

Who rebuilds windows from an update differentiates a gradient. The fast layers of ``tff_affect.models`` have no second
derivatives; here are the same equations, operation by operation, in any precision and with weights of their own for
each item of a batch, so that many victims are attacked at once even where their weights differ after local steps.

Dropout is left out: its masks are not known to whoever sees an update.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import tensorflow as tf

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.errors import InputError
from tff_affect.losses import WindowLoss

Tensors = Sequence[tf.Tensor]
Step = Callable[[tf.Tensor, Tensors, Tensors], list[tf.Tensor]]
"""From a frame's input product, the states before it and recurrent weights to the states after it, output first."""


def _simple(projected: tf.Tensor, states: Tensors, weights: Tensors) -> list[tf.Tensor]:
    return [tf.tanh(projected + states[0] @ weights[0])]


def _lstm(projected: tf.Tensor, states: Tensors, weights: Tensors) -> list[tf.Tensor]:
    hidden, cell = states
    enters, forgets, candidate, leaves = tf.split(projected + hidden @ weights[0], 4, axis=-1)
    cell = tf.sigmoid(forgets) * cell + tf.sigmoid(enters) * tf.tanh(candidate)
    return [tf.sigmoid(leaves) * tf.tanh(cell), cell]


def _gru(projected: tf.Tensor, states: Tensors, weights: Tensors) -> list[tf.Tensor]:
    """Keras's ``reset_after`` form; the recurrent product has a bias of its own."""
    recurrent, bias = weights
    recalled = tf.split(states[0] @ recurrent + bias, 3, axis=-1)
    update, reset, candidate = tf.split(projected, 3, axis=-1)
    update, reset = tf.sigmoid(update + recalled[0]), tf.sigmoid(reset + recalled[1])
    candidate = tf.tanh(candidate + reset * recalled[2])
    return [candidate + update * (states[0] - candidate)]


_CELLS: dict[str, tuple[Step, int, bool]] = {
    "simple_rnn": (_simple, 1, False),
    "lstm": (_lstm, 2, False),
    "gru": (_gru, 1, False),
    "bilstm": (_lstm, 2, True),
    "bigru": (_gru, 1, True),
}
"""Model -> a step of its cell, how many states that has, and whether it reads in both directions."""


def why_not_plain(model: ModelConfig) -> str:
    """Why there is no such form of a model, in words; empty where there is one."""
    if model.name in _CELLS:
        return ""
    if model.name == "ridge":
        return "inversion is not attempted for ridge: it is solved, and no gradient is sent"
    return f"inversion is not attempted for {model.name}: its layers have no form here that is differentiable twice"


class PlainNetwork:
    """A network as a function of its weights, for a batch of items that each have weights and windows.

    Args:
        model: One of simple_rnn, lstm, gru, bilstm and bigru, any number of layers.
        shape: Of one window; every frame is taken to be there.

    Raises:
        InputError: For another model.
    """

    def __init__(self, model: ModelConfig, shape: WindowShape) -> None:
        reason = why_not_plain(model)
        if reason:
            raise InputError(f"model.name: expected one of {', '.join(_CELLS)}, found {model.name!r}; {reason}")
        self._model, self._shape = model, shape

    def predict(self, weights: Tensors, features: tf.Tensor) -> tf.Tensor:
        """Predictions of every item's windows.

        Args:
            weights: In Keras order, each ``[items, *shape of the weight]``.
            features: ``[items, windows, time, feature]``, of the type of the weights.

        Returns:
            ``[items, windows, targets, dimension]``.
        """
        step, states, both = _CELLS[self._model.name]
        left = iter(weights)
        hidden = tf.transpose(features, [2, 0, 1, 3])
        for _ in range(self._model.layers):
            read = partial(_read, step, states, hidden)
            outputs = read(left)
            hidden = tf.concat([outputs, read(left, backwards=True)], axis=-1) if both else outputs
        if self._shape.target == "window":
            hidden = tf.reduce_mean(hidden, axis=0, keepdims=True)
        kernel, bias = left
        return tf.transpose(hidden @ kernel, [1, 2, 0, 3]) + bias[:, tf.newaxis, tf.newaxis]

    def gradients(self, loss: WindowLoss, weights: Tensors, features: tf.Tensor, labels: tf.Tensor) -> list[tf.Tensor]:
        """Gradients of the loss of each item's windows, as one batch, by its weights; can be differentiated again.

        Args:
            loss: Taken over all windows of an item.
            weights: As of `predict`.
            features: As of `predict`.
            labels: ``[items, windows, targets, dimension]``; NaN where there is none.
        """
        joined = [tf.shape(labels)[0], -1, self._shape.labels]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            predicted = self.predict(weights, features)
            value = loss.windows(tf.reshape(labels, joined), tf.reshape(predicted, joined))
        return list(tape.gradient(value, weights))


def _read(
    step: Step, states: int, sequence: tf.Tensor, weights: Iterator[tf.Tensor], backwards: bool = False
) -> tf.Tensor:
    """One layer in one direction: ``[time, items, windows, feature]`` to ``[time, items, windows, units]``."""
    kernel, recurrent, bias = next(weights), next(weights), next(weights)
    after = [recurrent]
    if bias.shape.rank == 3:
        bias, own = tf.unstack(bias, axis=1)
        after.append(own[:, tf.newaxis])
    frames = tf.unstack(sequence @ kernel + bias[:, tf.newaxis])
    state = [tf.zeros(tf.concat([tf.shape(sequence)[1:3], recurrent.shape[1:2]], axis=0), sequence.dtype)] * states
    outputs = []
    for frame in reversed(frames) if backwards else frames:
        state = step(frame, state, after)
        outputs.append(state[0])
    return tf.stack(outputs[::-1] if backwards else outputs)
