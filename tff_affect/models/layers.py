"""Keras's LSTM, GRU and SimpleRNN, faster: same weights, names, gate order, masks, arguments and results.

On float32 and with the activations and options that Keras starts from, the layers here use
`tff_affect.models.recurrences`; with any other setting they are the layers that they derive from. A masked frame is
stepped over: each window's valid frames are moved to its front, which leaves the recurrence without a mask, and results
are put back where they belong.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from tff_affect.models import recurrences

# Compared as functions: somebody's own may have the name of one of Keras's.
_TANH = (tf.keras.activations.tanh, tf.tanh)
_SIGMOID = (tf.keras.activations.sigmoid, tf.sigmoid)


class _Order(NamedTuple):
    """Where the frames of masked windows are while a recurrence runs.

    Attributes:
        mask: ``[batch, time]``, True for a frame that is there.
        complete: Whether no frame is masked; moving frames is left out then.
    """

    mask: tf.Tensor
    complete: tf.Tensor

    @classmethod
    def of(cls, mask: tf.Tensor) -> _Order:
        """The order of a mask."""
        return cls(mask, tf.reduce_all(mask))

    @property
    def count(self) -> tf.Tensor:
        """``[batch, time]``: valid frames up to and with each frame. Computed where it is used, which is seldom."""
        return tf.cumsum(tf.cast(self.mask, tf.int32), axis=1)

    def time_major(self, x: tf.Tensor) -> tf.Tensor:
        """``[batch, time, feature]`` to ``[time, batch, feature]``, each window's valid frames first."""
        return tf.cond(self.complete, lambda: _transposed(x), lambda: self._valid_first(x))

    def _valid_first(self, x: tf.Tensor) -> tf.Tensor:
        batch, time = tf.shape(x)[0], tf.shape(x)[1]
        frame, count = tf.range(time)[tf.newaxis], self.count
        place = tf.where(self.mask, count - 1, count[:, -1:] + frame - count)
        source = tf.math.invert_permutation(tf.reshape(place + time * tf.range(batch)[:, tf.newaxis], [-1]))
        return tf.gather(tf.reshape(x, [-1, x.shape[-1]]), tf.transpose(tf.reshape(source, [batch, time])))

    def batch_major(self, h: tf.Tensor, zero_masked: bool) -> tf.Tensor:
        """``[time, batch, units]`` back to ``[batch, time, units]``.

        A masked frame repeats the output before it (zero where there is none), or is zero with ``zero_masked``.
        """
        return tf.cond(self.complete, lambda: _transposed(h), lambda: self._put_back(h, zero_masked))

    def _put_back(self, h: tf.Tensor, zero_masked: bool) -> tf.Tensor:
        count = self.count
        shown = self.mask if zero_masked else count > 0
        return tf.where(shown[..., tf.newaxis], self._at(h, count), tf.zeros([], h.dtype))

    def last(self, h: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
        """``[batch, units]``: the state after each window's last valid frame; ``before`` where there is none."""
        count = self.count[:, -1:]
        return tf.where(count > 0, self._at(h, count)[:, 0], before)

    def _at(self, h: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """``[batch, n, units]``: what came out of the ``count``-th valid frame."""
        batch = tf.shape(h)[1]
        place = tf.maximum(count - 1, 0) * batch + tf.range(batch)[:, tf.newaxis]
        return tf.gather(tf.reshape(h, [-1, h.shape[-1]]), place)


def _transposed(x: tf.Tensor) -> tf.Tensor:
    return tf.transpose(x, [1, 0, 2])


class _FastRecurrent:
    """What the three layers share; each says in `_standard` when and in `_run` how it is fast."""

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds a loaded layer: from one shape, or a list of the shapes of input and initial states.

        JSON knows no tuples: one shape comes as a list, too, which means several inputs to Keras's recurrent layers.
        """
        shape = config["input_shape"]
        self.build(tuple(shape[0] if isinstance(shape[0], list | tuple) else shape))  # type: ignore[attr-defined]

    def call(
        self, sequences: Any, mask: Any = None, training: bool | None = None, initial_state: Any = None
    ) -> tf.Tensor | list[tf.Tensor]:
        """As the Keras layer: ``[batch, time, feature]`` to outputs, and states where they are wanted."""
        if not self._is_fast(sequences[0] if isinstance(sequences, list | tuple) else sequences):
            return super().call(sequences, mask=mask, training=training, initial_state=initial_state)  # type: ignore[misc]
        sequences, initial_state, _ = self._process_inputs(sequences, initial_state, None)  # type: ignore[attr-defined]
        mask = mask[0] if isinstance(mask, list) else mask
        if self.go_backwards:  # type: ignore[attr-defined]
            sequences = tf.reverse(sequences, [1])
            mask = None if mask is None else tf.reverse(mask, [1])
        order = None if mask is None else _Order.of(tf.cast(mask, tf.bool))
        x = _transposed(sequences) if order is None else order.time_major(sequences)
        # A batch size that only the initial state knows is that of the frames too: loops want shapes that stay.
        batch = tf.TensorShape(sequences.shape[:1]).merge_with(initial_state[0].shape[:1])[0]
        x = tf.ensure_shape(x, [sequences.shape[1], batch, sequences.shape[2]])
        return self._results(self._run(x, initial_state), order, initial_state)

    def _is_fast(self, sequences: Any) -> bool:
        plain = isinstance(sequences, tf.Tensor) or tf.keras.backend.is_keras_tensor(sequences)
        known = plain and sequences.dtype == tf.float32 and None not in sequences.shape[1:]
        options = (self.stateful, self.unroll, self.time_major, self.dropout, self.recurrent_dropout)  # type: ignore[attr-defined]
        return bool(known) and self.use_bias and not any(options) and self._standard()  # type: ignore[attr-defined]

    def _gated(self) -> bool:
        """Whether activations are those of `recurrences.lstm` and `recurrences.gru`."""
        return self.activation in _TANH and self.recurrent_activation in _SIGMOID  # type: ignore[attr-defined]

    def _standard(self) -> bool:
        raise NotImplementedError

    def _run(self, x: tf.Tensor, initial_state: list[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Outputs, and for LSTM cells where states are wanted, ``[time, batch, units]`` each."""
        raise NotImplementedError

    def _weights(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        cell = self.cell  # type: ignore[attr-defined]
        kernel, recurrent, bias = (tf.convert_to_tensor(w) for w in (cell.kernel, cell.recurrent_kernel, cell.bias))
        return kernel, recurrent, bias

    def _results(
        self, series: tuple[tf.Tensor, ...], order: _Order | None, before: list[tf.Tensor]
    ) -> tf.Tensor | list[tf.Tensor]:
        outputs = self._outputs(series[0], order)
        if not self.return_state:  # type: ignore[attr-defined]
            return outputs
        last = [s[-1] if order is None else order.last(s, b) for s, b in zip(series, before, strict=True)]
        return [outputs, *last]

    def _outputs(self, h: tf.Tensor, order: _Order | None) -> tf.Tensor:
        whole = self.return_sequences  # type: ignore[attr-defined]
        if order is None:
            return _transposed(h) if whole else h[-1]
        outputs = order.batch_major(h, bool(self.zero_output_for_mask))  # type: ignore[attr-defined]
        outputs = tf.ensure_shape(outputs, [h.shape[1], h.shape[0], h.shape[2]])
        return outputs if whole else outputs[:, -1]


@tf.keras.utils.register_keras_serializable("tff_affect")
class FastLSTM(_FastRecurrent, tf.keras.layers.LSTM):
    """`tf.keras.layers.LSTM` over `recurrences.lstm`."""

    def _standard(self) -> bool:
        return self._gated()

    def _run(self, x: tf.Tensor, initial_state: list[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        h0, c0 = initial_state
        return recurrences.lstm(x, h0, c0, *self._weights(), with_cells=self.return_state)


@tf.keras.utils.register_keras_serializable("tff_affect")
class FastGRU(_FastRecurrent, tf.keras.layers.GRU):
    """`tf.keras.layers.GRU` over `recurrences.gru`."""

    def _standard(self) -> bool:
        return bool(self.reset_after) and self._gated()

    def _run(self, x: tf.Tensor, initial_state: list[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        return (recurrences.gru(x, *initial_state, *self._weights()),)


@tf.keras.utils.register_keras_serializable("tff_affect")
class FastSimpleRNN(_FastRecurrent, tf.keras.layers.SimpleRNN):
    """`tf.keras.layers.SimpleRNN` over `recurrences.simple`."""

    def _standard(self) -> bool:
        return self.activation in _TANH

    def _run(self, x: tf.Tensor, initial_state: list[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        return (recurrences.simple(x, *initial_state, *self._weights()),)
