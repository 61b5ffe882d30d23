"""Concordance (CCC), correlation (PCC) and error (RMSE) from statistics that add.

The concordance correlation coefficient of Lin (Biometrics 45(1), 1989), with population moments::

    CCC = 2 cov(p, g) / (var p + var g + (mean p - mean g)^2)

Six numbers a dimension (count, two means, two sums of squared deviations, one sum of products of deviations) are enough
for all three measures, and those of two sets of frames merge into those of their union (Chan, Golub and LeVeque, 1983).
So the pooled CCC of a federated evaluation equals the CCC on the concatenated frames, and no frame leaves its client.

CCC and PCC of a constant series are 0 and flagged, never NaN; also where gold standard and prediction are constant and
equal, because a series without variation shows no agreement.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import tensorflow as tf

Float64Array = NDArray[np.float64]
# A constant that went through sums and quotients of float64 is constant only up to a few roundings.
_CONSTANT_TOLERANCE = 16 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class SufficientStatistics:
    """Sufficient statistics of CCC, PCC and RMSE; each a float64 array ``[..., dimension]``.

    Attributes:
        n: Frames counted.
        mean_gold: Mean of the gold standard, in the unit of the labels.
        mean_predicted: Mean of the prediction.
        m2_gold: Sum of squared deviations of the gold standard from its mean.
        m2_predicted: Sum of squared deviations of the prediction from its mean.
        comoment: Sum of products of the two deviations.
    """

    n: Float64Array
    mean_gold: Float64Array
    mean_predicted: Float64Array
    m2_gold: Float64Array
    m2_predicted: Float64Array
    comoment: Float64Array

    @classmethod
    def from_series(cls, gold: ArrayLike, predicted: ArrayLike) -> SufficientStatistics:
        """Statistics of two series, ``[frames, dimension]`` each, in two passes.

        Per dimension, a frame where either value is NaN (missing) or infinite is left out; ``n`` says what counts.

        Raises:
            ValueError: If the shapes differ or are not ``[frames, dimension]``.
        """
        g, p = np.asarray(gold, np.float64), np.asarray(predicted, np.float64)
        if g.ndim != 2 or g.shape != p.shape:
            raise ValueError(f"expected two arrays [frames, dimension] of one shape, found {g.shape} and {p.shape}")
        counted = np.isfinite(g) & np.isfinite(p)
        n = counted.sum(axis=0).astype(np.float64)
        mean_gold, deviation_gold = _centred(g, counted, n)
        mean_predicted, deviation_predicted = _centred(p, counted, n)
        return cls(
            n,
            mean_gold,
            mean_predicted,
            (deviation_gold**2).sum(axis=0),
            (deviation_predicted**2).sum(axis=0),
            (deviation_gold * deviation_predicted).sum(axis=0),
        )

    @classmethod
    def empty(cls, dimensions: int) -> SufficientStatistics:
        """The statistics of no frames: the neutral element of `merge`."""
        return cls.from_array(np.zeros((dimensions, 6)))

    @classmethod
    def from_array(cls, array: ArrayLike) -> SufficientStatistics:
        """The inverse of `to_array`: ``[..., dimension, 6]``, in the order of the attributes.

        Raises:
            ValueError: If the last axis does not hold six numbers.
        """
        values = np.asarray(array, np.float64)
        if values.ndim < 1 or values.shape[-1] != 6:
            raise ValueError(f"expected statistics [..., dimension, 6], found shape {values.shape}")
        return cls(*np.moveaxis(values, -1, 0))

    def to_array(self) -> Float64Array:
        """The statistics as one array ``[..., dimension, 6]``, in the order of the attributes."""
        return np.stack([getattr(self, f.name) for f in fields(self)], axis=-1)

    @property
    def constant(self) -> NDArray[np.bool_]:
        """``[..., dimension]``: the gold standard or the prediction does not vary, or fewer than two frames count."""
        return (
            (self.n < 2)
            | (self._deviation(self.m2_gold) <= _CONSTANT_TOLERANCE * np.abs(self.mean_gold))
            | (self._deviation(self.m2_predicted) <= _CONSTANT_TOLERANCE * np.abs(self.mean_predicted))
        )

    @property
    def ccc(self) -> Float64Array:
        """``[..., dimension]``: concordance correlation coefficient in -1 to 1; 0 where `constant`."""
        shift = self.mean_predicted - self.mean_gold
        spread = self.m2_gold + self.m2_predicted + self.n * shift**2
        return self._unless_constant(2 * self.comoment, spread)

    @property
    def pcc(self) -> Float64Array:
        """``[..., dimension]``: Pearson correlation coefficient in -1 to 1; 0 where `constant`."""
        return self._unless_constant(self.comoment, np.sqrt(self.m2_gold) * np.sqrt(self.m2_predicted))

    @property
    def rmse(self) -> Float64Array:
        """``[..., dimension]``: root mean squared error, in the unit of the labels; NaN where no frame counts."""
        squares = np.maximum(self.m2_gold + self.m2_predicted - 2 * self.comoment, 0)
        shift = self.mean_predicted - self.mean_gold
        mean_square = squares / np.maximum(self.n, 1) + shift**2
        return np.where(self.n > 0, np.sqrt(mean_square), np.nan)

    def _deviation(self, m2: Float64Array) -> Float64Array:
        return np.sqrt(m2 / np.maximum(self.n, 1))

    def _unless_constant(self, numerator: Float64Array, denominator: Float64Array) -> Float64Array:
        defined = ~self.constant & (denominator > 0)
        ratio = np.divide(numerator, denominator, out=np.zeros_like(numerator, np.float64), where=defined)
        return np.clip(ratio, -1, 1)


def _centred(series: Float64Array, counted: NDArray[np.bool_], n: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Mean ``[dimension]`` and deviations ``[frames, dimension]``, 0 where not counted.

    The minimum is taken off first: a constant series then deviates by exactly 0 and a large offset costs no digits.
    """
    least = np.min(series, axis=0, initial=np.inf, where=counted)
    least = np.where(n > 0, least, 0.0)
    shifted = np.where(counted, series, least) - least
    mean = shifted.sum(axis=0) / np.maximum(n, 1)
    return least + mean, np.where(counted, shifted - mean, 0.0)


def merge(a: SufficientStatistics, b: SufficientStatistics) -> SufficientStatistics:
    """Statistics of the union of two sets of frames; either may be empty. Shapes broadcast.

    Chan, Golub and LeVeque, "Algorithms for computing the sample variance", The American Statistician 37(3), 1983.
    """
    n = a.n + b.n
    share = b.n / np.maximum(n, 1)
    gold, predicted = b.mean_gold - a.mean_gold, b.mean_predicted - a.mean_predicted
    return SufficientStatistics(
        n,
        a.mean_gold + gold * share,
        a.mean_predicted + predicted * share,
        a.m2_gold + b.m2_gold + gold**2 * a.n * share,
        a.m2_predicted + b.m2_predicted + predicted**2 * a.n * share,
        a.comoment + b.comoment + gold * predicted * a.n * share,
    )


def merge_all(statistics: Iterable[SufficientStatistics]) -> SufficientStatistics:
    """Statistics of the union of several sets of frames.

    Raises:
        ValueError: If there is none to merge.
    """
    found = list(statistics)
    if not found:
        raise ValueError("expected at least one set of statistics to merge, found none")
    return reduce(merge, found)


def statistics_in_graph(gold: tf.Tensor, predicted: tf.Tensor) -> tf.Tensor:
    """`SufficientStatistics.from_series` as TensorFlow operations, for the graphs that run on a client.

    Args:
        gold: ``[frames, dimension]``, NaN where missing.
        predicted: ``[frames, dimension]``, NaN where missing.

    Returns:
        ``[dimension, 6]`` float64, as `SufficientStatistics.from_array` takes it.
    """
    import tensorflow as tf

    g, p = tf.cast(gold, tf.float64), tf.cast(predicted, tf.float64)
    counted = tf.math.is_finite(g) & tf.math.is_finite(p)
    n = tf.reduce_sum(tf.cast(counted, tf.float64), axis=0)
    mean_gold, deviation_gold = _centred_in_graph(g, counted, n)
    mean_predicted, deviation_predicted = _centred_in_graph(p, counted, n)
    sums = [
        tf.reduce_sum(product, axis=0)
        for product in (deviation_gold**2, deviation_predicted**2, deviation_gold * deviation_predicted)
    ]
    return tf.stack([n, mean_gold, mean_predicted, *sums], axis=-1)


def _centred_in_graph(series: tf.Tensor, counted: tf.Tensor, n: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    import tensorflow as tf

    most = tf.fill(tf.shape(series), tf.constant(np.inf, tf.float64))
    least = tf.reduce_min(tf.where(counted, series, most), axis=0)
    least = tf.where(n > 0, least, tf.zeros_like(least))
    shifted = tf.where(counted, series, tf.zeros_like(series) + least) - least
    mean = tf.reduce_sum(shifted, axis=0) / tf.maximum(n, 1.0)
    return least + mean, tf.where(counted, shifted - mean, tf.zeros_like(shifted))
