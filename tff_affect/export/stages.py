"""A network's parts as plain arithmetic that converters know, over whole windows and frame by frame.

The layers that are trained use kernels and gradients of their own. What they compute is written down here once more,
with nothing but products, sums and comparisons, so that it can be said in TensorFlow Lite and ONNX without further
operations. Each part offers the same computation twice: ``whole`` over a window, and ``step`` over one frame with the
state that is left of the frames before.

Equations: Hochreiter and Schmidhuber 1997 with forget gate (Gers et al. 2000); Cho et al. 2014 in Keras's
``reset_after`` form; Elman 1990; Bai, Kolter and Koltun 2018; running moments by Welford 1962 (Technometrics 4).
Sequences are ``[batch, time, channel]``, masks ``[batch, time, 1]`` bool, True for a frame that is there; a frame is
``[batch, channel]`` with mask ``[batch, 1]``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import tensorflow as tf

Tensors = list[tf.Tensor]
Advance = Callable[[tf.Tensor, Tensors], Tensors]
_LAYER_NORM_EPSILON = 1e-3
_LEAST_VARIANCE = 1e-12
"""As in ``tff_affect.models.statistics``."""


class Stage(Protocol):
    """A part of a network."""

    @property
    def state_sizes(self) -> list[tuple[int, ...]]:
        """Shape of each state without the batch; empty where a frame needs no other."""

    def whole(self, x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """From a window to a window."""

    def step(self, x: tf.Tensor, mask: tf.Tensor, state: Tensors) -> tuple[tf.Tensor, Tensors]:
        """From one frame and the state before it to what comes of it and the state after it."""


def scan(advance: Advance, state: Tensors, inputs: tf.Tensor, mask: tf.Tensor, reverse: bool = False) -> tf.Tensor:
    """The first state after every frame; a frame that is not there leaves the state as it is.

    Args:
        advance: From one frame of the inputs, ``[batch, channel]``, and a state to the next state.
        state: Before the first frame, ``[batch, ...]`` each.
        inputs: ``[batch, time, channel]``.
        mask: ``[batch, time, 1]``.
        reverse: Go from the last frame to the first.

    Returns:
        ``[batch, time, size of the first state]``.
    """
    if reverse:
        # Turned around rather than written from the end: what a loop writes, ONNX strings together in its order.
        return tf.reverse(scan(advance, state, tf.reverse(inputs, [1]), tf.reverse(mask, [1])), [1])
    inputs, mask = (tf.transpose(tensor, [1, 0, 2]) for tensor in (inputs, mask))
    frames = inputs.shape[0] if inputs.shape[0] is not None else tf.shape(inputs)[0]
    series = tf.TensorArray(tf.float32, size=frames, element_shape=state[0].shape)

    def body(number: tf.Tensor, before: Tensors, written: tf.TensorArray) -> tuple[tf.Tensor, Tensors, tf.TensorArray]:
        there = tf.gather(mask, number)
        after = advance(tf.gather(inputs, number), before)
        kept = [tf.where(there, new, old) for new, old in zip(after, before, strict=True)]
        return number + 1, kept, written.write(number, kept[0])

    *_, series = tf.while_loop(lambda number, *_: number < frames, body, (tf.constant(0), state, series))
    return tf.transpose(series.stack(), [1, 0, 2])


def zeros(x: tf.Tensor, sizes: Sequence[tuple[int, ...]]) -> Tensors:
    """A state of zeros for as many sequences as ``x`` has."""
    batch = x.shape[0] if x.shape[0] is not None else tf.shape(x)[0]
    return [tf.zeros([batch, *size]) for size in sizes]


@dataclass(frozen=True)
class Recurrent:
    """A recurrent layer in one direction.

    Attributes:
        kind: ``simple_rnn``, ``lstm`` or ``gru``.
        kernel: ``[channel, gates x units]``.
        recurrent: ``[units, gates x units]``.
        bias: ``[gates x units]``; for ``gru`` two of them, of the inputs and of the state.
    """

    kind: str
    kernel: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray

    @property
    def state_sizes(self) -> list[tuple[int, ...]]:
        """That of the output and, for ``lstm``, of the cell."""
        units = int(self.recurrent.shape[0])
        return [(units,)] * (2 if self.kind == "lstm" else 1)

    def whole(self, x: tf.Tensor, mask: tf.Tensor, reverse: bool = False) -> tf.Tensor:
        """``[batch, time, units]``; products with the inputs are made for all frames at once."""
        return scan(self._advance, zeros(x, self.state_sizes), self._inputs(x), mask, reverse)

    def step(self, x: tf.Tensor, mask: tf.Tensor, state: Tensors) -> tuple[tf.Tensor, Tensors]:
        """``[batch, units]`` and the next state."""
        after = self._advance(self._inputs(x), state)
        kept = [tf.where(mask, new, old) for new, old in zip(after, state, strict=True)]
        return kept[0], kept

    def _inputs(self, x: tf.Tensor) -> tf.Tensor:
        return x @ self.kernel + (self.bias[0] if self.kind == "gru" else self.bias)

    def _advance(self, z: tf.Tensor, state: Tensors) -> Tensors:
        if self.kind == "gru":
            return self._advance_gru(z, state[0])
        z = z + state[0] @ self.recurrent
        if self.kind == "simple_rnn":
            return [tf.tanh(z)]
        gate_in, gate_forget, candidate, gate_out = tf.split(z, 4, axis=1)
        cell = tf.sigmoid(gate_forget) * state[1] + tf.sigmoid(gate_in) * tf.tanh(candidate)
        return [tf.sigmoid(gate_out) * tf.tanh(cell), cell]

    def _advance_gru(self, z: tf.Tensor, h: tf.Tensor) -> Tensors:
        update, reset, candidate = tf.split(z, 3, axis=1)
        of_update, of_reset, of_candidate = tf.split(h @ self.recurrent + self.bias[1], 3, axis=1)
        update, reset = tf.sigmoid(update + of_update), tf.sigmoid(reset + of_reset)
        return [update * h + (1 - update) * tf.tanh(candidate + reset * of_candidate)]


@dataclass(frozen=True)
class BothWays:
    """A recurrent layer in both directions; it needs the whole window.

    Attributes:
        forward: From the first frame to the last.
        backward: From the last frame to the first.
    """

    forward: Recurrent
    backward: Recurrent
    state_sizes: list[tuple[int, ...]] = field(default_factory=list)

    def whole(self, x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """``[batch, time, 2 units]``; zero at a masked frame, as Keras leaves it where there are two directions."""
        both = tf.concat([self.forward.whole(x, mask), self.backward.whole(x, mask, reverse=True)], axis=2)
        return tf.where(mask, both, 0.0)

    def step(self, x: tf.Tensor, mask: tf.Tensor, state: Tensors) -> tuple[tf.Tensor, Tensors]:
        """Not there: the second direction begins at the window's end."""
        raise NotImplementedError("a layer of both directions has no step")


@dataclass(frozen=True)
class Convolution:
    """A convolution over time that reads a masked frame as zero, as a sum of one product for each tap.

    Attributes:
        kernel: ``[taps, channel, units]``.
        bias: ``[units]``.
        dilation: Frames between taps.
        causal: Whether it sees no later frame.
    """

    kernel: np.ndarray
    bias: np.ndarray
    dilation: int = 1
    causal: bool = True

    @property
    def reach(self) -> int:
        """Frames that it sees beside one."""
        return (int(self.kernel.shape[0]) - 1) * self.dilation

    @property
    def state_sizes(self) -> list[tuple[int, ...]]:
        """The frames before; none where it sees one frame alone."""
        return [(self.reach, int(self.kernel.shape[1]))] if self.reach else []

    def whole(self, x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """``[batch, time, units]``."""
        x = tf.where(mask, x, 0.0)
        frames = x.shape[1] if x.shape[1] is not None else tf.shape(x)[1]
        before = self.reach if self.causal else self.reach // 2
        if self.reach:
            x = tf.pad(x, [[0, 0], [before, self.reach - before], [0, 0]])
        return self._taps(lambda start: x[:, start : start + frames])

    def step(self, x: tf.Tensor, mask: tf.Tensor, state: Tensors) -> tuple[tf.Tensor, Tensors]:
        """``[batch, units]`` and the frames that the next one needs."""
        x = tf.where(mask, x, 0.0)
        if not state:
            return self._taps(lambda start: x), []
        seen = tf.concat([state[0], x[:, tf.newaxis]], axis=1)
        return self._taps(lambda start: seen[:, start]), [seen[:, 1:]]

    def _taps(self, seen_from: Callable[[int], tf.Tensor]) -> tf.Tensor:
        parts = [seen_from(tap * self.dilation) @ self.kernel[tap] for tap in range(int(self.kernel.shape[0]))]
        return tf.add_n(parts) + self.bias if len(parts) > 1 else parts[0] + self.bias


@dataclass(frozen=True)
class ResidualBlock:
    """Two convolutions, each normalised over its channels, with a shortcut around them.

    Attributes:
        convolutions: The two.
        norms: Scale and shift of each normalisation, ``[units]`` each.
        projection: The shortcut's convolution; None where the width stays.
        inner_skip: Whether the shortcut joins before the second ReLU.
    """

    convolutions: tuple[Convolution, Convolution]
    norms: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
    projection: Convolution | None
    inner_skip: bool

    @property
    def state_sizes(self) -> list[tuple[int, ...]]:
        """Those of the convolutions."""
        return [size for convolution in self.convolutions for size in convolution.state_sizes]

    def whole(self, x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """``[batch, time, units]``."""
        skip = x if self.projection is None else self.projection.whole(x, mask)
        inner = tf.nn.relu(self._normalised(0, self.convolutions[0].whole(x, mask)))
        return self._joined(self._normalised(1, self.convolutions[1].whole(inner, mask)), skip)

    def step(self, x: tf.Tensor, mask: tf.Tensor, state: Tensors) -> tuple[tf.Tensor, Tensors]:
        """``[batch, units]`` and the next state."""
        skip = x if self.projection is None else self.projection.step(x, mask, [])[0]
        count = len(self.convolutions[0].state_sizes)
        first, after = self.convolutions[0].step(x, mask, state[:count])
        second, rest = self.convolutions[1].step(tf.nn.relu(self._normalised(0, first)), mask, state[count:])
        return self._joined(self._normalised(1, second), skip), after + rest

    def _normalised(self, place: int, x: tf.Tensor) -> tf.Tensor:
        scale, shift = self.norms[place]
        centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
        variance = tf.reduce_mean(centred * centred, axis=-1, keepdims=True)
        return centred / tf.sqrt(variance + _LAYER_NORM_EPSILON) * scale + shift

    def _joined(self, inner: tf.Tensor, skip: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(inner + skip) if self.inner_skip else tf.nn.relu(tf.nn.relu(inner) + skip)


@dataclass(frozen=True)
class RunningStatistics:
    """Each frame's features, and mean and deviation of the frames up to it.

    Attributes:
        features: Per frame.
    """

    features: int

    @property
    def state_sizes(self) -> list[tuple[int, ...]]:
        """Mean, sum of squared deviations and count, side by side."""
        return [(2 * self.features + 1,)]

    def whole(self, x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """``[batch, time, 3 features]``."""
        moments = scan(self._advance, zeros(x, self.state_sizes), x, mask)
        return self._with_moments(tf.where(mask, x, 0.0), moments)

    def step(self, x: tf.Tensor, mask: tf.Tensor, state: Tensors) -> tuple[tf.Tensor, Tensors]:
        """``[batch, 3 features]`` and the next moments."""
        kept = tf.where(mask, self._advance(x, state)[0], state[0])
        return self._with_moments(tf.where(mask, x, 0.0), kept), [kept]

    def _advance(self, x: tf.Tensor, state: Tensors) -> Tensors:
        mean, squares, count = tf.split(state[0], [self.features, self.features, 1], axis=-1)
        count = count + 1.0
        off = x - mean
        mean = mean + off / count
        return [tf.concat([mean, squares + off * (x - mean), count], axis=-1)]

    def _with_moments(self, x: tf.Tensor, moments: tf.Tensor) -> tf.Tensor:
        mean, squares, count = tf.split(moments, [self.features, self.features, 1], axis=-1)
        return tf.concat([x, mean, deviation(squares / tf.maximum(count, 1.0))], axis=-1)


def window_moments(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mean and deviation over a window's frames that are there, ``[batch, 1, 2 features]``; zeros without any."""
    mean = window_mean(x, mask)
    off = tf.where(mask, x - mean, 0.0)
    return tf.concat([mean, deviation(window_mean(off * off, mask))], axis=-1)


def window_mean(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mean over a window's frames that are there, ``[batch, 1, channel]``; zeros without any."""
    count = tf.reduce_sum(tf.cast(mask, tf.float32), axis=1, keepdims=True)
    return tf.reduce_sum(tf.where(mask, x, 0.0), axis=1, keepdims=True) / tf.maximum(count, 1.0)


def deviation(variance: tf.Tensor) -> tf.Tensor:
    """The root; a smaller variance than features can have is rounding, and 0."""
    return tf.where(variance > _LEAST_VARIANCE, tf.sqrt(tf.maximum(variance, 0.0)), 0.0)
