"""Feature scaling: each subject's own, or a federated mean and variance of the training clients alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.client_data import Scaling, StagedCohort, stage_cohort
from tff_affect.cohort import Cohort
from tff_affect.config import DataConfig


def stage_for_split(cohort: Cohort, folder: Path, data: DataConfig, train: Sequence[str]) -> StagedCohort:
    """Stages a cohort with the scaling that ``data`` asks for; ``federated`` is fitted on ``train`` alone."""
    staged = stage_cohort(cohort, folder, data)
    if data.scaling != "federated":
        return staged
    return stage_cohort(cohort, folder, data, federated_scaling(staged, train))


def federated_scaling(staged: StagedCohort, clients: Sequence[str]) -> Scaling:
    """Mean and variance of the frames of all clients, from sums that each client makes of its own frames.

    Args:
        staged: Unscaled sequences.
        clients: The training clients.
    """
    features = staged.features

    @tff.tensorflow.computation(np.str_)
    def sums(client: tf.Tensor) -> tf.Tensor:
        values = tf.cast(staged.sequence(client)[:, :features], tf.float64)
        there = tf.math.is_finite(values)
        values = tf.where(there, values, tf.zeros_like(values))
        parts = [tf.cast(there, tf.float64), values, tf.square(values)]
        return tf.ensure_shape(tf.stack([tf.reduce_sum(p, axis=0) for p in parts]), [3, features])

    @tff.federated_computation(tff.FederatedType(np.str_, tff.CLIENTS))
    def total(ids: tff.Value) -> tff.Value:
        return tff.federated_sum(tff.federated_map(sums, ids))

    n, first, second = np.asarray(total(list(clients)))
    mean = first / np.maximum(n, 1)
    return Scaling.of(mean, second / np.maximum(n, 1) - mean**2)
