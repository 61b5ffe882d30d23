"""The query that TF Privacy's optimizers ask about the windows of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dp_accounting
import tensorflow as tf
import tensorflow_privacy as tfp

from tff_affect.privacy.clipping import clip_record
from tff_affect.privacy.noise import add_gaussian


class WindowSumQuery(tfp.GaussianSumQuery):
    """The noisy sum of clipped gradients over the expected batch size, for ``tfp.GenericDP...Optimizer``.

    ``tfp.GaussianSumQuery`` itself turns to NaN for a gradient that is not finite or overflows when squared, takes its
    noise from a generator that ``tf.random.set_seed`` seeds, and leaves the division to the optimizer, which divides by
    the windows that this batch has. Here the clipping and the noise are those of this package, and the count of the
    records is multiplied in, which the optimizer takes out again: what comes out is divided by a constant.

    Args:
        clipping_norm: Largest L2 norm of a record over all tensors.
        noise_multiplier: Standard deviation of the noise as a multiple of the norm.
        expected_batch: What the noisy sum is to be divided by.
        seed: Gives the seed of a step's noise, two int64 numbers; called inside the step's graph.
    """

    def __init__(
        self, clipping_norm: float, noise_multiplier: float, expected_batch: float, seed: Callable[[], tf.Tensor]
    ) -> None:
        deviation = noise_multiplier * clipping_norm if noise_multiplier else 0.0
        super().__init__(clipping_norm, deviation)
        self._norm, self._deviation, self._multiplier = clipping_norm, deviation, noise_multiplier
        self._expected_batch, self._seed = expected_batch, seed

    def initial_sample_state(self, template: Any) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Sum and number of no record."""
        return [tf.zeros(t.shape, tf.float64) for t in tf.nest.flatten(template)], tf.zeros([], tf.float64)

    def preprocess_record(self, params: Any, record: Any) -> tuple[list[tf.Tensor], tf.Tensor]:
        """The clipped record, and one."""
        return clip_record(tf.nest.flatten(record), self._norm)[0], tf.ones([], tf.float64)

    def get_noised_result(self, sample_state: Any, global_state: Any) -> tuple[list[tf.Tensor], Any, Any]:
        """The noisy sum times count over expected count, the same state, and the event."""
        total, count = sample_state
        if self._deviation:
            total = add_gaussian(total, tf.constant(self._deviation, tf.float64), self._seed())
        result = [tf.cast(t * (count / self._expected_batch), tf.float32) for t in total]
        return result, global_state, dp_accounting.GaussianDpEvent(self._multiplier)
