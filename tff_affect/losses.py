"""Losses over windows with missing frames.

Targets and predictions are ``[batch, time, dimension]``; a target is NaN where there is no label to learn from. Each
loss has two forms: one number for a batch, over the valid frames of all its windows, and one for each window by itself.
"""

from __future__ import annotations

import tensorflow as tf

from tff_affect.errors import InputError


def _flat(frames: tf.Tensor) -> tf.Tensor:
    """``[batch * time, dimension]``: the windows of a batch as one."""
    return tf.reshape(frames, [-1, frames.shape[-1]])


def _masked(gold: tf.Tensor, predicted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Masked entries become zero in both, and in the returned weight."""
    weight = tf.cast(tf.math.is_finite(gold), gold.dtype)
    # Not a selection: that takes several times as long, forwards and backwards.
    predicted = tf.math.multiply_no_nan(tf.cast(predicted, gold.dtype), weight)
    return tf.math.multiply_no_nan(gold, weight), predicted, weight


class WindowLoss(tf.keras.losses.Loss):
    """A loss that is one number for a batch, or for each window.

    Keras would multiply it by the mask that predictions carry, and so turn it into ``[batch, time]``; frames are masked
    here, by their targets.
    """

    def __call__(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: None = None) -> tf.Tensor:
        """`call`; there are no weights but those that the targets give."""
        return self.call(y_true, y_pred)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """The loss of a batch, a scalar."""
        return self._of_frames(*_masked(_flat(y_true), _flat(y_pred)))

    def windows(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """The loss of each window by itself, ``[batch]``; 0, without a gradient, for one without a valid frame."""
        gold, predicted, weight = _masked(tf.convert_to_tensor(y_true), y_pred)
        there = tf.sign(tf.reduce_sum(weight, axis=[-2, -1]))
        return there * self._of_frames(gold, predicted, weight)

    def _of_frames(self, gold: tf.Tensor, predicted: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        """The loss over the frames of ``[..., time, dimension]``, masked, as ``[...]``."""
        raise NotImplementedError


class MaskedMeanSquaredError(WindowLoss):
    """Mean squared error over the valid frames of a batch, or of a window; 0 where it has none."""

    def _of_frames(self, gold: tf.Tensor, predicted: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        total = tf.reduce_sum(tf.square(gold - predicted), axis=[-2, -1])
        return tf.math.divide_no_nan(total, tf.reduce_sum(weight, axis=[-2, -1]))


class MaskedConcordanceLoss(WindowLoss):
    """One minus Lin's concordance correlation coefficient, mean over dimensions.

    CCC = 2 cov / (var_gold + var_predicted + (mean_gold - mean_predicted)^2) with population moments over all valid
    frames of the batch, flattened, or of the window (Lin 1989; as a loss: Tzirakis et al. 2017). A dimension without
    variance and difference has CCC 0 and no gradient.
    """

    def _of_frames(self, gold: tf.Tensor, predicted: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        n = tf.reduce_sum(weight, axis=-2, keepdims=True)
        mean_gold, mean_predicted = (_mean(part, n) for part in (gold, predicted))
        gold, predicted = (gold - mean_gold) * weight, (predicted - mean_predicted) * weight
        covariance, spread = _mean(gold * predicted, n), _mean(tf.square(gold) + tf.square(predicted), n)
        ccc = tf.math.divide_no_nan(2 * covariance, spread + tf.square(mean_gold - mean_predicted))
        return 1 - tf.reduce_mean(ccc, axis=[-2, -1])


def _mean(masked: tf.Tensor, n: tf.Tensor) -> tf.Tensor:
    """Mean over ``n`` valid frames, ``[..., 1, dimension]``."""
    return tf.math.divide_no_nan(tf.reduce_sum(masked, axis=-2, keepdims=True), n)


LOSSES = {"ccc": MaskedConcordanceLoss, "mse": MaskedMeanSquaredError}


def build_loss(name: str) -> WindowLoss:
    """The loss called ``ccc`` or ``mse``.

    Raises:
        InputError: For another name.
    """
    if name not in LOSSES:
        raise InputError(f"training.loss: expected one of {', '.join(LOSSES)}, found {name!r}")
    return LOSSES[name](name=name)
