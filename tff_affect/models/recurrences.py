"""LSTM, GRU and simple recurrence over whole sequences, with hand-written backward passes.

Plain TensorFlow spends its time between the operations of a loop over frames. Here everything that does not depend on
the previous frame is done for all frames at once: input products before the loop, derivatives of the gates before the
backward loop, all weight gradients in one matrix product after it. Going back, a loop carries the gradient of the state
alone. The loops are unrolled by chunks. LSTM's forward pass is TensorFlow's fused block kernel.

Sequences are time-major, ``[time, batch, feature]``. Weights have the layout of Keras. For float32 on a CPU; LSTM's
kernels have no XLA form and no second derivatives. The first ones are checked against float64 in the tests.

Equations: Hochreiter and Schmidhuber 1997 with forget gate (Gers et al. 2000); Cho et al. 2014 in Keras's
``reset_after`` form; Elman 1990.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

CHUNK = 25
"""Frames that are unrolled at once: with more, graphs take long to prepare and are no faster."""

Tensors = Sequence[tf.Tensor]
Step = Callable[[Tensors, Tensors], tuple[Tensors, tf.Tensor]]


def scan(step: Step, state: Tensors, inputs: Tensors, reverse: bool = False) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Runs a step over the frames of a sequence.

    Args:
        step: From state and one frame of each input to the new state and an output.
        state: Tensors before the first frame.
        inputs: ``[time, ...]`` each, of one known length.
        reverse: Go from the last frame to the first.

    Returns:
        The last state, and the outputs ``[time, ...]`` in the order of the frames.
    """
    frames = int(inputs[0].shape[0])
    whole, rest = divmod(frames, CHUNK)
    if whole < 2:
        return _unrolled(step, list(state), inputs, reverse)
    body, ragged = [i[: whole * CHUNK] for i in inputs], [i[whole * CHUNK :] for i in inputs]
    state, outputs = list(state), []
    if rest and reverse:
        state, last = _unrolled(step, state, ragged, reverse)
        outputs = [last]
    state, found = _chunked(step, state, body, whole, reverse)
    if rest and not reverse:
        state, last = _unrolled(step, state, ragged, reverse)
        outputs = [last]
    return state, tf.concat([found, *outputs], axis=0)


def _unrolled(step: Step, state: list[tf.Tensor], inputs: Tensors, reverse: bool) -> tuple[list[tf.Tensor], tf.Tensor]:
    frames = list(zip(*(tf.unstack(i) for i in inputs), strict=True))
    outputs = []
    for frame in reversed(frames) if reverse else frames:
        new_state, output = step(state, frame)
        state = list(new_state)
        outputs.append(output)
    return state, tf.stack(outputs[::-1] if reverse else outputs)


def _chunked(
    step: Step, state: list[tf.Tensor], inputs: Tensors, chunks: int, reverse: bool
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """A loop over chunks, each of them unrolled."""
    cut = [tf.reshape(i, tf.concat([[chunks, CHUNK], tf.shape(i)[1:]], axis=0)) for i in inputs]
    for part, whole in zip(cut, inputs, strict=True):
        part.set_shape([chunks, CHUNK, *whole.shape[1:]])

    shapes: list[tf.TensorShape] = []

    def body(number: tf.Tensor, state: list[tf.Tensor], outputs: tf.TensorArray) -> tuple:
        place = chunks - 1 - number if reverse else number
        state, found = _unrolled(step, state, [c[place] for c in cut], reverse)
        shapes.append(found.shape)
        return number + 1, state, outputs.write(place, found)

    outputs = tf.TensorArray(inputs[0].dtype, chunks, element_shape=None)
    _, state, outputs = tf.while_loop(
        lambda number, *_: number < chunks, body, (tf.constant(0), state, outputs), maximum_iterations=chunks
    )
    return state, tf.ensure_shape(outputs.concat(), [chunks * CHUNK, *shapes[0][1:]])


def _before(first: tf.Tensor, states: tf.Tensor) -> tf.Tensor:
    """``[time, batch, units]``: the state that each frame found."""
    return tf.concat([first[tf.newaxis], states[:-1]], axis=0)


def _flat(sequence: tf.Tensor) -> tf.Tensor:
    """``[time * batch, last]``."""
    return tf.reshape(sequence, [-1, sequence.shape[-1]])


def _product(sequence: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """``sequence @ kernel`` for all frames in one product."""
    shape = tf.concat([tf.shape(sequence)[:-1], [kernel.shape[-1]]], axis=0)
    product = tf.reshape(tf.matmul(_flat(sequence), kernel), shape)
    product.set_shape([*sequence.shape[:-1], kernel.shape[-1]])
    return product


def _weight_gradient(inputs: tf.Tensor, gates: tf.Tensor) -> tf.Tensor:
    return tf.matmul(_flat(inputs), _flat(gates), transpose_a=True)


def lstm(
    x: tf.Tensor,
    h0: tf.Tensor,
    c0: tf.Tensor,
    kernel: tf.Tensor,
    recurrent: tf.Tensor,
    bias: tf.Tensor,
    with_cells: bool = False,
) -> tuple[tf.Tensor, ...]:
    """LSTM over a sequence.

    Args:
        x: ``[time, batch, feature]``.
        h0: ``[batch, units]``, state before the first frame.
        c0: ``[batch, units]``, cell before the first frame.
        kernel: ``[feature, 4 units]``; gates in Keras's order: input, forget, cell, output.
        recurrent: ``[units, 4 units]``.
        bias: ``[4 units]``.
        with_cells: Whether the cells are wanted, too; they cost an operation a frame on the way back.

    Returns:
        States after each frame ``[time, batch, units]`` and, if wanted, cells.
    """

    @tf.custom_gradient
    def run(*arguments: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], Callable]:
        block = _block(*arguments)
        outputs = (block.h, block.cs) if with_cells else (block.h,)
        return outputs, lambda *upstream: _lstm_gradient(arguments, block, upstream)

    return tuple(_with_time(output, x) for output in run(x, h0, c0, kernel, recurrent, bias))


def _block(x: tf.Tensor, h0: tf.Tensor, c0: tf.Tensor, kernel: tf.Tensor, recurrent: tf.Tensor, bias: tf.Tensor) -> Any:
    """The fused forward pass; it returns gates, cells and states of every frame."""
    zeros = tf.zeros([recurrent.shape[0]], x.dtype)
    weights = tf.concat([_to_block(kernel), _to_block(recurrent)], axis=0)
    # V1: its second version has a wrong gradient in TensorFlow 2.14, and the backward pass here knows its gate order.
    return tf.raw_ops.BlockLSTM(
        seq_len_max=tf.constant(x.shape[0], tf.int64), x=x, cs_prev=c0, h_prev=h0, w=weights, wci=zeros, wcf=zeros,
        wco=zeros, b=_to_block(bias), forget_bias=0.0, cell_clip=0.0, use_peephole=False,
    )  # fmt: skip


def _lstm_gradient(arguments: Tensors, block: Any, upstream: Tensors) -> tuple[tf.Tensor, ...]:
    """Gradients of the arguments of `lstm` from those of its states and, where they were wanted, its cells."""
    x, h0, c0, kernel, recurrent, _ = arguments
    units = recurrent.shape[0]
    zeros, no_bias = tf.zeros([units], x.dtype), tf.zeros([4 * units], x.dtype)
    no_input = tf.zeros([tf.shape(h0)[0], 0], x.dtype)
    weights = _to_block(recurrent)
    back = tf.transpose(weights)

    # The kernel looks at input, state before and biases for their shapes alone.
    def step(state: Tensors, frame: Tensors) -> tuple[Tensors, tf.Tensor]:
        (dh, dc), (i, c, f, o, ci, co, c_before, dh_out, *dc_out) = state, frame
        cell = tf.raw_ops.LSTMBlockCellGrad(
            x=no_input, cs_prev=c_before, h_prev=h0, w=weights, wci=zeros, wcf=zeros, wco=zeros, b=no_bias, i=i,
            cs=c, f=f, o=o, ci=ci, co=co, cs_grad=dc + dc_out[0] if dc_out else dc, h_grad=dh + dh_out,
            use_peephole=False,
        )  # fmt: skip
        return (tf.matmul(cell.dicfo, back), cell.cs_prev_grad), cell.dicfo

    kept = (block.i, block.cs, block.f, block.o, block.ci, block.co, _before(c0, block.cs), *upstream)
    start = (tf.zeros_like(h0), tf.zeros_like(c0))
    (dh0, dc0), gates = scan(step, start, [_with_time(k, x) for k in kept], reverse=True)
    gates = _from_block(gates)
    return (
        _product(gates, tf.transpose(kernel)), dh0, dc0,
        _weight_gradient(x, gates), _weight_gradient(_before(h0, block.h), gates),
        tf.reduce_sum(_flat(gates), axis=0),
    )  # fmt: skip


def _with_time(sequence: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(sequence, [like.shape[0], like.shape[1], sequence.shape[-1]])


def _to_block(weights: tf.Tensor) -> tf.Tensor:
    """From Keras's gate order (input, forget, cell, output) to the block kernel's (input, cell, forget, output)."""
    i, f, c, o = tf.split(weights, 4, axis=-1)
    return tf.concat([i, c, f, o], axis=-1)


# Exchanging the two gates in the middle undoes itself.
_from_block = _to_block


@tf.custom_gradient
def gru(
    x: tf.Tensor, h0: tf.Tensor, kernel: tf.Tensor, recurrent: tf.Tensor, bias: tf.Tensor
) -> tuple[tf.Tensor, Callable]:
    """GRU over a sequence, in Keras's ``reset_after`` form.

    Args:
        x: ``[time, batch, feature]``.
        h0: ``[batch, units]``, state before the first frame.
        kernel: ``[feature, 3 units]``; gates in Keras's order: update, reset, candidate.
        recurrent: ``[units, 3 units]``.
        bias: ``[2, 3 units]``, of the input product and of the recurrent product.

    Returns:
        States after each frame, ``[time, batch, units]``.
    """
    units = recurrent.shape[0]
    projected = _product(x, kernel) + bias[0]

    def forward(state: Tensors, frame: Tensors) -> tuple[Tensors, tf.Tensor]:
        gates_in, candidate_in = frame
        recalled = tf.nn.bias_add(tf.matmul(state[0], recurrent), bias[1])
        gates_recalled, candidate_recalled = tf.split(recalled, [2 * units, units], axis=1)
        gates = tf.sigmoid(gates_in + gates_recalled)
        update, reset = tf.split(gates, 2, axis=1)
        candidate = tf.tanh(candidate_in + reset * candidate_recalled)
        h = candidate + update * (state[0] - candidate)
        return (h,), tf.concat([h, gates, candidate, candidate_recalled], axis=1)

    _, kept = scan(forward, (h0,), tf.split(projected, [2 * units, units], axis=2))
    h, update, reset, candidate, recalled = tf.split(kept, 5, axis=2)

    def gradient(dh: tf.Tensor) -> tuple[tf.Tensor, ...]:
        h_before, back = _before(h0, h), tf.transpose(recurrent)
        into_candidate = (1 - update) * (1 - tf.square(candidate))
        into_update = (h_before - candidate) * update * (1 - update)
        into_reset = into_candidate * recalled * reset * (1 - reset)
        slopes = tf.concat([into_update, into_reset, into_candidate * reset], axis=2)

        def step(state: Tensors, frame: Tensors) -> tuple[Tensors, tf.Tensor]:
            slope, update, dh_out = frame
            total = state[0] + dh_out
            gates = tf.concat([total, total, total], axis=1) * slope
            return (total * update + tf.matmul(gates, back),), tf.concat([gates, total], axis=1)

        (dh0,), found = scan(step, (tf.zeros_like(h0),), (slopes, update, dh), reverse=True)
        gates, total = tf.split(found, [3 * units, units], axis=2)
        outer = tf.concat([gates[..., : 2 * units], total * into_candidate], axis=2)
        biases = tf.stack([tf.reduce_sum(_flat(g), axis=0) for g in (outer, gates)])
        return (
            _product(outer, tf.transpose(kernel)), dh0,
            _weight_gradient(x, outer), _weight_gradient(h_before, gates), biases,
        )  # fmt: skip

    return h, gradient


@tf.custom_gradient
def simple(
    x: tf.Tensor, h0: tf.Tensor, kernel: tf.Tensor, recurrent: tf.Tensor, bias: tf.Tensor
) -> tuple[tf.Tensor, Callable]:
    """Simple recurrence ``h = tanh(x W + h' U + b)`` over a sequence.

    Args:
        x: ``[time, batch, feature]``.
        h0: ``[batch, units]``, state before the first frame.
        kernel: ``[feature, units]``.
        recurrent: ``[units, units]``.
        bias: ``[units]``.

    Returns:
        States after each frame, ``[time, batch, units]``.
    """

    def forward(state: Tensors, frame: Tensors) -> tuple[Tensors, tf.Tensor]:
        h = tf.tanh(frame[0] + tf.matmul(state[0], recurrent))
        return (h,), h

    _, h = scan(forward, (h0,), (_product(x, kernel) + bias,))

    def gradient(dh: tf.Tensor) -> tuple[tf.Tensor, ...]:
        back = tf.transpose(recurrent)

        def step(state: Tensors, frame: Tensors) -> tuple[Tensors, tf.Tensor]:
            inner = (state[0] + frame[1]) * frame[0]
            return (tf.matmul(inner, back),), inner

        (dh0,), inner = scan(step, (tf.zeros_like(h0),), (1 - tf.square(h), dh), reverse=True)
        return (
            _product(inner, tf.transpose(kernel)), dh0,
            _weight_gradient(x, inner), _weight_gradient(_before(h0, h), inner), tf.reduce_sum(_flat(inner), axis=0),
        )  # fmt: skip

    return h, gradient
