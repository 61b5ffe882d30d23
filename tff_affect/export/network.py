"""The trained network once more, of parts that every format knows; its weights are taken over as they are.

Missing frames are handled inside: NaN goes in, as in training. A frame with any number missing is masked, and what of
it is there reads as ``tff_affect.models.masking`` leaves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.export.stages import (
    BothWays,
    Convolution,
    Recurrent,
    ResidualBlock,
    RunningStatistics,
    Stage,
    Tensors,
    window_mean,
    window_moments,
)
from tff_affect.models.registry import MODELS, build_model

_KINDS = {"FastSimpleRNN": "simple_rnn", "FastLSTM": "lstm", "FastGRU": "gru"}
_LARGEST = float(np.finfo(np.float32).max)


def trained_model(model: ModelConfig, shape: WindowShape, weights: Sequence[np.ndarray]) -> tf.keras.Model:
    """The Keras model as it was trained.

    Args:
        model: The network's configuration.
        shape: Of one window.
        weights: In Keras order.

    Raises:
        ValueError: If the weights are not of this network.
    """
    built = build_model(model, shape)
    built.set_weights(list(weights))
    return built


class PortableNetwork:
    """A trained network in operations that TensorFlow, TensorFlow Lite and ONNX have in common.

    Args:
        trained: As `trained_model` gives it.
        model: Its configuration.
        shape: Of one window.
    """

    def __init__(self, trained: tf.keras.Model, model: ModelConfig, shape: WindowShape) -> None:
        self._shape, self._trained = shape, trained
        entry = MODELS[model.name]
        config = entry.resolve(model)
        causal = model.name == "tcn"
        blocks = [self._block(i, 2**i if causal else 1, causal) for i in range(config.blocks or 0)]
        layers = [self._recurrent(i) for i in range(config.layers if entry.recurrent else 0)]
        self._linear = model.name == "ridge"
        running: list[Stage] = [RunningStatistics(shape.features)] if self._linear and shape.target == "frame" else []
        self._stages: list[Stage] = [*running, *blocks, *layers]
        self._kernel, self._bias = self._weights("affect")

    @property
    def state_sizes(self) -> list[tuple[int, ...]]:
        """Shape of each state without the batch, of a network that goes frame by frame."""
        return [size for stage in self._stages for size in stage.state_sizes]

    def whole(self, features: tf.Tensor) -> tf.Tensor:
        """``[batch, targets, labels]`` from ``[batch, time, feature]``, NaN = missing."""
        x, mask = _masked(features)
        if self._shape.target == "window":
            x = window_moments(x, mask) if self._linear else window_mean(self._hidden(x, mask), mask)
        else:
            x = self._hidden(x, mask)
        return x @ self._kernel + self._bias

    def step(self, features: tf.Tensor, state: Tensors) -> tuple[tf.Tensor, Tensors]:
        """``[batch, labels]`` and the next state from one frame ``[batch, feature]`` and the state before it."""
        x, mask = _masked(features)
        after: Tensors = []
        for stage in self._stages:
            count = len(stage.state_sizes)
            x, kept = stage.step(x, mask, state[len(after) : len(after) + count])
            after += kept
        return x @ self._kernel + self._bias, after

    def _hidden(self, x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        for stage in self._stages:
            x = stage.whole(x, mask)
        return x

    def _weights(self, layer: str) -> list[np.ndarray]:
        """Arrays, not tensors: they become constants of every graph, which has no variable and no further input."""
        return list(self._trained.get_layer(layer).get_weights())

    def _recurrent(self, index: int) -> Stage:
        layer: Any = self._trained.get_layer(f"recurrent_{index}")
        weights = self._weights(layer.name)
        if not isinstance(layer, tf.keras.layers.Bidirectional):
            return Recurrent(_KINDS[type(layer).__name__], *weights)
        kind = _KINDS[type(layer.forward_layer).__name__]
        return BothWays(Recurrent(kind, *weights[:3]), Recurrent(kind, *weights[3:]))

    def _block(self, index: int, dilation: int, causal: bool) -> ResidualBlock:
        name = f"block_{index}"
        convolutions = [self._weights(f"{name}_convolution_{place}") for place in (0, 1)]
        first, second = (Convolution(kernel, bias, dilation, causal) for kernel, bias in convolutions)
        (scale_0, shift_0), (scale_1, shift_1) = (self._weights(f"{name}_normalization_{place}") for place in (0, 1))
        projection = None
        if f"{name}_projection" in {layer.name for layer in self._trained.layers}:
            kernel, bias = self._weights(f"{name}_projection")
            projection = Convolution(kernel, bias)
        norms = ((scale_0, shift_0), (scale_1, shift_1))
        return ResidualBlock((first, second), norms, projection, inner_skip=not causal)


def _masked(features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The features with zeros for what is missing, and the mask with a last axis of 1."""
    # Said by comparisons, which NaN fails: not every format can ask whether a number is finite. The first selection is
    # of a form that the ONNX converter keeps; any other it makes a product of, and NaN times 0 is NaN.
    there = tf.abs(features) < _LARGEST
    known = tf.clip_by_value(tf.where(tf.not_equal(features, features), 0.0, features), -_LARGEST, _LARGEST)
    return tf.where(there, known, 0.0), tf.reduce_all(there, axis=-1, keepdims=True)
