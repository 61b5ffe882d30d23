"""LSTM, GRU and simple recurrence over whole sequences, with hand-written backward passes.

Plain TensorFlow spends its time between the operations of a loop over frames. Here everything that does not depend on
the previous frame is done for all frames at once: input products before the loop, derivatives of the gates before the
backward loop, all weight gradients in one matrix product after it. Going back, a loop carries the gradient of the state
alone. The loops are unrolled by chunks. LSTM's forward pass is TensorFlow's fused block kernel.

Sequences are time-major, ``[time, batch, feature]``. Weights have the layout of Keras. They may have the batch in
front, a copy for each window: all copies are taken to be equal, the first is used, and the gradient of each copy is
that of its window. What one window does to the weights then costs one batched product. For float32 on a CPU; LSTM's
kernels have no XLA form and no second derivatives. The first ones are checked against float64 in the tests.

Equations: Hochreiter and Schmidhuber 1997 with forget gate (Gers et al. 2000); Cho et al. 2014 in Keras's
``reset_after`` form; Elman 1990.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

CHUNK = 25
"""Frames that are unrolled at once: with more, graphs take long to prepare and are no faster."""

Tensors = Sequence[tf.Tensor]
Step = Callable[[Tensors, Tensors], tuple[Tensors, Tensors]]


def scan(
    step: Step, state: Tensors, inputs: Tensors, outputs: int = 1, reverse: bool = False
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Runs a step over the frames of a sequence.

    Args:
        step: From state and one frame of each input to the new state and one frame of each output.
        state: Tensors before the first frame.
        inputs: ``[time, ...]`` each, of one known length.
        outputs: How many the step has.
        reverse: Go from the last frame to the first.

    Returns:
        The last state, and the outputs ``[time, ...]`` in the order of the frames.
    """
    frames = int(inputs[0].shape[0])
    whole, rest = divmod(frames, CHUNK)
    if whole < 2:
        return _unrolled(step, list(state), inputs, reverse)
    body, ragged = [i[: whole * CHUNK] for i in inputs], [i[whole * CHUNK :] for i in inputs]
    chunked = partial(_chunked, step, inputs=body, chunks=whole, outputs=outputs, reverse=reverse)
    if not rest:
        return chunked(list(state))
    if reverse:
        state, last = _unrolled(step, list(state), ragged, reverse)
        state, first = chunked(state)
    else:
        state, first = chunked(list(state))
        state, last = _unrolled(step, state, ragged, reverse)
    return state, [tf.concat(parts, axis=0) for parts in zip(first, last, strict=True)]


def _unrolled(
    step: Step, state: list[tf.Tensor], inputs: Tensors, reverse: bool
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    frames = list(zip(*(tf.unstack(i) for i in inputs), strict=True))
    found = []
    for frame in reversed(frames) if reverse else frames:
        new_state, outputs = step(state, frame)
        state = list(new_state)
        found.append(outputs)
    return state, [tf.stack(output) for output in zip(*(found[::-1] if reverse else found), strict=True)]


def _chunked(
    step: Step, state: list[tf.Tensor], inputs: Tensors, chunks: int, outputs: int, reverse: bool
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """A loop over chunks, each of them unrolled."""
    cut = [tf.reshape(i, tf.concat([[chunks, CHUNK], tf.shape(i)[1:]], axis=0)) for i in inputs]
    for part, whole in zip(cut, inputs, strict=True):
        part.set_shape([chunks, CHUNK, *whole.shape[1:]])

    shapes: list[tf.TensorShape] = []

    def body(number: tf.Tensor, state: list[tf.Tensor], kept: list[tf.TensorArray]) -> tuple:
        place = chunks - 1 - number if reverse else number
        state, found = _unrolled(step, state, [c[place] for c in cut], reverse)
        shapes[:] = [f.shape for f in found]
        return number + 1, state, [k.write(place, f) for k, f in zip(kept, found, strict=True)]

    kept = [tf.TensorArray(inputs[0].dtype, chunks, element_shape=None) for _ in range(outputs)]
    _, state, kept = tf.while_loop(
        lambda number, *_: number < chunks, body, (tf.constant(0), state, kept), maximum_iterations=chunks
    )
    return state, [
        tf.ensure_shape(k.concat(), [chunks * CHUNK, *shape[1:]]) for k, shape in zip(kept, shapes, strict=True)
    ]


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


def _has_copies(kernel: tf.Tensor) -> bool:
    """Whether a kernel comes as a copy for each window."""
    return bool(kernel.shape.rank == 3)


def _shared(kernel: tf.Tensor, recurrent: tf.Tensor, bias: tf.Tensor) -> Tensors:
    """The weights without the batch in front."""
    return [w[0] for w in (kernel, recurrent, bias)] if _has_copies(kernel) else [kernel, recurrent, bias]


def _weight_gradient(inputs: tf.Tensor, gates: tf.Tensor, copies: bool) -> tf.Tensor:
    if copies:
        return tf.matmul(_batch_major(inputs), _batch_major(gates), transpose_a=True)
    return tf.matmul(_flat(inputs), _flat(gates), transpose_a=True)


def _bias_gradient(gates: tf.Tensor, copies: bool) -> tf.Tensor:
    """A sum over frames and, without copies, windows; a general sum of both takes four times as long."""
    return tf.reduce_sum(gates, axis=0) if copies else tf.raw_ops.BiasAddGrad(out_backprop=_flat(gates))


def _batch_major(sequence: tf.Tensor) -> tf.Tensor:
    return tf.transpose(sequence, [1, 0, 2])


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
        kernel: ``[feature, 4 units]``; gates in Keras's order: input, forget, cell, output. This and the other weights
            may have the batch in front.
        recurrent: ``[units, 4 units]``.
        bias: ``[4 units]``.
        with_cells: Whether the cells are wanted, too; they cost an operation a frame on the way back.

    Returns:
        States after each frame ``[time, batch, units]`` and, if wanted, cells.
    """

    @tf.custom_gradient
    def run(*arguments: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], Callable]:
        block = _block(*arguments[:3], *_shared(*arguments[3:]))
        outputs = (block.h, block.cs) if with_cells else (block.h,)
        return outputs, lambda *upstream: _lstm_gradient(arguments, block, upstream)

    return tuple(_with_time(output, x) for output in run(x, h0, c0, kernel, recurrent, bias))


def _block(x: tf.Tensor, h0: tf.Tensor, c0: tf.Tensor, kernel: tf.Tensor, recurrent: tf.Tensor, bias: tf.Tensor) -> Any:
    """The fused forward pass; it returns gates, cells and states of every frame."""
    zeros = tf.zeros([recurrent.shape[0]], x.dtype)
    # V2 has Keras's order of gates. TensorFlow 2.14 has a wrong gradient for it, which is not used here.
    return tf.raw_ops.BlockLSTMV2(
        seq_len_max=tf.constant(x.shape[0], tf.int64), x=x, cs_prev=c0, h_prev=h0,
        w=tf.concat([kernel, recurrent], axis=0), wci=zeros, wcf=zeros, wco=zeros, b=bias, cell_clip=0.0,
        use_peephole=False,
    )  # fmt: skip


def _lstm_gradient(arguments: Tensors, block: Any, upstream: Tensors) -> tuple[tf.Tensor, ...]:
    """Gradients of the arguments of `lstm` from those of its states and, where they were wanted, its cells."""
    x, h0, c0, *weights = arguments
    copies, (kernel, recurrent, _) = _has_copies(weights[0]), _shared(*weights)
    back = tf.transpose(recurrent)
    into_gates = tf.concat(
        [
            _through_sigmoid(block.i, block.ci), _through_sigmoid(block.f, _before(c0, block.cs)),
            _through_tanh(block.ci, block.i), _through_sigmoid(block.o, block.co),
        ],
        axis=2,
    )  # fmt: skip

    def step(state: Tensors, frame: Tensors) -> tuple[Tensors, Tensors]:
        (dh, dc), (slopes, into_cell, forget, dh_out, *dc_out) = state, frame
        dh = dh + dh_out
        dc = tf.add_n([dc, dh * into_cell, *dc_out]) if dc_out else dc + dh * into_cell
        gates = tf.concat([dc, dc, dc, dh], axis=1) * slopes
        return (tf.matmul(gates, back), dc * forget), (gates,)

    kept = (into_gates, _through_tanh(block.co, block.o), block.f, *upstream)
    start = (tf.zeros_like(h0), tf.zeros_like(c0))
    (dh0, dc0), (gates,) = scan(step, start, [_with_time(k, x) for k in kept], reverse=True)
    return (
        _product(gates, tf.transpose(kernel)), dh0, dc0,
        _weight_gradient(x, gates, copies), _weight_gradient(_before(h0, block.h), gates, copies),
        _bias_gradient(gates, copies),
    )  # fmt: skip


def _through_sigmoid(output: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """``upstream * output * (1 - output)`` in one operation."""
    return tf.raw_ops.SigmoidGrad(y=output, dy=upstream)


def _through_tanh(output: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """``upstream * (1 - output ** 2)`` in one operation."""
    return tf.raw_ops.TanhGrad(y=output, dy=upstream)


def _with_time(sequence: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(sequence, [like.shape[0], like.shape[1], sequence.shape[-1]])


@tf.custom_gradient
def gru(
    x: tf.Tensor, h0: tf.Tensor, kernel: tf.Tensor, recurrent: tf.Tensor, bias: tf.Tensor
) -> tuple[tf.Tensor, Callable]:
    """GRU over a sequence, in Keras's ``reset_after`` form.

    Args:
        x: ``[time, batch, feature]``.
        h0: ``[batch, units]``, state before the first frame.
        kernel: ``[feature, 3 units]``; gates in Keras's order: update, reset, candidate. This and the other weights
            may have the batch in front.
        recurrent: ``[units, 3 units]``.
        bias: ``[2, 3 units]``, of the input product and of the recurrent product.

    Returns:
        States after each frame, ``[time, batch, units]``.
    """
    copies, (kernel, recurrent, bias) = _has_copies(kernel), _shared(kernel, recurrent, bias)
    units = recurrent.shape[0]
    projected = _product(x, kernel) + bias[0]

    def forward(state: Tensors, frame: Tensors) -> tuple[Tensors, Tensors]:
        gates_in, candidate_in = frame
        recalled = tf.nn.bias_add(tf.matmul(state[0], recurrent), bias[1])
        gates_recalled, candidate_recalled = tf.split(recalled, [2 * units, units], axis=1)
        update, reset = tf.split(tf.sigmoid(gates_in + gates_recalled), 2, axis=1)
        candidate = tf.tanh(candidate_in + reset * candidate_recalled)
        h = candidate + update * (state[0] - candidate)
        return (h,), (h, update, reset, candidate, candidate_recalled)

    _, kept = scan(forward, (h0,), tf.split(projected, [2 * units, units], axis=2), outputs=5)
    h, update, reset, candidate, recalled = kept

    def gradient(dh: tf.Tensor) -> tuple[tf.Tensor, ...]:
        h_before, back = _before(h0, h), tf.transpose(recurrent)
        into_candidate = _through_tanh(candidate, 1 - update)
        into_update = _through_sigmoid(update, h_before - candidate)
        into_reset = _through_sigmoid(reset, into_candidate * recalled)
        slopes = tf.concat([into_update, into_reset, into_candidate * reset], axis=2)

        def step(state: Tensors, frame: Tensors) -> tuple[Tensors, Tensors]:
            slope, update, dh_out = frame
            total = state[0] + dh_out
            gates = tf.concat([total, total, total], axis=1) * slope
            return (total * update + tf.matmul(gates, back),), (gates, total)

        (dh0,), (gates, total) = scan(step, (tf.zeros_like(h0),), (slopes, update, dh), outputs=2, reverse=True)
        outer = tf.concat([gates[..., : 2 * units], total * into_candidate], axis=2)
        biases = tf.stack([_bias_gradient(g, copies) for g in (outer, gates)], axis=-2)
        return (
            _product(outer, tf.transpose(kernel)), dh0,
            _weight_gradient(x, outer, copies), _weight_gradient(h_before, gates, copies), biases,
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
        kernel: ``[feature, units]``. This and the other weights may have the batch in front.
        recurrent: ``[units, units]``.
        bias: ``[units]``.

    Returns:
        States after each frame, ``[time, batch, units]``.
    """
    copies, (kernel, recurrent, bias) = _has_copies(kernel), _shared(kernel, recurrent, bias)

    def forward(state: Tensors, frame: Tensors) -> tuple[Tensors, Tensors]:
        h = tf.tanh(frame[0] + tf.matmul(state[0], recurrent))
        return (h,), (h,)

    _, (h,) = scan(forward, (h0,), (_product(x, kernel) + bias,))

    def gradient(dh: tf.Tensor) -> tuple[tf.Tensor, ...]:
        back = tf.transpose(recurrent)

        def step(state: Tensors, frame: Tensors) -> tuple[Tensors, Tensors]:
            inner = (state[0] + frame[1]) * frame[0]
            return (tf.matmul(inner, back),), (inner,)

        (dh0,), (inner,) = scan(step, (tf.zeros_like(h0),), (1 - tf.square(h), dh), reverse=True)
        return (
            _product(inner, tf.transpose(kernel)), dh0,
            _weight_gradient(x, inner, copies), _weight_gradient(_before(h0, h), inner, copies),
            _bias_gradient(inner, copies),
        )  # fmt: skip

    return h, gradient
