"""The mean update of a round under user-level differential privacy.

A client's update counts as one record, clipped as a whole; the server learns (sum of clipped updates + noise) / m. The
denominator m is the number of clients expected in a round, never the realised one, which is itself private under
Poisson sampling. Special case that is a test: noise 0 and an infinite clipping norm give the plain mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import tensorflow as tf
import tensorflow_federated as tff
import tensorflow_privacy as tfp

from tff_affect.errors import InputError
from tff_affect.privacy.accounting import count_deviation, rounds_per_tree, value_noise_multiplier
from tff_affect.privacy.queries import (
    AdaptiveClipSumQuery,
    ClippedGaussianSumQuery,
    ClippedTreeSumQuery,
    LocalGaussianSumQuery,
    MeanQuery,
)
from tff_affect.privacy_config import PrivacyConfig

QueryBuilder = Callable[[Sequence[tf.TensorSpec]], tfp.SumAggregationDPQuery]


class PrivateMeanFactory(tff.aggregators.UnweightedAggregationFactory):
    """Aggregation by a query that may depend on the shapes of what is aggregated."""

    def __init__(self, build_query: QueryBuilder, expected_clients: float) -> None:
        self._build_query = build_query
        self._expected_clients = expected_clients

    def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
        """The process for updates of a type, a list of float32 tensors; its result has the same type."""
        specs = [tf.TensorSpec(part.shape, part.dtype) for part in value_type]
        query = MeanQuery(self._build_query(specs), self._expected_clients)
        return tff.aggregators.DifferentiallyPrivateFactory(query).create(value_type)


def build_aggregation(
    privacy: PrivacyConfig, expected_clients: float, seed: int | None = None, rounds_per_pass: int = 1
) -> tff.aggregators.UnweightedAggregationFactory:
    """The aggregation of clients' updates to a private mean.

    Its ``create`` takes the type of an update, a list of float32 tensors; the result is the mean update in float32.
    The state's ``dp_event`` tells what a round has cost: a ``GaussianDpEvent`` of z (of sum and
    count together with ``adaptive``, of one client's record with ``local``); a tree's event is unsupported, and its
    cost depends on the order of the clients.

    Args:
        privacy: Mechanism and its numbers, of level ``user``.
        expected_clients: The denominator m.
        seed: Of reproducible noise; None where the noise is to protect.
        rounds_per_pass: Rounds in which each client takes part once, which is a tree's length unless configured.

    Raises:
        InputError: If the configuration is not private, not of level ``user``, ``distributed`` (a computation of its
            own, see `build_distributed_mean`), or its numbers do not go together.
    """
    _check(privacy, expected_clients, seed)
    return PrivateMeanFactory(_query_builder(privacy, expected_clients, seed, rounds_per_pass), expected_clients)


def _query_builder(
    privacy: PrivacyConfig, expected_clients: float, seed: int | None, rounds_per_pass: int
) -> QueryBuilder:
    norm, z = privacy.clipping_norm, float(privacy.noise_multiplier or 0)
    if privacy.mechanism == "adaptive":
        adaptive = AdaptiveClipSumQuery(
            norm,
            value_noise_multiplier(z, expected_clients),
            count_deviation(expected_clients) if z else 0.0,
            expected_clients,
            privacy.target_quantile,
            privacy.clip_learning_rate,
            seed,
        )
        return lambda specs: adaptive
    if privacy.mechanism == "tree":
        restart = tfp.restart_query.PeriodicRoundRestartIndicator(rounds_per_tree(privacy, rounds_per_pass))
        return lambda specs: tfp.RestartQuery(ClippedTreeSumQuery(norm, z, specs, seed), restart)
    query = (LocalGaussianSumQuery if privacy.mechanism == "local" else ClippedGaussianSumQuery)(norm, z, seed)
    return lambda specs: query


def _check(privacy: PrivacyConfig, expected_clients: float, seed: int | None) -> None:
    if not privacy.enabled or privacy.level != "user":
        raise InputError(
            f"private aggregation: expected a noise multiplier and level 'user', found {privacy.noise_multiplier} and "
            f"{privacy.level!r}; aggregate without it"
        )
    if privacy.mechanism == "distributed":
        raise InputError(
            "private aggregation: mechanism 'distributed' is a computation of its own; use build_distributed_mean"
        )
    if not 0 < expected_clients < math.inf:
        raise InputError(f"private aggregation: expected a number of clients above 0, found {expected_clients:g}")
    if (seed is not None) != privacy.reproducible_noise:
        raise InputError(
            f"private aggregation: expected a seed if and only if privacy.reproducible_noise is set, found {seed} and "
            f"{privacy.reproducible_noise}"
        )
    if privacy.mechanism == "adaptive" and math.isinf(privacy.clipping_norm):
        raise InputError(
            "privacy.clipping_norm: adaptive clipping starts from a finite norm, found inf; name a guess of the "
            "updates' norm"
        )
