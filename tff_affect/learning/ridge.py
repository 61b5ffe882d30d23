"""Ridge regression in closed form, also where the windows stay with the clients (Hoerl and Kennard 1970).

A reference point for the networks: what means and deviations of the features alone can predict. Each client sums the
products of its regressors and labels; the sums add up to those of all clients, from which the server solves. Federated
ridge regression is therefore centralised ridge regression, in one round, up to rounding in float64. The sums of one
client say much about its windows: only their total is meant to be seen, and no noise is added to it.

Regressors are those of ``tff_affect.models.statistics.design``; the weights are those of the model ``ridge``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import tensorflow as tf

from tff_affect.client_data import StagedCohort
from tff_affect.errors import RunError
from tff_affect.learning.totals import total_over
from tff_affect.models.registry import Weights
from tff_affect.models.statistics import design

PENALTIES = tuple(10.0**exponent for exponent in range(-5, 3))
"""Penalties to choose from, for standardised regressors: scikit-learn's ``alpha`` divided by the number of rows."""

# Relative to the second moment; what is left of a constant regressor's variance in float64.
_LEAST_VARIANCE = 1e-11


@dataclass(frozen=True)
class GramSums:
    """Sums over rows (valid frames, or windows) of products of regressors x and labels y.

    Attributes:
        products: ``[1 + regressors, 1 + regressors + labels]``: (1, x)'(1, x, y). Adds up over clients.
    """

    products: np.ndarray

    def __add__(self, other: GramSums) -> GramSums:
        return GramSums(self.products + other.products)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return round(float(self.products[0, 0]))


def window_sums(features: tf.Tensor, labels: tf.Tensor, target: str) -> tf.Tensor:
    """The products of some windows, summed over the rows that can be learned from; usable in a graph.

    Args:
        features: ``[batch, time, feature]``, NaN = missing.
        labels: ``[batch, targets, label]``, NaN = masked.
        target: ``frame``: a row for each frame with all features and labels. ``window``: one for each window with a
            label and a complete frame.

    Returns:
        `GramSums.products`, float64.
    """
    there = tf.reduce_all(tf.math.is_finite(features), axis=-1)
    if target == "window":
        there = tf.reduce_any(there, axis=-1, keepdims=True)
    rows = tf.logical_and(there, tf.reduce_all(tf.math.is_finite(labels), axis=-1))
    x = tf.cast(tf.boolean_mask(design(features, target), rows), tf.float64)
    y = tf.cast(tf.boolean_mask(labels, rows), tf.float64)
    x = tf.concat([tf.ones_like(x[:, :1]), x], axis=1)
    return tf.matmul(x, tf.concat([x, y], axis=1), transpose_a=True)


def gram_sums(staged: StagedCohort, clients: Sequence[str]) -> list[GramSums]:
    """Each client's sums over its training windows, in the order of ``clients``; computed in this process."""
    target = staged.data.target
    return [GramSums(window_sums(*staged.training_windows(client), target).numpy()) for client in clients]


def federated_gram_sums(staged: StagedCohort, clients: Sequence[str]) -> GramSums:
    """The sums of all clients, each computed at its client and added up by one federated computation.

    Raises:
        RunError: If the sequence of one of them could not be read.
    """
    target = staged.data.target
    return GramSums(total_over(clients, lambda client: window_sums(*staged.training_windows(client), target)))


def solve(sums: GramSums, penalty: float) -> list[np.ndarray]:
    """Ridge regression from sums.

    Minimises the mean squared error of the rows plus ``penalty`` times the squared coefficients of the standardised
    regressors; the intercept is free. A regressor without variance gets the coefficient 0.

    Args:
        sums: Of all rows to be learned from.
        penalty: Above 0; one of `PENALTIES`.

    Returns:
        Weights of the model ``ridge`` in Keras order, float32: kernel ``[regressors, labels]`` for regressors as they
        are, not standardised, and bias ``[labels]``.

    Raises:
        RunError: If there is no row.
        ValueError: If the penalty is not above 0.
    """
    if not penalty > 0:
        raise ValueError(f"expected a penalty above 0, found {penalty:g}")
    if not sums.rows:
        raise RunError("ridge regression found no valid row in the training windows; look at the cohort's masks")
    size = len(sums.products)
    moments = sums.products / sums.products[0, 0]
    mean, second = moments[0, 1:size], moments[1:, 1:size]
    covariance = second - np.outer(mean, mean)
    varies = np.diag(covariance) > _LEAST_VARIANCE * np.diag(second)
    deviation = np.where(varies, np.sqrt(np.maximum(np.diag(covariance), 0)), np.inf)
    with_labels = (moments[1:, size:] - np.outer(mean, moments[0, size:])) / deviation[:, np.newaxis]
    penalised = covariance / np.outer(deviation, deviation) + penalty * np.eye(len(mean))
    kernel = scipy.linalg.solve(penalised, with_labels, assume_a="pos") / deviation[:, np.newaxis]
    bias = moments[0, size:] - mean @ kernel
    return [kernel.astype(np.float32), bias.astype(np.float32)]


@dataclass(frozen=True)
class RidgeChoice:
    """Weights and how their penalty was chosen.

    Attributes:
        weights: Of the best penalty, in Keras order.
        penalty: The best.
        scores: Of every penalty.
    """

    weights: Weights
    penalty: float
    scores: dict[float, float]


def choose_penalty(sums: GramSums, development_score: Callable[[Weights], float]) -> RidgeChoice:
    """Solves for every one of `PENALTIES` and keeps the best; of equals, the smallest.

    Args:
        sums: Of all rows to be learned from.
        development_score: Of weights on development clients; higher is better.
    """
    candidates = {penalty: solve(sums, penalty) for penalty in PENALTIES}
    scores = {penalty: development_score(weights) for penalty, weights in candidates.items()}
    best = max(scores, key=lambda penalty: scores[penalty])
    return RidgeChoice(candidates[best], best, scores)
