"""Scores of membership: how much more a model looks like one that was trained on a subject than like one that was not.

The attacker has shadow models, of which it knows who trained them. A score is higher for what looks like a member.

- ``loss``: the subject's loss, negative (Yeom et al. 2018, Privacy Risk in Machine Learning).
- ``calibrated loss``: less the mean loss of shadow models without the subject (Watson et al. 2022, On the Importance of
  Difficulty Calibration in Membership Inference Attacks).
- ``offline likelihood ratio``: how far all signals lie below those of shadow models without the subject, in standard
  deviations, summed (the one-sided test of Carlini et al. 2022, Membership Inference Attacks From First Principles).
- ``likelihood ratio``: of a Gaussian of shadow models with the subject to one of those without (the same, online).
- ``linear discriminant``: the same with one shift and one covariance for all subjects and both sides (Fisher 1936); it
  finds less where training on a subject narrows its signals, and more where there are few shadow models.

Shadow models are few. A covariance is therefore pooled over subjects, as in the paper, and shrunk towards its diagonal:
signals depend on each other, and a sum over each by itself counts several times what they share. By how much training
on a subject shifts its signals is drawn towards the mean over subjects, as far as its scatter is what so few models
give anyway (empirical Bayes; Efron and Morris 1975).

Where shadow models are the targets, each is left out of what it is compared with, and so is its counterpart: a shadow
model of all the other subjects. With the target alone left out, its subjects' mean would be over a model less on the
side on which it is, further from it, and a model without any leak would show an AUC below one half.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

ATTACKS = ("loss", "calibrated loss", "offline likelihood ratio", "likelihood ratio", "linear discriminant")
_SHRINKAGE = 0.1
_LEAST_VARIANCE = 1e-12
_NONE = -1


@dataclass(frozen=True)
class ShadowStatistics:
    """What shadow models tell of a signal with and without a subject, for each of several targets.

    All have the axes ``[assignments, targets]`` first.

    Attributes:
        mean_in: ``[..., subjects, signals]``, of models with the subject.
        mean_out: Likewise, of models without.
        covariance_in: ``[..., signals, signals]``, around ``mean_in``, pooled over subjects.
        covariance_out: Likewise, around ``mean_out``.
        inverse_counts: ``[..., subjects, 1]``: 1 / models with the subject + 1 / models without.
    """

    mean_in: np.ndarray
    mean_out: np.ndarray
    covariance_in: np.ndarray
    covariance_out: np.ndarray
    inverse_counts: np.ndarray

    @property
    def covariance(self) -> np.ndarray:
        """One for both sides, ``[..., signals, signals]``."""
        return (self.covariance_in + self.covariance_out) / 2

    @property
    def middle(self) -> np.ndarray:
        """Between both means, ``[..., subjects, signals]``."""
        return (self.mean_in + self.mean_out) / 2

    @property
    def common_shift(self) -> np.ndarray:
        """What training on a subject adds to its signals, mean over subjects, ``[..., 1, signals]``."""
        return (self.mean_in - self.mean_out).mean(axis=-2, keepdims=True)

    @property
    def shift(self) -> np.ndarray:
        """The same of each subject, drawn towards that of all; ``[..., subjects, signals]``."""
        own = self.mean_in - self.mean_out - self.common_shift
        variance = np.diagonal(self.covariance, axis1=-2, axis2=-1)[..., np.newaxis, :]
        scatter = (own**2 / variance).mean(axis=(-2, -1), keepdims=True)
        by_chance = self.inverse_counts.mean(axis=-2, keepdims=True)
        weight = np.clip(1 - by_chance / np.maximum(scatter, _LEAST_VARIANCE), 0, 1)
        return self.common_shift + weight * own


def leave_one_out(signals: np.ndarray, members: np.ndarray, partners: np.ndarray) -> ShadowStatistics:
    """Statistics for each shadow model as the target, without itself and its counterpart.

    Args:
        signals: ``[models, subjects, signals]``.
        members: ``[assignments, models, subjects]``: several ways of who may have trained what.
        partners: ``[assignments, models]``: of a model the number of its counterpart, or -1.
    """
    rows = np.arange(len(partners))[:, np.newaxis]
    has = (partners != _NONE)[:, :, np.newaxis]

    def without(values: np.ndarray) -> np.ndarray:
        there = has.reshape(has.shape[:2] + (1,) * (values.ndim - 2))
        return values.sum(axis=1, keepdims=True) - values - np.where(there, values[rows, partners], 0)

    return _statistics(signals, members, without)


def of_all(signals: np.ndarray, members: np.ndarray) -> ShadowStatistics:
    """Statistics for targets that are no shadow models: one for all of them, from all shadow models.

    Args:
        signals: ``[models, subjects, signals]``.
        members: ``[models, subjects]``.
    """
    return _statistics(signals, members[np.newaxis], lambda values: values.sum(axis=1, keepdims=True))


def _statistics(
    signals: np.ndarray, members: np.ndarray, summed: Callable[[np.ndarray], np.ndarray]
) -> ShadowStatistics:
    # Second moments are exact around a subject's own mean, which is subtracted first.
    middle = signals.mean(axis=0)
    inside = _moments(signals - middle, members, summed)
    outside = _moments(signals - middle, ~members, summed)
    return ShadowStatistics(
        inside[0] + middle, outside[0] + middle, inside[1], outside[1], 1 / inside[2] + 1 / outside[2]
    )


def _moments(
    signals: np.ndarray, chosen: np.ndarray, summed: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means ``[..., subjects, signals]``, pooled covariances and counts of the chosen models."""
    values = np.where(chosen[..., np.newaxis], signals, 0.0)
    count = summed(chosen.astype(float))[..., np.newaxis]
    mean = summed(values) / count
    products = summed(np.swapaxes(values, -1, -2) @ values) - np.swapaxes(count * mean, -1, -2) @ mean
    freedom = (count - 1).sum(axis=-2, keepdims=True)
    return mean, _shrunk(products / freedom), count


def _shrunk(covariance: np.ndarray) -> np.ndarray:
    diagonal = np.eye(covariance.shape[-1])
    variance = np.maximum(covariance, _LEAST_VARIANCE) * diagonal
    return (1 - _SHRINKAGE) * covariance * (1 - diagonal) + variance


def attack_scores(signals: np.ndarray, shadows: ShadowStatistics) -> np.ndarray:
    """Scores of all attacks.

    Args:
        signals: Of the targets, ``[targets, subjects, signals]``; the first is the training loss.
        shadows: What they are compared with.

    Returns:
        ``[attacks, assignments, targets, subjects]``, in the order of ``ATTACKS``.
    """
    below = shadows.mean_out - signals
    deviation = np.sqrt(np.diagonal(shadows.covariance_out, axis1=-2, axis2=-1))[..., np.newaxis, :]
    ratio = _log_ratio(signals - shadows.middle, shadows.shift, shadows.covariance_in, shadows.covariance_out)
    linear = _log_ratio(signals - shadows.middle, shadows.common_shift, shadows.covariance, shadows.covariance)
    loss = np.broadcast_to(-signals[..., 0], ratio.shape)
    return np.stack([loss, below[..., 0], (below / deviation).sum(axis=-1), ratio, linear])


def _log_ratio(signals: np.ndarray, shift: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Of Gaussians half a shift to either side; ``[..., subjects]``."""
    return _log_density(signals - shift / 2, inside) - _log_density(signals + shift / 2, outside)


def _log_density(difference: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Of Gaussians with mean 0, up to a constant; ``[..., subjects]``."""
    distance = ((difference @ np.linalg.inv(covariance)) * difference).sum(axis=-1)
    return -0.5 * (distance + np.linalg.slogdet(covariance)[1][..., np.newaxis])


def counterparts(members: np.ndarray) -> np.ndarray:
    """Of each model another one of exactly the other subjects, by number; -1 where there is none.

    Args:
        members: ``[models, subjects]``.
    """
    found = np.full(len(members), _NONE)
    for model in range(len(members)):
        fitting = np.flatnonzero((members == ~members[model]).all(axis=1) & (found == _NONE))
        if found[model] == _NONE and len(fitting):
            found[model], found[fitting[0]] = fitting[0], model
    return found
