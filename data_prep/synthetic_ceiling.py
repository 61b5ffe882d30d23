r"""The CCC that is attainable on the synthetic cohort, from the model's covariances in closed form.

Every process of ``data_prep.synthetic`` is an Ornstein-Uhlenbeck process, so every covariance is a sum of exponentials
(clipping and rounding are ignored). With ``K(t)`` the 2 x 2 covariance of the latents at lag t, action units and gold
standard have

    cov(x(t), x(t - k)) = A K(k) A' + q^2 exp(-|k| / T_n) I
    cov(y_d(t), x(t - k)) = s_d mean_r h_r (K(k + l - m_r) A')_d

The best linear predictor of y from the last ``history`` seconds of standardised features (Wiener filter) solves one
linear system. Its output is rescaled to the model's mean and variance of y, so that its CCC is its correlation and
nothing is lost to shrinkage; a recording's own mean and variance still differ from the model's, as they do for any
predictor that has not seen them.

Missing frames are filled with the last value seen and features are standardised over the whole recording, as the
package's per-subject scaling does.

Not every number called a ceiling is a bound. A subject's own filter bounds causal linear predictors of that subject.
For local-only, whose model knows one subject and is tested on another, the "ceiling" is how one subject's own best
filter transfers. A model may exceed it: the filter is tuned to the wrong subject, and a model that is fitted less
exactly to its one subject can transfer better.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from data_prep.synthetic import generate_subject
from data_prep.synthetic_model import (
    RaterPanel,
    SubjectParameters,
    SyntheticConfig,
    rater_panel,
    subject_parameters,
)
from tff_affect.cohort import SubjectTable
from tff_affect.errors import InputError

HISTORY_SECONDS = 6.0
TAP_SECONDS = 0.4


def taps(config: SyntheticConfig) -> np.ndarray:
    """``[taps]`` delays in frames: every 0.4 s over the last 6 s, from 0."""
    return np.unique(np.rint(np.arange(0.0, HISTORY_SECONDS + 1e-9, TAP_SECONDS) * config.frame_rate).astype(int))


def latent_covariance(config: SyntheticConfig, lag: np.ndarray) -> np.ndarray:
    """``[..., 2, 2]`` covariance of the latents ``lag`` frames apart; symmetric in the lag's sign."""
    seconds = np.abs(np.asarray(lag, dtype=np.float64))[..., None] / config.frame_rate
    c = config.latent_correlation
    mixing = np.array([[1.0, 0.0], [c, np.sqrt(1 - c**2)]])
    return np.einsum("dk,...k,ek->...de", mixing, np.exp(-seconds / np.array(config.latent_seconds)), mixing)


def gold_moments(config: SyntheticConfig, panel: RaterPanel | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Model mean and variance of the gold standard, ``[2]`` each."""
    panel = panel or rater_panel(config)
    scale, noise = np.array(config.rating_scale), np.array(config.rater_noise)
    between = latent_covariance(config, panel.lag[:, None] - panel.lag[None, :])
    shared = np.einsum("r,q,rqdd->d", panel.gain, panel.gain, between) / config.raters**2
    weights = np.ones((config.raters, 2)) if config.fusion == "mean" else rater_agreement(config, panel)
    return np.average(panel.bias, axis=0, weights=weights), scale**2 * (shared + noise**2 / config.raters)


def rater_agreement(config: SyntheticConfig, panel: RaterPanel) -> np.ndarray:
    """``[raters, 2]`` model CCC of each rater with the others, on average: the weights of the CCC-centred mean.

    Centring moves each trace by a constant, so that this mean is all in which the gold standard's moments differ from
    those of the plain mean.
    """
    between = np.einsum("r,q,rqdd->rqd", panel.gain, panel.gain,
                        latent_covariance(config, panel.lag[:, None] - panel.lag[None, :]))  # fmt: skip
    variance = panel.gain[:, None] ** 2 + np.array(config.rater_noise) ** 2
    apart = ((panel.bias[:, None] - panel.bias[None, :]) / np.array(config.rating_scale)) ** 2
    agreement = 2 * between / (variance[:, None] + variance[None, :] + apart)
    agreement[np.diag_indices(config.raters)] = 0
    return np.asarray(agreement.sum(axis=1) / (config.raters - 1))


def covariances(config: SyntheticConfig, parameters: SubjectParameters) -> tuple[np.ndarray, np.ndarray]:
    """Model covariances of a subject's standardised, delayed features.

    Returns:
        ``[taps * units, taps * units]`` of the features with themselves, ``[taps * units, 2]`` with the gold standard.
    """
    delays, panel, loading = taps(config), rater_panel(config), parameters.loading
    apart = delays[:, None] - delays[None, :]
    auto = np.einsum("jd,ikde,le->ijkl", loading, latent_covariance(config, apart), loading)
    colour = np.exp(-np.abs(apart) / (config.feature_noise_seconds * config.frame_rate))
    auto += parameters.noise**2 * np.einsum("ik,jl->ijkl", colour, np.eye(len(loading)))
    between = latent_covariance(config, delays[:, None] + parameters.lag - panel.lag[None, :])
    heard = np.einsum("r,irde->ide", panel.gain, between) / config.raters
    cross = np.einsum("d,ide,je->ijd", np.array(config.rating_scale), heard, loading)
    deviation = np.sqrt(np.diagonal(auto[0, :, 0, :]))
    auto /= deviation[None, :, None, None] * deviation[None, None, None, :]
    size = len(delays) * len(loading)
    return auto.reshape(size, size), (cross / deviation[None, :, None]).reshape(size, 2)


def _filter(config: SyntheticConfig, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """``[taps * units, 2]`` weights of unit model variance of the output, from the mean of the given covariances."""
    auto = np.mean([a for a, _ in pairs], axis=0)
    cross = np.mean([c for _, c in pairs], axis=0)
    weights = cho_solve(cho_factor(auto + 1e-9 * np.eye(len(auto))), cross)
    return np.asarray(weights / np.sqrt(np.einsum("nd,nm,md->d", weights, auto, weights)))


def own_filter(config: SyntheticConfig, index: int) -> np.ndarray:
    """``[taps * units, 2]``: the best filter for a known subject; its output has unit model variance."""
    return _filter(config, [covariances(config, subject_parameters(config, index))])


def population_filter(config: SyntheticConfig, training_indices: Sequence[int]) -> np.ndarray:
    """``[taps * units, 2]``: the best single filter for the given subjects, from their average covariances.

    Raises:
        InputError: If no subject is given.
    """
    if not len(training_indices):
        raise InputError("expected at least one training subject for the population's filter, found none")
    return _filter(config, [covariances(config, subject_parameters(config, i)) for i in training_indices])


def _delayed_features(config: SyntheticConfig, table: SubjectTable) -> np.ndarray:
    """``[frames, taps * units]`` standardised features, last value held; the first value before the recording."""
    seen = np.where(table.valid, np.arange(table.frames), 0)
    held = table.features.astype(np.float64)[np.maximum.accumulate(seen)]
    present = table.features[table.valid].astype(np.float64)
    spread = present.std(axis=0)
    held = (held - present.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    rows = np.maximum(np.arange(table.frames)[:, None] - taps(config)[None, :], 0)
    return held[rows].reshape(table.frames, -1)


def apply_filter(config: SyntheticConfig, table: SubjectTable, weights: np.ndarray) -> np.ndarray:
    """Predictions of a filter on a subject's recording, at the gold standard's model mean and variance.

    Args:
        config: The cohort's configuration.
        table: The recording.
        weights: ``[taps * units, 2]``, of `own_filter` or `population_filter`.

    Returns:
        ``[frames, 2]`` arousal and valence.
    """
    mean, variance = gold_moments(config)
    return np.asarray(mean + np.sqrt(variance) * (_delayed_features(config, table) @ weights))


def oracle_predictions(config: SyntheticConfig, subject_index: int, parameters_of: int | None = None) -> np.ndarray:
    """Predictions on a subject by the best causal linear filter of a known subject.

    With ``parameters_of`` left out, their CCC with the gold standard bounds what a linear causal predictor can attain
    on this subject, up to the chance of one recording. With another subject's index their CCC is the transfer of that
    subject's own best filter: no bound, and a model trained on that subject may exceed it.

    Args:
        config: The cohort's configuration.
        subject_index: Whose recording is predicted.
        parameters_of: Whose parameters make the filter; default the subject's own.

    Returns:
        ``[frames, 2]`` arousal and valence.
    """
    weights = own_filter(config, subject_index if parameters_of is None else parameters_of)
    return apply_filter(config, generate_subject(config, subject_index).table, weights)


def population_oracle_predictions(
    config: SyntheticConfig, subject_index: int, training_indices: Sequence[int]
) -> np.ndarray:
    """Predictions on a subject by the best filter that is one and the same for all training subjects.

    Args:
        config: The cohort's configuration.
        subject_index: Whose recording is predicted.
        training_indices: Subjects whose average covariances make the filter.

    Returns:
        ``[frames, 2]`` arousal and valence: what a subject-independent linear model could at best do.
    """
    weights = population_filter(config, training_indices)
    return apply_filter(config, generate_subject(config, subject_index).table, weights)
