"""Distributed differential privacy: clients add a share of discrete noise each, and only their sum is seen.

The distributed discrete Gaussian mechanism (Kairouz, Liu and Steinke 2021), TensorFlow Federated's implementation
without its estimate of a threshold for zeroing, which is not private, and with a clipping of our own in front.
SIMULATED: the secure sum has no cryptography, and whoever runs the computation sees all.

What an accountant is told is z. That holds for the idealised Gaussian: the sum of m discrete Gaussians is as close to
one as makes no difference while a share's deviation is several steps of the grid, which is checked. The noise is drawn
by TensorFlow's generators, which a process seeds with 32 bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff
from scipy import stats
from tensorflow_federated.python.aggregators import distributed_dp

from tff_affect.errors import InputError
from tff_affect.privacy.clipping import clip_record
from tff_affect.privacy_config import PrivacyConfig

LABEL = "simulated: no cryptography"
# What TensorFlow Federated can count exactly in float32.
_BITS = 22
# Of a coordinate of the sum to leave the range of the bits; it would come back at the other end.
_WRAPPING_PROBABILITY = 1e-9
# TensorFlow Federated lets a rounded record exceed its bound by this much.
_LEEWAY = 1e-5
_LEAST_SHARE_STEPS = 4.0
_LARGEST_INFLATION = 0.1


class DistributedMean:
    """The mean update under a simulated secure sum; its computations run by themselves, over updates in memory.

    Attributes:
        label: What has to stand beside its results.
        shares: Clients that the noise is divided among; with fewer in a round it falls short.
    """

    label = LABEL

    def __init__(self, initialize: tff.Computation, next_mean: tff.Computation, shares: int) -> None:
        self._initialize = initialize
        self._next = next_mean
        self.shares = shares

    def initialize(self) -> Any:
        """The state before the first round."""
        return self._initialize()

    def next(self, state: Any, updates: Sequence[Sequence[np.ndarray]]) -> tuple[Any, list[np.ndarray]]:
        """The next state and the private mean of a round's updates, one list of arrays per client.

        Raises:
            InputError: If there are fewer updates than shares of noise. A client that fails is to be replaced by
                zeros, whose noise is added all the same.
        """
        if len(updates) < self.shares:
            raise InputError(
                f"distributed privacy: expected updates of at least {self.shares} clients, each of which adds a share "
                f"of the noise, found {len(updates)}; stand in zeros for those that are missing"
            )
        state, mean = self._next(state, [list(update) for update in updates])
        return state, [np.asarray(part) for part in mean]


def build_distributed_mean(privacy: PrivacyConfig, expected_clients: float, value_type: tff.Type) -> DistributedMean:
    """The distributed counterpart of `build_aggregation`: (sum of clipped updates + noise) / m.

    A client's rounded record has a norm of at most C and the noise a deviation of at least z C, so that the mechanism
    is as private as the central one of the same z. It cannot be part of a federated learning process in TensorFlow
    Federated 0.87, and so takes the updates themselves.

    Args:
        privacy: With ``mechanism`` ``distributed``; the clipping norm must be finite.
        expected_clients: The denominator m; its whole part is the number of shares.
        value_type: Type of an update, a list of float32 tensors.

    Raises:
        InputError: If the configuration is of another mechanism, the clipping norm infinite, or the clients too many
            for the grid of 22 bits.
    """
    _check(privacy, expected_clients)
    shares, z = int(expected_clients), float(privacy.noise_multiplier or 0)
    norm = _norm_before_rounding(z, shares, sum(math.prod(part.shape) for part in value_type))
    inner = distributed_dp.DistributedDpSumFactory(
        noise_multiplier=z / norm,
        expected_clients_per_round=shares,
        bits=_BITS,
        l2_clip=norm,
        modclip_prob=_WRAPPING_PROBABILITY,
        mechanism="distributed_dgauss",
    ).create(value_type)
    clipping_norm = privacy.clipping_norm

    # In units of the clipping norm, to which TensorFlow Federated's leeway is then in a fixed proportion.
    @tff.tensorflow.computation(value_type)
    def scaled(update: Any) -> list[tf.Tensor]:
        clipped, _ = clip_record(update, norm * clipping_norm)
        return [tf.cast(part / clipping_norm, tf.float32) for part in clipped]

    @tff.tensorflow.computation(value_type)
    def mean_of(total: Any) -> list[tf.Tensor]:
        return [part * tf.cast(clipping_norm / expected_clients, tf.float32) for part in total]

    @tff.federated_computation(inner.initialize.type_signature.result, tff.FederatedType(value_type, tff.CLIENTS))
    def next_mean(state: Any, updates: Any) -> Any:
        total = inner.next(state, tff.federated_map(scaled, updates))
        return total.state, tff.federated_map(mean_of, total.result)

    without_cryptography = tff.backends.test.replace_secure_intrinsics_with_bodies
    return DistributedMean(without_cryptography(inner.initialize), without_cryptography(next_mean), shares)


def _norm_before_rounding(noise_multiplier: float, shares: int, size: int) -> float:
    """The norm, of 1, that leaves room for rounding to the grid (section 4.1) and for the leeway.

    The steps per unit are those of section 4.2 for a norm of 1, which are fewer than for a smaller one.
    """
    deviations = float(stats.norm.isf(_WRAPPING_PROBABILITY / 2))
    padded = 2 * math.ceil(size / 2)
    spread = math.sqrt(shares**2 / padded + noise_multiplier**2)
    steps = math.sqrt(max(4.0**_BITS - shares * deviations**2, 0.0)) / (2 * deviations * spread)
    steps = min(steps, distributed_dp.MAX_SCALE_FACTOR)
    inflation = math.sqrt(padded) / max(steps, 1.0) + _LEEWAY
    share_steps = noise_multiplier / math.sqrt(shares) * steps
    if inflation > _LARGEST_INFLATION or 0 < share_steps < _LEAST_SHARE_STEPS:
        raise InputError(
            f"privacy.mechanism: 'distributed' counts in {_BITS} bits, too few for {shares} clients, a noise "
            f"multiplier of {noise_multiplier:g} and a model of {size} weights; use mechanism 'fixed'"
        )
    return 1 - inflation


def _check(privacy: PrivacyConfig, expected_clients: float) -> None:
    if privacy.mechanism != "distributed" or not privacy.enabled:
        raise InputError(f"distributed privacy: expected mechanism 'distributed', found {privacy.mechanism!r}")
    if math.isinf(privacy.clipping_norm):
        raise InputError("privacy.clipping_norm: 'distributed' rounds to a grid, which takes a finite norm; found inf")
    if not 1 <= expected_clients < math.inf:
        raise InputError(f"distributed privacy: expected at least one client, found {expected_clients:g}")
