"""Mechanisms of user-level differential privacy as queries of TensorFlow Privacy.

A query says what is done to each client's record and to the sum of the records, and which event an accountant has to
count; TensorFlow Federated puts it into an aggregation. A record is the list of a client's update's tensors. All
queries clip with `clip_record`, sum in float64 and draw noise with `tff_affect.privacy.noise`.

With a ``seed`` the noise follows from it and from the round, and protects against nobody who knows it: for
simulations alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import dp_accounting
import tensorflow as tf
import tensorflow_privacy as tfp

from tff_affect.privacy import noise
from tff_affect.privacy.clipping import clip_record

# An adaptive norm stays within this factor of the first, so that noise alone cannot carry it to 0 or infinity.
CLIPPING_RANGE = 1e6


class ClippingState(NamedTuple):
    """What a query keeps between rounds.

    Attributes:
        clipping_norm: Float64, that of the next round.
        round: Int64, rounds done.
    """

    clipping_norm: tf.Tensor
    round: tf.Tensor


class CountedSum(NamedTuple):
    """A record, or the sum of records, of adaptive clipping.

    Attributes:
        total: Clipped tensors, float64.
        unclipped: 0.5 for each record within the clipping norm, -0.5 for each above it, 0 for each of zeros; float64.
    """

    total: Any
    unclipped: tf.Tensor


def _round_seed(seed: int | None, number: tf.Tensor) -> tf.Tensor:
    return noise.fresh_seed() if seed is None else noise.seed_of(seed, number)


def _float64_zeros(template: Sequence[tf.TensorSpec]) -> Any:
    return tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, tf.float64), template)


def _gaussian_event(noise_multiplier: float) -> dp_accounting.GaussianDpEvent:
    return dp_accounting.GaussianDpEvent(tf.constant(noise_multiplier, tf.float64))


class ClippedGaussianSumQuery(tfp.SumAggregationDPQuery):
    """A sum of clipped records with Gaussian noise added by the server (McMahan et al. 2018, DP-FedAvg).

    Args:
        clipping_norm: C; infinite only without noise.
        noise_multiplier: z, the noise's deviation over C.
        seed: Of reproducible noise.
    """

    def __init__(self, clipping_norm: float, noise_multiplier: float, seed: int | None = None) -> None:
        self._clipping_norm = clipping_norm
        self._noise_multiplier = noise_multiplier
        self._seed = seed

    def initial_global_state(self) -> ClippingState:
        """The state before the first round."""
        return ClippingState(tf.constant(self._clipping_norm, tf.float64), tf.constant(0, tf.int64))

    def derive_sample_params(self, global_state: ClippingState) -> tf.Tensor:
        """What clients are sent: the clipping norm."""
        return global_state.clipping_norm

    def initial_sample_state(self, template: Any = None) -> Any:
        """Zeros in float64."""
        return _float64_zeros(template)

    def preprocess_record(self, params: tf.Tensor, record: Any) -> Any:
        """A client's part: clipping."""
        return clip_record(record, params)[0]

    def get_noised_result(
        self, sample_state: Any, global_state: ClippingState
    ) -> tuple[list[tf.Tensor], ClippingState, dp_accounting.DpEvent]:
        """The server's part: noise of deviation z C."""
        noised = self._noised(sample_state, global_state, self._noise_multiplier)
        return noised, self._next_state(global_state), _gaussian_event(self._noise_multiplier)

    def derive_metrics(self, global_state: ClippingState) -> OrderedDict[str, tf.Tensor]:
        """The clipping norm of the next round, which follows from what was released."""
        return OrderedDict(clipping_norm=global_state.clipping_norm)

    def _noised(self, total: Any, state: ClippingState, noise_multiplier: float) -> list[tf.Tensor]:
        # Zero times an infinite norm is NaN, not "no noise".
        if noise_multiplier == 0:
            return list(total)
        seed = _round_seed(self._seed, state.round)
        return noise.add_gaussian(list(total), noise_multiplier * state.clipping_norm, seed)

    def _next_state(self, state: ClippingState) -> ClippingState:
        return state._replace(round=state.round + 1)


class AdaptiveClipSumQuery(ClippedGaussianSumQuery):
    """A clipping norm that follows a quantile of the records' norms.

    Andrew et al. 2021, "Differentially Private Learning with Adaptive Clipping", with geometric updates: C becomes
    ``C exp(-rate (b - target))``, b being the noised share of records within C. Sum and count are one Gaussian
    mechanism with ``(z_value^-2 + (2 count_deviation)^-2)^(-1/2)``, since a record moves the count by 0.5.

    Records of zeros, of clients that are not there, enter neither the sum nor the count.

    Args:
        clipping_norm: C of the first round, finite.
        noise_multiplier: z_value, of the sum alone.
        count_deviation: Of the noise on the count, in clients.
        expected_clients: What the count is divided by.
        target_quantile: Share of records that C is to leave whole.
        learning_rate: Step in the logarithm of C.
        seed: Of reproducible noise.
    """

    def __init__(
        self,
        clipping_norm: float,
        noise_multiplier: float,
        count_deviation: float,
        expected_clients: float,
        target_quantile: float,
        learning_rate: float,
        seed: int | None = None,
    ) -> None:
        super().__init__(clipping_norm, noise_multiplier, seed)
        self._count_deviation = count_deviation
        self._expected_clients = expected_clients
        self._target_quantile = target_quantile
        self._learning_rate = learning_rate

    @property
    def total_noise_multiplier(self) -> float:
        """Of sum and count together."""
        if self._noise_multiplier == 0 or self._count_deviation == 0:
            return 0.0
        return float((self._noise_multiplier**-2 + (2 * self._count_deviation) ** -2) ** -0.5)

    def initial_sample_state(self, template: Any = None) -> CountedSum:
        """Zeros in float64."""
        return CountedSum(_float64_zeros(template), tf.zeros([], tf.float64))

    def preprocess_record(self, params: tf.Tensor, record: Any) -> CountedSum:
        """A client's part: clipping, and whether it was needed."""
        clipped, length = clip_record(record, params)
        vote = tf.where(length <= params, tf.constant(0.5, tf.float64), tf.constant(-0.5, tf.float64))
        return CountedSum(clipped, tf.where(length > 0, vote, tf.zeros([], tf.float64)))

    def get_noised_result(
        self, sample_state: CountedSum, global_state: ClippingState
    ) -> tuple[list[tf.Tensor], ClippingState, dp_accounting.DpEvent]:
        """The server's part: noise on sum and count, and the next clipping norm."""
        noised = self._noised(sample_state.total, global_state, self._noise_multiplier)
        # A stream apart from those of the tensors, which have places from 0.
        seed = noise.seed_of(*tf.unstack(_round_seed(self._seed, global_state.round)), -1)
        (count,) = noise.add_gaussian([sample_state.unclipped], self._count_deviation, seed)
        state = self._next_state(global_state)._replace(clipping_norm=self._adapted(global_state.clipping_norm, count))
        return noised, state, _gaussian_event(self.total_noise_multiplier)

    def _adapted(self, clipping_norm: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        unclipped = count / self._expected_clients + 0.5
        adapted = clipping_norm * tf.exp(-self._learning_rate * (unclipped - self._target_quantile))
        first = self._clipping_norm
        return tf.clip_by_value(adapted, first / CLIPPING_RANGE, first * CLIPPING_RANGE)


class LocalGaussianSumQuery(ClippedGaussianSumQuery):
    """Each client clips its record and adds noise of deviation z C itself; the server adds none.

    The event is that of one client's record, which a server that is not trusted sees. A record of zeros gets noise
    like any other: a client without it would show that it sent nothing. So absent clients must not be padded.
    """

    def preprocess_record(self, params: tf.Tensor, record: Any) -> Any:
        """A client's part: clipping and noise, from a seed of its own."""
        clipped = clip_record(record, params)[0]
        if self._noise_multiplier == 0:
            return clipped
        return noise.add_gaussian(clipped, self._noise_multiplier * params, noise.fresh_seed())

    def get_noised_result(
        self, sample_state: Any, global_state: ClippingState
    ) -> tuple[list[tf.Tensor], ClippingState, dp_accounting.DpEvent]:
        """The server's part: nothing."""
        return list(sample_state), self._next_state(global_state), _gaussian_event(self._noise_multiplier)


class TreeNoise(tfp.tree_aggregation.ValueGenerator):
    """Noise of a tree's nodes, one independent draw each; TensorFlow Privacy's own takes its seed from the clock."""

    def __init__(self, deviation: float, record_specs: Sequence[tf.TensorSpec], seed: int | None = None) -> None:
        self._deviation = deviation
        self._record_specs = list(record_specs)
        self._seed = seed

    def initialize(self) -> tf.Tensor:
        """Nodes drawn so far."""
        return tf.constant(0, tf.int64)

    def next(self, state: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
        """A node's noise in float32, as the tree keeps it, and the next state."""
        zeros = [tf.zeros(spec.shape, tf.float32) for spec in self._record_specs]
        if self._deviation == 0:
            return zeros, state + 1
        return noise.add_gaussian(zeros, self._deviation, _round_seed(self._seed, state)), state + 1


class ClippedTreeSumQuery(tfp.TreeResidualSumQuery):
    """The sum of a round, with noise such that sums over rounds have that of a tree (Kairouz et al. 2021, DP-FTRL).

    The tree is Honaker's (2015), as in TensorFlow Privacy: after t rounds the noise of all released sums together has
    variance ``(z C)^2`` times the sum of ``1 / (2 - 2^-d)`` over the set bits d of t. To be restarted by
    ``tfp.RestartQuery``; the state holds noise that is yet to be used, so that it is a secret.

    Args:
        clipping_norm: C; infinite only without noise.
        noise_multiplier: z, a node's deviation over C.
        record_specs: Shapes of a record's tensors.
        seed: Of reproducible noise.
    """

    def __init__(
        self,
        clipping_norm: float,
        noise_multiplier: float,
        record_specs: Sequence[tf.TensorSpec],
        seed: int | None = None,
    ) -> None:
        deviation = 0.0 if noise_multiplier == 0 else noise_multiplier * clipping_norm
        super().__init__(
            record_specs=list(record_specs),
            noise_generator=TreeNoise(deviation, record_specs, seed),
            clip_fn=lambda record, norm: clip_record(record, norm)[0],
            clip_value=clipping_norm,
        )

    def initial_sample_state(self, template: Any = None) -> Any:
        """Zeros in float64."""
        return _float64_zeros(template)

    def get_noised_result(self, sample_state: Any, global_state: Any) -> tuple[list[tf.Tensor], Any, Any]:
        """The sum with the difference of two rounds' noise; the tree's buffers are float32, the sum is not."""
        nothing = [tf.zeros(part.shape, tf.float32) for part in sample_state]
        residual, state, event = super().get_noised_result(nothing, global_state)
        return [total + tf.cast(r, tf.float64) for total, r in zip(sample_state, residual, strict=True)], state, event

    def derive_metrics(self, global_state: Any) -> OrderedDict[str, tf.Tensor]:
        """The clipping norm."""
        return OrderedDict(clipping_norm=tf.cast(global_state.clip_value, tf.float64))


class MeanQuery(tfp.NormalizedQuery):
    """A noised sum over a fixed number of clients, as float32."""

    def get_noised_result(self, sample_state: Any, global_state: Any) -> tuple[list[tf.Tensor], Any, Any]:
        """The mean; rounding to float32 comes after the noise and costs no privacy."""
        mean, state, event = super().get_noised_result(sample_state, global_state)
        return [tf.cast(part, tf.float32) for part in mean], state, event
