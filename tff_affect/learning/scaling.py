"""Feature scaling: each subject's own, or a federated mean and variance of the training clients alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tff_affect.client_data import StagedCohort, stage_cohort
from tff_affect.cohort import Cohort
from tff_affect.config import DataConfig
from tff_affect.learning.totals import total_over
from tff_affect.remote_cohort import RemoteCohort
from tff_affect.scaling import Scaling
from tff_affect.served_data import ServedSequences, serve_cohort


def stage_for_split(cohort: Cohort, folder: Path, data: DataConfig, train: Sequence[str]) -> StagedCohort:
    """Stages a cohort with the scaling that ``data`` asks for; ``federated`` is fitted on ``train`` alone."""
    staged = stage_cohort(cohort, folder, data)
    if data.scaling != "federated":
        return staged
    return stage_cohort(cohort, folder, data, federated_scaling(staged, train))


def serve_for_split(cohort: RemoteCohort, data: DataConfig, train: Sequence[str]) -> ServedSequences:
    """`stage_for_split` of a cohort that stays with its workers."""
    served = serve_cohort(cohort, data)
    if data.scaling != "federated":
        return served
    return serve_cohort(cohort, data, federated_scaling(served, train))


def federated_scaling(staged: StagedCohort, clients: Sequence[str]) -> Scaling:
    """Mean and variance of the frames of all clients, from sums that each client makes of its own frames.

    Args:
        staged: Unscaled sequences.
        clients: The training clients.

    Raises:
        RunError: If the sequence of one of them could not be read.
    """
    features = staged.features

    def sums(client: tf.Tensor) -> tf.Tensor:
        values = tf.cast(staged.sequence(client)[:, :features], tf.float64)
        there = tf.math.is_finite(values)
        values = tf.where(there, values, tf.zeros_like(values))
        parts = [tf.cast(there, tf.float64), values, tf.square(values)]
        return tf.ensure_shape(tf.stack([tf.reduce_sum(p, axis=0) for p in parts]), [3, features])

    n, first, second = total_over(clients, sums)
    mean = first / np.maximum(n, 1)
    return Scaling.of(mean, second / np.maximum(n, 1) - mean**2)
