"""Losses over windows with missing frames.

Targets and predictions are ``[batch, time, dimension]``; a target is NaN where there is no label to learn from.
"""

from __future__ import annotations

import tensorflow as tf

from tff_affect.errors import InputError


def _masked(gold: tf.Tensor, predicted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Flattens to ``[batch * time, dimension]``; masked entries become zero in both, and in the returned weight."""
    dimensions = gold.shape[-1]
    gold = tf.reshape(gold, [-1, dimensions])
    predicted = tf.reshape(tf.cast(predicted, gold.dtype), [-1, dimensions])
    weight = tf.cast(tf.math.is_finite(gold), gold.dtype)
    # Not a selection: that takes several times as long, forwards and backwards.
    return tf.math.multiply_no_nan(gold, weight), tf.math.multiply_no_nan(predicted, weight), weight


class _BatchLoss(tf.keras.losses.Loss):
    """A loss that is one number for a batch.

    Keras would multiply it by the mask that predictions carry, and so turn it into ``[batch, time]``; frames are masked
    here, by their targets.
    """

    def __call__(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: None = None) -> tf.Tensor:
        return self.call(y_true, y_pred)


class MaskedMeanSquaredError(_BatchLoss):
    """Mean squared error over the valid frames of a batch; 0 where a batch has none."""

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """The loss of a batch, a scalar."""
        gold, predicted, weight = _masked(y_true, y_pred)
        return tf.math.divide_no_nan(tf.reduce_sum(tf.square(gold - predicted)), tf.reduce_sum(weight))


class MaskedConcordanceLoss(_BatchLoss):
    """One minus Lin's concordance correlation coefficient, mean over dimensions.

    CCC = 2 cov / (var_gold + var_predicted + (mean_gold - mean_predicted)^2) with population moments over all valid
    frames of the batch, flattened (Lin 1989; as a loss: Tzirakis et al. 2017). A dimension without variance and
    difference has CCC 0 and no gradient.
    """

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """The loss of a batch, a scalar."""
        gold, predicted, weight = _masked(y_true, y_pred)
        n = tf.reduce_sum(weight, axis=0)
        mean_gold = tf.math.divide_no_nan(tf.reduce_sum(gold, axis=0), n)
        mean_predicted = tf.math.divide_no_nan(tf.reduce_sum(predicted, axis=0), n)
        gold, predicted = (gold - mean_gold) * weight, (predicted - mean_predicted) * weight
        covariance = tf.math.divide_no_nan(tf.reduce_sum(gold * predicted, axis=0), n)
        spread = tf.math.divide_no_nan(tf.reduce_sum(tf.square(gold) + tf.square(predicted), axis=0), n)
        ccc = tf.math.divide_no_nan(2 * covariance, spread + tf.square(mean_gold - mean_predicted))
        return 1 - tf.reduce_mean(ccc)


LOSSES = {"ccc": MaskedConcordanceLoss, "mse": MaskedMeanSquaredError}


def build_loss(name: str) -> tf.keras.losses.Loss:
    """The loss called ``ccc`` or ``mse``.

    Raises:
        InputError: For another name.
    """
    if name not in LOSSES:
        raise InputError(f"training.loss: expected one of {', '.join(LOSSES)}, found {name!r}")
    return LOSSES[name](name=name)
